package bfd_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// frrPrograms is where FRR's daemons are, which are on nobody's PATH.
const frrPrograms = "/usr/lib/frr"

// frr is FRR's bfdd, with the zebra that does for it what concerns the kernel.
type frr struct {
	t           *testing.T
	node        *netiftest.Node
	dir         string
	zebra, bfdd *exec.Cmd // nil: it does not run
}

// newFRR prepares a bfdd with one peer, which has not been started. conf are lines of the peer's.
func newFRR(t *testing.T, n *netiftest.Node, peer string, conf ...string) *frr {
	t.Helper()
	for _, program := range []string{"zebra", "bfdd"} {
		if _, err := os.Stat(filepath.Join(frrPrograms, program)); err != nil {
			t.Skipf("FRR is not installed: %v", err)
		}
	}
	f := &frr{t: t, node: n, dir: t.TempDir()}
	lines := []string{"debug bfd peer", "debug bfd network", "bfd", " peer " + peer}
	lines = append(lines, conf...)
	text := strings.Join(lines, "\n  ") + "\n  no shutdown\n"
	f.must(os.WriteFile(f.path("bfdd.conf"), []byte(text), 0o644))
	f.must(os.WriteFile(f.path("zebra.conf"), nil, 0o644))
	owner, err := user.Lookup("frr") // they give up root for it
	f.must(err)
	uid, err := strconv.Atoi(owner.Uid)
	f.must(err)
	f.must(os.Chown(f.dir, uid, -1))
	f.must(os.Chmod(filepath.Dir(f.dir), 0o711))
	t.Cleanup(f.end)
	f.zebra = f.start("zebra")
	await(t, "zebra's socket", func() bool {
		_, err := os.Stat(f.path("zserv.api"))
		return err == nil
	})
	return f
}

func (f *frr) path(name string) string { return filepath.Join(f.dir, name) }

// start starts one of FRR's daemons, in the foreground and without a port for its terminal.
func (f *frr) start(program string, more ...string) *exec.Cmd {
	f.t.Helper()
	log, err := os.OpenFile(f.path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	f.must(err)
	args := append(more, "--config_file", f.path(program+".conf"),
		"--pid_file", f.path(program+".pid"), "--socket", f.path("zserv.api"),
		"--vty_socket", f.dir, "--vty_port", "0", "--log", "stdout", "--log-level", "debugging")
	cmd := exec.Command(filepath.Join(frrPrograms, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	f.node.Do(func() { err = cmd.Start() })
	f.must(errors.Join(err, log.Close()))
	return cmd
}

// run starts bfdd.
func (f *frr) run() {
	f.t.Helper()
	f.bfdd = f.start("bfdd", "--bfdctl", f.path("bfdd.sock"))
}

// log returns what a program has said so far, nothing if it has not run.
func (f *frr) log(program string) []byte {
	f.t.Helper()
	text, err := os.ReadFile(f.path(program + ".log"))
	if !errors.Is(err, fs.ErrNotExist) {
		f.must(err)
	}
	return text
}

// stop ends bfdd by a signal. Without one that runs it does nothing.
func (f *frr) stop(s unix.Signal) {
	if f.bfdd != nil {
		finish(f.bfdd, s)
		f.bfdd = nil
	}
}

// end ends everything.
func (f *frr) end() {
	f.stop(unix.SIGTERM)
	if f.zebra != nil {
		finish(f.zebra, unix.SIGTERM)
		f.zebra = nil
		if f.t.Failed() {
			f.t.Logf("bfdd's log:\n%s\nzebra's log:\n%s", f.log("bfdd"), f.log("zebra"))
		}
	}
}

// finish ends a process that the test has started and waits for it.
func finish(cmd *exec.Cmd, s unix.Signal) {
	_ = cmd.Process.Signal(s) // it may have ended
	_ = cmd.Wait()            // its status says only how it was ended
}

// must is for what the machine has to be able to do.
func (f *frr) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestFRR pairs a Speaker with FRR's bfdd: both are Up with the same times, whoever is there first,
// change them by polls, and miss each other.
func TestFRR(t *testing.T) {
	times := []string{"receive-interval 50", "transmit-interval 100", "detect-multiplier 4"}
	tests := []struct {
		name    string
		session bfd.Config
		peer    string
		conf    []string
	}{
		{"IPv4", to(other, netip.Addr{}), "192.168.1.2", nil},
		{"IPv4, source named", to(other, own), "192.168.1.2 local-address 192.168.1.3", nil},
		{"IPv6", to(other6, own6), "2001:db8::2 local-address 2001:db8::3", nil},
		{"IPv6 link-local", to(otherL.WithZone(netiftest.Device), ownLL),
			"fe80::2 local-address fe80::3 interface eth0", nil},
		{"multihop", multihop(to(other, own)),
			"192.168.1.2 multihop local-address 192.168.1.3", nil},
		{"FRR passive", to(other, own), "192.168.1.2", []string{"passive-mode"}},
		{"we passive", passive(to(other, own)), "192.168.1.2", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			na, nb := nodes(t)
			f := newFRR(t, nb, tt.peer, append(tt.conf, times...)...)
			d := speak(t, na, tt.session)
			f.run()
			tt.session.MinTx = 80 * time.Millisecond
			withFRR(t, d, f, tt.session)
		})
	}
}

func multihop(c bfd.Config) bfd.Config {
	c.Multihop, c.TTL = true, 255 // FRR takes 254 and more
	return c
}

func passive(c bfd.Config) bfd.Config {
	c.Passive = true
	return c
}

// withFRR is what TestFRR has the two do. changed has min tx 80 ms, from 50 ms.
func withFRR(t *testing.T, d *director, f *frr, changed bfd.Config) {
	d.awaitAgreed(50*time.Millisecond, 400*time.Millisecond)
	if err := d.Set([]bfd.Config{changed}); err != nil {
		t.Fatal(err)
	}
	d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
	f.stop(unix.SIGKILL)
	d.await("silence", func(s bfd.Status) bool { return s.Reason == bfd.ReasonSilence })
	t.Logf("missed FRR %s after its last packet", d.missed())
	f.run()
	d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
	st := d.status()
	d.stop()
	await(t, "farewell in FRR's log", func() bool {
		return bytes.Contains(f.log("bfdd"), []byte("up -> down reason:neighbor-down"))
	})
	f.end()
	if len(st.Drops) > 0 || len(d.Drops()) > 0 {
		t.Errorf("drops %v and %v, want none", st.Drops, d.Drops())
	}
	if got := complaints(f.log("bfdd")); got != "" {
		t.Errorf("FRR complains:\n%s", got)
	}
}

// complaints returns the lines of a log that say that a packet was bad.
func complaints(log []byte) string {
	var found strings.Builder
	for line := range bytes.Lines(log) {
		for _, word := range []string{
			"invalid", "wrong", "mismatch", "too small", "dropped", "discard", "error: ",
		} {
			if bytes.Contains(bytes.ToLower(line), []byte(word)) {
				found.Write(line)
				break
			}
		}
	}
	return found.String()
}
