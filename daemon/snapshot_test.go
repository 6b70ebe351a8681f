package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// weight is for the fields that may be nil.
func weight(w int) *int { return &w }

// TestSnapshotOfServices looks at services whose table changes, fails and is read again.
func TestSnapshotOfServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer b.stop()
		began := time.Now()
		synctest.Wait()
		vss := parse(t, twoServers)
		key := pool.Keys(&vss[0])[0]
		b.table.Connect(key, netip.MustParseAddrPort("192.168.2.11:80"), 3, 4)
		row := func(name string, h status.Health) status.Server {
			return status.Server{Name: name, Forward: "masq", Health: h, Since: began,
				Wanted: weight(1), Weight: weight(1)}
		}
		one, two := row("192.168.2.11:80", status.Unknown), row("192.168.2.12:80", status.Unknown)
		one.Active, one.Inactive = 3, 4
		want := status.Service{Name: "192.168.1.1:80", Protocol: "TCP", Scheduler: "rr",
			Health: status.Up, Servers: []status.Server{one, two}}
		compare := func(when string) {
			t.Helper()
			got := b.snapshot(t.Context(), vss)
			if diff := cmp.Diff([]status.Service{want}, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", when, diff)
			}
		}
		compare("before any check")

		b.table.Fail(nil, errors.New("no answer"))
		want.Error = "read table: no answer"
		for i := range want.Servers {
			want.Servers[i].Weight, want.Servers[i].Active, want.Servers[i].Inactive = nil, 0, 0
		}
		compare("without a table")

		b.table.Fail(nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		want.Error = "read table: context canceled"
		if got := b.snapshot(ctx, vss); cmp.Diff([]status.Service{want}, got) != "" {
			t.Errorf("without time: got %+v, want %+v", got, want)
		}
	})
}

// TestSnapshotOfQuorum takes all real servers from a service.
func TestSnapshotOfQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer b.stop()
		<-time.After(time.Minute)
		down := time.Now()
		for _, server := range []string{"192.168.2.11:80", "192.168.2.12:80"} {
			for _, id := range b.checksOf(server) {
				b.report(check.Report{ID: id, Change: check.Down, At: down,
					Err: errors.New("refused")})
			}
		}
		synctest.Wait()
		got := b.snapshot(t.Context(), parse(t, twoServers))[0]
		if got.Health != status.Down || !got.Sorry || len(got.Servers) != 3 {
			t.Fatalf("got %+v, want the quorum lost and the sorry server third", got)
		}
		if s := got.Servers[0]; !s.Since.Equal(down) || s.Wanted != nil || s.Weight != nil {
			t.Errorf("first server: got %+v, want out of the table since %s", s, down)
		}
		s := got.Servers[2]
		if s.Name != "192.168.2.200:80" || s.Wanted == nil || s.Weight == nil ||
			s.Reason != "sorry server, not checked" {
			t.Errorf("third server: got %+v, want the sorry server in the table", s)
		}
	})
}

func TestChecked(t *testing.T) {
	var c checked
	c.add(check.State{})
	c.add(check.State{Attempts: 1, Err: errors.New("refused")})
	c.add(check.State{Attempts: 2})
	if c.all != 3 || c.done != 2 || strings.Join(c.failures, ";") != "refused" {
		t.Errorf("got %+v, want 2 of 3 done, one refused", c)
	}
}

// TestConditionsOf turns what is wrong with an instance into conditions of a snapshot.
func TestConditionsOf(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(s int) time.Time { return now.Add(time.Duration(-s) * time.Second) }
	peer := netip.MustParseAddr("192.168.1.3")
	noted := func(k vrrp.ConditionKind, since int, e vrrp.Evidence) vrrp.Condition {
		return vrrp.Condition{Kind: k, Since: at(since), Last: at(1), Count: 2, Evidence: e}
	}
	s := instance.Status{
		Name: "A", LastError: "no such device", LastErrorAt: at(59), ErrorsSince: at(100),
		Conditions: []vrrp.Condition{
			noted(vrrp.ConditionPassword, 10, vrrp.Evidence{From: peer}),
			noted(vrrp.ConditionTTL, 20, vrrp.Evidence{From: peer, Got: "64", Want: "255"}),
			noted(vrrp.ConditionTwoMasters, 5, vrrp.Evidence{From: peer, Priority: 90}),
			noted(vrrp.ConditionStalled, 7, vrrp.Evidence{Got: "3s"}),
		},
		Differences: []vrrp.Condition{
			noted(vrrp.ConditionInterval, 8, vrrp.Evidence{From: peer, Got: "2s", Want: "1s"}),
		},
	}
	const times = " 2 times, the last 1.0s ago"
	want := []status.Condition{
		{Name: status.AdvertRejected, Subject: "A", Since: at(20),
			Evidence: "peer's password differs: 192.168.1.3," + times +
				"; peer's adverts are routed: 192.168.1.3, 64 instead of 255," + times},
		{Name: status.SplitBrain, Subject: "A", Since: at(5),
			Evidence: "two masters: 192.168.1.3 with priority 90," + times},
		{Name: status.Stalled, Subject: "A", Since: at(7), Evidence: "stalled: 3s," + times},
		{Name: status.PeerMismatch, Subject: "A", Since: at(8),
			Evidence: "peer's interval differs: 192.168.1.3, 2s instead of 1s," + times},
		{Name: status.KernelRefused, Subject: "A", Since: at(100), Evidence: "no such device"},
	}
	if diff := cmp.Diff(want, conditionsOf(&s, now)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	s = instance.Status{Name: "A", LastErrorAt: at(60), ErrorsSince: at(100)}
	if got := conditionsOf(&s, now); len(got) > 0 {
		t.Errorf("a minute after a refusal: got %+v, want nothing", got)
	}
}

func TestCountReloads(t *testing.T) {
	var p public
	now := time.Unix(1, 0)
	for _, step := range []struct {
		name string
		out  Outcome
		want status.Reloads
	}{
		{"applied", Outcome{Applied: true}, status.Reloads{Applied: 1, Last: now}},
		{"bad file", Outcome{Invalid: true, Error: "not valid",
			Diagnostics: "f:1:1: warning: x\nf:2:1: error: y\n"},
			status.Reloads{Applied: 1, Refused: 1, Last: now, Error: "f:2:1: error: y"}},
		{"no right", Outcome{Error: "no right", Diagnostics: "f:1:1: note: x\n"},
			status.Reloads{Applied: 1, Refused: 2, Last: now, Error: "no right"}},
		{"applied again", Outcome{Applied: true},
			status.Reloads{Applied: 2, Refused: 2, Last: now}},
	} {
		p.count(step.out, now)
		if diff := cmp.Diff(step.want, p.reloads); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", step.name, diff)
		}
	}
}

// TestStatusWaitsForNothing asks a director that answers no other question how it is, at once with
// one that waits.
func TestStatusWaitsForNothing(t *testing.T) {
	d := director{options: Options{Control: filepath.Join(t.TempDir(), "s"), Version: "1.2.3"},
		log: slog.New(slog.DiscardHandler), questions: make(chan question)}
	ctx, cancel := context.WithCancel(t.Context())
	views := d.beginViews(ctx)
	waiting := make(chan Outcome, 1)
	go func() {
		out, err := Ask(context.Background(), d.options.Control, Question{Ask: DoReload})
		if err != nil {
			out.Error = err.Error()
		}
		waiting <- out
	}()
	s, err := AskStatus(t.Context(), d.options.Control)
	if err != nil || s.Daemon.Version != "1.2.3" || s.Daemon.PID != os.Getpid() {
		t.Errorf("AskStatus: got %+v, %v, want this process", s, err)
	}
	cancel()
	for _, v := range views {
		if err := v.end(); err != nil {
			t.Error(err)
		}
	}
	<-waiting
	if _, err := AskStatus(t.Context(), d.options.Control); err == nil {
		t.Error("AskStatus of nobody: want an error")
	}
}

// TestMistakesAreBounded has a file refused for more than anybody wants to read.
func TestMistakesAreBounded(t *testing.T) {
	var p public
	p.count(Outcome{Invalid: true, Diagnostics: strings.Repeat("f:2:1: error: y\n", 100)}, time.Now())
	lines := strings.Split(p.reloads.Error, "\n")
	if len(lines) != maxMistakes+1 || lines[maxMistakes] != "and 80 more" {
		t.Errorf("got %d lines, %q; want %d and 80 more", len(lines), lines[len(lines)-1], maxMistakes)
	}
}

// TestLongStatus asks for a status that is longer than any other answer may be.
func TestLongStatus(t *testing.T) {
	want := &status.Snapshot{Schema: status.Schema, Services: []status.Service{{Name: "a"}}}
	for range 10000 {
		server := status.Server{Name: "192.168.2.11:80", Reason: strings.Repeat("x", 200)}
		want.Services[0].Servers = append(want.Services[0].Servers, server)
	}
	path, _ := serveControl(t, applied, func(c *control) {
		c.status = func(context.Context) *status.Snapshot { return want }
	})
	got, err := AskStatus(t.Context(), path)
	if err != nil || len(got.Services) != 1 || len(got.Services[0].Servers) != 10000 {
		t.Errorf("AskStatus: got %v, want 10000 servers", err)
	}
}

// TestAskStatusOfAnother asks a director that does not know the question.
func TestAskStatusOfAnother(t *testing.T) {
	path, _ := serveControl(t, func(q Question) Outcome { return Outcome{Error: "ask " + q.Ask} })
	if _, err := AskStatus(t.Context(), path); err == nil ||
		!strings.HasSuffix(err.Error(), ": ask status") {
		t.Errorf("AskStatus: got %v, want what it was told", err)
	}
}

// TestReplaceFile checks that no link is followed, and that what cannot be written leaves nothing.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "dump")
	if err := os.WriteFile(precious, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, path); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(path, []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("the dump: %v, %v, want a file of mode 0640", info, err)
	}
	for file, want := range map[string]string{precious: "precious", path: "new"} {
		if text, err := os.ReadFile(file); err != nil || string(text) != want {
			t.Errorf("%s: got %q, %v, want %q", file, text, err, want)
		}
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(taken, nil, 0o600); err == nil ||
		!strings.HasPrefix(err.Error(), "write "+taken) {
		t.Errorf("a directory in the way: got %v, want an error with its name", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("left behind: %v, %v, want three entries", left, err)
	}
}

// TestMetrics scrapes a director.
func TestMetrics(t *testing.T) {
	log := &console{}
	d := director{options: Options{Metrics: "127.0.0.1:0", Version: "1.2.3"},
		log: slog.New(slog.NewTextHandler(log, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := begin(ctx, "metrics", d.metrics)
	until(t, "metrics", func() bool { return log.has("address=") })
	_, address, _ := strings.Cut(strings.TrimSpace(log.String()), "address=")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := answer.Write(&text); err != nil {
		t.Fatal(err)
	}
	if want := `tandem_build_info{version="1.2.3"} 1`; !strings.Contains(text.String(), want) {
		t.Errorf("metrics: got\n%s, want %s in it", &text, want)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		t.Errorf("after the end: somebody listens; %v", conn.Close())
	}
}

// TestMetricsWait tries an address that is taken until it is not.
func TestMetricsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &console{}
		d := director{log: slog.New(slog.NewTextHandler(log, nil))}
		tries := 0
		began := time.Now()
		fake := &net.TCPListener{}
		l := d.listenMetrics(t.Context(), func() (net.Listener, error) {
			if tries++; tries < 3 {
				return nil, errors.New("taken")
			}
			return addressed{fake}, nil
		})
		if l == nil || time.Since(began) != 2*listenAfter {
			t.Errorf("got %v after %s, want a listener after %s", l, time.Since(began), 2*listenAfter)
		}
		if n := strings.Count(log.String(), "taken"); n != 1 {
			t.Errorf("log: got %d warnings, want 1\n%s", n, log.String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l = d.listenMetrics(ctx, func() (net.Listener, error) { return nil, errors.New("taken") })
		if l != nil {
			t.Errorf("after the end: got %v, want nil", l)
		}
	})
}

// addressed is a listener with an address and nothing else.
type addressed struct{ net.Listener }

func (addressed) Addr() net.Addr { return &net.TCPAddr{} }
