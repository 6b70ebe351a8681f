package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/status"
)

// operated is a director with the services of a bench, and what operators have said.
func operated(t *testing.T, b *bench, path, text string) *director {
	t.Helper()
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	d := &director{log: log, services: b.services, overrides: openOverrides(path, log),
		config: &config.Config{VirtualServers: parse(t, text)}}
	d.keepOverrides(b.services, d.config)
	return d
}

// say has the director do what an operator asks for.
func say(t *testing.T, d *director, server string, weight *int) Outcome {
	t.Helper()
	out := d.answer(t.Context(), Question{Ask: DoOverride, Server: server, Weight: weight})
	synctest.Wait()
	return out
}

// TestOverride drains a real server, over a restart and a reload, and undoes it.
func TestOverride(t *testing.T) {
	const first = "192.168.1.1:80/192.168.2.11:80"
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "o")
		b := newBench(t, twoServers, false)
		synctest.Wait()
		b.commands()
		d := operated(t, b, path, twoServers)
		for _, step := range []struct {
			name   string
			server string
			weight *int
			want   Outcome
			does   string
		}{
			{"drain", first, weight(0), Outcome{Applied: true, Steps: []string{
				"tcp/" + first + ": weight 0, was as configured"}},
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 0\n"},
			{"drain again", first, weight(0), Outcome{Applied: true, Steps: []string{
				"tcp/" + first + ": weight 0, was 0"}}, ""},
			{"weight", first, weight(70000), Outcome{Applied: true, Steps: []string{
				"tcp/" + first + ": weight 70000, was 0"}},
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 70000\n"},
			{"undrain", first, nil, Outcome{Applied: true, Steps: []string{
				"tcp/" + first + ": weight as configured, was 70000"}},
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n"},
			{"no such server", "192.168.1.1:80/192.168.2.13", weight(0), Outcome{Invalid: true,
				Error: `real server "192.168.2.13" of tcp/192.168.1.1:80: expected one of ` +
					"192.168.2.11:80, 192.168.2.12:80"}, ""},
			{"weight below 0", first, weight(-1), Outcome{Invalid: true,
				Error: "weight -1: expected 0 to 2147483647"}, ""},
			{"drain once more", "192.168.1.1:80/192.168.2.12", weight(0), Outcome{Applied: true,
				Steps: []string{"tcp/192.168.1.1:80/192.168.2.12:80: weight 0, was as configured"}},
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 0\n"},
		} {
			out := say(t, d, step.server, step.weight)
			if diff := cmp.Diff(step.want, out); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", step.name, diff)
			}
			if diff := cmp.Diff(step.does, b.commands()); diff != "" {
				t.Errorf("%s: commands (-want +got)\n%s", step.name, diff)
			}
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		restarted(t, path)
	})
}

// restarted is the next process, which has 192.168.2.12 drained from its first moment on, until the
// configuration has it no more.
func restarted(t *testing.T, path string) {
	t.Helper()
	b := &bench{t: t}
	var err error
	if b.services, err = newServices(parse(t, twoServers), &b.table, false,
		slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	d := operated(t, b, path, twoServers)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.reconciler.Run(ctx) }()
	synctest.Wait()
	want := "-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1\n" +
		"-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 0\n"
	if got := b.table.String(); !strings.HasSuffix(got, want) {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	d.addStatus(t, "after a restart", &status.Override{Since: time.Now()})
	less := strings.ReplaceAll(twoServers, "192.168.2.12", "192.168.2.13")
	d.config = &config.Config{VirtualServers: parse(t, less)}
	b.reload(less)
	d.keepOverrides(b.services, d.config)
	if got := d.overrides.get(); len(got) > 0 ||
		!strings.Contains(b.log.String(), `"weight by operator dropped"`) {
		t.Errorf("after a reload without it: got %v, log %s", got, &b.log)
	}
	b.reload(twoServers)
	d.config = &config.Config{VirtualServers: parse(t, twoServers)}
	d.keepOverrides(b.services, d.config)
	synctest.Wait()
	if got := b.table.String(); !strings.Contains(got, "192.168.2.12:80 -m -w 1\n") {
		t.Errorf("after it is back: got %s", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// addStatus compares what a snapshot says of the second real server.
func (d *director) addStatus(t *testing.T, when string, want *status.Override) {
	t.Helper()
	servers := d.config.VirtualServers
	all := d.services.snapshot(t.Context(), servers)
	d.services.addTraffic(t.Context(), servers, d.overrides.get(), all)
	if diff := cmp.Diff(want, all[0].Servers[1].Override); diff != "" {
		t.Errorf("%s: override (-want +got)\n%s", when, diff)
	}
	if all[0].Servers[0].Override != nil {
		t.Errorf("%s: expected no override of the first real server", when)
	}
}

// TestAllDrained has an operator drain all: the sorry server gets what is new, and they keep what
// they have.
func TestAllDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, twoServers, false)
		defer b.stop()
		d := operated(t, b, "", twoServers)
		for _, server := range []string{"192.168.2.11", "192.168.2.12"} {
			if out := say(t, d, "192.168.1.1/"+server, weight(0)); !out.Applied {
				t.Fatal(out)
			}
		}
		for _, line := range []string{"-r 192.168.2.11:80 -m -w 0\n", "-r 192.168.2.12:80 -m -w 0\n",
			"-r 192.168.2.200:80 -m -w 1\n"} {
			if got := b.table.String(); !strings.Contains(got, line) {
				t.Errorf("got %s, want %s in it", got, line)
			}
		}
	})
}
