package drills

import (
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/internal/strict"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the goldens anew")

// values lets cmp look into netip's types.
var values = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}), cmpopts.EquateEmpty(),
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// examples are the drill files that are shipped.
func examples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../docs/examples/*" + Suffix)
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	return files
}

func mustParse(t testing.TB, file string) Drill {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(file, b, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustPreset(t testing.TB, name string) topology.Topology {
	t.Helper()
	preset, err := topology.Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return preset
}

func TestExamplesRoundTrip(t *testing.T) {
	for _, file := range append(examples(t), "testdata/everything.drill.yml") {
		d := mustParse(t, file)
		b, err := Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse("again.drill.yml", b, nil)
		if err != nil {
			t.Fatalf("%s: parse what was marshalled: %v\n%s", file, err, b)
		}
		if diff := cmp.Diff(d, back, values); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestParseEverything(t *testing.T) {
	d := mustParse(t, "testdata/everything.drill.yml")
	if d.Topology.Name != "two" || d.Topology.Nodes[3].Priority != 120 {
		t.Errorf("topology %q, priority %d: want that of its own file", d.Topology.Name,
			d.Topology.Nodes[3].Priority)
	}
	d.Topology = topology.Topology{}
	const s = time.Second
	want := Drill{
		Name: "everything", Doc: "Every key that there is.",
		Globals: []string{"lvs_sync_daemon eth1 inst inner"}, Limit: 5 * time.Minute, Recovery: 25 * s,
		Probes: []Probe{
			{scenarios.Probe{Client: "client1", Target: netip.MustParseAddrPort("192.168.1.1:80"),
				Rate: 50, Pause: s / 10}, []Expectation{{"outage", 4 * s}, {"fail_back", s},
				{"latency", s / 10}, {"lost", Percent(2.5)}}},
			{scenarios.Probe{Client: "client2", Target: netip.MustParseAddrPort("192.168.1.1:80")},
				[]Expectation{{"lost", 12}}},
		},
		Method: []Step{
			{Name: "cable", At: s, Do: scenarios.Inject{Kind: faults.LinkDown, Target: "@backup:eth0"}},
			{At: 2 * s, For: 10 * s, Do: scenarios.Inject{Kind: faults.ServerStopped, Target: "web[12]"}},
			{At: 5 * s, Heals: "cable"},
			{At: 6 * s, Do: scenarios.Observe{For: 1500 * time.Millisecond}},
			{At: 7 * s, Do: scenarios.Requests{Client: "client1", Count: 60}},
			{At: 8 * s, Do: scenarios.Calls{Client: "client2", Count: 10, Sources: 3, Addresses: 2,
				Hold: 4}},
			{At: 9 * s, Do: reload(scenarios.LessServer, "web3")},
			{At: 10 * s, Do: reload(scenarios.Unchanged, "")},
		},
		Survives: Faults,
		Bounds: []Expectation{{"outage_within", 4 * s}, {"fail_back_within", 4 * s},
			{"one_owner_within", 4 * s}, {"back_together_within", 4 * s}, {"nothing_lost_after", 5 * s},
			{"back_in_service_within", Times{{"web1", 3 * s}, {"web2", 4 * s}}},
			{"shares", Counts{{"web1", 30}, {"web2", 0}}}, {"order", Names{"web3", "web2", "web1"}},
			{"predicted", true}},
		Invariants: []string{scenarios.OneOwner, scenarios.Converges},
	}
	if diff := cmp.Diff(want, d, values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func reload(c scenarios.Change, server string) scenarios.Reloads {
	return scenarios.Reloads{Files: []scenarios.Reload{{Change: c, Server: server}}}
}

// TestParseProblems reads every testdata/bad/*.drill.yml; what is said of it stands beside it.
func TestParseProblems(t *testing.T) {
	for _, file := range badFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), Suffix)
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(name+Suffix, b, os.ReadFile)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error %v, want Problems", err)
			}
			golden(t, "testdata/bad/"+name+".txt", err.Error()+"\n")
		})
	}
}

func badFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/bad/*" + Suffix)
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	return files
}

// TestEveryBoundHasAKey finds the exported functions of package scenarios that return a Bound.
func TestEveryBoundHasAKey(t *testing.T) {
	keys := map[string]string{"ClientOutageWithin": "outage", "ClientFailBackWithin": "fail_back",
		"ClientLatencyWithin": "latency", "ClientLosesAtMost": "lost", "ClientLosesShare": "lost",
		"OutageWithin": "outage_within", "FailBackWithin": "fail_back_within",
		"OneOwnerWithin": "one_owner_within", "BackTogetherWithin": "back_together_within",
		"NothingLostAfter": "nothing_lost_after", "BackInServiceWithin": "back_in_service_within",
		"Shares": "shares", "Order": "order", "Predicted": "predicted", "SteadyAgain": "",
		// These are about steps that no drill file has.
		"SharesFit": "", "Remapped": ""}
	var known []string
	for _, d := range append(tolerances(), bounds()...) {
		known = append(known, d.key)
	}
	files, err := filepath.Glob("../scenarios/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil || !returnsBound(f) {
				continue
			}
			found++
			if key, ok := keys[f.Name.Name]; !ok || key != "" && !slices.Contains(known, key) {
				t.Errorf("scenarios.%s has no key in drill files: give it one", f.Name.Name)
			}
		}
	}
	if found != len(keys) {
		t.Errorf("package scenarios has %d bounds, want the %d of this table", found, len(keys))
	}
}

func returnsBound(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	name, ok := f.Type.Results.List[0].Type.(*ast.Ident)
	return ok && name.Name == "Bound"
}

// TestScenarioHasWhatTheDrillSays takes each part of one drill into its scenario.
func TestScenarioHasWhatTheDrillSays(t *testing.T) {
	s := mustParse(t, "testdata/everything.drill.yml").Scenario()
	var names []string
	for _, b := range s.Bounds {
		names = append(names, b.Name)
	}
	want := []string{"outage of client1", "fail-back of client1", "latency of client1",
		"share lost by client1", "lost by client2", "outage", "one owner", "out of service",
		"fail-back outage", "one owner again", "back in service", "steady again", "outage",
		"fail-back outage", "one owner", "one owner again", "out of service", "back in service",
		"back in service", "shares", "order", "predicted", scenarios.OneOwner, scenarios.Converges}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
	schedule, ok := s.Steps[2].(scenarios.Schedule)
	if !ok || len(schedule.Acts) != 8 || schedule.Acts[2].Step != scenarios.Step(scenarios.Heal{}) {
		t.Errorf("step 3 is %+v, want a schedule of 8 acts, of which the third heals the first", s.Steps[2])
	}
	if s.Limit != 5*time.Minute || len(s.Globals) != 1 || len(s.Probes) != 2 {
		t.Errorf("limit %s, globals %q, %d probes", s.Limit, s.Globals, len(s.Probes))
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range slices.Concat(examples(f), badFiles(f), []string{"testdata/everything.drill.yml"}) {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse("fuzz.drill.yml", b, nil)
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("error %v, want Problems", err)
			}
			for _, p := range problems {
				if p.At == (strict.Position{}) {
					t.Errorf("no place: %v", p)
				}
			}
			return
		}
		again, err := Marshal(d)
		if err != nil {
			t.Fatalf("marshal what was parsed: %v", err)
		}
		back, err := Parse("again.drill.yml", again, nil)
		if err != nil {
			t.Fatalf("parse what was marshalled: %v\n%s", err, again)
		}
		if diff := cmp.Diff(d, back, values); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
		d.Scenario()
	})
}
