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
	gained, lost := map[time.Duration][]string{}, map[time.Duration][]string{}
	for _, s := range spans {
		cuts = append(cuts, s.From, s.To)
		if s.From < s.To {
			gained[s.From] = append(gained[s.From], s.Node)
			lost[s.To] = append(lost[s.To], s.Node)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var holders []string // at the cut, in order
	var tenures []Tenure
	for i := range len(cuts) - 1 {
		holders = slices.DeleteFunc(holders, func(node string) bool {
			return slices.Contains(lost[cuts[i]], node)
		})
		holders = append(holders, gained[cuts[i]]...)
		slices.Sort(holders)
		if n := len(tenures); n > 0 && slices.Equal(tenures[n-1].Nodes, holders) {
			tenures[n-1].To = cuts[i+1]
			continue
		}
		tenures = append(tenures, Tenure{append([]string(nil), holders...), cuts[i], cuts[i+1]})
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
	return heldOf(Owners(rec, vip), w, by)
}

// heldOf is held with the tenures known.
func heldOf(tenures []Tenure, w Window, by func(holders int) bool) time.Duration {
	var total time.Duration
	for _, t := range tenures {
		if by(len(t.Nodes)) {
			total += w.overlap(t.From, t.To)
		}
	}
	return total
}
