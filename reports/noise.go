package reports

import "time"

// Noise is what a control run showed: the same scenario on the same machine, with its faults left
// out. What a machine does to a run in which nothing is broken says nothing about a director.
type Noise struct {
	// Verdict is that of the control run, Summary its outcome in one sentence.
	Verdict Verdict `json:"verdict"`
	Summary string  `json:"summary"`
	// Length is how long the control run was watched, after its steady state.
	Length time.Duration `json:"length_ns"`
	// Requests is how many requests its clients sent, Lost how many were not answered in time.
	Requests int `json:"requests"`
	Lost     int `json:"lost"`
	// Outage is the longest gap that a client saw.
	Outage time.Duration `json:"outage_ns"`
	// Late is the most by which the machine was late to send a planned request, or a director to
	// advertise.
	Late time.Duration `json:"late_ns"`
	// Moves is how often a VIP came or went, or a director began or ceased to advertise.
	Moves int `json:"moves"`
}

// Floor is what no figure of a run on this machine is better known than: the longer of Outage and
// Late. The nil Noise has none: 0.
func (n *Noise) Floor() time.Duration {
	if n == nil {
		return 0
	}
	return max(n.Outage, n.Late)
}

// NoiseOf measures the noise of a control run from an offset, that of its steady state, to its end.
// A late advert is one of an AdvertGap; interval is the directors' own.
func NoiseOf(rec *Recording, from, interval time.Duration) Noise {
	w := Window{Name: "control", From: min(from, rec.Length), To: rec.Length}
	c := Count(rec, w)
	n := Noise{Length: w.Length(), Requests: c.Sent, Lost: c.Lost(), Outage: Outage(rec, w).Length()}
	for _, q := range within(rec, w) {
		n.Late = max(n.Late, q.Late)
	}
	for _, ev := range rec.Events {
		if !w.Contains(ev.At) {
			continue
		}
		switch ev.Kind {
		case AdvertGap:
			if gap, err := time.ParseDuration(ev.Detail); err == nil {
				n.Late = max(n.Late, gap-interval)
			}
		case VIPAdd, VIPRemove, State:
			n.Moves++
		}
	}
	return n
}
