package instance_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// frrCase is a way for this daemon and FRR's vrrpd to understand each other.
type frrCase struct {
	name   string
	router vrrp.Config
	conf   []string
	vip    netip.Prefix
	// vmac has this daemon use the virtual MAC address, as FRR always does.
	vmac bool
}

func frrCases() []frrCase {
	v2 := vrrp.Config{Version: vrrp.V2, Interval: time.Second}
	v3 := vrrp.Config{Version: vrrp.V3, Interval: 100 * time.Millisecond}
	conf2 := []string{"version 2", "advertisement-interval 1000"}
	conf3 := []string{"version 3", "advertisement-interval 100"}
	return []frrCase{
		{"v2", v2, conf2, vip, false},
		{"v3", v3, conf3, vip, false},
		{"v3 over IPv6", v3, conf3, vip6, false},
		{"v3 with the virtual MAC address", v3, conf3, vip, true},
		{"v3 over IPv6 with the virtual MAC address", v3, conf3, vip6, true},
	}
}

// TestFRR pairs this daemon with FRR's vrrpd in each version and standing: they elect the same
// master and hand over to each other.
func TestFRR(t *testing.T) {
	t.Parallel()
	for _, tt := range frrCases() {
		t.Run(tt.name+", we are higher", func(t *testing.T) {
			t.Parallel()
			tt.higher(besideFRR(t, tt.conf, tt.vip))
		})
		t.Run(tt.name+", we are lower", func(t *testing.T) {
			t.Parallel()
			tt.lower(besideFRR(t, tt.conf, tt.vip))
		})
	}
}

// director makes this daemon's only instance one of that priority.
func (tt frrCase) director(b *bench, priority uint8) *director {
	if tt.vmac {
		own := b.addrs
		b.addrs = func(i int) []netip.Prefix {
			if i == 0 {
				return addrsOf(b.t, b.links[0](frrDevice))
			}
			return own(i)
		}
	}
	return b.start(0, func(g *instance.Group) {
		standing(tt.router, tt.vip, priority)(g)
		if tt.vip.Addr().Is6() { // the kernel has made up link-local addresses too
			g.Members[0].Router.Source = locals[0]
		}
		if tt.vmac {
			g.Members[0].VMAC = &netif.Macvlan{
				Name: frrDevice, Parent: netiftest.Device,
				MAC: netif.VirtualMAC(51, tt.vip.Addr().Is6()),
			}
		}
	})
}

// higher takes the VIP from FRR and gives it back.
func (tt frrCase) higher(b *bench, peer *netiftest.FRR) {
	peer.Run()
	b.await("FRR's master", func() bool {
		return bytes.Contains(peer.Log("vrrpd"), []byte("Backup -> Master"))
	})
	us := tt.director(b, 150)
	b.awaitVIP(0, true)
	b.awaitVIP(1, false)
	us.stop()
	b.awaitVIP(1, true)
	wantPeaceWithFRR(us, peer, vrrp.ReasonStartup, vrrp.ReasonPreempt, vrrp.ReasonSuccessor)
}

// lower yields to FRR and takes over, when it stops and when it dies.
func (tt frrCase) lower(b *bench, peer *netiftest.FRR) {
	us := tt.director(b, 50)
	b.awaitState(us, vrrp.Master)
	for _, end := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		peer.Run()
		b.await("leader", func() bool { return us.runner.Snapshot()[0].LeaderPriority == 100 })
		b.awaitVIP(0, false)
		b.awaitVIP(1, true)
		peer.Stop(end)
		b.awaitState(us, vrrp.Master)
		b.awaitVIP(0, true)
	}
	wantPeaceWithFRR(us, peer, vrrp.ReasonStartup, vrrp.ReasonSilence,
		vrrp.ReasonOutranked, vrrp.ReasonResigned,
		vrrp.ReasonOutranked, vrrp.ReasonSilence, vrrp.ReasonNoSuccessor)
}

// wantPeaceWithFRR ends both and says that this daemon moved for those reasons only, left nothing,
// and that neither had anything to say against the other's adverts.
func wantPeaceWithFRR(us *director, peer *netiftest.FRR, reasons ...vrrp.Reason) {
	t := us.b.t
	t.Helper()
	us.halt()
	peer.End()
	if diff := cmp.Diff(reasons, us.reasons()); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	s := us.runner.Snapshot()[0]
	if len(s.Drops) > 0 || len(s.Mismatches) > 0 || s.Errors > 0 || s.Received == 0 {
		t.Errorf("drops %v, mismatches %v, errors %d (%s), received %d; want only received",
			s.Drops, s.Mismatches, s.Errors, s.LastError, s.Received)
	}
	for line := range bytes.Lines(peer.Log("vrrpd")) {
		for _, complaint := range []string{"invalid", "mismatch", "malformed"} {
			if bytes.Contains(bytes.ToLower(line), []byte(complaint)) {
				t.Errorf("FRR says: %s", line)
			}
		}
	}
}
