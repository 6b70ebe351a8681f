package scenarios

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// at puts events into a recording in order of their time.
func at(r *reports.Recording, events ...reports.Event) {
	r.Events = append(r.Events, events...)
	slices.SortStableFunc(r.Events, func(a, b reports.Event) int { return int(a.At - b.At) })
}

func advertises(when time.Duration, node string) reports.Event {
	return reports.Event{At: when, Kind: reports.State, Node: node, Subject: "master"}
}

func said(when time.Duration, node, what string) reports.Event {
	return reports.Event{At: when, Kind: reports.Note, Node: node, Subject: "status", Detail: what}
}

func TestSaysWithin(t *testing.T) {
	const s = time.Second
	split := said(5*s, "lb1", saying{Name: splitBrain, Subject: "outer", Evidence: "a"}.String())
	tests := []struct {
		name     string
		node     string
		events   []reports.Event
		want     reports.Verdict
		observed string
	}{
		{"from the other's first advert", "lb1",
			[]reports.Event{advertises(0, "lb1"), advertises(4*s, "lb2"), split}, reports.Pass, "1s"},
		{"too late", "lb1",
			[]reports.Event{advertises(0, "lb1"), advertises(3*s, "lb2"), split}, reports.Fail, "2s"},
		{"never", "lb1", []reports.Event{advertises(3*s, "lb2")}, reports.Fail, "never"},
		{"something else", "lb1", []reports.Event{advertises(3*s, "lb2"),
			said(4*s, "lb1", "split_brain_of_another_kind")}, reports.Fail, "never"},
		{"said by the other one", "lb2", []reports.Event{advertises(4*s, "lb1"), split},
			reports.Fail, "never"},
		{"said before the fault", "lb1", []reports.Event{advertises(0, "lb2"),
			said(s, "lb1", "split_brain")}, reports.Fail, "never"},
		{"at once where the other advertises already", "lb2",
			[]reports.Event{advertises(s, "lb1"), said(3*s, "lb2", "split_brain")}, reports.Pass, "1s"},
		{"nobody advertised", "lb1", []reports.Event{advertises(0, "lb1"), split},
			reports.Inconclusive, "nothing"},
		{"no status", "lb1", []reports.Event{advertises(4*s, "lb2"), said(4*s, "lb1", noStatus)},
			reports.Fail, "no status"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := story(func(r *reports.Recording) { at(r, tt.events...) })
			f := saysWithin(tt.node, splitBrain, s).Judge(rec, 0)
			if f.Verdict != tt.want || f.Observed != tt.observed {
				t.Errorf("%s, observed %q; want %s, %q (%s)", f.Verdict, f.Observed, tt.want, tt.observed,
					f.Detail)
			}
		})
	}
	if f := saysWithin("lb1", splitBrain, s).Judge(&reports.Recording{}, 0); f.Verdict !=
		reports.Inconclusive {
		t.Errorf("no fault: %s, want inconclusive", f.Verdict)
	}
}

func TestTakenOnce(t *testing.T) {
	const s = time.Second
	vip := func(when time.Duration, kind reports.Kind, node string) []reports.Event {
		return []reports.Event{{At: when, Kind: kind, Node: node, Subject: outer.String()},
			{At: when, Kind: kind, Node: node, Subject: inner.String()}}
	}
	dark := vip(3*s, reports.VIPRemove, "lb1")
	back := vip(9*s, reports.VIPAdd, "lb1")
	both := append(vip(9*s, reports.VIPAdd, "lb2"), vip(9*s+s/10, reports.VIPRemove, "lb2")...)
	tests := []struct {
		name   string
		events []reports.Event
		slack  time.Duration
		want   reports.Verdict
	}{
		{"one took both", slices.Concat(dark, back), 0, reports.Pass},
		{"two took both", slices.Concat(dark, back, both), 0, reports.Fail},
		{"two, after a stall that explains it", slices.Concat(dark, back, both), s, reports.Pass},
		{"nobody took one", slices.Concat(dark, back[:1]), 0, reports.Fail},
		{"nobody took one, which no stall explains", slices.Concat(dark, back[:1]), s, reports.Fail},
	}
	for _, tt := range tests {
		rec := story(func(r *reports.Recording) { at(r, tt.events...) })
		if f := takenOnce(s/2).Judge(rec, tt.slack); f.Verdict != tt.want {
			t.Errorf("%s: %s, want %s (%s, %s)", tt.name, f.Verdict, tt.want, f.Observed, f.Detail)
		}
	}
}

func TestTwoOwnersWithin(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name     string
		limit    time.Duration
		observed string
		want     reports.Verdict
	}{
		{"within", 2 * s, "2s", reports.Pass},
		{"longer", 2*s - 1, "2s", reports.Fail},
	}
	for _, tt := range tests {
		rec := story(func(r *reports.Recording) {
			move(r, outer, 7*s, 5*s)
			move(r, inner, 6*s, 5*s)
		})
		f := twoOwnersWithin(tt.limit).Judge(rec, 0)
		if f.Verdict != tt.want || f.Observed != tt.observed {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, f.Verdict, f.Observed, tt.want, tt.observed)
		}
	}
}

func TestCalmAfterLongStall(t *testing.T) {
	tests := []struct {
		name string
		late time.Duration
		want reports.Verdict
	}{
		{"no stall", 0, reports.Fail},
		{"one that explains no transition", 200 * time.Millisecond, reports.Fail},
		{"one that explains a transition", 500 * time.Millisecond, reports.Inconclusive},
	}
	for _, tt := range tests {
		rec := story(func(r *reports.Recording) {
			at(r, reports.Event{At: time.Second, Kind: reports.StepBegin, Subject: "quiet"})
			r.Requests[50].Late = tt.late
			r.Requests[51].Outcome = reports.Failed
		})
		c := calm{step: "quiet", while: "it is quiet", patience: time.Second}
		got := Judge(Scenario{Bounds: []Bound{c.nothingLost()}}, rec)[0]
		if got.Verdict != tt.want {
			t.Errorf("%s: %s, want %s (%s)", tt.name, got.Verdict, tt.want, got.Detail)
		}
	}
}

func TestNeedsOfFaults(t *testing.T) {
	s := Scenario{Steps: []Step{Inject{Kind: faults.OneWay, Target: "@master:eth0"},
		Inject{Kind: faults.AdvertsLost, Target: "@directors:eth0"}}, Needs: []lab.Capability{lab.IPVS}}
	want := append(Needs(Scenario{}), lab.IPVS, lab.NftablesBridge)
	if diff := cmp.Diff(want, Needs(s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTargets(t *testing.T) {
	r := &run{scenario: Scenario{Topology: preset("fig7")}}
	for _, tt := range []struct {
		where string
		want  []string
	}{
		{"@directors", []string{"lb1", "lb2"}},
		{"@directors:eth1", []string{"lb1:eth1", "lb2:eth1"}},
		{"web1", []string{"web1"}},
	} {
		got, err := r.targets(tt.where)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.where, err, diff)
		}
	}
}

// TestConfigHasPassword: without it the drill on passwords would be about nothing.
func TestConfigHasPassword(t *testing.T) {
	top := preset("fig5")
	node := top.Nodes[1]
	without := Config(top, node)
	top.VRRP.Password = "secret"
	if got := Config(top, node); got == without {
		t.Error("the password changes nothing")
	}
}
