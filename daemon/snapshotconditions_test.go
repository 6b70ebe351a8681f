package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/track"
	"github.com/tandemlb/tandem/daemon/vrrp"
	"github.com/tandemlb/tandem/internal/bubbletest"
)

// TestWatch follows conditions that come, stay, come and go, and end.
func TestWatch(t *testing.T) {
	var said []string
	w := watch{
		raised: func(c status.Condition) { said = append(said, "raised "+c.Subject+" "+c.Evidence) },
		cleared: func(c status.Condition, held time.Duration) {
			said = append(said, fmt.Sprintf("cleared %s %s after %s", c.Subject, c.Evidence, held))
		},
	}
	began := time.Unix(1000, 0)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	a := status.Condition{Name: status.SplitBrain, Subject: "A", Since: at(0), Evidence: "1"}
	later := a
	later.Since, later.Evidence = at(4), "2"
	b := status.Condition{Name: status.Stalled, Subject: "A", Since: at(1), Evidence: "3"}
	for _, step := range []struct {
		at   int
		all  []status.Condition
		want []string
	}{
		{0, nil, nil},
		{1, []status.Condition{a}, []string{"raised A 1"}},
		{2, []status.Condition{a, b}, []string{"raised A 3"}},
		{3, []status.Condition{b}, nil},
		{4, []status.Condition{later, b}, nil},
		{5, []status.Condition{b}, nil},
		{33, []status.Condition{b}, nil},
		{34, []status.Condition{b}, []string{"cleared A 2 after 4s"}},
		{63, nil, nil},
		{64, nil, []string{"cleared A 3 after 33s"}},
		{65, nil, nil},
	} {
		said = nil
		w.look(at(step.at), step.all)
		if diff := cmp.Diff(step.want, said); diff != "" {
			t.Errorf("at %d s: (-want +got)\n%s", step.at, diff)
		}
	}
}

// sick is a router of which something is wrong.
type sick struct {
	told
	status []instance.Status
}

func (s *sick) Snapshot() []instance.Status { return s.status }

// TestConditionsAreTold has a condition logged and told, with a number, and its end as well.
func TestConditionsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &console{}
		tl := newTelling(nil, slog.New(slog.DiscardHandler))
		d := director{log: slog.New(slog.NewTextHandler(log, nil)), telling: tl,
			config: parsed(t, oneInstance)}
		s := &sick{status: []instance.Status{{Name: "VI_1", Conditions: []vrrp.Condition{
			{Kind: vrrp.ConditionTwoMasters, Since: time.Now(), Last: time.Now(), Count: 1},
		}}}}
		d.routers = []*worker{{router: s}}
		d.publish()
		w := begin(t.Context(), "conditions", d.watchConditions)
		defer func() { _ = w.end() }()
		bubbletest.Pass(mostlyEvery)
		seq := func() uint64 { return tl.notifier.Stats().Seq }
		if !log.has("condition=split_brain subject=VI_1") || seq() != 1 {
			t.Errorf("log and %d events: expected a split brain\n%s", seq(), log.String())
		}
		d.routers = nil
		d.publish()
		bubbletest.Pass(calmFor + mostlyEvery)
		if !log.has(`msg="condition is over" condition=split_brain subject=VI_1`) || seq() != 2 {
			t.Errorf("log and %d events: expected its end\n%s", seq(), log.String())
		}
	})
}

func TestLookEvery(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                           mostlyEvery,
		"version 3\nadvert_int 0.2":  200 * time.Millisecond,
		"version 3\nadvert_int 0.01": atLeastEvery,
	} {
		cfg := parsed(t, dependentOn(100, text))
		if got := lookEvery(cfg); got != want {
			t.Errorf("%q: every %s, want %s", text, got, want)
		}
	}
}

// TestScriptConditions names the scripts that cannot run or have failed, and those no more that
// have failed long ago.
func TestScriptConditions(t *testing.T) {
	now := time.Unix(100000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(-s) * time.Second) }
	got := brokenTrackers([]track.Status{
		{Change: track.Change{Key: track.Key{Kind: track.ScriptKind, Name: "S"}},
			BrokenSince: at(60), Last: "run /x: no such file or directory"},
		{Change: track.Change{Key: track.Key{Kind: track.ScriptKind, Name: "well"}},
			Last: "exit status 1"},
	})
	a := notify.Subject{Kind: notify.Instance, Name: "A"}
	got = append(got, failedScripts(notify.Stats{
		Failing: []notify.FailedScript{
			{Script: "/all", Since: at(50), Last: at(40), Error: "exit status 1", Subject: a, Others: 2},
			{Script: "/old", Since: at(9999), Last: at(3600), Error: "exit status 1", Subject: a},
			{Script: "/one", Since: at(9999), Last: at(3599), Error: "exit status 2", Subject: a},
		},
		FIFOs: []notify.FIFOStats{{Path: "/well"},
			{Path: "/fifo", ReaderFailing: at(30), ReaderError: "exit status 3", Restarts: 4}},
	}, now)...)
	failed := func(subject string, since int, evidence string) status.Condition {
		return status.Condition{Name: status.ScriptFailed, Subject: subject, Since: at(since),
			Evidence: evidence}
	}
	want := []status.Condition{
		failed("script S", 60, "it cannot run: run /x: no such file or directory"),
		failed("/all", 50, "exit status 1, for instance A and 2 more"),
		failed("/one", 9999, "exit status 2, for instance A"),
		failed("reader of /fifo", 30, "it does not stay at work: exit status 3"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestBrokenTracker looks at the snapshot of a director with a tracker that is not there.
func TestBrokenTracker(t *testing.T) {
	tr := newTracking(nil, slog.New(slog.DiscardHandler))
	text := strings.Replace(dependentOn(100, "track_script {\nS\n}"), "/bin/true", "/nowhere/x", 1)
	if err := tr.configure(parsed(t, text), nil, nil); err != nil {
		t.Fatal(err)
	}
	w := begin(t.Context(), "trackers", tr.run)
	var d director
	d.public.runs.Store(&running{config: parsed(t, text), tracking: tr})
	var all []status.Condition
	until(t, "condition", func() bool {
		all = d.snapshot(t.Context()).Conditions
		return len(all) == 1
	})
	if c := all[0]; c.Name != status.ScriptFailed || c.Subject != "script S" ||
		!strings.Contains(c.Evidence, "/nowhere/x") || c.Since.IsZero() {
		t.Errorf("got %+v", c)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
}

// TestRunOnce runs a script before and after everything else: well, badly, too long.
func TestRunOnce(t *testing.T) {
	heard := filepath.Join(t.TempDir(), "heard")
	for _, tt := range []struct {
		name, command, said, condition string
	}{
		{"none", "", "", ""},
		{"good", "/bin/sh -c 'echo x >>HEARD'", "startup_script has ended", ""},
		{"bad", "/bin/false", "startup_script failed", "/bin/false: exit status 1"},
		{"missing", "/nowhere/x", "no such file",
			"/nowhere/x: run /nowhere/x: no such file or directory"},
		{"hangs", "/bin/sleep 60", "timed out", "/bin/sleep 60: timed out after 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "global_defs {\nscript_user root\nstartup_script_timeout 1\n"
			if tt.command != "" {
				command := strings.Replace(tt.command, "HEARD", heard, 1)
				text += "startup_script \"" + command + "\"\nshutdown_script \"" + command + "\"\n"
			}
			cfg := parsed(t, text+"}\n"+oneInstance)
			log := &console{}
			d := director{log: slog.New(slog.NewTextHandler(log, nil)), config: cfg}
			d.atStart(t.Context(), cfg)
			if tt.said != "" && !log.has(tt.said) || tt.said == "" && log.has("script") {
				t.Errorf("log: expected %q\n%s", tt.said, log.String())
			}
			var got string
			for _, c := range d.public.failures(nil) {
				got += c.Evidence
			}
			if got != tt.condition {
				t.Errorf("condition: got %q, want %q", got, tt.condition)
			}
			if tt.name == "good" {
				d.atStop()
				if lines, err := os.ReadFile(heard); err != nil || string(lines) != "x\nx\n" {
					t.Errorf("scripts wrote %q, %v, want two lines", lines, err)
				}
			}
		})
	}
}

// TestStartIsCutShort ends a director while its startup_script runs.
func TestStartIsCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := &console{}
	d := director{log: slog.New(slog.NewTextHandler(log, nil))}
	cfg := parsed(t, "global_defs {\nscript_user root\nstartup_script \"/bin/sleep 60\"\n}\n"+
		oneInstance)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.atStart(ctx, cfg)
	}()
	until(t, "start", func() bool { return log.has("msg=startup_script") })
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("startup_script goes on")
	}
	if all := d.public.failures(nil); len(all) > 0 {
		t.Errorf("conditions: got %+v, want none", all)
	}
}

// TestDumpNames writes dumps of a director with a name of its own, in a mode of its own.
func TestDumpNames(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, settings, file string
		mode                 os.FileMode
	}{
		{"plain", "", "dump.data", 0o644},
		{"umask", "umask 077", "dump.data", 0o600},
		{"named", "data_use_instance on", "dump_blue_two.data", 0o644},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := parsed(t, "net_namespace blue\ninstance two\nglobal_defs {\nstate_dump_file "+
				filepath.Join(dir, "dump.data")+"\n"+tt.settings+"\n}\n"+oneInstance)
			var d director
			d.public.runs.Store(&running{config: cfg})
			// The mode has nothing to do with the umask of this process.
			path, err := d.dump(t.Context(), DumpData)
			if err != nil || path != filepath.Join(dir, tt.file) {
				t.Fatalf("got %s, %v, want %s", path, err, tt.file)
			}
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != tt.mode {
				t.Errorf("mode %s, want %s", info.Mode(), tt.mode)
			}
		})
	}
	if got, want := namedFor("/tmp/x", "a/../b", ""), "/tmp/x_a_.._b"; got != want {
		t.Errorf("namedFor: got %s, want %s", got, want)
	}
}

// TestScriptsLeaveNobody is about the processes of a notify script that starts another one: nothing
// of them stays as a zombie of this process.
func TestScriptsLeaveNobody(t *testing.T) {
	result := script.Run(t.Context(), script.Command{Args: []string{"/bin/sh", "-c", "true & exit 0"}},
		script.Options{Leave: true})
	if !result.OK() {
		t.Fatal(result.Reason())
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("wait: got %v, want no child", err)
	}
}

// TestRefusedMaster has a master, or a backup, refuse the adverts of another master, of one that
// leaves, and of something that may be no router.
func TestRefusedMaster(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		name     string
		state    vrrp.State
		kind     vrrp.ConditionKind
		priority uint8
		want     bool
	}{
		{"another password", vrrp.Master, vrrp.ConditionPassword, 100, true},
		{"another interval", vrrp.Master, vrrp.ConditionInterval, 100, true},
		{"one that leaves", vrrp.Master, vrrp.ConditionPassword, 0, false},
		{"seen by a backup", vrrp.Backup, vrrp.ConditionPassword, 100, false},
		{"rubbish", vrrp.Master, vrrp.ConditionMalformed, 100, false},
		{"from afar", vrrp.Master, vrrp.ConditionTTL, 100, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := instance.Status{Name: "A", State: tt.state, Conditions: []vrrp.Condition{{
				Kind: tt.kind, Since: now, Last: now, Evidence: vrrp.Evidence{Priority: tt.priority},
			}}}
			var names []string
			for _, c := range conditionsOf(&s, now) {
				names = append(names, c.Name)
			}
			want := []string{status.AdvertRejected}
			if tt.want {
				want = []string{status.SplitBrain, status.AdvertRejected}
			}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("conditions: (-want +got)\n%s", diff)
			}
		})
	}
}

// BenchmarkConditions looks at 1,000 instances, of which nothing is wrong: that is what a second
// costs.
func BenchmarkConditions(b *testing.B) {
	r := running{}
	for i := range 1000 {
		s := instance.Status{Name: fmt.Sprint(i)}
		r.routers = append(r.routers, &sick{status: []instance.Status{s}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if all := r.conditions(time.Now()); len(all) > 0 {
			b.Fatal(all)
		}
	}
}

// TestTwoMastersAreSeen has two directors with different passwords: both are master, and both say
// so.
func TestTwoMastersAreSeen(t *testing.T) {
	node, peer := netiftest.Pair(t)
	with := func(password string) string {
		return strings.NewReplacer("version 3", "version 2", "advert_int 0.1", "advert_int 1",
			"interface", "authentication {\nauth_type PASS\nauth_pass "+password+"\n}\ninterface",
		).Replace(oneInstance)
	}
	a, b := runOn(t, node, with("one")), runOn(t, peer, with("two"))
	for _, r := range []*atWork{a, b} {
		until(t, "split brain", func() bool {
			return r.log.has("msg=condition condition=split_brain subject=VI_1 ")
		})
		if !r.log.has("reason=\"refused master: peer's password differs: 192.168.1.") {
			t.Error("log: expected what was seen")
		}
	}
}
