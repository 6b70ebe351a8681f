package sabotage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

var (
	// clock is as of the scenarios' own tests: `go test ./internal/sabotage -time virtual`.
	clock = flag.String("time", "", "real or virtual (default $TANDEM_TIME, else real)")
	runs  = flag.Int("runs", 0, "how often TestHealthySuite runs the suite")
	first = flag.Int("first", 1, "the first of the runs of TestHealthySuite, to share them out")
)

// The programs, for a guest to find.
const (
	saboteurVariable = "TANDEM_SABOTEUR"
	tandemdVariable  = "TANDEM_TANDEMD"
)

func TestMain(m *testing.M) {
	kernel.Init()
	lab.Main(probe.Roles()...)
	flag.Parse()
	status, err := enter(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
	}
	os.Exit(status)
}

// enter runs the tests in a guest on virtual time if they are to run there, else those that can run
// here.
func enter(m *testing.M) (status int, err error) {
	t, err := kernel.TimeFromEnvironment()
	if *clock != "" {
		t, err = kernel.ParseTime(*clock)
	}
	if err != nil {
		return 2, err
	}
	if t != kernel.VirtualTime {
		return m.Run(), nil
	}
	// The limit of go test counts by the virtual clock, and by the wall's outside the guest.
	if err := flag.Set("test.timeout", "240h"); err != nil {
		return 2, err
	}
	env, clean, err := buildPrograms()
	defer func() { err = errors.Join(err, clean()) }()
	if err != nil {
		return 1, err
	}
	var need []lab.Capability
	for _, name := range drills() {
		s, err := scenarios.Find(name)
		if err != nil {
			return 1, err
		}
		need = append(need, scenarios.Needs(s[0])...)
	}
	return kernel.RunTests(context.Background(),
		kernel.Options{Time: t, Seed: 1, Need: need, Env: env}, m.Run)
}

// buildPrograms builds the saboteur and the director, unless this is a guest already.
func buildPrograms() (env []string, clean func() error, err error) {
	clean = func() error { return nil }
	if kernel.InGuest() {
		return nil, clean, nil
	}
	dir, err := os.MkdirTemp("", "sabotage-")
	if err != nil {
		return nil, clean, err
	}
	clean = func() error { return os.RemoveAll(dir) }
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "./saboteur", "../../cmd/tandemd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, clean, fmt.Errorf("build: %w\n%s", err, out)
	}
	return []string{saboteurVariable + "=" + filepath.Join(dir, "saboteur"),
		tandemdVariable + "=" + filepath.Join(dir, "tandemd")}, clean, nil
}

// crimes are the saboteurs, each with a drill that must notice, and the names of what must fail in
// it. More may.
var crimes = []struct {
	saboteur, drill string
	fails           []string
}{
	{"wrong-skew", "fig5-director-terminated", []string{scenarios.InTurn}},
	{"late-takeover", "fig5-director-killed", []string{scenarios.InTurn}},
	{"early-takeover", "fig5-director-killed", []string{scenarios.InTurn}},
	{"priority-ignored", "fig7-director-terminated", []string{scenarios.Converges}},
	{"vip-forgotten", "fig7-client-link-down", []string{"one owner", scenarios.OneOwner,
		scenarios.Together, reports.OutageBound}},
	{"inner-left-behind", "fig7-client-link-down", []string{"one owner", scenarios.Together}},
	{"never-removed", "fig6-real-server-down", []string{"out of service", scenarios.TableRight}},
	{"slow-check", "fig6-real-server-down", []string{"out of service", scenarios.TableRight}},
	{"weights-swapped", "fig6-wrr", []string{"shares", scenarios.TableRight}},
	{"other-scheduler", "fig6-rr", []string{"shares", "order", scenarios.TableRight}},
	{"no-garp", "fig7-director-powered-off", []string{reports.OutageBound, scenarios.Reachable}},
	{"mute", "fig7-hostile-packets", []string{"transitions", scenarios.OneOwner,
		scenarios.AdvertsCome}},
	{"late-adverts", "fig7-hostile-packets", []string{"advert gap", scenarios.AdvertsCome}},
	{"vip-kept", "fig7-director-terminated", []string{"one owner", scenarios.OneOwner}},
	{"both-after-heal", "fig7-director-terminated", []string{"one owner again"}},
	{"drift-unrepaired", "fig7-vip-deleted", []string{"one owner"}},
	{"table-drift", "fig6-real-server-down", []string{scenarios.TableRight}},
	{"dead-put-back", "fig6-real-server-down", []string{scenarios.DeadStaysOut,
		scenarios.NothingLost}},
	{"reload-empties", "fig7-reloads", []string{"requests lost", scenarios.NothingLost}},
}

// drills are the names of all drills that notice something, each once: the small suite.
func drills() []string {
	var names []string
	for _, c := range crimes {
		names = append(names, c.drill)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestEveryCrimeIsTried: no saboteur is left out.
func TestEveryCrimeIsTried(t *testing.T) {
	tried := map[string]bool{Healthy: true}
	for _, c := range crimes {
		tried[c.saboteur] = true
	}
	for _, s := range Saboteurs() {
		if !tried[s.Name] {
			t.Errorf("no drill is meant to notice %s", s.Name)
		}
		if !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%s says nothing", s.Name)
		}
		delete(tried, s.Name)
	}
	if len(tried) > 0 {
		t.Errorf("there is no saboteur %v", tried)
	}
	if _, err := Find("nonsense"); err == nil || !strings.Contains(err.Error(), "vip-kept") {
		t.Errorf("error %v, want one with the names", err)
	}
}

// TestClerks: each changes the configuration of its director, and no other one's.
func TestClerks(t *testing.T) {
	for _, s := range clerks() {
		preset := "fig7"
		if s.Name == "weights-swapped" {
			preset = "fig6-wrr"
		}
		for _, name := range []string{"lb1", "lb2"} {
			text := configOf(t, preset, name)
			if text == "" {
				continue
			}
			changed := s.Edit(text) != text
			if want := s.Node == "" || s.Node == name; changed != want {
				t.Errorf("%s changes the configuration of %s: %v, want %v", s.Name, name, changed, want)
			}
		}
	}
}

// configOf is the configuration of a director of a drill, or of the first one that begins so; "":
// there is none of the name.
func configOf(t *testing.T, drill, director string) string {
	t.Helper()
	for _, s := range scenarios.All() {
		if !strings.HasPrefix(s.Name, drill) {
			continue
		}
		n, ok := s.Topology.Node(director)
		if !ok {
			return ""
		}
		return scenarios.Config(s.Topology, *n)
	}
	t.Fatalf("there is no drill %s", drill)
	return ""
}

func TestVictimOf(t *testing.T) {
	var got []string
	for _, v := range victimOf(configOf(t, "fig7", "lb1")).vips {
		got = append(got, v.device+" "+v.addr.String())
	}
	if diff := cmp.Diff([]string{"eth0 192.168.1.1", "eth1 192.168.2.1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// onVirtualTime skips a test that does not run there.
func onVirtualTime(t *testing.T) {
	t.Helper()
	if !lab.VirtualClock() {
		t.Skip("drills with broken directors run on virtual time: add -time virtual")
	}
	goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
}

// carryOut runs a drill with a director under a saboteur.
func carryOut(t *testing.T, saboteur, drill string, o scenarios.Options) reports.Report {
	t.Helper()
	found, err := scenarios.Find(drill)
	if err != nil {
		t.Fatal(err)
	}
	d := scenarios.Director{Name: saboteur, Path: os.Getenv(saboteurVariable),
		Args: []string{saboteur, "-n", "-l", "-D"}}
	report, err := scenarios.Run(context.Background(), found[0], d, o)
	if err != nil {
		t.Fatalf("the lab broke: %v", err)
	}
	return report
}

// TestSabotage: each crime is noticed, by what it must be noticed by.
func TestSabotage(t *testing.T) {
	onVirtualTime(t)
	for _, c := range crimes {
		t.Run(c.saboteur, func(t *testing.T) {
			report := carryOut(t, c.saboteur, c.drill, scenarios.Options{Seed: 1})
			var failed []string
			for _, f := range report.Findings {
				if f.Verdict == reports.Fail {
					failed = append(failed, f.Bound)
					t.Logf("%s: %s, limit %s; %s", f.Bound, f.Observed, f.Limit, f.Detail)
				}
			}
			for _, name := range c.fails {
				if !slices.Contains(failed, name) {
					t.Errorf("%s passes %q of %s; it fails %q", c.saboteur, name, c.drill, failed)
				}
			}
			if report.Verdict != reports.Fail {
				t.Errorf("%s is %s: %s", c.drill, report.Verdict, report.Summary)
			}
		})
	}
}

// TestHealthy: a director that is run in the same way, with nothing spoilt, passes the same drills.
func TestHealthy(t *testing.T) {
	onVirtualTime(t)
	for _, name := range drills() {
		t.Run(name, func(t *testing.T) {
			report := carryOut(t, Healthy, name, scenarios.Options{Seed: 1})
			if report.Verdict != reports.Pass {
				t.Error(report.Summary)
			}
		})
	}
}

// TestHealthySuite runs the small suite -runs times, each time from another seed and struck at
// another time between two adverts: not one may fail.
func TestHealthySuite(t *testing.T) {
	onVirtualTime(t)
	if *runs == 0 {
		t.Skip("it takes hours: add -runs 50")
	}
	for i := *first - 1; i < *runs; i++ {
		phase := time.Duration(i) * 997 * time.Millisecond / time.Duration(*runs)
		for _, name := range drills() {
			o := scenarios.Options{Seed: uint64(i + 1), Phase: phase}
			if report := carryOut(t, Healthy, name, o); report.Verdict != reports.Pass {
				t.Errorf("run %d, phase %s: %s", i+1, phase, report.Summary)
			}
		}
		fmt.Printf("run %d of %d, phase %s: done\n", i+1, *runs, phase)
	}
}
