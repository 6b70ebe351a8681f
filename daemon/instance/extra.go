package instance

import "time"

// repeatExtra adds the announcement of the VIPs that Config.ExtraEvery is about when it is due, and
// returns when the next one will be; zero: never.
func (h *holding) repeatExtra(now time.Time) time.Time {
	every := h.cfg.ExtraEvery
	vips := h.extra()
	if !h.wanted || every == 0 || len(vips) == 0 {
		return time.Time{}
	}
	switch {
	case h.extraAt.IsZero(): // the first one is that of a new master
	case h.extraAt.After(now):
		return h.extraAt
	default:
		h.bursts = append(h.bursts, h.burstsOf(vips, 1)...)
	}
	h.extraAt = now.Add(every)
	return h.extraAt
}

// extra returns the VIPs that are announced again and again.
func (h *holding) extra() []VIP {
	var all []VIP
	for _, v := range h.cfg.located() {
		if _, made := h.cfg.macvlan(v.Device); made || h.cfg.ExtraAll {
			all = append(all, v)
		}
	}
	return all
}
