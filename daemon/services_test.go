package daemon

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

const twoServers = `virtual_server 192.168.1.1 80 {
    lb_algo rr
    protocol TCP
    sorry_server 192.168.2.200 80
    real_server 192.168.2.11 80 { TCP_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
}
`

// parse reads virtual servers.
func parse(t *testing.T, text string) []config.VirtualServer {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(text))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg.VirtualServers
}

// bench is services on a table in memory. No check is carried out: the test reports for them.
type bench struct {
	t *testing.T
	*services
	table ipvstest.Memory
	log   strings.Builder
	stop  func() error
}

func newBench(t *testing.T, text string, keep bool) *bench {
	t.Helper()
	b := &bench{t: t}
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	var err error
	if b.services, err = newServices(parse(t, text), &b.table, keep, log); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.reconciler.Run(ctx) }()
	b.stop = func() error {
		cancel()
		return <-done
	}
	return b
}

// tell reports a change of the check of that server.
func (b *bench) tell(server string, change check.Change, err error) {
	b.t.Helper()
	for id := range b.states {
		if strings.Contains(id, server+": ") {
			b.report(check.Report{ID: id, Change: change, Err: err})
			return
		}
	}
	b.t.Fatalf("server %s has no check", server)
}

// expect waits until everything is quiet and compares the table.
func (b *bench) expect(why, want string) {
	b.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, b.table.String()); diff != "" {
		b.t.Errorf("%s: (-want +got)\n%s", why, diff)
	}
}

func TestServicesFollowHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			head   = "-A -t 192.168.1.1:80 -s rr\n"
			first  = "-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n"
			second = "-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1\n"
			sorry  = "-a -t 192.168.1.1:80 -r 192.168.2.200:80 -m -w 1\n"
		)
		refused := &check.Failure{Reason: check.Refused, Detail: "connect"}
		b := newBench(t, twoServers, false)
		b.expect("all up before the first check", head+first+second)
		b.tell("192.168.2.11:80", check.Down, refused)
		b.expect("the first is down", head+second)
		b.tell("192.168.2.12:80", check.Down, refused)
		b.expect("both are down", head+sorry)
		b.tell("192.168.2.12:80", check.Up, nil)
		b.expect("the second is up again", head+second)
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		b.expect("stopped", "")
		const log = `msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.11:80 ` +
			`from=up to=down reason=refused err=connect
msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.12:80 ` +
			`from=up to=down reason=refused err=connect
msg=quorum service="TCP 192.168.1.1:80" from=kept to=lost
msg="real server" service="TCP 192.168.1.1:80" server=192.168.2.12:80 from=down to=up
msg=quorum service="TCP 192.168.1.1:80" from=lost to=kept
`
		if diff := cmp.Diff(log, b.log.String()); diff != "" {
			t.Errorf("log: (-want +got)\n%s", diff)
		}
	})
}

func TestServicesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, oneServer, true)
		synctest.Wait()
		before := b.table.String()
		if err := b.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if before == "" {
			t.Error("table: expected a service in it")
		}
		b.expect("stopped", before)
	})
}

// TestServicesAreReplaced changes the configuration.
func TestServicesAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer func() { _ = b.stop() }()
		err := b.set(parse(t, strings.Replace(twoServers, "lb_algo rr", "lb_algo wlc", 1)))
		if err != nil {
			t.Fatal(err)
		}
		b.expect("other scheduler", `-A -t 192.168.1.1:80 -s wlc
-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1
-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1
`)
		if err := b.set(nil); err != nil {
			t.Fatal(err)
		}
		b.expect("no service", "")
	})
}
