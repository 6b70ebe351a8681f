package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRhythm(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	type heard struct {
		at       time.Duration
		router   uint8
		priority uint8
	}
	one := func(adverts int, from, to time.Duration) []AdvertGap {
		return []AdvertGap{{Network: "client", Router: 51, Adverts: adverts, From: from, To: to}}
	}
	for _, test := range []struct {
		name    string
		before  []heard // the measurement begins anew
		heard   []heard
		now     time.Duration
		want    []AdvertGap
		longest time.Duration
	}{
		{"nothing", nil, nil, 9000 * ms, nil, 0},
		{"the longest of several", nil, []heard{{0, 51, 150}, {100 * ms, 51, 150},
			{300 * ms, 51, 150}, {400 * ms, 51, 150}}, 450 * ms, one(4, 100*ms, 300*ms), 200 * ms},
		{"of equal ones the first", nil, []heard{{100 * ms, 51, 150}, {200 * ms, 51, 150},
			{300 * ms, 51, 150}}, 400 * ms, one(3, 100*ms, 200*ms), 100 * ms},
		{"one that still lasts", nil, []heard{{0, 51, 150}, {100 * ms, 51, 150}}, 900 * ms,
			one(2, 100*ms, 900*ms), 800 * ms},
		{"whoever sends", nil, []heard{{0, 51, 150}, {100 * ms, 51, 100}, {200 * ms, 51, 150}},
			200 * ms, one(3, 0, 100*ms), 100 * ms},
		{"one that gives up says nothing", nil, []heard{{0, 51, 150}, {100 * ms, 51, 0},
			{200 * ms, 51, 100}}, 200 * ms, one(2, 0, 200*ms), 200 * ms},
		{"what was before counts no more", []heard{{0, 51, 150}, {500 * ms, 51, 150}},
			[]heard{{600 * ms, 51, 150}}, 650 * ms, one(1, 500*ms, 600*ms), 100 * ms},
		{"silent since before", []heard{{0, 51, 150}, {100 * ms, 51, 150}}, nil, 900 * ms,
			one(0, 100*ms, 900*ms), 800 * ms},
		{"two routers", nil, []heard{{0, 52, 150}, {50 * ms, 51, 150}, {100 * ms, 52, 150},
			{200 * ms, 51, 150}}, 200 * ms, []AdvertGap{
			{"client", 51, 2, 50 * ms, 200 * ms}, {"client", 52, 2, 0, 100 * ms}}, 150 * ms},
	} {
		var r rhythm
		for _, h := range test.before {
			r.hear(h.at, "client", advert{router: h.router, priority: h.priority})
		}
		r.restart()
		for _, h := range test.heard {
			r.hear(h.at, "client", advert{router: h.router, priority: h.priority})
		}
		got := r.gaps(test.now)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		var longest time.Duration
		for _, g := range got {
			longest = max(longest, g.Length())
		}
		if longest != test.longest {
			t.Errorf("%s: the longest is %v, want %v", test.name, longest, test.longest)
		}
	}
}
