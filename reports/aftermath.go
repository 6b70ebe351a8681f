package reports

import (
	"fmt"
	"slices"
	"time"
)

// toll is what faults of one sort cost.
type toll struct {
	// Name is the fault and its node, Times how often it struck.
	Name  string
	Times int
	// Lost is how many requests were lost from each injection to the next fault's.
	Lost int
	// Worst is the longest outage, After the fault that it followed.
	Worst Gap
	After Fault
	// Neither and Both are the longest times after one fault in which a VIP had no owner, or two.
	Neither, Both time.Duration
}

// tolls returns what the faults of a recording cost, by sort, the longest outage first.
func tolls(rec *Recording) []toll {
	var all []toll
	h, faults := holdingOf(rec), Faults(rec)
	for i, w := range aftermaths(rec, faults) {
		f := faults[i]
		at := slices.IndexFunc(all, func(t toll) bool { return t.Name == f.Label() })
		if at < 0 {
			at = len(all)
			all = append(all, toll{Name: f.Label(), After: f})
		}
		t := &all[at]
		t.Times++
		t.Lost += Count(rec, w).Lost()
		if g := Outage(rec, w); g.Length() > t.Worst.Length() {
			t.Worst, t.After = g, f
		}
		both, neither := h.worst(w)
		t.Both, t.Neither = max(t.Both, both), max(t.Neither, neither)
	}
	slices.SortStableFunc(all, func(a, b toll) int {
		return int(min(max(b.Worst.Length()-a.Worst.Length(), -1), 1))
	})
	return all
}

// faultView is a toll in words.
type faultView struct {
	Name, Outage, At, Neither, Both string
	Times, Lost                     int
}

// faultViews are the tolls of a run with many faults; of one with few, whose every window is shown,
// there are none.
func faultViews(rec *Recording) []faultView {
	if len(Faults(rec)) <= maxFaults {
		return nil
	}
	var views []faultView
	for _, t := range tolls(rec) {
		v := faultView{Name: t.Name, Times: t.Times, Lost: t.Lost, Outage: outageText(t.Worst),
			At: "–", Neither: dashed(t.Neither), Both: dashed(t.Both)}
		if t.Worst.Lost > 0 {
			v.At = shown(t.After.From)
		}
		views = append(views, v)
	}
	return views
}

// tollText sums up the faults of a run with more than one, in one sentence; of others it says
// nothing.
func tollText(rec *Recording) string {
	faults := Faults(rec)
	if len(faults) < 2 {
		return ""
	}
	healed := faultFigure(faults).Note
	all := tolls(rec)
	worst := all[0]
	lost := Count(rec, Window{From: faults[0].From, To: rec.Length}).Lost()
	if worst.Worst.Lost == 0 {
		return fmt.Sprintf("%d faults, %s; no request was lost after any of them.", len(faults), healed)
	}
	return fmt.Sprintf("%d faults, %s; the worst was %s at %s: an outage of %s; %s lost in all.",
		len(faults), healed, worst.Name, shown(worst.After.From), outageText(worst.Worst),
		plural(lost, "request"))
}
