package lab_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("SCTP", func() {
	// listen listens on a node until the spec ends, on any port.
	listen := func(ctx context.Context, n *lab.Node, at string) net.Listener {
		GinkgoHelper()
		var listener net.Listener
		err := n.Do(ctx, func() (err error) {
			listener, err = lab.ListenSCTP(netip.MustParseAddrPort(at))
			return err
		})
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			Skip("needs sctp: this kernel has none")
		}
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { _ = listener.Close() })
		return listener
	}
	dial := func(ctx context.Context, n *lab.Node, to string, limit time.Duration) (net.Conn, error) {
		GinkgoHelper()
		var conn net.Conn
		err := n.Do(ctx, func() (err error) {
			conn, err = lab.DialSCTP(netip.MustParseAddrPort(to), time.Now().Add(limit))
			return err
		})
		return conn, err
	}

	for _, family := range []struct{ name, any, own string }{
		{"IPv4", "0.0.0.0:7", "127.0.0.1:7"}, {"IPv6", "[::]:7", "[::1]:7"},
	} {
		It("carries messages both ways by "+family.name+", to their end", func(ctx SpecContext) {
			n := node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
			Expect(n.Do(ctx, func() error {
				return os.WriteFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6", []byte("0"), 0o644)
			})).To(Succeed())
			listener := listen(ctx, n, family.any)
			conn, err := dial(ctx, n, family.own, specTimeout)
			Expect(err).NotTo(HaveOccurred())
			defer conn.Close()
			there, err := listener.Accept()
			Expect(err).NotTo(HaveOccurred())
			defer there.Close()
			for _, text := range []string{"one", "two"} {
				_, err := io.WriteString(conn, text)
				Expect(err).NotTo(HaveOccurred())
			}
			for _, text := range []string{"one", "two"} {
				b := make([]byte, 100)
				n, err := there.Read(b)
				Expect(err).NotTo(HaveOccurred())
				Expect(string(b[:n])).To(Equal(text))
			}
			Expect(conn.Close()).To(Succeed())
			Expect(there.Read(make([]byte, 1))).Error().To(MatchError(io.EOF))
		}, SpecTimeout(specTimeout))
	}

	It("is refused where nobody listens, or nobody does any more", func(ctx SpecContext) {
		n := node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
		listener := listen(ctx, n, "0.0.0.0:7")
		for _, to := range []string{"127.0.0.1:8", "127.0.0.1:7"} {
			_, err := dial(ctx, n, to, specTimeout)
			Expect(err).To(MatchError(unix.ECONNREFUSED))
			Expect(err).To(MatchError(ContainSubstring("dial " + to + " by SCTP")))
			Expect(listener.Close()).To(Or(Succeed(), MatchError(net.ErrClosed)))
		}
	}, SpecTimeout(specTimeout))

	It("waits for who does not answer until the deadline", func(ctx SpecContext) {
		l := up(ctx, preset("fig5"), lab.Options{})
		listen(ctx, node(l, "lb1"), "0.0.0.0:7")
		Expect(node(l, "lb1").PowerOff(ctx)).To(Succeed())
		_, err := dial(ctx, node(l, "client1"), "192.168.1.2:7", 50*time.Millisecond)
		var late net.Error
		Expect(errors.As(err, &late) && late.Timeout()).To(BeTrue(), "%v", err)
	}, SpecTimeout(specTimeout))
})
