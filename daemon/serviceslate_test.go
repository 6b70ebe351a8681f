package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// thousandServers is a virtual server with more real servers than are checked from the start, each with
// those lines.
func thousandServers(lines string) string {
	var b strings.Builder
	b.WriteString("virtual_server 192.168.1.1 80 {\n    protocol TCP\n")
	for i := range 1001 {
		fmt.Fprintf(&b, "    real_server 192.168.%d.%d 80 {\n%s\n}\n", 2+i/200, i%200+1, lines)
	}
	b.WriteString("}\n")
	return b.String()
}

// TestManyServersAreThereBeforeTheirChecks begins with many real servers: the table has them, those
// with alpha not, before any of them has a check; and then what checks say counts as ever.
func TestManyServersAreThereBeforeTheirChecks(t *testing.T) {
	for _, tt := range []struct {
		name, lines string
		servers     int // in the table
	}{
		{"up", "TCP_CHECK {\n}", 1001},
		{"down", "TCP_CHECK {\nalpha\n}", 0},
		{"unchecked", "", 1001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, thousandServers(tt.lines), true)
				defer b.end()
				synctest.Wait()
				if n := len(b.checks.States()); n != 0 {
					t.Errorf("before: %d checks, want none", n)
				}
				b.has(tt.servers)
				b.firstChecks()
				synctest.Wait()
				b.has(tt.servers)
				if tt.lines == "" {
					return
				}
				if n := len(b.checks.States()); n != 1001 {
					t.Errorf("after: %d checks, want 1001", n)
				}
				b.tell("192.168.2.1:80", check.Up, nil)
				b.tell("192.168.2.2:80", check.Down, errors.New("broken"))
				synctest.Wait()
				if tt.servers == 0 {
					b.has(1)
				} else {
					b.has(tt.servers - 1)
				}
			})
		})
	}
}

// has compares the number of real servers in the table.
func (b *bench) has(servers int) {
	b.t.Helper()
	found, err := b.table.List(b.t.Context())
	if err != nil || len(found) != 1 {
		b.t.Fatalf("table: %d services, %v, want 1", len(found), err)
	}
	if n := len(found[0].Destinations); n != servers {
		b.t.Errorf("table: got %d real servers, want %d", n, servers)
	}
}

// end stops the services.
func (b *bench) end() {
	b.t.Helper()
	if err := b.stop(); err != nil {
		b.t.Errorf("stop: %v", err)
	}
}

// TestReloadBeforeTheFirstChecks reloads many real servers that have no checks yet.
func TestReloadBeforeTheFirstChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, thousandServers("TCP_CHECK {\n}"), true)
		defer b.end()
		b.reload(twoServers)
		b.firstChecks()
		if n := len(b.checks.States()); n != 2 {
			t.Errorf("got %d checks, want those of the reload, 2", n)
		}
	})
}

// TestManyServersRefused has a check among many that cannot be carried out.
func TestManyServersRefused(t *testing.T) {
	cfg := &config.Config{VirtualServers: parse(t, thousandServers("TCP_CHECK {\n}"))}
	cfg.VirtualServers[0].RealServers[8].Checks[0].Kind = 99
	_, err := servicesOf(cfg, &ipvstest.Memory{}, false, nil)
	if err == nil || !strings.Contains(err.Error(), "unknown kind") {
		t.Errorf("got %v, want the unknown kind", err)
	}
}
