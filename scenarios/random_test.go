package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// ledger is a plan as a person reads it.
func ledger(plan []Act) []string {
	var lines []string
	for _, act := range plan {
		lines = append(lines, fmt.Sprintf("%s for %s: %s", act.At, act.For, act.Step))
	}
	return lines
}

func mustPlan(t *testing.T, c Chance, seed uint64) []Act {
	t.Helper()
	plan, err := c.Plan(seed)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return plan
}

func TestRandomPlanComesFromSeedAlone(t *testing.T) {
	for _, beyond := range []bool{false, true} {
		c := Chance{Topology: preset("fig7"), Length: 10 * time.Minute, Beyond: beyond}
		for seed := range uint64(20) {
			first := ledger(mustPlan(t, c, seed))
			other := ledger(mustPlan(t, c, seed+1)) // nothing is left of another plan
			if diff := cmp.Diff(first, ledger(mustPlan(t, c, seed))); diff != "" {
				t.Fatalf("beyond %v, seed %d, twice (-first +second):\n%s", beyond, seed, diff)
			}
			if cmp.Equal(first, other) {
				t.Errorf("beyond %v: seeds %d and %d give the same plan", beyond, seed, seed+1)
			}
		}
	}
}

// TestRandomPlanSurvives: at every moment of every plan no more than one director is struck, and a
// real server is left; beyond that, some plan strikes both directors at once, and some all servers.
func TestRandomPlanSurvives(t *testing.T) {
	c := Chance{Topology: preset("fig7"), Length: 10 * time.Minute}
	most := func(seed uint64) (directors, servers int) {
		plan := mustPlan(t, c, seed)
		if flaws := (Schedule{plan}).Check(c.Topology); len(flaws) > 0 {
			t.Fatalf("seed %d, beyond %v: %v", seed, c.Beyond, flaws)
		}
		for _, moment := range plan {
			d, w := map[string]bool{}, map[string]bool{}
			for _, act := range plan {
				if act.At > moment.At || moment.At >= act.End() {
					continue
				}
				i := act.Step.(Inject)
				node, _, _ := strings.Cut(i.Target, ":")
				e, _ := entitlementOf(i.Kind)
				switch {
				case strings.HasPrefix(node, "web"):
					w[node] = true
				case strings.HasPrefix(node, "lb") && !e.harmless():
					d[node] = true
				}
			}
			directors, servers = max(directors, len(d)), max(servers, len(w))
			if moment.End() > c.Length {
				t.Errorf("seed %d: %s is healed after %s", seed, moment.Step, c.Length)
			}
		}
		return directors, servers
	}
	var worst, further struct{ directors, servers int }
	for seed := range uint64(60) {
		c.Beyond = false
		d, w := most(seed)
		worst.directors, worst.servers = max(worst.directors, d), max(worst.servers, w)
		c.Beyond = true
		d, w = most(seed)
		further.directors, further.servers = max(further.directors, d), max(further.servers, w)
	}
	if worst.directors != 1 || worst.servers != 2 {
		t.Errorf("within what is survived, %+v at once: want 1 director and 2 real servers", worst)
	}
	if further.directors != 2 || further.servers != 3 {
		t.Errorf("beyond it, %+v at once: want 2 directors and 3 real servers", further)
	}
}

// TestRandomPlanWeighs: what weighs more comes more often, and everything comes.
func TestRandomPlanWeighs(t *testing.T) {
	c := Chance{Topology: preset("fig7"), Length: 10 * time.Minute, Beyond: true}
	count := map[string]int{}
	for seed := range uint64(60) {
		for _, act := range mustPlan(t, c, seed) {
			count[act.Step.(Inject).Kind.String()]++
		}
	}
	for _, o := range odds {
		if got := count[o.kind.String()] > 0; got != c.fits(o) {
			t.Errorf("60 seeds draw %s: %v, want %v", o.kind, got, c.fits(o))
		}
	}
	within := Chance{Topology: c.Topology}
	for _, h := range within.hits() {
		if slices.ContainsFunc(odds, func(o odd) bool { return o.kind == h.kind && o.beyond }) {
			t.Errorf("%s on %s is drawn within what is survived", h.kind, h.target)
		}
	}
	if count["director-killed"] < 2*count["guard-killed"] {
		t.Errorf("director-killed came %d times, guard-killed %d: want about three times as often",
			count["director-killed"], count["guard-killed"])
	}
}

// TestOddsKnowEveryKind: plans draw of every kind, and of none in the same way twice.
func TestOddsKnowEveryKind(t *testing.T) {
	known, seen := map[faults.Kind]bool{}, map[string]bool{}
	for _, o := range odds {
		known[o.kind] = true
		key := fmt.Sprint(o.kind, o.at, o.settings)
		if seen[key] || o.weight < 1 {
			t.Errorf("%s: weight %d, twice %v", key, o.weight, seen[key])
		}
		seen[key] = true
		for _, h := range o.hits(preset("fig7")) {
			if _, err := faults.New(h.kind, h.target, o.settings); err != nil {
				t.Errorf("%s on %s: %v", h.kind, h.target, err)
			}
		}
	}
	for _, kind := range faults.Kinds() {
		if !known[kind] {
			t.Errorf("no plan draws %s", kind)
		}
	}
}

// TestPlanKeepsAlone: what must be alone is, and a director that cannot check meets no fault of a real
// server.
func TestPlanKeepsAlone(t *testing.T) {
	for _, beyond := range []bool{false, true} {
		c := Chance{Topology: preset("fig7"), Length: 10 * time.Minute, Beyond: beyond}
		for seed := range uint64(60) {
			plan := mustPlan(t, c, seed)
			for i, act := range plan {
				for _, other := range plan[:i] {
					if other.End() <= act.At {
						continue
					}
					kinds := []faults.Kind{other.Step.(Inject).Kind, act.Step.(Inject).Kind}
					if slices.Contains(kinds, faults.VIPDeleted) ||
						!beyond && slices.Contains(kinds, faults.OutOfDescriptors) &&
							slices.Contains(kinds, faults.ServerStopped) {
						t.Errorf("seed %d, beyond %v: %s at once with %s", seed, beyond, act.Step, other.Step)
					}
				}
			}
		}
	}
}

// TestRandomPlanKeepsItsCalm: between two episodes it is as long as their bounds look at.
func TestRandomPlanKeepsItsCalm(t *testing.T) {
	c := Chance{Topology: preset("fig7"), Length: 30 * time.Minute, Rate: 20}
	a := c.allowance()
	for seed := range uint64(20) {
		var until time.Duration
		for _, act := range mustPlan(t, c, seed) {
			calm := act.At - until
			if until > 0 && calm > 0 && calm < a.inService(0) {
				t.Errorf("seed %d: %s of calm before %s", seed, calm, act.Step)
			}
			until = max(until, act.End())
		}
	}
}

func TestRandomPlanOfOtherTopologies(t *testing.T) {
	targets := func(plan []Act) []string {
		var all []string
		for _, act := range plan {
			all = append(all, act.Step.(Inject).Target)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	fig6 := mustPlan(t, Chance{Topology: preset("fig6"), Length: time.Hour}, 1)
	if diff := cmp.Diff([]string{"lb1", "lb1:eth0", "lb1:eth1", "web1", "web1:eth0", "web2",
		"web2:eth0", "web3", "web3:eth0"}, targets(fig6)); diff != "" {
		t.Errorf("fig6 (-want +got):\n%s", diff)
	}
	fig5 := mustPlan(t, Chance{Topology: preset("fig5"), Length: time.Hour}, 1)
	if diff := cmp.Diff([]string{"client1:eth0", "lb1", "lb1:192.168.1.1", "lb1:eth0", "lb2",
		"lb2:eth0"}, targets(fig5)); diff != "" {
		t.Errorf("fig5 (-want +got):\n%s", diff)
	}
	six := mustPlan(t, Chance{Topology: preset("fig7-v6"), Length: 10 * time.Hour, Beyond: true}, 1)
	kinds := map[faults.Kind]bool{}
	for _, act := range six {
		i := act.Step.(Inject)
		if kinds[i.Kind] = true; i.Kind.IPv4Only() {
			t.Errorf("%s is drawn for fig7-v6", i)
		}
	}
	if !kinds[faults.RouteDeleted] || len((Schedule{Acts: six}).Check(preset("fig7-v6"))) > 0 {
		t.Errorf("fig7-v6: %v\nflaws %v", kinds, (Schedule{Acts: six}).Check(preset("fig7-v6")))
	}
	_, err := Chance{Topology: topology.Topology{}, Length: time.Hour}.Plan(1)
	if err == nil || !strings.Contains(err.Error(), "nothing in the topology can fail") {
		t.Errorf("an empty topology: error %v", err)
	}
	_, err = Chance{Topology: preset("fig7"), Length: time.Second}.Plan(1)
	if err == nil || !strings.Contains(err.Error(), "1s is too short for the first one") {
		t.Errorf("one second: error %v", err)
	}
}

// TestEachFaultFitsItsTopology: no bound is about what the topology does not have.
func TestEachFaultFitsItsTopology(t *testing.T) {
	for name, want := range map[string][]string{
		"fig5": {"outage", "one owner", "fail-back outage", "one owner again", "steady again"},
		"fig6": {"outage", "out of service", "fail-back outage", "back in service", "steady again"},
		"fig7": {"outage", "one owner", "out of service", "fail-back outage", "one owner again",
			"back in service", "steady again"},
	} {
		var got []string
		for _, b := range EachFault(preset(name), 0) {
			got = append(got, b.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestRandomPlanSparesWorkers has no director's worker end while it is remembered that it did, unless
// more is asked for than is survived.
func TestRandomPlanSparesWorkers(t *testing.T) {
	soon := func(beyond bool) (twice int) {
		c := Chance{Topology: preset("fig7"), Length: 20 * time.Minute, Beyond: beyond}
		for seed := range uint64(50) {
			plan, err := c.Plan(seed)
			if err != nil {
				t.Fatal(err)
			}
			last := map[string]time.Duration{}
			for _, act := range plan {
				ends, of := workerOf(act)
				if before, again := last[of]; ends && again && act.At < before+memory {
					twice++
				}
				if ends {
					last[of] = act.End()
				}
			}
		}
		return twice
	}
	if n := soon(false); n != 0 {
		t.Errorf("%d workers end twice within %s", n, memory)
	}
	if soon(true) == 0 {
		t.Errorf("beyond what is survived no worker ends twice within %s", memory)
	}
}
