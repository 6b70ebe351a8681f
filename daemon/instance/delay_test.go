package instance

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// TestDamper says what is told of a link, and when, with 2 s before it counts as down and 5 s before
// it counts as up.
func TestDamper(t *testing.T) {
	const s = time.Second
	type news struct {
		At    time.Duration
		Index int
		Up    bool
	}
	for _, tt := range []struct {
		name       string
		seen, want []news
	}{
		{"the first look", []news{{0, 1, false}}, []news{{0, 1, false}}},
		{"down", []news{{0, 1, true}, {s, 1, false}},
			[]news{{0, 1, true}, {s, 1, true}, {3 * s, 1, false}}},
		{"up", []news{{0, 1, false}, {s, 1, true}},
			[]news{{0, 1, false}, {s, 1, false}, {6 * s, 1, true}}},
		{"down and back", []news{{0, 1, true}, {s, 1, false}, {2 * s, 1, true}},
			[]news{{0, 1, true}, {s, 1, true}, {2 * s, 1, true}}},
		{"down, and news of it", []news{{0, 1, true}, {s, 1, false}, {2 * s, 1, false}},
			[]news{{0, 1, true}, {s, 1, true}, {2 * s, 1, true}, {3 * s, 1, false}}},
		{"gone", []news{{0, 1, true}, {s, 0, false}}, []news{{0, 1, true}, {s, 0, false}}},
		{"made anew", []news{{0, 1, true}, {s, 1, false}, {2 * s, 2, true}},
			[]news{{0, 1, true}, {s, 1, true}, {2 * s, 2, true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				delays := &LinkDelays{}
				delays.Set(map[string]LinkDelay{"eth0": {Down: 2 * s, Up: 5 * s}})
				begin := time.Now()
				var got []news
				d := &damper{name: "eth0", delays: delays, changed: func(s netif.State) {
					got = append(got, news{time.Since(begin), s.Index, s.Up})
				}}
				for _, n := range tt.seen {
					bubbletest.Pass(n.At - time.Since(begin))
					d.see(netif.State{Index: n.Index, Up: n.Up})
				}
				bubbletest.Pass(10 * s)
				d.end()
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestDamperEnds has nothing told after the end.
func TestDamperEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delays := &LinkDelays{}
		delays.Set(map[string]LinkDelay{"eth0": {Down: time.Second}})
		told := 0
		d := &damper{name: "eth0", delays: delays, changed: func(netif.State) { told++ }}
		d.see(netif.State{Index: 1, Up: true})
		d.see(netif.State{Index: 1})
		d.end()
		bubbletest.Pass(2 * time.Second)
		if told != 2 {
			t.Errorf("told %d times, want twice, both before the end", told)
		}
	})
}
