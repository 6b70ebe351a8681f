package daemon

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// atWork is a director at work in a network namespace.
type atWork struct {
	*testing.T
	node   *netiftest.Node
	file   string
	log    *console
	reload chan struct{}
	stop   func()
}

// runOn runs a director on the node until the end of the test, or until it is stopped.
func runOn(t *testing.T, node *netiftest.Node, text string) *atWork {
	t.Helper()
	r := &atWork{T: t, node: node, file: write(t, text), log: &console{},
		reload: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var failed error
	go node.Do(func() {
		defer close(ended)
		failed = Run(ctx, Options{File: r.file, Reload: r.reload, Diagnostics: r.log,
			Log: slog.New(slog.NewTextHandler(r.log, nil))})
	})
	r.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		r.stop()
		if failed != nil {
			t.Errorf("Run: %v", failed)
		}
		if t.Failed() {
			t.Log(r.log.text.String())
		}
	})
	return r
}

// holds waits until the node has the VIP, and no other has.
func (r *atWork) holds(why string, others ...*atWork) {
	r.Helper()
	until(r.T, why, func() bool {
		for _, o := range others {
			if holds(r.T, o.node) {
				return false
			}
		}
		return holds(r.T, r.node)
	})
}

// fail makes the file and runs a process that are tracked, and returns what takes both away.
func fail(t *testing.T, file string) (heal func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(file, []byte("-60\n"), 0o644))
	program := filepath.Join(t.TempDir(), "tandem-tracked")
	must(os.WriteFile(program, []byte("#!/bin/sh\nread line\n"), 0o755))
	process := exec.CommandContext(t.Context(), program)
	input, err := process.StdinPipe()
	must(err)
	must(process.Start())
	return func() {
		must(os.Remove(file))
		must(input.Close())
		_ = process.Wait() // that it found no line
	}
}

// TestTrackers has a master depend on something that fails: the peer takes over, and gives back
// when it is well again.
func TestTrackers(t *testing.T) {
	const (
		aScript = "vrrp_script T {\nscript \"/usr/bin/test ! -e FILE\"\ninterval 0.1\n}\n"
		aFile   = "track_file T {\nfile FILE\nweight 1\n}\n"
		process = "vrrp_track_process T {\nprocess tandem-tracked\nweight 60 reverse\n}\n"
	)
	for _, tt := range []struct {
		name, tracker, track string
		// said is in the log of the one that fails.
		said string
	}{
		{"script with weight", aScript, "track_script {\nT weight -60\n}",
			`msg=priority instance=VI_1 from=150 to=90 reason="script T"`},
		{"script", aScript, "track_script {\nT\n}",
			`msg=transition instance=VI_1 from=Master to=Fault reason="tracker failed"`},
		{"file", aFile, "track_file {\nT\n}",
			`msg=priority instance=VI_1 from=150 to=90 reason="file T"`},
		{"process", process, "track_process {\nT\n}",
			`msg=priority instance=VI_1 from=150 to=90 reason="process T"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node, peer := netiftest.Pair(t)
			file := filepath.Join(t.TempDir(), "failed")
			text := strings.ReplaceAll(tt.tracker, "FILE", file) + strings.Replace(oneInstance,
				"interface", tt.track+"\ninterface", 1)
			a := runOn(t, node, text)
			a.holds("master at first")
			b := runOn(t, peer, strings.Replace(oneInstance, "150", "100", 1))
			heal := fail(t, file)
			b.holds("peer takes over", a)
			until(t, "log: "+tt.said, func() bool { return a.log.has(tt.said) })
			heal()
			a.holds("master again", b)
		})
	}
}

// TestTrackedInterfaceIsWatched has a director with an interface that is up, and one without.
func TestTrackedInterfaceIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := strings.Replace(oneInstance, "interface", "track_interface {\neth9\n}\ninterface", 1)
		w := work(t, text)
		defer w.end()
		const vip = "eth0 192.168.1.1/24"
		if got := w.host.vips(); got != vip {
			t.Errorf("VIPs: %q, want %q", got, vip)
		}
		if w.log.has("tracker fault") || w.log.has("to=Fault") {
			t.Error("log: expected that the instance was never in fault")
		}
		for _, next := range []string{oneInstance, text} {
			if out := w.ask(next); !out.Applied {
				t.Errorf("reload: %+v", out)
			}
			if got := w.host.vips(); got != vip {
				t.Errorf("VIPs after a reload: %q, want %q", got, vip)
			}
		}
	})
}
