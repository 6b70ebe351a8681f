package probe_test

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
)

var vip = netip.MustParseAddr("192.168.1.1")

var _ = Describe("The watcher", func() {
	var l *lab.Lab
	var lb1, lb2 *lab.Node
	var seen *probe.Recorder
	var watcher *probe.Watcher

	BeforeEach(func(ctx SpecContext) {
		l, seen = fig5(ctx), new(probe.Recorder)
		lb1, lb2 = node(l, "lb1"), node(l, "lb2")
		directors := l.NodesOf(topology.Director)
		watcher = probe.NewWatcher(directors, []netip.Addr{vip}, seen.Event)
	})

	holding := func() []string {
		has := map[string]bool{}
		for _, e := range seen.Events() {
			switch e.Kind {
			case reports.VIPAdd:
				has[e.Node] = true
			case reports.VIPRemove:
				delete(has, e.Node)
			}
		}
		return slices.Sorted(maps.Keys(has))
	}

	holders := func(ctx context.Context, want ...string) {
		GinkgoHelper()
		Eventually(holding).WithContext(ctx).Should(HaveExactElements(want))
	}

	It("tells who holds a VIP, before and after it began", func(ctx SpecContext) {
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), true)).To(Succeed())
		stop := start(ctx, watcher)
		Expect(holding()).To(Equal([]string{"lb1"}))
		Expect(address(lb2, "eth0", netip.PrefixFrom(vip, 24), true)).To(Succeed())
		holders(ctx, "lb1", "lb2")
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), false)).To(Succeed())
		holders(ctx, "lb2")
		Expect(stop()).To(Succeed())

		type change struct {
			kind reports.Kind
			node string
		}
		var changes []change
		for _, e := range seen.Events() {
			Expect(e.Subject).To(Equal("192.168.1.1"))
			Expect(e.At).To(BeNumerically(">", 0))
			changes = append(changes, change{e.Kind, e.Node})
		}
		Expect(changes).To(Equal([]change{
			{reports.VIPAdd, "lb1"}, {reports.VIPAdd, "lb2"}, {reports.VIPRemove, "lb1"},
		}))
	}, SpecTimeout(specTimeout))

	It("counts a VIP on two interfaces of a node once", func(ctx SpecContext) {
		start(ctx, watcher)
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), true)).To(Succeed())
		Expect(address(lb1, "lo", netip.PrefixFrom(vip, 32), true)).To(Succeed())
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), false)).To(Succeed())
		Expect(address(lb2, "eth0", netip.PrefixFrom(vip, 32), true)).To(Succeed())
		holders(ctx, "lb1", "lb2")
		Expect(address(lb1, "lo", netip.PrefixFrom(vip, 32), false)).To(Succeed())
		holders(ctx, "lb2")
		Expect(seen.Events()).To(HaveLen(3))
	}, SpecTimeout(specTimeout))

	It("notes a link's carrier", func(ctx SpecContext) {
		start(ctx, watcher)
		Expect(lb1.SetLink(ctx, "eth0", false)).To(Succeed())
		Expect(lb1.SetLink(ctx, "eth0", true)).To(Succeed())
		note := func(detail string) OmegaMatcher {
			return And(HaveField("Kind", reports.Note), HaveField("Node", "lb1"),
				HaveField("Subject", "eth0"), HaveField("Detail", detail))
		}
		Eventually(seen.Events).WithContext(ctx).
			Should(HaveExactElements(note("carrier lost"), note("carrier up")))
	}, SpecTimeout(specTimeout))

	It("finds out what it missed when events were lost", func(ctx SpecContext) {
		// A sink that does not return keeps the watcher from reading until the kernel's buffer is
		// full.
		added, resume := make(chan struct{}), make(chan struct{})
		watcher = probe.NewWatcher([]*lab.Node{lb1}, []netip.Addr{vip}, func(e reports.Event) {
			seen.Event(e)
			if e.Kind == reports.VIPAdd {
				close(added)
				<-resume
			}
		})
		start(ctx, watcher)
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), true)).To(Succeed())
		Eventually(added).WithContext(ctx).Should(BeClosed())
		Expect(flood(lb1)).To(Succeed())
		Expect(address(lb1, "eth0", netip.PrefixFrom(vip, 32), false)).To(Succeed())
		close(resume)
		Eventually(holding).WithContext(ctx).Should(BeEmpty())
		Eventually(seen.Events).WithContext(ctx).Should(ContainElement(And(
			HaveField("Kind", reports.Note), HaveField("Node", "lb1"),
			HaveField("Detail", "kernel events were lost, state read again"))))
	}, SpecTimeout(specTimeout))

	It("fails when a node is gone", func(ctx SpecContext) {
		Expect(l.Close()).To(Succeed())
		Expect(watcher.Run(ctx)).To(MatchError(lab.ErrClosed))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("The advert probe", func() {
	It("tells who advertises, leaves and falls silent", func(ctx SpecContext) {
		l, seen := fig5(ctx), new(probe.Recorder)
		adverts := probe.NewAdverts(l, seen.Event)
		stop := start(ctx, adverts)
		state := func(node, subject, detail string) OmegaMatcher {
			return And(HaveField("Kind", reports.State), HaveField("Node", node),
				HaveField("Subject", subject), HaveField("Detail", HavePrefix(detail)))
		}
		master := state("lb1", "master", "client: virtual router 51, priority 150")
		for _, priority := range []byte{150, 150, 150} {
			Expect(advertise(ctx, node(l, "lb1"), priority)).To(Succeed())
		}
		silent := state("lb1", "silent", "client: virtual router 51, priority 150, last advert at ")
		Eventually(seen.Events).WithContext(ctx).Should(HaveExactElements(master, silent))
		events := seen.Events()
		Expect(events[1].At - events[0].At).To(BeNumerically(">=", 1050*time.Millisecond))

		Expect(advertise(ctx, node(l, "lb2"), 100)).To(Succeed())
		Expect(advertise(ctx, node(l, "lb2"), 0)).To(Succeed())
		Eventually(seen.Events).WithContext(ctx).Should(HaveExactElements(master, silent,
			state("lb2", "master", "client: virtual router 51, priority 100"),
			state("lb2", "leaving", "client: virtual router 51, priority 0")))
		Expect(adverts.Gaps()).To(ConsistOf(And(HaveField("Network", "client"),
			HaveField("Router", uint8(51)), HaveField("Adverts", 4),
			HaveField("Length()", BeNumerically(">=", 1050*time.Millisecond)))))
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// address adds an address to an interface of a node, or deletes it.
func address(n *lab.Node, iface string, addr netip.Prefix, add bool) error {
	link, err := n.Handle().LinkByName(iface)
	if err != nil {
		return err
	}
	parsed, err := netlink.ParseAddr(addr.String())
	if err != nil {
		return err
	}
	if add {
		return n.Handle().AddrAdd(link, parsed)
	}
	return n.Handle().AddrDel(link, parsed)
}

// flood makes more address events than fit into the watcher's buffer.
func flood(n *lab.Node) error {
	other := netip.MustParsePrefix("10.9.9.9/32")
	for range 4000 {
		if err := address(n, "lo", other, true); err != nil {
			return err
		}
		if err := address(n, "lo", other, false); err != nil {
			return err
		}
	}
	return nil
}

// advertise sends one advert of virtual router 51 with an interval of 300 ms from a node's eth0.
func advertise(ctx context.Context, n *lab.Node, priority byte) error {
	var conn net.PacketConn
	if err := n.Do(ctx, func() (err error) {
		conn, err = net.ListenPacket("ip4:112", n.Spec().Links[0].Addr.Addr().String())
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	link, err := n.Handle().LinkByName("eth0")
	if err != nil {
		return err
	}
	multicast := ipv4.NewPacketConn(conn)
	iface := &net.Interface{Index: link.Attrs().Index}
	if err := multicast.SetMulticastInterface(iface); err != nil {
		return err
	}
	message := []byte{0x31, 51, priority, 1, 0, 30, 0, 0, 192, 168, 1, 1}
	_, err = conn.WriteTo(message, &net.IPAddr{IP: net.IPv4(224, 0, 0, 18)})
	return err
}
