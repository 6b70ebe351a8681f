package reports

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Span is a time in which one node held a VIP.
type Span struct {
	Node     string
	From, To time.Duration
}

// Spans returns when which node's kernel held a VIP, in order of From, then of the nodes'
// names. A node seen to lose the VIP without having gained it held it from the start; one that
// never loses it, to the recording's end.
func Spans(rec *Recording, vip netip.Addr) []Span {
	var spans []Span
	since := map[string]time.Duration{}
	known := map[string]bool{}
	for _, ev := range rec.Events {
		if ev.Kind != VIPAdd && ev.Kind != VIPRemove || !isAddr(ev.Subject, vip) {
			continue
		}
		from, holds := since[ev.Node]
		switch {
		case ev.Kind == VIPAdd && !holds:
			since[ev.Node] = ev.At
		case ev.Kind == VIPRemove && (holds || !known[ev.Node]):
			spans = append(spans, Span{ev.Node, from, ev.At})
			delete(since, ev.Node)
		}
		known[ev.Node] = true
	}
	for node, from := range since {
		spans = append(spans, Span{node, from, max(rec.Length, from)})
	}
	slices.SortFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Node, b.Node),
			cmp.Compare(a.To, b.To))
	})
	return spans
}

// isAddr compares a subject with an address by value, not by spelling.
func isAddr(subject string, vip netip.Addr) bool {
	addr, err := netip.ParseAddr(subject)
	return err == nil && addr.Unmap() == vip.Unmap()
}

// Tenure is a time in which the same nodes held a VIP: none, one, or more than one.
type Tenure struct {
	// Nodes are the holders' names in order; none: nobody held it.
	Nodes    []string
	From, To time.Duration
}

// Length is the time from From to To.
func (t Tenure) Length() time.Duration { return t.To - t.From }

// Owners parts the whole recording into tenures of a VIP, in order and without holes.
func Owners(rec *Recording, vip netip.Addr) []Tenure {
	spans := Spans(rec, vip)
	cuts := []time.Duration{0, rec.Length}
	for _, s := range spans {
		cuts = append(cuts, s.From, s.To)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var tenures []Tenure
	for i := 1; i < len(cuts); i++ {
		t := Tenure{From: cuts[i-1], To: cuts[i]}
		for _, s := range spans {
			if s.From <= t.From && t.To <= s.To {
				t.Nodes = append(t.Nodes, s.Node)
			}
		}
		slices.Sort(t.Nodes)
		if n := len(tenures); n > 0 && slices.Equal(tenures[n-1].Nodes, t.Nodes) {
			tenures[n-1].To = t.To
			continue
		}
		tenures = append(tenures, t)
	}
	return tenures
}

// Both is the time within a window in which more than one node held a VIP.
func Both(rec *Recording, vip netip.Addr, w Window) time.Duration {
	return held(rec, vip, w, func(holders int) bool { return holders > 1 })
}

// Neither is the time within a window in which no node held a VIP.
func Neither(rec *Recording, vip netip.Addr, w Window) time.Duration {
	return held(rec, vip, w, func(holders int) bool { return holders == 0 })
}

func held(rec *Recording, vip netip.Addr, w Window, by func(holders int) bool) time.Duration {
	var total time.Duration
	for _, t := range Owners(rec, vip) {
		if by(len(t.Nodes)) {
			total += w.overlap(t.From, t.To)
		}
	}
	return total
}
