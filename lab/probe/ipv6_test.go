package probe_test

import (
	"context"
	"net"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

var _ = Describe("On a network of IPv6", func() {
	var l *lab.Lab

	BeforeEach(func(ctx SpecContext) {
		t, err := topology.Preset("fig7-v6")
		Expect(err).NotTo(HaveOccurred())
		l, err = lab.Up(ctx, t, lab.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
	})

	It("the advert probe tells who advertises and leaves, and none of a stranger", func(ctx SpecContext) {
		seen := new(probe.Recorder)
		stop := start(ctx, probe.NewAdverts(l, seen.Event))
		state := func(node, subject, detail string) OmegaMatcher {
			return And(HaveField("Kind", reports.State), HaveField("Node", node),
				HaveField("Subject", subject), HaveField("Detail", detail))
		}
		Expect(advertise6(ctx, node(l, "client1"), 254)).To(Succeed())
		Expect(advertise6(ctx, node(l, "lb1"), 150)).To(Succeed())
		Expect(advertise6(ctx, node(l, "lb1"), 0)).To(Succeed())
		Eventually(seen.Events).WithContext(ctx).Should(HaveExactElements(
			state("lb1", "master", "client: virtual router 51, priority 150"),
			state("lb1", "leaving", "client: virtual router 51, priority 0")))
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("flows of every class are answered, lost with the cable, and answered again",
		func(ctx SpecContext) {
			addr := netip.MustParseAddr("2001:db8:1::2")
			config := probe.FlowsConfig{ICMP: addr, UDP: netip.AddrPortFrom(addr, 7),
				Held: netip.AddrPortFrom(addr, 80), Rate: 50}
			server, seen := node(l, "lb1"), new(pingLog)
			_, err := probe.StartEcho(ctx, server, config.UDP)
			Expect(err).NotTo(HaveOccurred())
			_, err = server.StartRealServer(ctx, 80)
			Expect(err).NotTo(HaveOccurred())
			flows, err := probe.NewFlows(node(l, "client1"), config, seen.add)
			Expect(err).NotTo(HaveOccurred())
			stop := start(ctx, flows)
			answered := func() {
				GinkgoHelper()
				for _, flow := range []reports.Flow{reports.FlowICMP, reports.FlowUDP, reports.FlowHeld} {
					have := seen.of(flow, reports.Answered)()
					Eventually(seen.of(flow, reports.Answered)).WithContext(ctx).
						Should(BeNumerically(">=", have+5), string(flow))
				}
			}
			answered()
			Expect(server.SetLink(ctx, "eth0", false)).To(Succeed())
			for _, flow := range []reports.Flow{reports.FlowICMP, reports.FlowUDP} {
				Eventually(seen.of(flow, reports.Timeout)).WithContext(ctx).
					Should(BeNumerically(">=", 3), string(flow))
			}
			Expect(server.SetLink(ctx, "eth0", true)).To(Succeed())
			answered()
			Expect(stop()).To(Succeed())
		}, SpecTimeout(specTimeout))

	It("an echo listens on an address that its node does not have", func(ctx SpecContext) {
		_, err := probe.StartEcho(ctx, node(l, "lb1"), netip.MustParseAddrPort("[2001:db8:1::1]:7"))
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("the count of adverts counts one director's", func(ctx SpecContext) {
		count, err := probe.CountAdverts(ctx, l, node(l, "lb1"), "client")
		Expect(err).NotTo(HaveOccurred())
		defer count.Close()
		for _, name := range []string{"lb2", "lb1", "client1", "lb1"} {
			Expect(advertise6(ctx, node(l, name), 100)).To(Succeed())
		}
		// The last advert is the director's: what came before it has been counted, or passed over.
		Eventually(count.Sent).WithContext(ctx).Should(BeEquivalentTo(2))
	}, SpecTimeout(specTimeout))
})

// advertise6 sends one advert of virtual router 51 with an interval of 300 ms from a node's eth0.
func advertise6(ctx context.Context, n *lab.Node, priority byte) error {
	return n.Do(ctx, func() error {
		conn, err := net.ListenPacket("ip6:112",
			lab.LinkLocal(n.Spec().Links[0].Addr.Addr()).String()+"%eth0")
		if err != nil {
			return err
		}
		defer conn.Close()
		message := append([]byte{0x31, 51, priority, 1, 0, 30, 0, 0}, net.ParseIP("fe80::33")...)
		_, err = conn.WriteTo(message, &net.IPAddr{IP: net.ParseIP("ff02::12"), Zone: "eth0"})
		return err
	})
}
