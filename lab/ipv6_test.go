package lab_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("A lab of IPv6", func() {
	var l *lab.Lab
	var lb1, web, client *lab.Node

	BeforeEach(func(ctx SpecContext) {
		l = up(ctx, preset("fig7-v6"), lab.Options{})
		lb1, web, client = node(l, "lb1"), node(l, "web1"), node(l, "client1")
	})

	// own is what an interface has without a VIP: its address, and the kernel's.
	own := func(n *lab.Node, i int) []netip.Prefix {
		addr := n.Spec().Links[i].Addr
		return []netip.Prefix{addr, netip.PrefixFrom(lab.LinkLocal(addr.Addr()), 64)}
	}

	// serves reports whether a node's server answers who calls it from another.
	serves := func(ctx SpecContext, from *lab.Node, at string) bool {
		GinkgoHelper()
		return from.Do(ctx, func() error {
			conn, err := net.DialTimeout("tcp", at, time.Second)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
				return err
			}
			answer, err := io.ReadAll(conn)
			if err == nil && !bytes.HasSuffix(answer, []byte("web1\n")) {
				err = fmt.Errorf("answer %q", answer)
			}
			return err
		}) == nil
	}

	It("gives every node its addresses and gateway, at once and for ever", func(ctx SpecContext) {
		for _, n := range l.Nodes() {
			for i, link := range n.Spec().Links {
				Expect(n.Addrs(link.Interface)).To(ConsistOf(own(n, i)), n.Name())
			}
			all, err := n.Handle().AddrList(nil, netlink.FAMILY_V6)
			Expect(err).NotTo(HaveOccurred())
			for _, a := range all {
				Expect(a.Flags&unix.IFA_F_TENTATIVE).To(BeZero(), "%s of %s", a.IPNet, n)
			}
		}
		gateway := lab.Route{To: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("2001:db8:2::1")}
		Expect(web.Routes()).To(ContainElement(gateway))
		Expect(client.Routes()).NotTo(ContainElement(HaveField("To", gateway.To)))
	}, SpecTimeout(specTimeout))

	It("has its own kernel settings", func(ctx SpecContext) {
		for _, s := range []struct {
			node       *lab.Node
			path, want string
		}{
			{lb1, "net/ipv6/conf/eth0/forwarding", "1"},
			{lb1, "net/ipv6/conf/eth1/forwarding", "1"},
			{web, "net/ipv6/conf/eth0/forwarding", "0"},
			{client, "net/ipv6/conf/eth0/accept_ra", "0"},
			{client, "net/ipv6/conf/eth0/router_solicitations", "0"},
			{lb1, "net/ipv6/conf/all/accept_dad", "1"},
			{client, "net/ipv6/conf/all/accept_dad", "0"},
			{client, "net/ipv6/conf/eth0/accept_dad", "0"},
			{lb1, "net/ipv6/conf/eth0/ndisc_notify", "0"},
		} {
			Expect(setting(ctx, s.node, s.path)).To(Equal(s.want+"\n"), "%s of %s", s.path, s.node)
		}
	}, SpecTimeout(specTimeout))

	It("has directors look for duplicates of what they add", func(ctx SpecContext) {
		vip := netip.MustParsePrefix("2001:db8:1::1/128")
		Expect(claim(lb1, "eth0", vip)).To(Succeed())
		tentative := func() bool {
			GinkgoHelper()
			all, err := lb1.Handle().AddrList(nil, netlink.FAMILY_V6)
			Expect(err).NotTo(HaveOccurred())
			return slices.ContainsFunc(all, func(a netlink.Addr) bool {
				return a.Flags&unix.IFA_F_TENTATIVE != 0
			})
		}
		Expect(tentative()).To(BeTrue())
		Eventually(tentative).WithContext(ctx).Should(BeFalse())
	}, SpecTimeout(specTimeout))

	It("serves over IPv6", func(ctx SpecContext) {
		_, err := web.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		Expect(serves(ctx, lb1, "[2001:db8:2::11]:80")).To(BeTrue())
		Expect(serves(ctx, client, "[2001:db8:2::11]:80")).To(BeFalse(), "on another network")
	}, SpecTimeout(specTimeout))

	It("keeps addresses and regains the gateway where an interface is switched off and on",
		func(ctx SpecContext) {
			before, err := web.Routes()
			Expect(err).NotTo(HaveOccurred())
			Expect(web.SetAdmin(ctx, "eth0", false)).To(Succeed())
			Expect(web.Addrs("eth0")).To(ContainElement(web.Spec().Links[0].Addr))
			Expect(web.SetAdmin(ctx, "eth0", true)).To(Succeed())
			Expect(web.Addrs("eth0")).To(ConsistOf(own(web, 0)))
			Expect(web.Routes()).To(ConsistOf(before))
			Expect(web.SetLink(ctx, "eth0", false)).To(Succeed())
			Expect(web.Addrs("eth0")).To(ConsistOf(own(web, 0)))
			Expect(web.SetLink(ctx, "eth0", true)).To(Succeed())
			Expect(web.Routes()).To(ConsistOf(before))
		}, SpecTimeout(specTimeout))

	It("forgets VIPs, and not its own addresses, at a power cut", func(ctx SpecContext) {
		vip, local := netip.MustParsePrefix("2001:db8:1::1/128"), netip.MustParsePrefix("fe80::33/128")
		Expect(claim(lb1, "eth0", vip)).To(Succeed())
		Expect(claim(lb1, "eth0", local)).To(Succeed())
		Expect(lb1.Holds(vip.Addr())).To(BeTrue())
		Expect(lb1.PowerOff(ctx)).To(Succeed())
		Expect(lb1.Holds(vip.Addr())).To(BeFalse())
		Expect(lb1.PowerOn(ctx)).To(Succeed())
		Expect(lb1.Addrs("eth0")).To(ConsistOf(own(lb1, 0)))
	}, SpecTimeout(specTimeout))

	It("notices a wrong neighbour", func(ctx SpecContext) {
		before, err := client.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		link, err := client.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		vip := netip.MustParseAddr("2001:db8:1::1")
		for mac, wrong := range map[string]int{"00:00:5e:00:02:33": 0, "02:ff:00:00:00:01": 1} {
			Expect(client.Handle().NeighSet(neighbour(link.Attrs().Index, vip, mac))).To(Succeed())
			after, err := client.State(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(before.Diff(after)).To(HaveLen(wrong), mac)
		}
	}, SpecTimeout(specTimeout))

	DescribeTable("blocks what is said and nothing else", func(ctx SpecContext, b, other lab.Block) {
		blocksOnly(ctx, l, b, other)
	},
		Entry("a protocol", lab.Block{EtherType: unix.ETH_P_IPV6, Protocol: 112},
			lab.Block{EtherType: unix.ETH_P_IPV6, Protocol: 58}),
		Entry("a port", lab.Block{EtherType: unix.ETH_P_IPV6, Protocol: 6, Port: 80},
			lab.Block{EtherType: unix.ETH_P_IPV6, Protocol: 6, Port: 81}),
		Entry("a source", lab.Block{Source: netip.MustParseAddr("2001:db8:1::2")},
			lab.Block{Source: netip.MustParseAddr("2001:db8:1::3")}),
		Entry("a destination", lab.Block{Destination: netip.MustParseAddr("2001:db8:2::11")},
			lab.Block{Destination: netip.MustParseAddr("2001:db8:2::12")}),
	)
})

// neighbour is an entry that a node may find to be out of date.
func neighbour(index int, addr netip.Addr, mac string) *netlink.Neigh {
	GinkgoHelper()
	parsed, err := net.ParseMAC(mac)
	Expect(err).NotTo(HaveOccurred())
	return &netlink.Neigh{LinkIndex: index, Family: netlink.FAMILY_V6, State: netlink.NUD_STALE,
		IP: addr.AsSlice(), HardwareAddr: parsed}
}

var _ = Describe("A lab of IPv4", func() {
	It("knows no IPv6", func(ctx SpecContext) {
		l := up(ctx, preset("fig7"), lab.Options{})
		for _, n := range l.Nodes() {
			addrs, err := n.Handle().AddrList(nil, netlink.FAMILY_V6)
			Expect(err).NotTo(HaveOccurred())
			Expect(addrs).To(BeEmpty(), n.Name())
		}
	}, SpecTimeout(specTimeout))
})
