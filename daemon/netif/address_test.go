package netif_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// kept is what the kernel says of an address.
type kept struct {
	Label, Broadcast, Peer string
	Scope, Flags           int
	Valid, Preferred       int
}

// lookUp returns what the kernel says of the address in the node.
func lookUp(t *testing.T, n *netiftest.Node, a netip.Addr) kept {
	t.Helper()
	var k kept
	n.Do(func() {
		addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			t.Error(err)
		}
		for _, found := range addrs {
			if !found.IP.Equal(a.AsSlice()) {
				continue
			}
			k = kept{Label: found.Label, Scope: found.Scope, Flags: found.Flags,
				Valid: found.ValidLft, Preferred: found.PreferedLft}
			if found.Broadcast != nil {
				k.Broadcast = found.Broadcast.String()
			}
			if found.Peer != nil {
				k.Peer = found.Peer.String()
			}
		}
	})
	return k
}

// TestAddrOptions adds addresses of every kind, renews and removes them.
func TestAddrOptions(t *testing.T) {
	const forever = 1<<32 - 1
	addr := netip.MustParseAddr
	tests := []struct {
		name    string
		prefix  string
		options netif.AddrOptions
		lease   time.Duration
		want    kept
	}{
		{"plain", "192.168.1.10/24", netif.AddrOptions{}, 0,
			kept{Label: "eth0", Flags: unix.IFA_F_PERMANENT | unix.IFA_F_SECONDARY,
				Valid: forever, Preferred: forever}},
		{"label, scope, broadcast", "10.1.0.1/16", netif.AddrOptions{
			Label: "eth0:vip", Scope: 253, Broadcast: addr("10.1.255.255"),
		}, 0, kept{Label: "eth0:vip", Scope: 253, Broadcast: "10.1.255.255",
			Flags: unix.IFA_F_PERMANENT, Valid: forever, Preferred: forever}},
		{"peer", "10.2.0.1/32", netif.AddrOptions{Peer: addr("10.2.0.9")}, time.Hour,
			kept{Label: "eth0", Peer: "10.2.0.9/32", Valid: 3600, Preferred: 3600}},
		{"no route of its own", "10.3.0.1/16", netif.AddrOptions{NoPrefixRoute: true}, 0,
			kept{Label: "eth0", Flags: unix.IFA_F_PERMANENT | unix.IFA_F_NOPREFIXROUTE,
				Valid: forever, Preferred: forever}},
		{"deprecated", "2001:db8:1::1/128", netif.AddrOptions{Deprecated: true}, 0,
			kept{Flags: unix.IFA_F_PERMANENT | unix.IFA_F_NODAD | unix.IFA_F_DEPRECATED,
				Valid: forever}},
		{"deprecated later", "2001:db8:2::1/128", netif.AddrOptions{
			Deprecated: true, PreferredFor: time.Minute,
		}, time.Hour, kept{Flags: unix.IFA_F_NODAD, Valid: 3600, Preferred: 60}},
		{"flags", "2001:db8:3::1/64", netif.AddrOptions{
			Home: true, ManageTemporary: true, NoPrefixRoute: true,
		}, 0, kept{Flags: unix.IFA_F_PERMANENT | unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS |
			unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE,
			Valid: forever, Preferred: forever}},
	}
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := netip.MustParsePrefix(tt.prefix)
			for range 2 {
				ok(t, eth.PutAddr(p, tt.options, tt.lease))
				got := lookUp(t, node, p.Addr())
				if tt.want.Flags&unix.IFA_F_MANAGETEMPADDR != 0 { // it makes others
					got.Flags &^= unix.IFA_F_SECONDARY
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
			if !has(t, eth, tt.options.Listed(p)) {
				t.Errorf("State has no %s", tt.options.Listed(p))
			}
			for i, want := range []bool{false, true} {
				restored, err := eth.RestoreAddr(p, tt.options, tt.lease)
				ok(t, err)
				if restored != want {
					t.Errorf("RestoreAddr %d: %t, want %t", i, restored, want)
				}
				ok(t, eth.DropAddr(p, tt.options))
			}
			ok(t, eth.DropAddr(p, tt.options)) // absent
			if has(t, eth, tt.options.Listed(p)) {
				t.Error("it is still there")
			}
		})
	}
}

// TestGoneInterface says that what was known of an interface does not outlive it.
func TestGoneInterface(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	states := watch(t, eth)
	ok(t, eth.AddAddr(vip, 0))
	await(t, states, "address", func(s netif.State) bool { return slices.Contains(s.Addrs, vip) })
	node.Delete()
	if err := eth.AddAddr(vip, 0); err == nil {
		t.Error("AddAddr to an interface that is gone: no error")
	}
	ok(t, eth.RemoveAddr(vip))
	await(t, states, "gone", func(s netif.State) bool { return s.Index == 0 })
}

// TestWatchersComeAndGo begins and ends watches while there is news all the time.
func TestWatchersComeAndGo(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	stop := make(chan struct{})
	var noise, watchers sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := eth.AddAddr(vip, 0); err != nil {
				t.Error(err)
			}
			if err := eth.RemoveAddr(vip); err != nil {
				t.Error(err)
			}
		}
	})
	for range 8 {
		watchers.Go(func() {
			for range 30 {
				comeAndGo(t, eth)
			}
		})
	}
	watchers.Wait()
	close(stop)
	noise.Wait()
}

func comeAndGo(t *testing.T, eth *netif.Interface) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	seen := 0
	err := eth.Watch(ctx, func(s netif.State) {
		if s.Index == 0 {
			t.Error("the interface is not there")
		}
		if seen++; seen == 3 {
			cancel()
		}
	})
	if err != nil || seen < 3 {
		t.Errorf("Watch: %v after %d states, want 3", err, seen)
	}
}
