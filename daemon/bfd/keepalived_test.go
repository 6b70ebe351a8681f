package bfd_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// keepalived is keepalived with a bfd_instance.
type keepalived struct {
	t    *testing.T
	node *netiftest.Node
	path string
	dir  string
	cmd  *exec.Cmd // nil: it does not run
}

// newKeepalived prepares a keepalived, which has not been started. conf are lines of the
// instance's.
func newKeepalived(t *testing.T, n *netiftest.Node, conf ...string) *keepalived {
	t.Helper()
	path, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skip("keepalived is not installed")
	}
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte(" BFD ")) {
		t.Skip("keepalived was built without BFD")
	}
	k := &keepalived{t: t, node: n, path: path, dir: t.TempDir()}
	text := fmt.Sprintf("bfd_instance b {\n%s\n}\n", strings.Join(conf, "\n"))
	if err := os.WriteFile(k.file("conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.stop(unix.SIGTERM)
		if t.Failed() {
			t.Logf("keepalived's log:\n%s", k.log())
		}
	})
	return k
}

func (k *keepalived) file(name string) string { return filepath.Join(k.dir, name) }

// run starts it.
func (k *keepalived) run() {
	k.t.Helper()
	log, err := os.OpenFile(k.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	k.cmd = exec.Command(k.path, "--dont-fork", "--log-console", "--log-detail",
		"--use-file", k.file("conf"), "--pid", k.file("pid"), "--vrrp_pid", k.file("vrrp.pid"),
		"--checkers_pid", k.file("checkers.pid"), "--bfd_pid", k.file("bfd.pid"))
	k.cmd.Stdout, k.cmd.Stderr = log, log
	k.node.Do(func() { err = k.cmd.Start() })
	_ = log.Close() // it is keepalived's now
	if err != nil {
		k.cmd = nil
		k.t.Fatal(err)
	}
}

// stop ends it by a signal. If it does not run it does nothing.
func (k *keepalived) stop(s unix.Signal) {
	if k.cmd != nil {
		netiftest.Finish(k.cmd, s)
		k.cmd = nil
	}
}

// log returns what it has said so far.
func (k *keepalived) log() []byte {
	text, err := os.ReadFile(k.file("log"))
	if err != nil {
		k.t.Error(err)
	}
	return text
}

// far accepts what keepalived 2.2.7 sends over IPv6 unless it is told better: 64, not RFC 5881's
// 255.
func far(c bfd.Config) bfd.Config {
	c.MaxHops = 255 - 64
	return c
}

// TestKeepalived pairs a Speaker with keepalived's: both are Up with the same times, and miss each
// other.
func TestKeepalived(t *testing.T) {
	tests := []struct {
		name    string
		session bfd.Config
		conf    []string
	}{
		{"IPv4", to(other, netip.Addr{}), []string{"neighbor_ip 192.168.1.2"}},
		{"IPv4, sources named", to(other, own),
			[]string{"neighbor_ip 192.168.1.2", "source_ip 192.168.1.3"}},
		{"IPv6", to(other6, own6),
			[]string{"neighbor_ip 2001:db8::2", "source_ip 2001:db8::3", "hoplimit 255"}},
		{"IPv6, keepalived's own hop limit", far(to(other6, own6)),
			[]string{"neighbor_ip 2001:db8::2", "source_ip 2001:db8::3"}},
		{"keepalived passive", to(other, own), []string{"neighbor_ip 192.168.1.2", "passive"}},
		{"we passive", passive(to(other, own)), []string{"neighbor_ip 192.168.1.2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			na, nb := nodes(t)
			k := newKeepalived(t, nb, append(tt.conf, "min_rx 50", "min_tx 100", "multiplier 4")...)
			d := speak(t, na, tt.session)
			k.run()
			d.awaitAgreed(50*time.Millisecond, 400*time.Millisecond)
			tt.session.MinTx = 80 * time.Millisecond
			if err := d.Set([]bfd.Config{tt.session}); err != nil {
				t.Fatal(err)
			}
			d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
			k.stop(unix.SIGTERM) // it says nothing
			d.await("silence", func(s bfd.Status) bool { return s.Reason == bfd.ReasonSilence })
			t.Logf("missed keepalived %s after its last packet", d.missed())
			k.run()
			d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
			st := d.status()
			d.stop()
			await(t, "farewell in keepalived's log", func() bool {
				return bytes.Contains(k.log(), []byte("(b) Entering Down state"))
			})
			if len(st.Drops) > 0 || len(d.Drops()) > 0 {
				t.Errorf("drops %v and %v, want none", st.Drops, d.Drops())
			}
			if got := complaints(k.log()); got != "" {
				t.Errorf("keepalived complains:\n%s", got)
			}
		})
	}
}
