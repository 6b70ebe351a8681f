package lab_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/moby/ipvs"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/vishvananda/netlink"
)

var _ = Describe("A node's links", func() {
	var l *lab.Lab
	var web *lab.Node

	BeforeEach(func(ctx SpecContext) {
		l = up(ctx, preset("fig7"), lab.Options{})
		web = node(l, "web1")
	})

	// reach reports whether one node's network stack answers another's, on the interface given.
	reach := func(ctx SpecContext, from, to string, iface int) bool {
		GinkgoHelper()
		target := node(l, to).Spec().Links[iface].Addr.Addr()
		err := node(l, from).Do(ctx, func() error {
			conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(target, 9).String(), time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
		return err == nil || errors.Is(err, syscall.ECONNREFUSED)
	}

	It("carry frames within a network, and not between networks", func(ctx SpecContext) {
		Expect(reach(ctx, "client1", "lb1", 0)).To(BeTrue())
		Expect(reach(ctx, "web1", "lb2", 1)).To(BeTrue())
		Expect(reach(ctx, "web1", "web3", 0)).To(BeTrue())
		Expect(reach(ctx, "client1", "web1", 0)).To(BeFalse())
	}, SpecTimeout(specTimeout))

	It("lose carrier and keep addresses and routes with a pulled cable", func(ctx SpecContext) {
		Expect(web.SetLink(ctx, "eth0", false)).To(Succeed())
		Expect(web.Carrier("eth0")).To(BeFalse())
		Expect(web.Addrs("eth0")).To(HaveLen(1))
		link, err := web.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		Expect(link.Attrs().OperState).NotTo(BeEquivalentTo(netlink.OperUp))
		Expect(link.Attrs().Flags & net.FlagUp).NotTo(BeZero())
		Expect(reach(ctx, "web2", "web1", 0)).To(BeFalse())

		Expect(web.SetLink(ctx, "eth0", true)).To(Succeed())
		Expect(web.Carrier("eth0")).To(BeTrue())
		// The next ARP request of web2, which got no answer meanwhile, may be a second away.
		Eventually(func() bool { return reach(ctx, "web2", "web1", 0) }).
			WithContext(ctx).Should(BeTrue())
	}, SpecTimeout(specTimeout))

	It("lose and regain the default route when switched off and on", func(ctx SpecContext) {
		before, err := web.Routes()
		Expect(err).NotTo(HaveOccurred())
		Expect(web.SetAdmin(ctx, "eth0", false)).To(Succeed())
		Expect(web.Carrier("eth0")).To(BeFalse())
		Expect(web.Routes()).To(BeEmpty())
		Expect(web.Addrs("eth0")).To(HaveLen(1))

		Expect(web.SetAdmin(ctx, "eth0", true)).To(Succeed())
		Expect(web.Routes()).To(ConsistOf(before))
		Expect(reach(ctx, "web2", "web1", 0)).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("can be pulled while switched off", func(ctx SpecContext) {
		Expect(web.SetAdmin(ctx, "eth0", false)).To(Succeed())
		Expect(web.SetLink(ctx, "eth0", false)).To(Succeed())
		Expect(web.SetLink(ctx, "eth0", true)).To(Succeed())
		Expect(web.SetAdmin(ctx, "eth0", true)).To(Succeed())
		Expect(web.Carrier("eth0")).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("are known by the topology's names only", func(ctx SpecContext) {
		Expect(web.SetLink(ctx, "eth7", false)).
			To(MatchError(ContainSubstring("find link web1:eth7")))
		_, err := web.Addrs("eth7")
		Expect(err).To(HaveOccurred())
	}, SpecTimeout(specTimeout))

	It("come back clean after a power cut", func(ctx SpecContext) {
		lb := node(l, "lb1")
		process := shell(ctx, lb, "sleep 1000 & sleep 1000")
		vip := netip.MustParsePrefix("192.168.1.1/32")
		Expect(lb.Do(ctx, func() error { return claim(lb, "eth0", vip) })).To(Succeed())
		Expect(lb.Holds(vip.Addr())).To(BeTrue())

		Expect(lb.PowerOff(ctx)).To(Succeed())
		Expect(lb.PowerOff(ctx)).To(Succeed())
		Expect(lb.Powered()).To(BeFalse())
		Expect(process.Alive()).To(BeFalse())
		Expect(process.Status()).To(Equal(128 + 9))
		Expect(lb.Holds(vip.Addr())).To(BeFalse())
		Expect(lb.Carrier("eth0")).To(BeFalse())
		Expect(lb.Carrier("eth1")).To(BeFalse())
		_, err := lb.Start(ctx, lab.Command{Name: "true"})
		Expect(err).To(MatchError(lab.ErrPoweredOff))

		Expect(lb.PowerOn(ctx)).To(Succeed())
		Expect(lb.Powered()).To(BeTrue())
		Expect(reach(ctx, "client1", "lb1", 0)).To(BeTrue())
		Expect(reach(ctx, "web1", "lb1", 1)).To(BeTrue())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A power cut", func() {
	It("empties the IPVS table", func(ctx SpecContext) {
		lb := node(up(ctx, preset("fig7"), lab.Options{}), "lb1")
		table := func() (text string) {
			GinkgoHelper()
			Expect(lb.Do(ctx, func() error {
				read, err := os.ReadFile("/proc/thread-self/net/ip_vs")
				text = string(read)
				return err
			})).To(Succeed())
			return text
		}
		if _, err := os.Stat("/proc/self/net/ip_vs"); err != nil {
			Skip("needs ipvs: this kernel has none")
		}
		Expect(lb.Do(ctx, addService)).To(Succeed())
		Expect(table()).To(ContainSubstring("TCP  C0A80101:0050 rr"))
		Expect(lb.PowerOff(ctx)).To(Succeed())
		Expect(table()).NotTo(ContainSubstring("TCP"))
	}, SpecTimeout(specTimeout))
})

// addService adds a virtual service to the calling thread's IPVS table.
func addService() error {
	handle, err := ipvs.New("")
	if err != nil {
		return err
	}
	defer handle.Close()
	return handle.NewService(&ipvs.Service{
		AddressFamily: syscall.AF_INET, Protocol: syscall.IPPROTO_TCP,
		Address: net.IPv4(192, 168, 1, 1), Port: 80, SchedName: "rr", Netmask: 0xffffffff,
	})
}

var _ = Describe("A node's kernel settings", func() {
	It("are the lab's own, whatever the host's are", func(ctx SpecContext) {
		l := up(ctx, preset("fig7"), lab.Options{})
		for _, s := range []struct{ node, path, want string }{
			{"lb1", "net/ipv4/ip_forward", "1"},
			{"web1", "net/ipv4/ip_forward", "0"},
			{"lb1", "net/ipv4/conf/eth0/arp_ignore", "1"},
			{"lb1", "net/ipv4/conf/eth1/arp_announce", "2"},
			{"client1", "net/ipv4/conf/eth0/arp_ignore", "0"},
			{"lb1", "net/ipv4/conf/eth0/rp_filter", "0"},
			{"lb1", "net/ipv4/conf/all/rp_filter", "0"},
			{"lb1", "net/ipv4/conf/eth0/send_redirects", "0"},
			{"lb1", "net/ipv4/conf/eth0/accept_redirects", "0"},
			{"web1", "net/ipv4/conf/eth0/promote_secondaries", "1"},
			{"client1", "net/ipv4/ip_local_port_range", "1024\t65535"},
		} {
			Expect(setting(ctx, node(l, s.node), s.path)).To(Equal(s.want+"\n"),
				"%s of %s", s.path, s.node)
		}
	}, SpecTimeout(specTimeout))
})

// setting reads a kernel setting of a node.
func setting(ctx SpecContext, n *lab.Node, path string) string {
	GinkgoHelper()
	var text []byte
	Expect(n.Do(ctx, func() (err error) {
		text, err = os.ReadFile("/proc/sys/" + path)
		return err
	})).To(Succeed())
	return string(text)
}

// claim adds an address to an interface of a node.
func claim(n *lab.Node, iface string, addr netip.Prefix) error {
	link, err := n.Handle().LinkByName(iface)
	if err != nil {
		return err
	}
	parsed, err := netlink.ParseAddr(addr.String())
	if err != nil {
		return err
	}
	return n.Handle().AddrAdd(link, parsed)
}
