package drills

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/scenarios"
)

// Shrink returns a plan that still fails and of which no single item can be left out: delta
// debugging. fails says whether a part of the plan, in its order, fails; it is asked for no part
// twice, and never for the whole plan, which must fail. An error of fails ends it: the shortest plan
// known to fail comes with it.
//
// Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2),
// 2002, the algorithm ddmin.
func Shrink[T any](plan []T, fails func(plan []T) (bool, error)) ([]T, error) {
	s := shrinker[T]{plan: plan, fails: fails, known: map[string]bool{}}
	left := make([]int, len(plan))
	for i := range left {
		left[i] = i
	}
	parts := 2
	for len(left) > 1 {
		smaller, next, err := s.smaller(left, parts)
		switch {
		case err != nil:
			return s.items(left), err
		case smaller != nil:
			left, parts = smaller, next
		case parts >= len(left):
			return s.items(left), nil
		default:
			parts = min(2*parts, len(left))
		}
	}
	return s.items(left), nil
}

// shrinker looks for parts of a plan, as places in it, that fail.
type shrinker[T any] struct {
	plan  []T
	fails func([]T) (bool, error)
	known map[string]bool // what was asked
}

func (s shrinker[T]) items(places []int) []T {
	items := make([]T, len(places))
	for i, at := range places {
		items[i] = s.plan[at]
	}
	return items
}

// smaller returns the first that fails of so many parts of what is left, or of what is left without
// one of them, and into how many parts that is to be parted next; nil: none does.
func (s shrinker[T]) smaller(left []int, parts int) ([]int, int, error) {
	var rests [][]int
	for i := range parts {
		from, to := i*len(left)/parts, (i+1)*len(left)/parts
		if failed, err := s.ask(left[from:to]); err != nil || failed {
			return left[from:to], 2, err
		}
		rests = append(rests, slices.Concat(left[:from], left[to:]))
	}
	for _, rest := range rests {
		if failed, err := s.ask(rest); err != nil || failed {
			return rest, max(parts-1, 2), err
		}
	}
	return nil, 0, nil
}

// ask asks whether a part fails.
func (s shrinker[T]) ask(places []int) (bool, error) {
	key := fmt.Sprint(places)
	if failed, ok := s.known[key]; ok {
		return failed, nil
	}
	failed, err := s.fails(s.items(places))
	s.known[key] = failed
	return failed, err
}

// Events are the parts of the method that Shrink may leave out: each fault with its heal, and every
// other step, in the order of their times.
func (d Drill) Events() [][]Step {
	var all [][]Step
	for _, s := range d.Method {
		if s.Heals != "" {
			continue
		}
		event := []Step{s}
		for _, heal := range d.Method {
			if s.Name != "" && heal.Heals == s.Name {
				event = append(event, heal)
			}
		}
		all = append(all, event)
	}
	slices.SortStableFunc(all, func(a, b []Step) int { return cmp.Compare(a[0].At, b[0].At) })
	return all
}

// With returns the drill with these events for its method, and the calm that is left between them
// shortened to what their order needs: no more than there was at the longest between two of the whole
// method.
func (d Drill) With(events [][]Step) Drill {
	longest := d.longestCalm()
	d.Method = nil
	d.Limit = 0
	var until, shift time.Duration
	for _, event := range events {
		if calm := event[0].At - shift - until; calm > longest {
			shift += calm - longest
		}
		for _, s := range event {
			s.At -= shift
			d.Method = append(d.Method, s)
		}
		until = max(until, d.Ends())
	}
	return d
}

// longestCalm is the longest time between two faults of the method in which none holds.
func (d Drill) longestCalm() time.Duration {
	var longest, until time.Duration
	for _, event := range d.Events() {
		longest = max(longest, event[0].At-until)
		for _, s := range event {
			until = max(until, s.At, scenarios.Act{At: s.At, For: s.For, Step: s.Do}.End())
		}
	}
	return longest
}
