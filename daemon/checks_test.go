package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/pool"
)

// lines is a log that several goroutines write and read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(words string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), words)
}

// checking are services on a table in memory whose checks are carried out.
type checking struct {
	t *testing.T
	*services
	table ipvstest.Memory
	log   lines
}

// newChecking runs the services of cfg until the test ends.
func newChecking(t *testing.T, cfg *config.Config) *checking {
	t.Helper()
	c := &checking{t: t}
	log := slog.New(slog.NewTextHandler(&c.log, nil))
	var err error
	if c.services, err = servicesOf(cfg, &c.table, false, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

// comes waits until the log has some words.
func (c *checking) comes(words string) {
	c.t.Helper()
	until(c.t, words, func() bool { return c.log.has(words) })
}

// oneCheck is a configuration of one real server on loopback with a check. In the text, % is its
// port.
func oneCheck(t *testing.T, text string, port uint16) *config.Config {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(checkText(text, port)))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// checkText is the text of oneCheck.
func checkText(text string, port uint16) string {
	return strings.ReplaceAll(`virtual_server 192.168.1.1 80 {
protocol TCP
delay_loop 0.05
delay_before_retry 0
retry 0
warmup 0
alpha
connect_timeout 2
real_server 127.0.0.1 % {
weight 10
`+text+"\n}\n}\n", "%", fmt.Sprint(port))
}

// withCheck is oneCheck with a check that has no words in the language yet.
func withCheck(t *testing.T, c config.CheckSettings) *config.Config {
	t.Helper()
	cfg := oneCheck(t, "TCP_CHECK {\n}", 80)
	own := &cfg.VirtualServers[0].RealServers[0].Checks[0]
	own.Kind, own.Misc, own.File, own.BFD = c.Kind, c.Misc, c.File, c.BFD
	return cfg
}

// switched is a server that can be made to fail.
type switched struct {
	mu  sync.Mutex
	bad bool
}

func (s *switched) isBad() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

func (s *switched) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = true
}

// TestChecksEndToEnd has a server of each kind on loopback: its real server comes up, and goes down
// for the right reason when the server fails.
func TestChecksEndToEnd(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		serve      func(t *testing.T, s *switched) uint16
		reason     string
	}{
		{"SSL_GET", "SSL_GET {\nbind_if lo\nurl {\npath /\nregex \"w[a-z]*l\"\n}\n}", serveTLS,
			"reason=pattern"},
		{"SMTP_CHECK", "SMTP_CHECK {\nbind_if lo\nhost {\nconnect_port %\n}\n}", serveMail,
			"reason=reply"},
		{"DNS_CHECK", "DNS_CHECK {\nbind_if lo\ntype A\nname x.example\n}", serveNames,
			"reason=reply"},
		{"UDP_CHECK", "UDP_CHECK {\nbind_if lo\npayload 01\nrequire_reply 0x\n}", serveDatagrams,
			"reason=reply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s switched
			c := newChecking(t, oneCheck(t, tt.text, tt.serve(t, &s)))
			c.comes("from=down to=up")
			until(t, "destination", func() bool {
				return strings.Contains(c.table.String(), "-r 127.0.0.1:")
			})
			s.fail()
			c.comes("from=up to=down " + tt.reason)
			until(t, "no destination", func() bool {
				return !strings.Contains(c.table.String(), "-r 127.0.0.1:")
			})
		})
	}
}

func TestPingEndToEnd(t *testing.T) {
	c := newChecking(t, oneCheck(t, "PING_CHECK {\n}", 80))
	c.comes("from=down to=up")
}

// TestMiscEndToEnd runs a script whose exit status is in a file: it says a weight, and then no.
func TestMiscEndToEnd(t *testing.T) {
	dir := t.TempDir()
	path, status := filepath.Join(dir, "script"), filepath.Join(dir, "status")
	put(t, status, "0")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit $(cat "+status+")\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	misc := &config.MiscCheck{
		Script:  &config.Script{Args: []string{path}, Account: config.Account{User: "root"}},
		Dynamic: true, Timeout: waitLimit,
	}
	c := newChecking(t, withCheck(t, config.CheckSettings{Kind: config.CheckMisc, Misc: misc}))
	weight := func(w string) {
		t.Helper()
		until(t, "weight "+w, func() bool {
			return strings.Contains(c.table.String(), " -w "+w+"\n")
		})
	}
	weight("10")
	put(t, status, "5")
	weight("3")
	c.comes("msg=weight service=\"TCP 192.168.1.1:80\" server=127.0.0.1:80 from=10 to=3")
	put(t, status, "1")
	c.comes("from=up to=down reason=exit")
	put(t, status, "0")
	weight("10")
}

// waitLimit bounds what a test does not expect to happen.
const waitLimit = 30e9

// put replaces a file at once.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestFileCheckEndToEnd follows the number in a file. The check itself is due once an hour.
func TestFileCheckEndToEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "number")
	put(t, path, "2")
	cfg := withCheck(t, config.CheckSettings{Kind: config.CheckFile,
		File: &config.FileCheck{Tracker: "f", Weight: config.Weight{Value: -3}, HasWeight: true}})
	cfg.VirtualServers[0].RealServers[0].Checks[0].DelayLoop = 3600e9
	cfg.Files = []config.FileTracker{{Name: "f", File: path, Weight: config.Weight{Value: 1}}}
	c := newChecking(t, cfg)
	for _, tt := range []struct{ number, want string }{
		{"2", " -w 4\n"}, {"-1", " -w 13\n"}, {"0", " -w 10\n"},
	} {
		put(t, path, tt.number)
		until(t, "number "+tt.number, func() bool {
			return strings.Contains(c.table.String(), tt.want)
		})
	}
	put(t, path, "40000")
	c.comes("from=up to=down reason=file")
}

// TestBFDCheckEndToEnd is told of a session. The check itself is due once an hour.
func TestBFDCheckEndToEnd(t *testing.T) {
	cfg := withCheck(t, config.CheckSettings{Kind: config.CheckBFD, BFD: "b"})
	cfg.VirtualServers[0].RealServers[0].Checks[0].DelayLoop = 3600e9
	cfg.BFDs = []config.BFD{{Name: "b"}}
	c := newChecking(t, cfg)
	c.setSession("other", true, "session is up")
	c.setSession("b", true, "session is up")
	c.comes("from=down to=up")
	c.setSession("b", false, "session is down: silence")
	c.comes("from=up to=down reason=session err=\"bfd b: session is down: silence\"")
}

// TestServicesFollowWeights has a check say weights by report.
func TestServicesFollowWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, lessServers, false)
		defer func() { _ = b.stop() }()
		id := b.checks.States()[0].ID
		say := func(change check.Change, w check.Weight) {
			b.services.report(check.Report{ID: id, Change: change, Weight: w})
			synctest.Wait()
		}
		synctest.Wait()
		b.commands()
		server := b.config.VirtualServers[0].RealServers[0].Address.String()
		say(check.Up, check.Weight{Kind: check.Exactly, Value: 7})
		say(check.Up, check.Weight{Kind: check.Exactly, Value: 7})
		if got := b.commands(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "-w 7") {
			t.Errorf("weight 7 said twice: commands\n%s, want one that sets it", got)
		}
		say(check.Up, check.Weight{})
		if got := b.commands(); !strings.Contains(got, "-w 1\n") {
			t.Errorf("weight as configured: commands\n%s", got)
		}
		if log := b.log.String(); !strings.Contains(log, "server="+server+" from=7 to=1\n") {
			t.Errorf("log\n%s, want both changes of weight", log)
		}
	})
}

// TestFailureWithoutChange is not read as down, but is logged.
func TestFailureWithoutChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		synctest.Wait()
		b.commands()
		refused := &check.Failure{Reason: check.Refused, Detail: "connect"}
		b.tell("192.168.2.11:80", check.None, refused)
		synctest.Wait()
		if got := b.commands(); got != "" {
			t.Errorf("commands\n%s, want none", got)
		}
		b.logged(`msg="check failed" service="TCP 192.168.1.1:80" server=192.168.2.11:80 ` +
			`check="TCP 192.168.1.1:80, 192.168.2.11:80: TCP_CHECK 192.168.2.11:80" ` +
			"reason=refused err=connect\n")
	})
}

// TestServicesKeepTheRest replaces the servers alone: what checks inherit stays.
func TestServicesKeepTheRest(t *testing.T) {
	cfg := oneCheck(t, "TCP_CHECK {\n}", 80)
	cfg.Global.Alerts.LogAllFailures = true
	s, err := servicesOf(cfg, &ipvstest.Memory{}, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.set(nil); err != nil {
		t.Fatal(err)
	}
	if !s.config.Global.Alerts.LogAllFailures || s.config.VirtualServers != nil {
		t.Error("expected the servers to be gone and the rest to be there")
	}
}

// TestScriptOfCheck has the account and the time of the script of a check.
func TestScriptOfCheck(t *testing.T) {
	own := config.Account{User: "nobody", Group: "nogroup"}
	cfg := &config.Config{}
	cfg.Global.ScriptAccount, cfg.Global.ScriptSecurity = config.Account{User: "daemon"}, true
	for _, tt := range []struct {
		name  string
		misc  config.MiscCheck
		whose string
	}{
		{"global", config.MiscCheck{Script: &config.Script{}}, "daemon:"},
		{"of the check", config.MiscCheck{Script: &config.Script{}, Account: own},
			"nobody:nogroup"},
		{"of the command", config.MiscCheck{Script: &config.Script{Account: own}},
			"nobody:nogroup"},
	} {
		got, over := means(cfg, check.TLS{}, nil).Script(&tt.misc)
		s, ok := got.(checkScript)
		if whose := s.User + ":" + s.Group; !ok || whose != tt.whose || !s.secure {
			t.Errorf("%s: run by %s, secure %t; want %s, true", tt.name, whose, s.secure, tt.whose)
		}
		if over != scriptGrace {
			t.Errorf("%s: %s over, want %s", tt.name, over, scriptGrace)
		}
	}
}

func TestCheckCheckers(t *testing.T) {
	cfg := oneCheck(t, "SSL_GET {\nurl {\npath /\nregex \"(\"\n}\n}", 80)
	cfg.TLS = &config.TLS{Pos: config.At("test.conf", 30, 1),
		CA: "/nowhere/ca"}
	want := "test.conf:30:1: error: SSL: load CA: open /nowhere/ca: no such file or directory\n" +
		"test.conf:14:1: error: SSL_GET: url /: compile regex \"(\": error parsing regexp: " +
		"missing closing ): `(`\n"
	if diff := cmp.Diff(want, checkCheckers(cfg).String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := servicesOf(cfg, &ipvstest.Memory{}, false, nil); err == nil {
		t.Error("services: expected an error")
	}
	for _, kind := range []config.CheckKind{config.CheckMisc, config.CheckFile, config.CheckBFD} {
		broken := withCheck(t, config.CheckSettings{Kind: kind, Misc: &config.MiscCheck{},
			File: &config.FileCheck{}})
		if ds := checkCheckers(broken); len(ds) > 0 {
			t.Errorf("%s that lacks something: %s, want that left to the parser", kind, ds)
		}
	}
}

func TestChecksDiffer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   bool
	}{
		{"nothing", func(*config.Config) {}, false},
		{"instances", func(c *config.Config) { c.Instances = make([]config.Instance, 1) }, false},
		{"script_user", func(c *config.Config) { c.Global.ScriptAccount.User = "x" }, true},
		{"track_file", func(c *config.Config) { c.Files = make([]config.FileTracker, 1) }, true},
		{"SSL", func(c *config.Config) { c.TLS = &config.TLS{} }, true},
	} {
		var after config.Config
		tt.change(&after)
		if got := checksDiffer(&config.Config{}, &after); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestToldOf checks that only one of two trackers of a file makes it.
func TestToldOf(t *testing.T) {
	cfg := withCheck(t, config.CheckSettings{Kind: config.CheckFile,
		File: &config.FileCheck{Tracker: "f"}})
	cfg.Files = []config.FileTracker{{Name: "f", File: "/x", Init: true, Overwrite: true},
		{Name: "unused", File: "/y"}}
	for _, shared := range []bool{false, true} {
		if shared {
			cfg.Instances = []config.Instance{{Name: "I",
				Tracks: config.Tracks{Files: []config.Track{{Name: "f"}}}}}
		}
		c, ids := toldOf(cfg)
		if len(c.Files) != 1 || c.Files[0].Init == shared || c.Files[0].Overwrite == shared ||
			len(ids) != 1 {
			t.Errorf("shared %t: got %+v and %v, want one file that is made unless shared", shared,
				c.Files, ids)
		}
	}
	nobody := means(&config.Config{}, check.TLS{}, nil)
	if _, _, err := pool.Tasks(cfg.VirtualServers, nobody); err == nil {
		t.Error("a file that is not tracked: expected an error")
	}
}
