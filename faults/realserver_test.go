package faults_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

var _ = Describe("a fault of a real server", func() {
	var (
		l        *lab.Lab
		web2     *lab.Node
		unit     *lab.Unit
		protocol topology.Protocol
	)

	BeforeEach(func(ctx SpecContext) {
		t, err := topology.Preset("fig6")
		Expect(err).NotTo(HaveOccurred())
		l, err = lab.Up(ctx, t, lab.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return l.Close() })
		web2, _ = l.Node("web2")
		protocol = topology.HTTP
		unit = web2.AddUnit(faults.ServerUnit, func(ctx context.Context) (*lab.Process, error) {
			return web2.StartService(ctx, protocol, 80)
		})
	})

	// ask is what the server says to a request, by its own node: the whole of an HTTP answer, the
	// greeting of a mail server, which may go on.
	ask := func(ctx context.Context) (string, error) {
		var conn net.Conn
		err := web2.Do(ctx, func() (err error) {
			conn, err = net.DialTimeout("tcp", "192.168.2.12:80", time.Second)
			return err
		})
		if err != nil {
			return "", err
		}
		defer conn.Close()
		Expect(conn.SetDeadline(time.Now().Add(500 * time.Millisecond))).To(Succeed())
		if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
			return "", err
		}
		answer := make([]byte, 1024)
		n, err := conn.Read(answer)
		greeting, _, mail := strings.Cut(string(answer[:n]), " ESMTP\r\n")
		if !mail {
			return string(answer[:n]), err
		}
		return greeting, err
	}

	DescribeTable("holds until it is healed",
		func(
			ctx SpecContext, kind faults.Kind, speaks topology.Protocol,
			shows func(string, error) bool,
		) {
			protocol = speaks
			Expect(unit.Start(ctx)).To(Succeed())
			well, err := ask(ctx)
			Expect(err).NotTo(HaveOccurred())
			fault, err := faults.New(kind, "web2", nil)
			Expect(err).NotTo(HaveOccurred())
			heal, err := fault.Inject(ctx, l)
			Expect(err).NotTo(HaveOccurred())
			answer, err := ask(ctx)
			Expect(shows(answer, err)).To(BeTrue(), "%q, %v", answer, err)
			Expect(unit.Alive()).To(BeTrue(), "its program runs on")
			Expect(heal(ctx)).To(Succeed())
			Expect(ask(ctx)).To(Equal(well))
			Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
		},
		Entry(nil, faults.ServerRefusing, topology.HTTP, func(_ string, err error) bool {
			return errors.Is(err, syscall.ECONNREFUSED)
		}),
		Entry(nil, faults.ServerHalfOpen, topology.HTTP, func(_ string, err error) bool {
			return isTimeout(err) && strings.HasPrefix(err.Error(), "dial")
		}),
		Entry(nil, faults.ServerSilent, topology.HTTP, func(_ string, err error) bool {
			return isTimeout(err) && strings.HasPrefix(err.Error(), "read")
		}),
		Entry(nil, faults.ServerSlow, topology.HTTP, func(_ string, err error) bool {
			return isTimeout(err)
		}),
		Entry(nil, faults.ServerUnavailable, topology.HTTP, func(s string, _ error) bool {
			return strings.HasPrefix(s, "HTTP/1.1 503")
		}),
		Entry(nil, faults.ServerUnavailable, topology.SMTP, func(s string, _ error) bool {
			return strings.HasPrefix(s, "421 web2")
		}),
		Entry(nil, faults.ServerWrong, topology.HTTP, func(s string, _ error) bool {
			return strings.HasSuffix(s, "this is another page\n")
		}),
		Entry(nil, faults.ServerWrong, topology.SMTP, func(s string, _ error) bool {
			return strings.HasPrefix(s, "554 web2")
		}),
	)

	It("speaks no TLS to who begins it", func(ctx SpecContext) {
		protocol = topology.HTTPS
		Expect(unit.Start(ctx)).To(Succeed())
		fault, err := faults.New(faults.ServerBadTLS, "web2", nil)
		Expect(err).NotTo(HaveOccurred())
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred())
		Expect(ask(ctx)).To(HavePrefix("HTTP/1.0 400"))
		Expect(heal(ctx)).To(Succeed())
	})

	It("is healed where its program has started anew", func(ctx SpecContext) {
		Expect(unit.Start(ctx)).To(Succeed())
		fault, err := faults.New(faults.ServerSilent, "web2", nil)
		Expect(err).NotTo(HaveOccurred())
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred())
		Expect(unit.Process().Kill()).To(Succeed())
		Expect(heal(ctx)).To(Succeed())
	})

	It("marks a real server on every director", func(ctx SpecContext) {
		lb1, _ := l.Node("lb1")
		marked := func() (text string) {
			Expect(lb1.Do(ctx, func() error {
				b, err := os.ReadFile(lab.MarkFile("web2"))
				text = string(b)
				return err
			})).To(Succeed())
			return text
		}
		fault, err := faults.New(faults.ServerMarked, "web2", nil)
		Expect(err).NotTo(HaveOccurred())
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred())
		Expect(marked()).To(Equal("1\n"))
		Expect(heal(ctx)).To(Succeed())
		Expect(marked()).To(Equal("0\n"))
	})

	It("ignores echo requests", func(ctx SpecContext) {
		ignores := func() (text string) {
			Expect(web2.Do(ctx, func() error {
				b, err := os.ReadFile("/proc/sys/net/ipv4/icmp_echo_ignore_all")
				text = string(b)
				return err
			})).To(Succeed())
			return text
		}
		Expect(ignores()).To(Equal("0\n"))
		fault, err := faults.New(faults.EchoIgnored, "web2", nil)
		Expect(err).NotTo(HaveOccurred())
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred())
		Expect(ignores()).To(Equal("1\n"))
		Expect(heal(ctx)).To(Succeed())
		Expect(ignores()).To(Equal("0\n"))
	})

	DescribeTable("on a target that is not there says so",
		func(ctx SpecContext, kind faults.Kind, target, says string) {
			refuses(ctx, l, kind, target, says)
		},
		Entry("an unknown node", faults.ServerSilent, "web9", "web1, web2"),
		Entry("a node without a server", faults.ServerSilent, "client1", "no server"),
		Entry("a server that does not run", faults.ServerSilent, "web2", "does not run"),
		Entry("an interface", faults.ServerSilent, "web2:eth0", "NODE"),
		Entry("a mark of an unknown node", faults.ServerMarked, "web9", "web1, web2"),
		Entry("an unknown node that echoes", faults.EchoIgnored, "web9", "web1, web2"),
	)

	It("of another protocol says so", func(ctx SpecContext) {
		Expect(unit.Start(ctx)).To(Succeed())
		refuses(ctx, l, faults.ServerBadTLS, "web2", "a server of http cannot be bad-tls")
	})
})

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
