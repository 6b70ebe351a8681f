package daemon

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestIPVLAN has a master put its VIP on an ipvlan, where the network finds it, and take both away.
func TestIPVLAN(t *testing.T) {
	node, peer := netiftest.Pair(t)
	probe := netif.Macvlan{Name: "probe", Parent: netiftest.Device, IPVLAN: "bridge"}
	err := node.Host.PutMacvlan(probe)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip(err)
	}
	if err = errors.Join(err, node.Host.DropMacvlan(probe)); err != nil {
		t.Fatal(err)
	}
	d := serve(t, node,
		strings.Replace(oneInstance, "priority", "use_ipvlan iv51 bridge\n    priority", 1))
	vip := netip.MustParsePrefix("192.168.1.1/24")
	until(t, "VIP on the ipvlan", func() bool {
		state, err := node.Host.Interface("iv51").State()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(state.Addrs, vip)
	})
	if holds(t, node) {
		t.Error("the VIP is on the interface beneath too")
	}
	var listener net.Listener
	node.Do(func() { listener, err = net.Listen("tcp", "192.168.1.1:80") })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	until(t, "the VIP answers", func() (answers bool) {
		peer.Do(func() {
			conn, err := net.DialTimeout("tcp", "192.168.1.1:80", time.Second)
			if answers = err == nil; answers {
				_ = conn.Close()
			}
		})
		return answers
	})
	if strings.Contains(d.log.String(), "level=WARN") {
		t.Error("expected no warning")
	}
	d.end()
	state, err := node.Host.Interface("iv51").State()
	if err != nil || state.Index != 0 {
		t.Errorf("at the end: got %+v, %v, expected no ipvlan", state, err)
	}
}

// TestIPVLANConfig says which interface an instance makes.
func TestIPVLANConfig(t *testing.T) {
	for _, tt := range []struct {
		words string
		want  netif.Macvlan
	}{
		{"use_ipvlan", netif.Macvlan{Name: "vrrp.51", Parent: "eth0", IPVLAN: "bridge"}},
		{"use_ipvlan iv 192.168.1.8/24 vepa",
			netif.Macvlan{Name: "iv", Parent: "eth0", IPVLAN: "vepa"}},
	} {
		text := strings.Replace(oneInstance, "priority", tt.words+"\n    priority", 1)
		cfg, _, err := load(Options{File: write(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		got := groups(cfg)[0].Members[0]
		if got.VMAC == nil || *got.VMAC != tt.want || got.AdvertsOnParent {
			t.Errorf("%s: got %v, adverts on parent %t, expected %v", tt.words, got.VMAC,
				got.AdvertsOnParent, tt.want)
		}
	}
}
