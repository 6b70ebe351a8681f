package lab_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("A director that loses power", func() {
	It("forgets connections, timeouts and sync daemons", func(ctx SpecContext) {
		if _, err := os.Stat("/proc/self/net/ip_vs"); err != nil {
			Skip("needs ipvs: this kernel has none")
		}
		l := up(ctx, preset("fig7"), lab.Options{})
		lb := node(l, "lb1")
		admin := func(args ...string) string {
			GinkgoHelper()
			result, err := lb.Exec(ctx, "ipvsadm", args...)
			if err != nil {
				Skip("needs ipvsadm: " + err.Error())
			}
			Expect(result.Status).To(BeZero(), string(result.Output))
			return string(result.Output)
		}
		admin("--set", "60", "50", "40")
		admin("--start-daemon", "master", "--mcast-interface", "eth1")
		admin("--start-daemon", "backup", "--mcast-interface", "eth1")
		admin("-A", "-t", "192.168.1.1:80", "-s", "rr")
		admin("-a", "-t", "192.168.1.1:80", "-r", "192.168.2.11:80", "-m")
		vip := netip.MustParsePrefix("192.168.1.1/32")
		Expect(lb.Do(ctx, func() error { return claim(lb, "eth0", vip) })).To(Succeed())
		// Its answer is not to come back; the director remembers it all the same.
		knock(ctx, node(l, "client1"), "192.168.1.1:80")
		Expect(known(ctx, lb)).To(ContainElement(ContainSubstring("C0A80164")))

		Expect(lb.PowerOff(ctx)).To(Succeed())
		Expect(known(ctx, lb)).To(BeEmpty())
		Expect(lb.PowerOn(ctx)).To(Succeed())
		Expect(admin("-L", "--daemon")).To(BeEmpty())
		Expect(admin("-L", "--timeout")).To(ContainSubstring("900 120 300"))
		Expect(lb.Do(ctx, func() error {
			value, err := os.ReadFile("/proc/sys/net/ipv4/vs/expire_nodest_conn")
			Expect(string(value)).To(Equal("0\n"))
			return err
		})).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// knock begins a connection from a node, and gives it up.
func knock(ctx context.Context, n *lab.Node, to string) {
	GinkgoHelper()
	Expect(n.Do(ctx, func() error {
		conn, err := net.DialTimeout("tcp", to, 100*time.Millisecond)
		if err == nil {
			err = conn.Close()
		} else {
			err = nil // as it should be
		}
		return err
	})).To(Succeed())
}

// known are the connections that a node's IPVS knows, as /proc/net/ip_vs_conn has them.
func known(ctx context.Context, n *lab.Node) []string {
	GinkgoHelper()
	var text []byte
	Expect(n.Do(ctx, func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/ip_vs_conn")
		return err
	})).To(Succeed())
	return strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
}
