package probe_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"github.com/moby/ipvs"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"golang.org/x/sys/unix"
)

// announce sends an ARP packet for everybody, by which a node says that it has the VIP, from a MAC
// address.
func announce(ctx context.Context, n *lab.Node, mac string) error {
	conn, err := n.Listen(ctx, "eth0", unix.ETH_P_ARP)
	if err != nil {
		return err
	}
	defer conn.Close()
	from, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	everybody := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := append(append(append([]byte{}, everybody...), from...), 0x08, 0x06)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1)
	frame = append(append(frame, from...), vip.AsSlice()...)
	frame = append(append(frame, everybody...), vip.AsSlice()...)
	_, err = conn.WriteTo(frame, &packet.Addr{HardwareAddr: everybody})
	return err
}

// claimSix sends a neighbour advertisement for everybody, by which a node says that it has an address
// at its MAC address.
func claimSix(ctx context.Context, n *lab.Node, addr netip.Addr) error {
	conn, err := n.Listen(ctx, "eth0", unix.ETH_P_IPV6)
	if err != nil {
		return err
	}
	defer conn.Close()
	own := lab.HardwareAddr(n.Spec().Links[0].Addr.Addr())
	everybody := netip.MustParseAddr("ff02::1")
	message, err := ndp.MarshalMessageChecksum(&ndp.NeighborAdvertisement{TargetAddress: addr,
		Override: true, Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: own}}}, addr, everybody)
	if err != nil {
		return err
	}
	to := net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}
	frame := append(append(append([]byte{}, to...), own...), 0x86, 0xdd)
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(message)), 58, 255)
	frame = append(append(frame, addr.AsSlice()...), everybody.AsSlice()...)
	_, err = conn.WriteTo(append(frame, message...), &packet.Addr{HardwareAddr: to})
	return err
}

// told are the events of a kind as "node detail".
func told(seen *probe.Recorder, kind reports.Kind) func() []string {
	return func() []string {
		all := []string{}
		for _, e := range seen.Events() {
			if e.Kind == kind {
				all = append(all, e.Node+" "+e.Subject+" "+e.Detail)
			}
		}
		return all
	}
}

var _ = Describe("The wire", func() {
	const virtual = "00:00:5e:00:01:33"
	var l *lab.Lab
	var seen *probe.Recorder

	BeforeEach(func(ctx SpecContext) { l, seen = fig5(ctx), new(probe.Recorder) })

	It("tells who claims a VIP, by the cable that it comes from", func(ctx SpecContext) {
		stop := start(ctx, probe.NewClaims(l, seen.Event))
		claims, other := told(seen, reports.Claim), "00:00:5e:00:01:34"
		lb1 := node(l, "lb1")
		for _, mac := range []string{virtual, virtual, other} {
			Expect(announce(ctx, lb1, mac)).To(Succeed())
		}
		// What comes by one cable is told in its order, what comes by two at once in any.
		Eventually(claims).WithContext(ctx).Should(HaveExactElements(
			"lb1 192.168.1.1 "+virtual+" announced", "lb1 192.168.1.1 "+other+" announced"))
		Expect(announce(ctx, node(l, "lb2"), virtual)).To(Succeed())
		Eventually(claims).WithContext(ctx).Should(HaveExactElements(
			"lb1 192.168.1.1 "+virtual+" announced", "lb1 192.168.1.1 "+other+" announced",
			"lb2 192.168.1.1 "+virtual+" announced"))
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("tells who claims a VIP of IPv6", func(ctx SpecContext) {
		six := topology.VIP{Name: "six", Network: "client", Addr: netip.MustParseAddr("fd00::1")}
		start(ctx, probe.NewClaimsOf(l, []topology.VIP{six}, seen.Event))
		claims := told(seen, reports.Claim)
		lb1 := "lb1 fd00::1 02:00:c0:a8:01:02 announced"
		for _, claimed := range []string{"fd00::64", "fd00::1"} { // one that is no VIP
			Expect(claimSix(ctx, node(l, "lb1"), netip.MustParseAddr(claimed))).To(Succeed())
		}
		Eventually(claims).WithContext(ctx).Should(HaveExactElements(lb1))
		Expect(claimSix(ctx, node(l, "lb2"), six.Addr)).To(Succeed())
		Eventually(claims).WithContext(ctx).Should(HaveExactElements(lb1,
			"lb2 fd00::1 02:00:c0:a8:01:03 announced"))
	}, SpecTimeout(specTimeout))

	It("tells who answers for a VIP, also after the cable was pulled", func(ctx SpecContext) {
		start(ctx, probe.NewClaims(l, seen.Event))
		lb1 := node(l, "lb1")
		Expect(lb1.SetLink(ctx, "eth0", false)).To(Succeed())
		Expect(lb1.SetLink(ctx, "eth0", true)).To(Succeed())
		link, err := lb1.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		Expect(address(lb1, link.Attrs().Name, netip.PrefixFrom(vip, 32), true)).To(Succeed())
		Expect(node(l, "client1").Do(ctx, func() error {
			conn, err := net.Dial("udp4", "192.168.1.1:9")
			if err != nil {
				return err
			}
			_, err = conn.Write([]byte("who has it?"))
			return errors.Join(err, conn.Close())
		})).To(Succeed())
		Eventually(told(seen, reports.Claim)).WithContext(ctx).Should(HaveExactElements(
			"lb1 192.168.1.1 02:00:c0:a8:01:02 answered"))
	}, SpecTimeout(specTimeout))

	It("tells where the switch sends a virtual router's frames", func(ctx SpecContext) {
		Expect(announce(ctx, node(l, "lb1"), virtual)).To(Succeed())
		stop := start(ctx, probe.NewSwitch(l, seen.Event))
		for _, by := range []string{"lb1", "lb2", "client1", "lb1"} {
			Expect(announce(ctx, node(l, by), virtual)).To(Succeed())
		}
		Eventually(told(seen, reports.Bridge)).WithContext(ctx).Should(ContainElements(
			"lb1 "+virtual+" client", "lb2 "+virtual+" client", "client1 "+virtual+" client",
			"lb1 "+virtual+" client"))
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The watcher of tables", func() {
	It("tells a table when it has changed", func(ctx SpecContext) {
		if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
			Skip("this kernel has no IPVS")
		}
		l, seen := fig5(ctx), new(probe.Recorder)
		lb2 := node(l, "lb2")
		tables := probe.NewTables(l.NodesOf(topology.Director), time.Hour, seen.Event)
		stop := start(ctx, tables)
		service := &ipvs.Service{Address: net.IPv4(192, 168, 1, 1), Port: 80, Protocol: unix.IPPROTO_TCP,
			AddressFamily: unix.AF_INET, SchedName: "rr", Netmask: 1<<32 - 1}
		server := &ipvs.Destination{Address: net.IPv4(192, 168, 2, 11), Port: 80, Weight: 3,
			AddressFamily: unix.AF_INET}
		Expect(lb2.Do(ctx, func() error {
			h, err := ipvs.New("")
			if err != nil {
				return err
			}
			defer h.Close()
			return errors.Join(h.NewService(service), h.NewDestination(service, server))
		})).To(Succeed())
		Expect(tables.Look()).To(Succeed())
		Expect(tables.Look()).To(Succeed())
		Expect(told(seen, reports.TableSet)()).To(HaveExactElements(
			"lb2  TCP 192.168.1.1:80 rr 192.168.2.11:80=3"))
		Expect(stop()).To(Succeed())
		Expect(tables.Look()).To(Succeed(), "it does nothing any more")
	}, SpecTimeout(specTimeout))
})
