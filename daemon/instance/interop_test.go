package instance_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// TestKeepalived pairs this daemon with keepalived in each version and standing: they elect the
// same master and hand over to each other.
func TestKeepalived(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skip("keepalived is not installed")
	}
	tests := []struct {
		name   string
		router vrrp.Config
		conf   string
		vip    netip.Prefix
	}{
		{
			name:   "v2",
			router: vrrp.Config{Version: vrrp.V2, Interval: time.Second},
			conf:   "version 2\nadvert_int 1\n",
		},
		{
			name: "v2 with a password",
			router: vrrp.Config{
				Version: vrrp.V2, Interval: time.Second,
				Auth: vrrp.AuthSimple, Password: vrrp.MakePassword("secret"),
			},
			conf: "version 2\nadvert_int 1\n" +
				"authentication {\nauth_type PASS\nauth_pass secret\n}\n",
		},
		{
			name:   "v3",
			router: vrrp.Config{Version: vrrp.V3, Interval: 100 * time.Millisecond},
			conf:   "version 3\nadvert_int 0.1\n",
		},
		{
			name: "v3 by unicast",
			router: vrrp.Config{
				Version: vrrp.V3, Interval: 100 * time.Millisecond,
				Unicast: true, CheckUnicastSource: true, Peers: []vrrp.Peer{{Addr: hosts[1]}},
			},
			conf: "version 3\nadvert_int 0.1\nunicast_src_ip 192.168.1.3\n" +
				"unicast_peer {\n192.168.1.2\n}\n",
		},
		{
			name:   "v3 over IPv6",
			router: vrrp.Config{Version: vrrp.V3, Interval: 100 * time.Millisecond},
			conf:   "version 3\nadvert_int 0.1\n",
			vip:    vip6,
		},
		{
			name: "v3 over IPv6 by unicast",
			router: vrrp.Config{
				Version: vrrp.V3, Interval: 100 * time.Millisecond, Source: locals[0],
				Unicast: true, CheckUnicastSource: true, Peers: []vrrp.Peer{{Addr: locals[1]}},
			},
			conf: "version 3\nadvert_int 0.1\nunicast_src_ip fe80::3\n" +
				"unicast_peer {\nfe80::2\n}\n",
			vip: vip6,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+", we are higher", func(t *testing.T) {
			t.Parallel()
			b, peer := besideKeepalived(t, path, tt.conf, tt.vip)
			if tt.router.Version == vrrp.V3 { // v2 would need seconds more to preempt
				b.awaitVIP(1, true)
			}
			us := b.start(0, standing(tt.router, tt.vip, 150))
			b.awaitVIP(0, true)
			b.awaitVIP(1, false)
			us.stop()
			b.awaitVIP(1, true)
			<-us.ended
			wantPeace(t, us, peer)
		})
		t.Run(tt.name+", we are lower", func(t *testing.T) {
			t.Parallel()
			b, peer := besideKeepalived(t, path, tt.conf, tt.vip)
			us := b.start(0, standing(tt.router, tt.vip, 50))
			b.await("leader", func() bool { return us.runner.Snapshot()[0].LeaderPriority == 100 })
			peer.stop()
			b.awaitState(us, vrrp.Master)
			b.awaitVIP(0, true)
			if got := us.reasons(); got[len(got)-1] != vrrp.ReasonResigned {
				t.Errorf("reasons = %v, want the last to be %v", got, vrrp.ReasonResigned)
			}
			wantPeace(t, us, peer)
		})
	}
}

// standing makes the only member of a group r with that priority, and that VIP if it is one.
func standing(r vrrp.Config, p netip.Prefix, priority uint8) func(*instance.Group) {
	return func(g *instance.Group) {
		if p.IsValid() {
			g.Members[0].VIPs[0].Prefix = p
		}
		r.VRID, r.Priority = 51, priority
		g.Members[0].Router = r
	}
}

// wantPeace says that neither had anything to say against the other's adverts.
func wantPeace(t *testing.T, us *director, peer *keepalived) {
	t.Helper()
	us.halt()
	peer.stop()
	s := us.runner.Snapshot()[0]
	if len(s.Drops) > 0 || len(s.Mismatches) > 0 || s.Errors > 0 || s.Received == 0 {
		t.Errorf("drops %v, mismatches %v, errors %d (%s), received %d; want only received",
			s.Drops, s.Mismatches, s.Errors, s.LastError, s.Received)
	}
	for _, complaint := range []string{"invalid", "mismatch", "bogus", "malformed"} {
		if bytes.Contains(bytes.ToLower(peer.log.Bytes()), []byte(complaint)) {
			t.Errorf("keepalived's log has %q", complaint)
		}
	}
	if t.Failed() {
		t.Logf("keepalived's log:\n%s", peer.log.Bytes())
	}
}

// keepalived is a keepalived that runs.
type keepalived struct {
	cmd  *exec.Cmd
	log  bytes.Buffer
	done bool
}

// besideKeepalived returns a real bench whose second node runs keepalived with priority 100.
func besideKeepalived(t *testing.T, path, conf string, p netip.Prefix) (*bench, *keepalived) {
	t.Helper()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	if p.IsValid() {
		b.vip = p
		for i, n := range []*netiftest.Node{a, node} {
			eth := n.Host.Interface(netiftest.Device)
			if err := eth.AddAddr(netip.PrefixFrom(locals[i], 64), 0); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		p = vip
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "keepalived.conf")
	text := fmt.Sprintf("vrrp_instance VI_1 {\ninterface %s\nvirtual_router_id 51\n"+
		"priority 100\n%svirtual_ipaddress {\n%s\n}\n}\n", netiftest.Device, conf, p)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &keepalived{}
	k.cmd = exec.Command(path, "--dont-fork", "--log-console", "--log-detail", "--vrrp",
		"--use-file", file, "--pid", filepath.Join(dir, "pid"),
		"--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	k.cmd.Stdout, k.cmd.Stderr = &k.log, &k.log
	var err error
	node.Do(func() { err = k.cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.stop)
	return b, k
}

// stop ends keepalived as an operator does. A second call does nothing.
func (k *keepalived) stop() {
	if k.done {
		return
	}
	k.done = true
	_ = k.cmd.Process.Signal(unix.SIGTERM) // it may have ended
	_ = k.cmd.Wait()                       // its status says only how it was ended
}

// TestKeepalivedVMAC pairs this daemon with keepalived, each with the virtual MAC address.
func TestKeepalivedVMAC(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("keepalived")
	if err != nil {
		t.Skip("keepalived is not installed")
	}
	b, peer := besideKeepalived(t, path, "version 3\nadvert_int 0.1\nuse_vmac vrrp.51\n",
		netip.Prefix{})
	b.addrs = func(i int) []netip.Prefix { return addrsOf(t, b.links[i]("vrrp.51")) }
	b.awaitVIP(1, true)
	us := b.start(0, func(g *instance.Group) {
		c := &g.Members[0]
		c.Router = vrrp.Config{
			Version: vrrp.V3, Interval: 100 * time.Millisecond, VRID: 51, Priority: 150,
		}
		c.VMAC = &netif.Macvlan{
			Name: "vrrp.51", Parent: netiftest.Device, MAC: netif.VirtualMAC(51, false),
		}
	})
	b.awaitVIP(0, true)
	b.awaitVIP(1, false)
	us.stop()
	b.awaitVIP(1, true)
	<-us.ended
	wantPeace(t, us, peer)
}

// addrsOf returns the addresses of a link as they are now.
func addrsOf(t *testing.T, l instance.Link) []netip.Prefix {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var addrs []netip.Prefix
	err := l.Watch(ctx, func(s netif.State) {
		addrs = s.Addrs
		cancel()
	})
	if err != nil {
		t.Error(err)
	}
	return addrs
}
