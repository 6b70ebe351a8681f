package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const routeUsage = "[TYPE] PREFIX|default [src IP] [via IP] [dev INTERFACE] [table T] …"

// Route is one route of virtual_routes or static_routes, as iproute2 writes it.
type Route struct {
	// Pos is where the line starts.
	Pos Pos
	// Type is as iproute2 names it, unicast unless given.
	Type string
	// IPv6 says which family it is of; an invalid Destination is the default route.
	IPv6        bool
	Destination netip.Prefix
	// Source is preferred for packets that take it; invalid means none.
	Source netip.Addr
	// Hops are where packets go next; several share them. A route may have none.
	Hops []Hop
	// Table and Metric are as iproute2 writes them; empty means the kernel's.
	Table, Metric string
	// Options are the rest, in the order of the file.
	Options []RouteOption
	// NoTrack keeps a route that somebody deletes from costing an instance its mastership.
	NoTrack bool
	// TrackGroup are the instances that depend on a static route; empty means none.
	TrackGroup string
}

// Hop is one next hop of a route.
type Hop struct {
	// Via is the gateway, Device the interface: one of them may be missing.
	Via    netip.Addr
	Device string
	// Weight is 1 to 256 where there are several hops, else 0.
	Weight int
	OnLink bool
}

// RouteOption is one further word of a route or a rule with what follows it; empty means nothing.
type RouteOption struct {
	Name, Value string
}

var routeTypes = []string{
	"unicast", "local", "broadcast", "anycast", "multicast", "nat", "blackhole", "unreachable",
	"prohibit", "throw",
}

// routeValues are the options of a route with a value, by what the value is.
var routeValues = map[string]func(string) bool{
	"scope": isWord, "protocol": isWord, "proto": isWord, "tos": isWord, "dsfield": isWord,
	"vrf": isDevice, "realms": isWord, "features": isWord, "pref": isPreference,
	"congctl": isWord, "as": isWord, "ttl-propagate": isWord,
	"mtu": isMetric, "advmss": isMetric, "rtt": isWord, "rttvar": isWord, "reordering": isMetric,
	"window": isMetric, "cwnd": isMetric, "ssthresh": isMetric, "rto_min": isWord,
	"hoplimit": isMetric, "initcwnd": isMetric, "initrwnd": isMetric, "quickack": isMetric,
	"fastopen_no_cookie": isMetric, "expires": isMetric,
}

// routeFlags are the options of a route without a value.
var routeFlags = []string{"append", "inet", "inet6"}

func isWord(s string) bool { return s != "" }

func isPreference(s string) bool {
	return slices.Contains([]string{"low", "medium", "high"}, s)
}

func isMetric(s string) bool {
	n, err := strconv.ParseUint(s, 0, 32)
	return err == nil && n < 1<<32
}

// parseRoute reads one line.
func parseRoute(d *decoder, keyword string, ws []Word) (Route, bool) {
	r := Route{Pos: ws[0].Pos, Type: "unicast"}
	p := routeReader{d: d, keyword: keyword, rest: ws, route: &r}
	if i := slices.Index(routeTypes, ws[0].Text); i >= 0 {
		r.Type, p.rest = ws[0].kept(), ws[1:]
	}
	for len(p.rest) > 0 {
		if !p.option() {
			return r, false
		}
	}
	if !p.destined {
		d.fail(ws[0].Pos, "%s %q: expected a destination", keyword, ws[0].Text)
	}
	return r, p.destined && p.checkFamilies()
}

// routeReader reads the words of one route.
type routeReader struct {
	d       *decoder
	keyword string
	rest    []Word
	route   *Route
	// destined is set when the destination was read, known when the family is clear.
	destined, known bool
	// several is set while next hops are read.
	several bool
}

func (p *routeReader) fail(w Word, expected string) bool {
	p.d.fail(w.Pos, "%s %q: expected %s", p.keyword, w.Text, expected)
	return false
}

// value takes the word after w.
func (p *routeReader) value(w Word) (Word, bool) {
	if len(p.rest) == 0 {
		return w, p.fail(w, "a value after it")
	}
	v := p.rest[0]
	p.rest = p.rest[1:]
	return v, true
}

// option reads one option and says whether it was understood.
func (p *routeReader) option() bool {
	w := p.rest[0]
	p.rest = p.rest[1:]
	r := p.route
	switch w.Text {
	case "via", "gw", "or", "src", "dev", "oif", "table", "metric", "priority", "preference",
		"weight", "to", "track_group":
		v, ok := p.value(w)
		return ok && p.named(w, v)
	case "nexthop":
		if p.several || len(r.Hops) == 0 {
			r.Hops = append(r.Hops, Hop{})
		}
		p.several = true
	case "onlink":
		p.hop().OnLink = true
	case "no_track":
		r.NoTrack = true
	case "encap":
		p.encapsulation(w)
	default:
		return p.other(w)
	}
	return true
}

// encapsulation keeps the words up to the next hop: each kind has its own.
func (p *routeReader) encapsulation(w Word) {
	p.route.Options = append(p.route.Options, RouteOption{Name: w.kept()})
	for len(p.rest) > 0 && p.rest[0].Text != "nexthop" {
		p.route.Options = append(p.route.Options, RouteOption{Name: p.rest[0].kept()})
		p.rest = p.rest[1:]
	}
}

// hop is the next hop being read.
func (p *routeReader) hop() *Hop {
	if len(p.route.Hops) == 0 {
		p.route.Hops = append(p.route.Hops, Hop{})
	}
	return &p.route.Hops[len(p.route.Hops)-1]
}

// named reads the value of an option with a field of its own.
func (p *routeReader) named(w, v Word) bool {
	r := p.route
	switch w.Text {
	case "to":
		return p.destination(v)
	case "src":
		return p.address(v, &r.Source)
	case "or":
		p.d.warn(w.Pos, "%s %q: expected nexthop, which says the same", p.keyword, "or")
		r.Hops = append(r.Hops, Hop{})
		return p.address(v, &p.hop().Via)
	case "via", "gw":
		if v.Text == "inet" || v.Text == "inet6" {
			var ok bool
			if v, ok = p.value(v); !ok {
				return false
			}
		}
		return p.address(v, &p.hop().Via)
	case "dev", "oif":
		p.hop().Device = v.kept()
		return isDevice(v.Text) || p.fail(v, "the name of an interface")
	case "weight":
		f := number[int](1, 256)
		return into(f, v, &p.hop().Weight) || p.fail(v, f.usage)
	case "table":
		r.Table = v.kept()
	case "track_group":
		r.TrackGroup = v.kept()
	default:
		r.Metric = v.kept()
		return isMetric(v.Text) || p.fail(v, "a whole number")
	}
	return v.Text != "" || p.fail(v, "a value")
}

func (p *routeReader) address(v Word, at *netip.Addr) bool {
	a, ok := parseAddr(strings.TrimSuffix(strings.TrimSuffix(v.Text, "/32"), "/128"))
	*at = a
	return ok || p.fail(v, "an IP address")
}

// other reads an option that is kept by its name, or the destination.
func (p *routeReader) other(w Word) bool {
	r := p.route
	if check, ok := routeValues[w.Text]; ok {
		v, ok := p.value(w)
		if ok && v.Text == "lock" {
			r.Options = append(r.Options, RouteOption{Name: w.kept()}, RouteOption{Name: "lock"})
			if v, ok = p.value(v); ok {
				r.Options = append(r.Options, RouteOption{Name: v.kept()})
			}
			return ok && (isMetric(v.Text) || p.fail(v, "a whole number"))
		}
		r.Options = append(r.Options, RouteOption{w.kept(), v.kept()})
		return ok && (check(v.Text) || p.fail(v, "a value that "+w.Text+" can have"))
	}
	if slices.Contains(routeFlags, w.Text) {
		r.Options = append(r.Options, RouteOption{Name: w.kept()})
		if w.Text == "inet6" {
			p.known, r.IPv6 = true, true
		}
		return true
	}
	return p.destination(w)
}

func (p *routeReader) destination(w Word) bool {
	if p.destined {
		return p.fail(w, routeUsage)
	}
	p.destined = true
	switch w.Text {
	case "default":
		return true
	case "default6", "default_v6":
		p.known, p.route.IPv6 = true, true
		return true
	}
	prefix, bad := parsePrefix(w.Text)
	if bad != "" {
		p.d.fail(w.Pos, "%s %q: %s", p.keyword, w.Text, bad)
		return false
	}
	p.known, p.route.IPv6 = true, prefix.Addr().Is6()
	if prefix.Bits() > 0 {
		p.route.Destination = prefix
	}
	return true
}

// checkFamilies settles the family of a default route and checks that all addresses are of it.
func (p *routeReader) checkFamilies() bool {
	r := p.route
	if !p.known {
		r.IPv6 = r.Source.Is6()
		for _, h := range r.Hops {
			r.IPv6 = r.IPv6 || h.Via.Is6()
		}
	}
	if r.Source.IsValid() && r.Source.Is6() != r.IPv6 {
		p.d.fail(r.Pos, "%s: expected src %s of the family of the route", p.keyword, r.Source)
		return false
	}
	for _, h := range r.Hops {
		if h.Via.Is4() && r.IPv6 {
			p.d.fail(r.Pos, "%s: expected via %s of the family of the route", p.keyword, h.Via)
			return false
		}
	}
	return true
}
