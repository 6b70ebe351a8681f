package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// planned are the scenarios that draw from the seed.
func planned() []Scenario {
	var all []Scenario
	for _, s := range Catalogue() {
		if s.Plan != nil {
			all = append(all, s)
		}
	}
	return append(all, soak(20*time.Minute, time.Minute))
}

// told is a plan as a person reads it.
func told(steps []Step) []string {
	var lines []string
	for _, s := range steps {
		lines = append(lines, fmt.Sprintf("%T %+v", s, s))
	}
	return lines
}

func TestPlanComesFromSeedAlone(t *testing.T) {
	for _, s := range planned() {
		for seed := range uint64(20) {
			first := told(s.StepsOf(seed))
			s.Plan(seed + 1) // nothing is left of another run
			if diff := cmp.Diff(first, told(s.StepsOf(seed))); diff != "" {
				t.Fatalf("%s, seed %d, twice (-first +second):\n%s", s.Name, seed, diff)
			}
			if cmp.Equal(first, told(s.StepsOf(seed+1))) {
				t.Errorf("%s: seeds %d and %d give the same plan", s.Name, seed, seed+1)
			}
		}
	}
}

// TestPlanOfSeed holds what a seed has always drawn: a report's seed must give its run again.
func TestPlanOfSeed(t *testing.T) {
	var got []string
	for _, step := range fig7RandomFaults().Plan(1) {
		if i, ok := step.(Inject); ok {
			got = append(got, i.String())
		}
	}
	want := []string{
		"inject link-down on lb1:eth0",
		"inject power-off on lb1",
		"inject director-killed on lb1",
		"inject director-terminated on lb1",
		"inject link-down on lb2:eth1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed 1 (-want +got):\n%s", diff)
	}
}

func TestPlanHealsWhatItInjects(t *testing.T) {
	for _, s := range planned() {
		for seed := range uint64(100) {
			if problem := checkPlan(s.StepsOf(seed)); problem != "" {
				t.Errorf("%s, seed %d: %s", s.Name, seed, problem)
			}
		}
	}
}

// checkPlan says what is wrong with a plan: faults come one at a time, each is healed, the network
// is awaited as it was before the next one, and the end is marked.
func checkPlan(steps []Step) string {
	broken, awaited := "", map[Condition]bool{}
	for i, step := range steps {
		switch step := step.(type) {
		case Inject:
			if broken != "" {
				return fmt.Sprintf("step %d injects while %s holds", i, broken)
			}
			if !awaited[FailBack{}] || !awaited[FullTable{}] {
				return fmt.Sprintf("step %d injects before all is as before", i)
			}
			broken, awaited = step.String(), map[Condition]bool{}
		case HealAll:
			if broken == "" {
				return fmt.Sprintf("step %d heals nothing", i)
			}
			broken = ""
		case Steady:
			awaited[FailBack{}], awaited[FullTable{}] = true, true
		case Await:
			awaited[step.Condition] = broken == ""
		case Observe:
			if step.For <= 0 {
				return fmt.Sprintf("step %d observes for %s", i, step.For)
			}
		}
	}
	if _, ok := steps[len(steps)-1].(Finish); broken != "" || !ok {
		return "the end is not marked, or " + broken + " still holds"
	}
	return ""
}

// TestCheckPlan sees that bad plans are known as such.
func TestCheckPlan(t *testing.T) {
	hit := Inject{Target: "lb1"}
	calm := []Step{HealAll{}, Await{Condition: FailBack{}}, Await{Condition: FullTable{}}}
	plan := func(parts ...[]Step) []Step {
		all := []Step{Steady{}}
		for _, p := range parts {
			all = append(all, p...)
		}
		return append(all, Finish{})
	}
	tests := []struct {
		name, want string
		steps      []Step
	}{
		{"good", "", plan([]Step{hit}, calm, []Step{hit}, calm)},
		{"both at once", "injects while", plan([]Step{hit, Inject{Target: "lb2"}}, calm)},
		{"never healed", "still holds", plan([]Step{hit})},
		{"too soon", "before all is as before", plan([]Step{hit, HealAll{}, hit}, calm)},
		{"awaited before the heal", "before all is as before",
			plan([]Step{hit, calm[1], calm[2], HealAll{}, hit}, calm)},
		{"no end", "not marked", []Step{Steady{}, hit, calm[0]}},
	}
	for _, tt := range tests {
		if got := checkPlan(tt.steps); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestPlanDrawsEveryFault(t *testing.T) {
	all := hits(preset("fig7"))
	if len(all) != 15 {
		t.Errorf("%d faults to draw, want 15: 6 of each director, 3 of real servers", len(all))
	}
	drawn := map[string]bool{}
	for seed := range uint64(50) {
		own := map[string]bool{}
		for _, step := range fig7RandomFaults().Plan(seed) {
			if i, ok := step.(Inject); ok {
				if own[i.String()] {
					t.Errorf("seed %d draws %q twice", seed, i)
				}
				own[i.String()], drawn[i.String()] = true, true
			}
		}
		if len(own) != 5 {
			t.Errorf("seed %d draws %d faults, want 5", seed, len(own))
		}
	}
	for _, h := range all {
		if !drawn[Inject{Kind: h.kind, Target: h.target}.String()] {
			t.Errorf("no seed draws %s on %s", h.kind, h.target)
		}
	}
}

// TestSoakEndsProgramsEarlyOnly: what leaks needs a program that lives on to show.
func TestSoakEndsProgramsEarlyOnly(t *testing.T) {
	const length, interval = 24 * time.Hour, 10 * time.Minute
	for seed := range uint64(20) {
		var at time.Duration
		injected, sampled, ended := 0, 0, 0
		for _, step := range fig7Soak().Plan(seed) {
			switch step := step.(type) {
			case Until:
				if step.At <= at {
					t.Fatalf("seed %d: %s after %s", seed, step, at)
				}
				at = step.At
			case Sample:
				sampled++
			case Inject:
				injected++
				if (hit{kind: step.Kind}).ends() {
					ended++
					if at >= length/3 {
						t.Errorf("seed %d: %s at %s", seed, step, at)
					}
				}
			}
		}
		if n := int(length / interval); injected != n || sampled != n || ended == 0 || at != length {
			t.Errorf("seed %d: %d faults, %d of them end programs, %d samples, until %s", seed, injected,
				ended, sampled, at)
		}
	}
}

// TestStagesFitTheirInterval: no plan may fall behind its own clock.
func TestStagesFitTheirInterval(t *testing.T) {
	const interval = 10 * time.Minute
	s := soak(24*time.Hour, interval)
	var began, longest, spent time.Duration
	for _, step := range s.Plan(7) {
		switch step := step.(type) {
		case Until:
			if spent > interval/4 && began > 0 {
				t.Errorf("the stage at %s may take %s", began, spent)
			}
			began, longest, spent = step.At, max(longest, spent), 0
		case Await:
			spent += step.Limit
		case Observe:
			spent += step.For
		}
	}
	if longest == 0 {
		t.Error("no stage takes any time")
	}
}

func TestLongScenariosRunByNameOnly(t *testing.T) {
	for _, s := range All() {
		if s.Long {
			t.Errorf("%s is long and in All", s.Name)
		}
	}
	found, err := Find("*")
	if err != nil || len(found) != len(All()) {
		t.Errorf("* finds %d (%v), want the %d that are not long", len(found), err, len(All()))
	}
	found, err = Find("fig7-soak")
	if err != nil || len(found) != 1 || !found[0].Long {
		t.Errorf("fig7-soak finds %d (%v), want the long one", len(found), err)
	}
}

func TestHitsAreOfOnePartEach(t *testing.T) {
	for _, h := range hits(preset("fig7")) {
		node, _, _ := strings.Cut(h.target, ":")
		want := map[string]part{"lb1": partMaster, "lb2": partBackup}[node]
		if strings.HasPrefix(node, "web") {
			want = partServer
		}
		if h.whom != want {
			t.Errorf("%s on %s strikes part %d, want %d", h.kind, h.target, h.whom, want)
		}
	}
	if n := len(hits(topology.Topology{})); n != 0 {
		t.Errorf("%d faults of an empty topology", n)
	}
}

func TestClocked(t *testing.T) {
	inReal, inVirtual := []lab.Capability{lab.RealTime}, []lab.Capability{lab.VirtualTime}
	all := []Scenario{{Name: "any"}, {Name: "starved", Needs: inReal}, {Name: "day", Needs: inVirtual}}
	tests := []struct {
		name      string
		virtual   bool
		fit, left []string
	}{
		{"real time", false, []string{"any", "starved"}, []string{"day"}},
		{"virtual time", true, []string{"any", "day"}, []string{"starved"}},
	}
	for _, tt := range tests {
		fit, left := Clocked(all, tt.virtual)
		if diff := cmp.Diff([][]string{tt.fit, tt.left}, [][]string{names(fit), names(left)}); diff != "" {
			t.Errorf("%s: fit and left (-want +got):\n%s", tt.name, diff)
		}
	}
}
