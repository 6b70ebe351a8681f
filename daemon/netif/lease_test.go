package netif_test

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// leased puts addresses with a lease on the node's device and has them renewed until the test ends.
func leased(t *testing.T, n *netiftest.Node, length time.Duration, o netif.AddrOptions,
	failed func(error), ps ...netip.Prefix) *netif.Lease {
	t.Helper()
	var addrs []netif.LeasedAddr
	for _, p := range ps {
		ok(t, n.Host.Interface(netiftest.Device).PutAddr(p, o, length))
		addrs = append(addrs, netif.LeasedAddr{Device: netiftest.Device, Prefix: p, Options: o})
	}
	l, err := n.Host.Lease(addrs, length, failed)
	ok(t, err)
	t.Cleanup(l.End)
	return l
}

// touching touches the lease, as an owner of adverts of a hundredth of a second does, until holds.
func touching(t *testing.T, l *netif.Lease, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); !holds(); <-tick.C {
		if time.Since(begin) > limit {
			t.Fatalf("%s: not in %s", what, limit)
		}
		l.Touch(time.Now())
	}
}

func refused(t *testing.T) func(error) {
	return func(err error) { t.Errorf("lease failed: %v", err) }
}

// TestLeaseNeedsTouches has the kernel take what nobody touches, and leave what somebody does.
func TestLeaseNeedsTouches(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	alone := netip.MustParsePrefix("192.168.1.9/32")
	kept := []netip.Prefix{vip, netip.MustParsePrefix("192.168.1.8/32"),
		netip.MustParsePrefix("2001:db8::1/128")}
	leased(t, node, time.Second, netif.AddrOptions{}, refused(t), alone)
	l := leased(t, node, time.Second, netif.AddrOptions{}, refused(t), kept...)
	begin := time.Now()
	touching(t, l, "the end of what is not touched", func() bool { return !has(t, eth, alone) })
	touching(t, l, "another four seconds", func() bool { return time.Since(begin) > 4*time.Second })
	for _, p := range kept {
		if !has(t, eth, p) {
			t.Errorf("%s has gone", p)
		}
	}
	if ago := time.Since(l.Renewed()); ago > time.Second {
		t.Errorf("renewed %s ago, want less than a lease", ago)
	}
}

// TestLateTouch says that a touch after the end of the lease renews nothing.
func TestLateTouch(t *testing.T) {
	node, _ := netiftest.Pair(t)
	why := make(chan error, 1)
	l := leased(t, node, time.Second, netif.AddrOptions{}, func(err error) { why <- err }, vip)
	was := l.Renewed()
	eth := node.Host.Interface(netiftest.Device)
	await(t, watch(t, eth), "end of the lease", func(s netif.State) bool {
		return !slices.Contains(s.Addrs, vip)
	})
	l.Touch(time.Now())
	select {
	case err := <-why:
		if err != nil || !l.Renewed().Equal(was) {
			t.Errorf("failed with %v, renewed %s later; want nil and 0", err, l.Renewed().Sub(was))
		}
	case <-time.After(limit):
		t.Fatalf("nobody is told in %s", limit)
	}
	if has(t, eth, vip) {
		t.Error("the address is back")
	}
}

// TestLeasePutsBackTheSame deletes an address, which the next renewal adds with all that it had.
func TestLeasePutsBackTheSame(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		length time.Duration
		netif.AddrOptions
	}{
		{"10.9.9.1/24", time.Minute, netif.AddrOptions{
			Label: "eth0:7", Broadcast: netip.MustParseAddr("10.9.9.255"), Scope: 253,
		}},
		{"10.9.9.1/24", time.Minute, netif.AddrOptions{NoPrefixRoute: true}},
		{"10.9.9.1/32", time.Minute, netif.AddrOptions{Peer: netip.MustParseAddr("10.9.9.2")}},
		{"10.9.9.1/32", 0, netif.AddrOptions{}},
		{"2001:db8::1/64", time.Minute, netif.AddrOptions{NoPrefixRoute: true, Home: true}},
		{"2001:db8::1/128", time.Minute, netif.AddrOptions{Deprecated: true}},
	} {
		t.Run(tt.prefix, func(t *testing.T) {
			node, _ := netiftest.Pair(t)
			eth, p := node.Host.Interface(netiftest.Device), netip.MustParsePrefix(tt.prefix)
			l := leased(t, node, tt.length, tt.AddrOptions, refused(t), p)
			want := shownAddr(t, node, p)
			ok(t, eth.DropAddr(p, tt.AddrOptions))
			if shownAddr(t, node, p) != "" {
				t.Fatal("address is present after DropAddr")
			}
			if tt.length == 0 {
				touching(t, l, "the address", func() bool { return shownAddr(t, node, p) != "" })
			}
			// A minute's lease is not due for a while.
			l.Touch(time.Now().Add(10 * time.Second))
			touching(t, l, "the address", func() bool { return shownAddr(t, node, p) != "" })
			if diff := cmp.Diff(want, shownAddr(t, node, p)); diff != "" {
				t.Errorf("put back (-want +got):\n%s", diff)
			}
		})
	}
}

var (
	lifetime = regexp.MustCompile(`[0-9]+sec`)
	spaces   = regexp.MustCompile(`\s+`)
)

// shownAddr returns the line of `ip address` about p, without seconds.
func shownAddr(t *testing.T, n *netiftest.Node, p netip.Prefix) string {
	t.Helper()
	var out []byte
	var err error
	n.Do(func() {
		out, err = exec.Command("ip", "-o", "address", "show", "dev", netiftest.Device).Output()
	})
	ok(t, err)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, " "+p.Addr().String()) {
			return spaces.ReplaceAllString(lifetime.ReplaceAllString(line, "N"), " ")
		}
	}
	return ""
}

// TestLeaseWithoutDevice says who is told that the kernel refuses.
func TestLeaseWithoutDevice(t *testing.T) {
	node, _ := netiftest.Pair(t)
	why := make(chan error, 1)
	l := leased(t, node, time.Second, netif.AddrOptions{}, func(err error) { why <- err }, vip)
	node.Delete()
	touching(t, l, "failure", func() bool { return len(why) > 0 })
	if err := <-why; !errors.Is(err, unix.ENODEV) {
		t.Errorf("failed with %v, want %v", err, unix.ENODEV)
	}
	_, err := node.Host.Lease([]netif.LeasedAddr{{Device: "nowhere0", Prefix: vip}}, 0, refused(t))
	if err == nil {
		t.Error("lease on an absent interface: no error")
	}
}

// TestLeaseIsNotHeard says that renewals wake no watch, but what they put back does.
func TestLeaseIsNotHeard(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	l := leased(t, node, time.Second, netif.AddrOptions{}, refused(t), vip)
	news, err := node.Host.News()
	ok(t, err)
	defer news.Close()
	for renewal := range 3 {
		was := l.Renewed()
		touching(t, l, "renewal", func() bool { return l.Renewed().After(was) })
		if got := heard(t, news); len(got) > 0 {
			t.Errorf("renewal %d: heard %v, want nothing", renewal, got)
		}
	}
	ok(t, eth.RemoveAddr(vip))
	touching(t, l, "the address", func() bool { return has(t, eth, vip) })
	ok(t, eth.AddAddr(vip, 0)) // somebody else's change
	want := []uint16{unix.RTM_DELADDR, unix.RTM_NEWADDR, unix.RTM_NEWADDR}
	if diff := cmp.Diff(want, heard(t, news)); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
}

// heard returns the types of the messages that have arrived.
func heard(t *testing.T, news *os.File) []uint16 {
	t.Helper()
	var all []uint16
	b := make([]byte, 1<<16)
	raw, err := news.SyscallConn()
	ok(t, err)
	ok(t, raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), b)
			if err != nil {
				return
			}
			messages, err := syscall.ParseNetlinkMessage(b[:n])
			ok(t, err)
			for _, m := range messages {
				all = append(all, m.Header.Type)
			}
		}
	}))
	return all
}
