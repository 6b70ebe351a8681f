package faults_test

import (
	"net/netip"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

var _ = Describe("in a lab of IPv6, a fault", func() {
	var l *lab.Lab
	var lb1, web1 *lab.Node

	BeforeEach(func(ctx SpecContext) {
		t, err := topology.Preset("fig7-v6")
		Expect(err).NotTo(HaveOccurred())
		l, err = lab.Up(ctx, t, lab.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(l.Close)
		lb1, _ = l.Node("lb1")
		web1, _ = l.Node("web1")
	})

	target := map[faults.Form]string{faults.OfNode: "lb1", faults.OfInterface: "client1:eth0",
		faults.OfAddress: "client1:2001:db8:1::1"}

	It("of IPv4 is refused", func(ctx SpecContext) {
		refused := 0
		for _, kind := range faults.Kinds() {
			if !kind.IPv4Only() {
				continue
			}
			fault, err := faults.New(kind, target[kind.Form()], nil)
			Expect(err).NotTo(HaveOccurred())
			_, err = fault.Inject(ctx, l)
			Expect(err).To(MatchError(ContainSubstring("it works by IPv4, and fig7-v6 is of IPv6: " +
				"inject it in a lab of IPv4, such as preset fig7")))
			refused++
		}
		Expect(refused).To(Equal(9))
	})

	// does injects and heals a fault, and demands that it shows meanwhile, and nothing of it then.
	does := func(ctx SpecContext, kind faults.Kind, target string, shows func() bool) {
		GinkgoHelper()
		fault, err := faults.New(kind, target, nil)
		Expect(err).NotTo(HaveOccurred())
		before, err := l.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(shows()).To(BeFalse(), "before")
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred())
		Expect(shows()).To(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(shows()).To(BeFalse(), "after")
		after, err := l.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(before.Diff(after)).To(BeEmpty())
	}

	It("loses adverts", func(ctx SpecContext) {
		lb2, _ := l.Node("lb2")
		does(ctx, faults.AdvertsLost, "lb1:eth0", func() bool {
			carried, err := lb1.Carries(ctx, "eth0", lb2, "eth0", 112)
			Expect(err).NotTo(HaveOccurred())
			Expect(lb1.Carries(ctx, "eth0", lb2, "eth0", 58)).To(BeTrue(), "something else")
			return !carried
		})
	})

	It("loses checks, and nothing of clients", func(ctx SpecContext) {
		such := lab.Block{Protocol: 6, Port: 80, Source: netip.MustParseAddr("2001:db8:2::2"),
			Destination: netip.MustParseAddr("2001:db8:2::11")}
		clients := such
		clients.Source = netip.MustParseAddr("2001:db8:1::100")
		does(ctx, faults.ChecksLost, "lb1", func() bool {
			carried, err := lb1.CarriesSuch(ctx, "eth1", web1, "eth0", such)
			Expect(err).NotTo(HaveOccurred())
			Expect(lb1.CarriesSuch(ctx, "eth1", web1, "eth0", clients)).To(BeTrue(), "a client's")
			return !carried
		})
	})

	It("deletes a VIP", func(ctx SpecContext) {
		link, err := lb1.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		vip, err := netlink.ParseAddr("2001:db8:1::1/128")
		Expect(err).NotTo(HaveOccurred())
		Expect(lb1.Handle().AddrAdd(link, vip)).To(Succeed())
		does(ctx, faults.VIPDeleted, "lb1:2001:db8:1::1", func() bool {
			held, err := lb1.Holds(netip.MustParseAddr("2001:db8:1::1"))
			Expect(err).NotTo(HaveOccurred())
			return !held
		})
	})

	It("deletes a route", func(ctx SpecContext) {
		does(ctx, faults.RouteDeleted, "web1:::", func() bool { return !hasGateway(web1) })
	})

	It("switches an interface off", func(ctx SpecContext) {
		does(ctx, faults.InterfaceOff, "web1:eth0", func() bool { return !hasGateway(web1) })
	})

	It("poisons a neighbour", func(ctx SpecContext) {
		client, _ := l.Node("client1")
		does(ctx, faults.NeighbourPoisoned, "client1:2001:db8:1::1", func() bool {
			list, err := client.Handle().NeighList(0, netlink.FAMILY_V6)
			Expect(err).NotTo(HaveOccurred())
			for _, n := range list {
				if n.State == unix.NUD_PERMANENT {
					return n.IP.String() == "2001:db8:1::1"
				}
			}
			return false
		})
	})

	It("ignores echo requests", func(ctx SpecContext) {
		does(ctx, faults.EchoIgnored, "web1", func() bool {
			var ignored []byte
			Expect(web1.Do(ctx, func() (err error) {
				ignored, err = os.ReadFile("/proc/sys/net/ipv6/icmp/echo_ignore_all")
				return err
			})).To(Succeed())
			return string(ignored) == "1\n"
		})
	})
})

// hasGateway says whether a node has a default route.
func hasGateway(n *lab.Node) bool {
	GinkgoHelper()
	routes, err := n.Routes()
	Expect(err).NotTo(HaveOccurred())
	for _, r := range routes {
		if r.To.Bits() == 0 {
			return true
		}
	}
	return false
}
