package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
)

// upLimit is how long fig7 may take to come up. It takes 10 to 60 ms on an idle machine of two
// CPUs.
const upLimit = time.Second

var _ = Describe("A lab", func() {
	It("is up in tens of milliseconds", func(ctx SpecContext) {
		best := time.Hour
		for range 5 {
			begun := time.Now()
			l, err := lab.Up(ctx, preset("fig7"), lab.Options{})
			best = min(best, time.Since(begun))
			Expect(err).NotTo(HaveOccurred())
			Expect(l.Close()).To(Succeed())
		}
		GinkgoWriter.Println("fig7 up in", best)
		AddReportEntry("fig7 up", best)
		Expect(best).To(BeNumerically("<", upLimit))
	}, SpecTimeout(specTimeout))

	It("gives every node its addresses, gateway and host name", func(ctx SpecContext) {
		l := up(ctx, preset("fig7"), lab.Options{})
		for _, n := range l.Nodes() {
			for _, link := range n.Spec().Links {
				Expect(n.Addrs(link.Interface)).To(Equal([]netip.Prefix{link.Addr}), n.Name())
				Expect(n.Carrier(link.Interface)).To(BeTrue(), n.Name())
			}
			result, err := n.Exec(ctx, "uname", "-n")
			Expect(err).NotTo(HaveOccurred())
			Expect(string(result.Output)).To(Equal(n.Name() + "\n"))
			routes, err := n.Routes()
			Expect(err).NotTo(HaveOccurred())
			gateway := lab.Route{To: netip.MustParsePrefix("0.0.0.0/0"), Via: n.Spec().Gateway}
			if n.Spec().Gateway.IsValid() {
				Expect(routes).To(ContainElement(gateway), n.Name())
			} else {
				Expect(routes).NotTo(ContainElement(HaveField("To", gateway.To)), n.Name())
			}
		}
	}, SpecTimeout(specTimeout))

	It("gives interfaces MAC addresses that show their IPv4 address", func(ctx SpecContext) {
		l := up(ctx, preset("fig5"), lab.Options{})
		link, err := node(l, "lb1").Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		Expect(link.Attrs().HardwareAddr.String()).To(Equal("02:00:c0:a8:01:02"))
		Expect(link.Attrs().HardwareAddr).
			To(Equal(lab.HardwareAddr(netip.MustParseAddr("192.168.1.2"))))
	}, SpecTimeout(specTimeout))

	It("has bridges that forward everything at once", func(ctx SpecContext) {
		l := up(ctx, preset("fig7"), lab.Options{})
		for _, network := range l.Topology().Networks {
			bridge, ok := l.Fabric().Bridge(network.Name)
			Expect(ok).To(BeTrue())
			Expect(bridge.Name).To(Equal("br-" + network.Name))
			for _, setting := range []string{"multicast_snooping", "stp_state"} {
				path := filepath.Join("/sys/class/net", bridge.Name, "bridge", setting)
				Expect(l.Fabric().Do(ctx, func() error {
					text, err := os.ReadFile(path)
					if err == nil && string(text) != "0\n" {
						err = fmt.Errorf("%s is %q", path, text)
					}
					return err
				})).To(Succeed())
			}
		}
		_, ok := l.Fabric().Bridge("nowhere")
		Expect(ok).To(BeFalse())
	}, SpecTimeout(specTimeout))

	It("leaves nothing when the topology cannot be built", func(ctx SpecContext) {
		broken := preset("fig7")
		broken.Nodes[2].Links = []topology.Link{{
			Interface: "eth0", Network: "nowhere", Addr: netip.MustParsePrefix("10.0.0.1/24"),
		}}
		_, err := lab.Up(ctx, broken, lab.Options{})
		Expect(err).To(MatchError(And(
			ContainSubstring(broken.Nodes[2].Name),
			ContainSubstring("eth0"),
			ContainSubstring(`"nowhere"`))))
		Eventually(func() int { return len(namespaces("self")) }).Should(Equal(len(namespaceKinds)))
	}, SpecTimeout(specTimeout))

	It("does not come up when its context is over", func(ctx SpecContext) {
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err := lab.Up(over, preset("fig5"), lab.Options{})
		Expect(err).To(MatchError(context.Canceled))
	}, SpecTimeout(specTimeout))

	It("refuses work after Close, and closes twice", func(ctx SpecContext) {
		l := up(ctx, preset("fig5"), lab.Options{})
		Expect(l.Close()).To(Succeed())
		Expect(l.Close()).To(Succeed())
		n := node(l, "lb1")
		Expect(n.Do(ctx, func() error { return nil })).To(MatchError(lab.ErrClosed))
		_, err := n.Start(ctx, lab.Command{Name: "true"})
		Expect(err).To(MatchError(lab.ErrClosed))
	}, SpecTimeout(specTimeout))

	It("leaves no descriptor, thread, process or link, time after time", func(ctx SpecContext) {
		// The first lab makes the runtime's own threads and descriptors.
		cycle(ctx)
		links, err := netlink.LinkList()
		Expect(err).NotTo(HaveOccurred())
		before, tables := descriptors(), mounts()
		Eventually(func() int { return len(namespaces("self")) }).Should(Equal(len(namespaceKinds)))
		goroutines, tasks := runtime.NumGoroutine(), len(threads())
		for range 20 {
			cycle(ctx)
		}
		Expect(descriptors()).To(Equal(before))
		Expect(mounts()).To(Equal(tables))
		Expect(children()).To(BeEmpty())
		after, err := netlink.LinkList()
		Expect(err).NotTo(HaveOccurred())
		Expect(after).To(HaveLen(len(links)))
		Eventually(runtime.NumGoroutine).Should(BeNumerically("<=", goroutines))
		Eventually(func() int { return len(namespaces("self")) }).Should(Equal(len(namespaceKinds)))
		// The runtime keeps idle threads of its own; twenty labs have had 160.
		Eventually(func() int { return len(threads()) }).Should(BeNumerically("<", tasks+10))
	}, SpecTimeout(3*specTimeout))
})

// cycle builds a lab with a process and takes it down.
func cycle(ctx context.Context) {
	GinkgoHelper()
	l, err := lab.Up(ctx, preset("fig7"), lab.Options{})
	Expect(err).NotTo(HaveOccurred())
	_, err = node(l, "web1").StartRealServer(ctx, 80)
	Expect(err).NotTo(HaveOccurred())
	Expect(l.Close()).To(Succeed())
}
