package lab_test

import (
	"context"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("A block", func() {
	const vrrp, icmp = 112, 1
	var l *lab.Lab
	var lb1, lb2, client *lab.Node

	BeforeEach(func(ctx SpecContext) {
		l = up(ctx, preset("fig7"), lab.Options{})
		lb1, lb2, client = node(l, "lb1"), node(l, "lb2"), node(l, "client1")
	})

	carries := func(ctx SpecContext, from, to *lab.Node, protocol uint8) bool {
		GinkgoHelper()
		ok, err := from.Carries(ctx, "eth0", to, "eth0", protocol)
		Expect(err).NotTo(HaveOccurred())
		return ok
	}

	block := func(ctx SpecContext, protocol uint8, from *lab.Node, to ...*lab.Node) func() {
		GinkgoHelper()
		var b lab.Block
		var err error
		b.From, err = from.Port("eth0")
		Expect(err).NotTo(HaveOccurred())
		b.Protocol = protocol
		for _, n := range to {
			port, err := n.Port("eth0")
			Expect(err).NotTo(HaveOccurred())
			b.To = append(b.To, port)
		}
		end, err := l.Fabric().Block(ctx, b)
		Expect(err).NotTo(HaveOccurred())
		return func() {
			GinkgoHelper()
			Expect(end(ctx)).To(Succeed())
		}
	}

	It("drops frames one way, between two interfaces, until it ends", func(ctx SpecContext) {
		end := block(ctx, 0, lb1, lb2)
		Expect(carries(ctx, lb1, lb2, 0)).To(BeFalse())
		Expect(carries(ctx, lb1, lb2, vrrp)).To(BeFalse())
		Expect(carries(ctx, lb2, lb1, 0)).To(BeTrue(), "the other way")
		Expect(carries(ctx, lb1, client, 0)).To(BeTrue(), "to somebody else")
		end()
		Expect(carries(ctx, lb1, lb2, 0)).To(BeTrue())
		end()
	}, SpecTimeout(specTimeout))

	It("drops one protocol to everybody", func(ctx SpecContext) {
		end := block(ctx, vrrp, lb1)
		Expect(carries(ctx, lb1, lb2, vrrp)).To(BeFalse())
		Expect(carries(ctx, lb1, client, vrrp)).To(BeFalse())
		Expect(carries(ctx, lb1, lb2, icmp)).To(BeTrue(), "another protocol")
		Expect(carries(ctx, lb1, lb2, 0)).To(BeTrue(), "no IP")
		Expect(carries(ctx, client, lb2, vrrp)).To(BeTrue(), "from somebody else")
		end()
		Expect(carries(ctx, lb1, lb2, vrrp)).To(BeTrue())
	}, SpecTimeout(specTimeout))

	DescribeTable("drops what it says and nothing else",
		func(ctx SpecContext, b, other lab.Block) {
			blocksOnly(ctx, l, b, other)
		},
		Entry("ARP", lab.Block{EtherType: 0x0806}, lab.Block{Protocol: icmp}),
		Entry("a port", lab.Block{Protocol: 6, Port: 80}, lab.Block{Protocol: 6, Port: 81}),
		Entry("a source", lab.Block{Source: netip.MustParseAddr("192.168.1.2")},
			lab.Block{Source: netip.MustParseAddr("192.168.1.3")}),
		Entry("a destination", lab.Block{Destination: netip.MustParseAddr("192.168.2.11")},
			lab.Block{Destination: netip.MustParseAddr("192.168.2.12")}),
		Entry("what is long", lab.Block{Longer: 1000}, lab.Block{Longer: 999}),
	)

	It("holds beside others", func(ctx SpecContext) {
		first, second := block(ctx, 0, lb1, lb2), block(ctx, 0, lb2, lb1)
		first()
		Expect(carries(ctx, lb1, lb2, 0)).To(BeTrue())
		Expect(carries(ctx, lb2, lb1, 0)).To(BeFalse())
		second()
		Expect(carries(ctx, lb2, lb1, 0)).To(BeTrue())
	}, SpecTimeout(specTimeout))
})

// blocksOnly has the cable of lb1 pass what b says no more, and other still, and what goes to lb2.
func blocksOnly(ctx context.Context, l *lab.Lab, b, other lab.Block) {
	GinkgoHelper()
	client, lb1 := node(l, "client1"), node(l, "lb1")
	such := func(to string, b lab.Block) bool {
		GinkgoHelper()
		ok, err := client.CarriesSuch(ctx, "eth0", node(l, to), "eth0", b)
		Expect(err).NotTo(HaveOccurred())
		return ok
	}
	port, err := lb1.Port("eth0")
	Expect(err).NotTo(HaveOccurred())
	b.To = []lab.Interface{port}
	Expect(such("lb1", b)).To(BeTrue(), "before")
	end, err := l.Fabric().Block(ctx, b)
	Expect(err).NotTo(HaveOccurred())
	Expect(such("lb1", b)).To(BeFalse())
	Expect(such("lb1", other)).To(BeTrue(), "something else")
	Expect(such("lb2", b)).To(BeTrue(), "to somebody else")
	Expect(end(ctx)).To(Succeed())
	Expect(such("lb1", b)).To(BeTrue(), "after")
}
