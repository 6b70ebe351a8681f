package daemon

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestIPVLANKernel has two directors with their VIP on an ipvlan, which only the master has. It
// moves at a takeover and at a stop, and a client that knows nothing of them reaches it each time.
func TestIPVLANKernel(t *testing.T) {
	for _, tt := range []struct{ name, vip string }{
		{"IPv4", "192.168.1.1/24"},
		{"no network of its own", "192.168.1.1/32"},
		{"IPv6", "2001:db8::1/64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			high, low := netiftest.Pair(t)
			high.NeedIPVLAN()
			client := high.Neighbour(netip.MustParsePrefix("192.168.1.4/24"))
			vip := netip.MustParsePrefix(tt.vip)
			if vip.Addr().Is6() {
				giveAddress(t, high, "fe80::%d/64") // where adverts come from
				giveAddress(t, low, "fe80::%d/64")
				giveAddress(t, client, "2001:db8::%d/64")
			}
			sayName(t, high, vip, "high")
			sayName(t, low, vip, "low")
			before := [2]string{high.ARPAnnounce(), low.ARPAnnounce()}
			text := strings.NewReplacer("priority", "use_ipvlan iv51\n    priority",
				"192.168.1.1/24", tt.vip).Replace(oneInstance)
			first := serve(t, low, strings.Replace(text, "150", "100", 1))
			moved(t, vip, low, high)
			reaches(t, client, vip, "low")
			second := serve(t, high, text)
			moved(t, vip, high, low)
			reaches(t, client, vip, "high")
			second.end()
			moved(t, vip, low, high)
			reaches(t, client, vip, "low")
			first.end()
			moved(t, vip, nil, high, low)
			if after := [2]string{high.ARPAnnounce(), low.ARPAnnounce()}; after != before {
				t.Errorf("arp_announce: got %q at the end, expected %q", after, before)
			}
			for _, d := range []*serving{first, second} {
				if d.log.has("level=ERROR") {
					t.Error("expected no error in the log")
				}
			}
		})
	}
}

// TestIPVLANReloadKernel has reloads put the VIP on an ipvlan, on a macvlan and back.
func TestIPVLANReloadKernel(t *testing.T) {
	node, client := netiftest.Pair(t)
	node.NeedIPVLAN()
	vip := netip.MustParsePrefix("192.168.1.1/24")
	sayName(t, node, vip, "node")
	with := func(line string) string {
		return strings.Replace(oneInstance, "priority", line+"\n    priority", 1)
	}
	d := serve(t, node, oneInstance)
	for _, step := range []struct{ text, device, said string }{
		{oneInstance, netiftest.Device, "start"},
		{with("use_ipvlan iv51"), "iv51",
			"use_ipvlan none -> iv51 on eth0 as ipvlan bridge"},
		{with("use_ipvlan iv51 192.168.1.9/24 private"), "iv51",
			"as ipvlan bridge -> iv51 on eth0 as ipvlan private"},
		{with("use_ipvlan"), "vrrp.51", "-> vrrp.51 on eth0 as ipvlan bridge"},
		{with("use_vmac"), "vrrp.51", "use_vmac none -> vrrp.51 on eth0 with 00:00:5e:00:01:33"},
		{with("use_ipvlan"), "vrrp.51", "use_vmac vrrp.51 on eth0 with 00:00:5e:00:01:33 -> none"},
		{oneInstance, netiftest.Device, "use_ipvlan vrrp.51 on eth0 as ipvlan bridge -> none"},
	} {
		if step.said != "start" {
			d.change(step.text)
		}
		until(t, step.said, func() bool {
			return d.log.has(step.said) && slices.Contains(addressesOn(t, node, step.device), vip)
		})
		for _, other := range []string{netiftest.Device, "iv51", "vrrp.51"} {
			if other != step.device && slices.Contains(addressesOn(t, node, other), vip) {
				t.Errorf("%s: the VIP is on %s too", step.said, other)
			}
		}
		reaches(t, client, vip, "node")
	}
	for _, gone := range []string{"iv51", "vrrp.51"} {
		if state, err := node.Host.Interface(gone).State(); err != nil || state.Index != 0 {
			t.Errorf("%s: got %+v, %v, expected it to be gone", gone, state, err)
		}
	}
	if got := node.ARPAnnounce(); got != "0" {
		t.Errorf("arp_announce: got %s at the end, expected 0", got)
	}
}

// TestIPVLANsKernel has two instances on one interface with an ipvlan each, of which one goes.
func TestIPVLANsKernel(t *testing.T) {
	node, client := netiftest.Pair(t)
	node.NeedIPVLAN()
	first := strings.Replace(oneInstance, "priority", "use_ipvlan private\n    priority", 1)
	second := strings.NewReplacer("VI_1", "VI_2", "51", "52", "1.1/", "1.9/").Replace(first)
	vips := map[string]netip.Prefix{"vrrp.51": netip.MustParsePrefix("192.168.1.1/24"),
		"vrrp.52": netip.MustParsePrefix("192.168.1.9/24")}
	sayName(t, node, vips["vrrp.51"], "node")
	d := serve(t, node, first+second)
	for device, vip := range vips {
		until(t, "VIP on "+device, func() bool {
			return slices.Contains(addressesOn(t, node, device), vip)
		})
		reaches(t, client, vip, "node")
	}
	d.change(second)
	until(t, "VI_1 has gone", func() bool {
		return d.log.has("instances=1") && len(addressesOn(t, node, "vrrp.51")) == 0
	})
	reaches(t, client, vips["vrrp.52"], "node")
	if got := node.ARPAnnounce(); got != "2" {
		t.Errorf("arp_announce: got %s while there is an ipvlan, expected 2", got)
	}
}

// moved waits until that node has the VIP on its ipvlan, and says that no other has any of it.
func moved(t *testing.T, vip netip.Prefix, to *netiftest.Node, others ...*netiftest.Node) {
	t.Helper()
	until(t, "VIP on the ipvlan", func() bool {
		return to == nil || slices.Contains(addressesOn(t, to, "iv51"), vip)
	})
	for _, node := range others {
		until(t, "no ipvlan elsewhere", func() bool {
			state, err := node.Host.Interface("iv51").State()
			return err == nil && state.Index == 0
		})
	}
	for _, node := range append(others, to) {
		if node != nil && slices.Contains(addressesOn(t, node, netiftest.Device), vip) {
			t.Error("the VIP is on an interface beneath")
		}
	}
}

// addressesOn are those of an interface, none if there is no such interface.
func addressesOn(t *testing.T, node *netiftest.Node, device string) []netip.Prefix {
	t.Helper()
	state, err := node.Host.Interface(device).State()
	if err != nil {
		t.Fatal(err)
	}
	return state.Addrs
}

// giveAddress gives the node's interface an address that ends as its own does.
func giveAddress(t *testing.T, node *netiftest.Node, format string) {
	t.Helper()
	last := addressesOn(t, node, netiftest.Device)[0].Addr().As4()[3]
	address := netip.MustParsePrefix(fmt.Sprintf(format, last))
	if err := node.Host.Interface(netiftest.Device).AddAddr(address, 0); err != nil {
		t.Fatal(err)
	}
}

// sayName has the node say its name to who connects to port 80 of any of its addresses of the VIP's
// family.
func sayName(t *testing.T, node *netiftest.Node, vip netip.Prefix, name string) {
	t.Helper()
	network := "tcp4"
	if vip.Addr().Is6() {
		network = "tcp6"
	}
	var listener net.Listener
	var err error
	node.Do(func() { listener, err = net.Listen(network, ":80") })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name) // who has gone misses it
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
}

// reaches waits until who connects to the VIP from there hears that name.
func reaches(t *testing.T, from *netiftest.Node, vip netip.Prefix, name string) {
	t.Helper()
	until(t, "the VIP answers", func() (answers bool) {
		from.Do(func() {
			d := net.Dialer{Timeout: time.Second}
			conn, err := d.Dial("tcp", netip.AddrPortFrom(vip.Addr(), 80).String())
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			said, err := io.ReadAll(conn)
			answers = err == nil && string(said) == name
		})
		return answers
	})
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
		cfg, _, err := load(Options{File: write(t, text), Diagnostics: io.Discard})
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
