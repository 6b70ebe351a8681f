package config

import "strconv"

// words is the line that parseRoute reads.
func (r *Route) words() []string {
	var ws []string
	add := func(name, value string) {
		if value != "" {
			ws = append(ws, name, value)
		}
	}
	if r.Type != "unicast" {
		ws = append(ws, r.Type)
	}
	switch {
	case r.Destination.IsValid():
		ws = append(ws, r.Destination.String())
	case r.IPv6:
		ws = append(ws, "::/0")
	default:
		ws = append(ws, "0.0.0.0/0")
	}
	add("src", addrWord(r.Source))
	for _, h := range r.Hops {
		if len(r.Hops) > 1 {
			ws = append(ws, "nexthop")
		}
		ws = append(ws, h.words(r.IPv6)...)
	}
	add("table", r.Table)
	add("metric", r.Metric)
	for _, o := range r.Options {
		ws = append(ws, o.words()...)
	}
	if r.NoTrack {
		ws = append(ws, "no_track")
	}
	add("track_group", r.TrackGroup)
	return ws
}

// words names the family of a gateway where it is not that of the route.
func (h *Hop) words(six bool) []string {
	var ws []string
	switch {
	case !h.Via.IsValid():
	case h.Via.Is6() != six:
		ws = append(ws, "via", "inet6", h.Via.String())
	default:
		ws = append(ws, "via", h.Via.String())
	}
	if h.Device != "" {
		ws = append(ws, "dev", h.Device)
	}
	if h.Weight != 0 {
		ws = append(ws, "weight", strconv.Itoa(h.Weight))
	}
	if h.OnLink {
		ws = append(ws, "onlink")
	}
	return ws
}

func (o RouteOption) words() []string {
	if o.Value == "" {
		return []string{o.Name}
	}
	return []string{o.Name, o.Value}
}
