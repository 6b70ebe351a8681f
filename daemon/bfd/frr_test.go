package bfd_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// frr is FRR's bfdd.
type frr struct{ *netiftest.FRR }

// newFRR prepares a bfdd with one peer, which has not been started. conf are lines of the peer's.
func newFRR(t *testing.T, n *netiftest.Node, peer string, conf ...string) frr {
	t.Helper()
	lines := []string{"debug bfd peer", "debug bfd network", "bfd", " peer " + peer}
	for _, line := range append(conf, "no shutdown") {
		lines = append(lines, "  "+line)
	}
	return frr{netiftest.NewFRR(t, n, "bfdd", lines...)}
}

// run starts bfdd.
func (f frr) run() { f.Run("--bfdctl", f.Path("bfdd.sock")) }

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
func withFRR(t *testing.T, d *director, f frr, changed bfd.Config) {
	d.awaitAgreed(50*time.Millisecond, 400*time.Millisecond)
	if err := d.Set([]bfd.Config{changed}); err != nil {
		t.Fatal(err)
	}
	d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
	f.Stop(unix.SIGKILL)
	d.await("silence", func(s bfd.Status) bool { return s.Reason == bfd.ReasonSilence })
	t.Logf("missed FRR %s after its last packet", d.missed())
	f.run()
	d.awaitAgreed(80*time.Millisecond, 400*time.Millisecond)
	st := d.status()
	d.stop()
	await(t, "farewell in FRR's log", func() bool {
		return bytes.Contains(f.Log("bfdd"), []byte("up -> down reason:neighbor-down"))
	})
	f.End()
	if len(st.Drops) > 0 || len(d.Drops()) > 0 {
		t.Errorf("drops %v and %v, want none", st.Drops, d.Drops())
	}
	if got := complaints(f.Log("bfdd")); got != "" {
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
