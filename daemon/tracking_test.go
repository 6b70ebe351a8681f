package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/track"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// told is a router that writes down what it is told.
type told struct{ text strings.Builder }

func (r *told) Begin(_ context.Context, ended func(error)) { ended(nil) }

func (r *told) Ready() <-chan struct{} { return nil }

func (r *told) Ping(context.Context) error { return nil }

func (r *told) Change(g instance.Group) error {
	for _, m := range g.Members {
		fmt.Fprintf(&r.text, "%s changes with priority %d\n", m.Name, m.Router.Priority)
	}
	return nil
}

func (r *told) SetPriority(name string, to uint8) error {
	fmt.Fprintf(&r.text, "%s priority %d\n", name, to)
	return nil
}

func (r *told) SetTracked(name string, well bool) error {
	fmt.Fprintf(&r.text, "%s well %t\n", name, well)
	return nil
}

func (r *told) Snapshot() []instance.Status { return nil }

// trackers are blocks that dependentOn and dependentPair can name.
const trackers = `vrrp_script S {
    script /bin/true
}
track_file F {
    file /nowhere/at/all
}
`

// dependentOn is an instance that depends on what the text says.
func dependentOn(priority int, text string) string {
	return trackers + fmt.Sprintf(`vrrp_instance A {
    interface eth0
    virtual_router_id 1
    priority %d
    virtual_ipaddress { 10.0.0.1 }
    %s
}
`, priority, text)
}

// dependentPair is a group of two instances, of which the first depends on more than the second.
func dependentPair(group, first string) string {
	second := strings.NewReplacer("instance A", "instance B", "eth0", "eth1", "id 1", "id 2",
		"10.0.0.1", "10.0.1.1").Replace(dependentOn(100, ""))
	return "vrrp_sync_group G {\ngroup {\nA\nB\n}\n" + group + "\n}\n" +
		dependentOn(150, first) + strings.TrimPrefix(second, trackers)
}

// parsed reads a configuration.
func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(text))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// testTracking is a tracking that never runs, and a router.
type testTracking struct {
	*testing.T
	*tracking
	router told
}

func newTestTracking(t *testing.T) *testTracking {
	return &testTracking{T: t, tracking: newTracking(nil, slog.New(slog.DiscardHandler))}
}

// begin configures and attaches all groups.
func (t *testTracking) begin(text string, resumed map[string]bool) *config.Config {
	t.Helper()
	cfg := parsed(t.T, text)
	if err := t.configure(cfg, nil, resumed); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups(cfg) {
		t.attach(g, &t.router)
	}
	return cfg
}

// expect compares what the router was told since the last call.
func (t *testTracking) expect(why, want string) {
	t.Helper()
	if diff := cmp.Diff(want, t.router.text.String()); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", why, diff)
	}
	t.router.text.Reset()
}

func TestTrackedInterface(t *testing.T) {
	const weighted, fatal = "track_interface {\neth9 weight -60\n}", "track_interface {\neth9\n}"
	for _, tt := range []struct{ name, text, begin, down, up string }{
		{"weight", dependentOn(150, weighted), "", "A priority 90\n", "A priority 150\n"},
		{"no weight", dependentOn(150, fatal), "A well false\n", "", "A well true\n"},
		{"reverse", dependentOn(150, "track_interface {\neth9 weight -60 reverse\n}"),
			"", "A priority 210\n", "A priority 150\n"},
		{"owner", dependentOn(255, weighted), "", "", ""},
		{"owner without weight", dependentOn(255, fatal), "A well false\n", "", "A well true\n"},
		{"member's weight", dependentPair("", weighted), "A well false\n", "", "A well true\n"},
		{"members may have weights", dependentPair("sync_group_tracking_weight", weighted),
			"", "A priority 90\n", "A priority 150\n"},
		{"group's weight", dependentPair(weighted, ""), "",
			"A priority 90\nB priority 40\n", "A priority 150\nB priority 100\n"},
		{"group", dependentPair(fatal, ""), "A well false\nB well false\n", "",
			"A well true\nB well true\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTestTracking(t)
			tr.begin(tt.text, nil)
			tr.expect("begun", tt.begin)
			tr.set.SetInterface("eth9", false)
			tr.expect("down", tt.down)
			tr.set.SetInterface("eth9", true)
			tr.expect("up", tt.up)
		})
	}
}

// TestNoResultYet says who is in fault until a script has run for the first time.
func TestNoResultYet(t *testing.T) {
	const fatal, weighted = "track_script {\nS\n}", "track_script {\nS weight 20\n}"
	key := track.Key{Kind: track.ScriptKind, Name: "S"}.String()
	for _, tt := range []struct {
		name, text string
		resumed    bool
		before     track.State
		want       string
	}{
		{"start", fatal, false, 0, "A well false\n"},
		{"start with weight", weighted, false, 0, ""},
		{"resumed master", fatal, true, 0, ""},
		{"resumed master whose script was well", fatal, true, track.Up, ""},
		{"resumed master whose script had failed", fatal, true, track.Down, "A well false\n"},
		{"backup of a director before whose script was well", fatal, false, track.Up, ""},
		{"resumed master with weight", weighted, true, track.Up, "A priority 120\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTestTracking(t)
			if tt.before != 0 {
				tr.before[key] = standing{State: tt.before}
			}
			tr.begin(dependentOn(100, tt.text), map[string]bool{"A": tt.resumed})
			tr.expect(tt.name, tt.want)
		})
	}
}

// TestTrackersOfReload gives a router that works another configuration.
func TestTrackersOfReload(t *testing.T) {
	const weighted = "track_interface {\neth9 weight -60\n}"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", dependentOn(150, weighted), ""},
		{"another weight", dependentOn(150, "track_interface {\neth9 weight -70\n}"),
			"A priority 80\n"},
		{"no tracker", dependentOn(150, ""), "A priority 150\n"},
		{"a script more, without a result", dependentOn(150, weighted+"\ntrack_script {\nS\n}"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTestTracking(t)
			tr.begin(dependentOn(150, weighted), nil)
			tr.set.SetInterface("eth9", false)
			tr.expect("begun", "A priority 90\n")
			err := tr.configure(parsed(t, tt.text), map[string]bool{"A": true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tr.expect(tt.name, tt.want)
		})
	}
	t.Run("priority", func(t *testing.T) {
		tr := newTestTracking(t)
		tr.begin(dependentOn(150, weighted), nil)
		tr.set.SetInterface("eth9", false)
		tr.expect("begun", "A priority 90\n")
		cfg := parsed(t, dependentOn(160, weighted))
		g := groups(cfg)[0]
		if err := tr.change(&tr.router, g); err != nil {
			t.Fatal(err)
		}
		tr.expect("changed before the trackers are", "A changes with priority 90\n")
		if err := tr.configure(cfg, map[string]bool{"A": true}, nil); err != nil {
			t.Fatal(err)
		}
		tr.expect("configured", "A priority 100\n")
		if err := tr.change(&tr.router, g); err != nil {
			t.Fatal(err)
		}
		tr.expect("changed", "A changes with priority 100\n")
		if got := g.Members[0].Router.Priority; got != 160 {
			t.Errorf("configuration after it: priority %d, want it to be as it was", got)
		}
	})
	t.Run("restart", func(t *testing.T) {
		tr := newTestTracking(t)
		cfg := tr.begin(dependentOn(150, weighted), nil)
		tr.set.SetInterface("eth9", false)
		tr.expect("begun", "A priority 90\n")
		if err := tr.configure(cfg, nil, nil); err != nil {
			t.Fatal(err)
		}
		tr.set.SetInterface("eth9", true)
		tr.set.SetInterface("eth9", false)
		tr.expect("between", "")
		tr.attach(groups(cfg)[0], &tr.router)
		tr.expect("attached", "A priority 90\n")
	})
}

// TestUnusedTrackers checks that what nobody depends on is not run.
func TestUnusedTrackers(t *testing.T) {
	if c := tracked(parsed(t, dependentOn(100, ""))); len(c.Scripts)+len(c.Files) != 0 {
		t.Errorf("tracked: %+v, want nothing", c)
	}
	c := tracked(parsed(t, dependentOn(100, "track_script {\nS\n}\ntrack_file {\nF\n}")))
	if len(c.Scripts) != 1 || len(c.Files) != 1 {
		t.Errorf("tracked: %+v, want a script and a file", c)
	}
}

// TestFaultsAreNamed asks which trackers put an instance into fault, and what is told of that.
func TestFaultsAreNamed(t *testing.T) {
	tr := newTestTracking(t)
	tr.begin(dependentOn(150, "track_interface {\neth8\neth9\n}"), nil)
	tr.set.SetInterface("eth8", true)
	tr.set.SetInterface("eth9", false)
	want := []string{"interface eth9: link down"}
	if diff := cmp.Diff(want, tr.faults("A")); diff != "" {
		t.Errorf("faults: (-want +got)\n%s", diff)
	}
	tl := newTelling(nil, slog.New(slog.DiscardHandler))
	tl.why = tr.faults
	for reason, want := range map[vrrp.Reason]string{
		vrrp.ReasonTracker:  "tracker failed: interface eth9: link down",
		vrrp.ReasonLinkDown: "link down",
	} {
		got := tl.reason(instance.Transition{Instance: "A", Reason: reason})
		if got != want {
			t.Errorf("reason: got %q, want %q", got, want)
		}
	}
	tr.set.SetInterface("eth9", true)
	if got := tr.faults("A"); got != nil {
		t.Errorf("faults: got %q, want none", got)
	}
	if got := tr.faults("nobody"); got != nil {
		t.Errorf("faults of nobody: got %q, want none", got)
	}
}
