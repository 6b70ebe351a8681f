package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/notify"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// newTeller returns a telling that works, and a function that ends it and returns the lines of its
// FIFO.
func newTeller(t *testing.T, text string) (*telling, func() string) {
	t.Helper()
	fifo := filepath.Join(t.TempDir(), "fifo")
	pipe := makeFIFO(t, fifo)
	tl := newTelling(nil, slog.New(slog.DiscardHandler))
	cfg := parsed(t, "global_defs {\nnotify_fifo "+fifo+"\n}\n"+text)
	if err := tl.configure(cfg); err != nil {
		t.Fatal(err)
	}
	work := begin(t.Context(), "telling", tl.run)
	return tl, func() string {
		if err := work.end(); err != nil {
			t.Error(err)
		}
		return linesOf(t, pipe)
	}
}

// makeFIFO makes a named pipe and opens it.
func makeFIFO(t *testing.T, path string) *os.File {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipe.Close() })
	return pipe
}

// linesOf returns what is in a pipe, which must be something.
func linesOf(t *testing.T, pipe *os.File) string {
	t.Helper()
	all := make([]byte, 1<<16)
	n, err := pipe.Read(all)
	if err != nil {
		t.Error(err)
	}
	return string(all[:n])
}

// TestTold compares what is told of a group of two instances that go from state to state.
func TestTold(t *testing.T) {
	text := strings.Replace(dependentPair("", "notify_priority_changes on"), "vrrp_instance B {",
		"vrrp_instance B {\nnotify_priority_changes off", 1)
	tl, lines := newTeller(t, text)
	follow := tl.follow(instance.Group{Name: "G", Members: make([]instance.Config, 2)})
	both := func(to vrrp.State) {
		for _, name := range []string{"A", "B"} {
			follow(instance.Transition{Instance: name, Group: "G", To: to, Priority: 100})
		}
	}
	tl.priority("A", 99)
	both(vrrp.Backup)
	tl.priority("A", 80)
	both(vrrp.Master)
	tl.priority("A", 90)
	tl.priority("B", 90)
	tl.contested("A", 90)
	tl.repeat()
	follow(instance.Transition{Instance: "B", Group: "G", To: vrrp.Faulty})
	follow(instance.Transition{Instance: "A", Group: "G", To: vrrp.Faulty})
	tl.priority("A", 100)
	both(vrrp.Initialize)
	tl.repeat()
	const want = `INSTANCE "A" BACKUP 100
INSTANCE "B" BACKUP 100
GROUP "G" BACKUP 0
INSTANCE "A" BACKUP_PRIORITY 80
INSTANCE "A" MASTER 100
INSTANCE "B" MASTER 100
GROUP "G" MASTER 0
INSTANCE "A" MASTER_PRIORITY 90
INSTANCE "A" MASTER_RX_LOWER_PRI 90
INSTANCE "A" MASTER 90
INSTANCE "B" MASTER 90
GROUP "G" MASTER 0
INSTANCE "B" FAULT 0
INSTANCE "A" FAULT 0
GROUP "G" FAULT 0
INSTANCE "A" STOP 100
INSTANCE "B" STOP 100
GROUP "G" STOP 0
`
	if diff := cmp.Diff(want, lines()); diff != "" {
		t.Errorf("lines: (-want +got)\n%s", diff)
	}
}

// TestServicesAreTold has real servers fail and come back.
func TestServicesAreTold(t *testing.T) {
	text := strings.Replace(twoServers, "protocol", "omega\nprotocol", 1)
	tl, lines := newTeller(t, text)
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, text, false)
		b.services.tell = tl.server
		refused := &check.Failure{Reason: check.Refused, Detail: "connect"}
		b.tell("192.168.2.11:80", check.Down, refused)
		b.tell("192.168.2.12:80", check.Down, refused)
		b.tell("192.168.2.12:80", check.Up, nil)
		b.tell("192.168.2.12:80", check.Up, nil)
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		b.tellEnd()
	})
	const want = `RS [192.168.2.11]:tcp:80 [192.168.1.1]:tcp:80 DOWN
RS [192.168.2.12]:tcp:80 [192.168.1.1]:tcp:80 DOWN
VS [192.168.1.1]:tcp:80 DOWN
RS [192.168.2.12]:tcp:80 [192.168.1.1]:tcp:80 UP
VS [192.168.1.1]:tcp:80 UP
RS [192.168.2.12]:tcp:80 [192.168.1.1]:tcp:80 DOWN
VS [192.168.1.1]:tcp:80 DOWN
`
	if diff := cmp.Diff(want, lines()); diff != "" {
		t.Errorf("lines: (-want +got)\n%s", diff)
	}
}

// TestNotifications compares who is told with what the configuration says.
func TestNotifications(t *testing.T) {
	cfg := parsed(t, `global_defs {
    router_id R
    script_user operator staff
    smtp_server 192.0.2.1 2525
    notification_email { ops@example.com }
    notification_email_from tandem@example.com
    smtp_alert_vrrp on
    notify_fifo /run/all
    vrrp_notify_fifo /run/vrrp
    vrrp_notify_fifo_script "/bin/reader one"
}
vrrp_instance A {
    interface eth0
    virtual_router_id 1
    virtual_ipaddress { 10.0.0.1 }
    notify "/bin/any a" nobody
    notify_master /bin/master
}
vrrp_instance B {
    interface eth0
    virtual_router_id 2
    virtual_ipaddress { 10.0.0.2 }
    smtp_alert off
}
virtual_server 10.0.0.1 80 {
    protocol TCP
    quorum_up /bin/up
    real_server 10.0.0.9 80 { notify_down /bin/down
    }
}
`)
	got := notifications(cfg)
	got.Mail.Hello = ""
	script := func(args ...string) *notify.Script {
		return &notify.Script{Args: args, User: "operator", Group: "staff"}
	}
	const vs = "[10.0.0.1]:tcp:80"
	want := notify.Config{
		Router: "R",
		Rules: map[notify.Subject]notify.Rules{
			{Kind: notify.Instance, Name: "A"}: {Mail: true, Master: script("/bin/master"),
				Any: &notify.Script{Args: []string{"/bin/any", "a"}, User: "nobody"}},
			{Kind: notify.Condition, Name: "B"}:     {}, // A is as all
			{Kind: notify.Condition}:                {Mail: true},
			{Kind: notify.VirtualService, Name: vs}: {Up: script("/bin/up")},
			{Kind: notify.RealServer, Name: "[10.0.0.9]:tcp:80", Service: vs}: {
				Down: script("/bin/down"), Mail: true},
		},
		FIFOs: []notify.FIFO{
			{Path: "/run/all", VRRP: true, LVS: true, User: "operator", Group: "staff"},
			{Path: "/run/vrrp", VRRP: true, User: "operator", Group: "staff",
				Script: script("/bin/reader", "one")},
		},
		Mail: notify.Mail{Server: "192.0.2.1:2525", From: "tandem@example.com",
			To: []string{"ops@example.com"}, Timeout: notify.DefaultMailTimeout},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notifications: (-want +got)\n%s", diff)
	}
}

// TestMailOf compares where mail goes with what the configuration says.
func TestMailOf(t *testing.T) {
	const server = "smtp_server mail.example.com\nnotification_email {\na@b\n}\n"
	for _, tt := range []struct {
		name, text string
		want       notify.Mail
	}{
		{"as keepalived", "", notify.Mail{}},
		{"not encrypted", "smtp_starttls off", notify.Mail{}},
		{"encrypted", "smtp_starttls offered", notify.Mail{StartTLS: notify.WhenOffered}},
		{"login", "smtp_starttls required\nsmtp_user ops\nsmtp_password secret",
			notify.Mail{StartTLS: notify.Required, User: "ops", Password: "secret"}},
		{"file", "smtp_user ops\nsmtp_password_file /etc/password",
			notify.Mail{User: "ops", PasswordFile: "/etc/password"}},
		{"nobody logs in", "smtp_password secret", notify.Mail{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := parsed(t, "global_defs {\n"+server+tt.text+"\n}\n"+oneInstance)
			got := mailOf(&cfg.Global)
			if got.Server != "mail.example.com:25" {
				t.Errorf("server %q", got.Server)
			}
			got.Server, got.To, got.From, got.Hello, got.Timeout = "", nil, "", "", 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("mail: (-want +got)\n%s", diff)
			}
			if err := checkNotices(cfg); err != nil {
				t.Errorf("notifications: %v", err)
			}
		})
	}
}

// TestFirstUp compares who is told to be up at the start, after a reload, and if nobody asks.
func TestFirstUp(t *testing.T) {
	const asked = "global_defs {\nrs_init_notifies on\n}\n"
	alpha := strings.Replace(twoServers, "protocol", "alpha\nprotocol", 1)
	for _, tt := range []struct {
		name, before, after string
		want                uint64
	}{
		{"not asked", "", twoServers, 0},
		{"start", "", asked + twoServers, 2},
		{"start down", "", asked + alpha, 0},
		{"reload", asked + twoServers, asked + twoServers, 0},
		{"another one", asked + twoServers,
			asked + strings.Replace(twoServers, "192.168.2.12", "192.168.2.13", 1), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := &config.Config{}
			if tt.before != "" {
				before = parsed(t, tt.before)
			}
			tl := newTelling(nil, slog.New(slog.DiscardHandler))
			tl.firstUp(before, parsed(t, tt.after))
			if got := tl.notifier.Stats().Seq; got != tt.want {
				t.Errorf("%d events, want %d", got, tt.want)
			}
		})
	}
}

// TestPriorityTellers says for whom changes of the priority are told.
func TestPriorityTellers(t *testing.T) {
	const on, off = "notify_priority_changes on", "notify_priority_changes off"
	all := "global_defs {\nvrrp_notify_priority_changes on\n}\n"
	for _, tt := range []struct {
		name, text string
		a, b       bool
	}{
		{"nobody asks", dependentPair("", ""), false, false},
		{"one asks", dependentPair("", on), true, false},
		{"the group asks", dependentPair(on, ""), true, true},
		{"all are asked for", all + dependentPair("", ""), true, true},
		{"all but one", all + dependentPair("", off), false, true},
		{"all but the group", all + dependentPair(off, ""), false, false},
		{"one of a group that does not", dependentPair(off, on), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := priorityTellers(parsed(t, tt.text))
			if got["A"] != tt.a || got["B"] != tt.b {
				t.Errorf("A %t, B %t, want %t and %t", got["A"], got["B"], tt.a, tt.b)
			}
		})
	}
}

// TestEnds says what an instance is told to be that ends.
func TestEnds(t *testing.T) {
	const told = "notify_deleted /bin/true"
	gone := "vrrp_instance Z {\ninterface eth0\nvirtual_router_id 9\n" +
		"virtual_ipaddress { 10.0.9.1 }\n}\n"
	for _, tt := range []struct {
		name, before, after string
		want                notify.State
	}{
		{"stop", dependentOn(100, ""), "", notify.Stop},
		{"removal", dependentOn(100, ""), gone, notify.Fault},
		{"removal that is told", dependentOn(100, told), gone, notify.Deleted},
		{"restart", dependentOn(100, told), dependentOn(100, told), notify.Fault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tl := newTelling(nil, slog.New(slog.DiscardHandler))
			if tt.after != "" {
				tl.part(parsed(t, tt.before), parsed(t, tt.after))
			}
			a := notify.Subject{Kind: notify.Instance, Name: "A"}
			if got := tl.end(a); got != tt.want {
				t.Errorf("end: %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNotify has an instance become master and stop: its scripts and pipes hear of that in order.
func TestNotify(t *testing.T) {
	node, _ := netiftest.Pair(t)
	dir := t.TempDir()
	script, heard := filepath.Join(dir, "notify"), filepath.Join(dir, "heard")
	text := fmt.Sprintf("#!/bin/sh\necho \"$@ $TANDEM_SEQ\" >>%s\n", heard)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	pipe := makeFIFO(t, fifo)
	r := runOn(t, node, "global_defs {\nscript_user root\nnotify_fifo "+fifo+"\n}\n"+
		strings.Replace(oneInstance, "interface", "notify \""+script+" first\"\n"+
			"notify_master \""+script+" master\"\ninterface", 1))
	r.holds("master")
	r.stop()
	want := "INSTANCE \"VI_1\" BACKUP 150\nINSTANCE \"VI_1\" MASTER 150\n" +
		"INSTANCE \"VI_1\" STOP 150\n"
	if diff := cmp.Diff(want, linesOf(t, pipe)); diff != "" {
		t.Errorf("pipe: (-want +got)\n%s", diff)
	}
	lines, err := os.ReadFile(heard)
	want = "first INSTANCE VI_1 BACKUP 150 1\nmaster 2\nfirst INSTANCE VI_1 MASTER 150 2\n" +
		"first INSTANCE VI_1 STOP 150 3\n"
	if diff := cmp.Diff(want, string(lines)); diff != "" || err != nil {
		t.Errorf("script: %v (-want +got)\n%s", err, diff)
	}
}
