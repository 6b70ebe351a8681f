package probe_test

import (
	"net/netip"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

// pingLog collects pings.
type pingLog struct {
	mu  sync.Mutex
	all []reports.Ping
}

func (l *pingLog) add(p reports.Ping) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p)
}

// of returns how many pings of a class had an outcome, and of all classes those that were the end
// of a connection.
func (l *pingLog) of(flow reports.Flow, outcome reports.Outcome) func() int {
	return func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := 0
		for _, p := range l.all {
			if p.Flow == flow && p.Outcome == outcome {
				n++
			}
		}
		return n
	}
}

func (l *pingLog) broke() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, p := range l.all {
		if p.Broke {
			n++
		}
	}
	return n
}

var _ = Describe("Flows", func() {
	var l *lab.Lab
	var client, server *lab.Node
	var config probe.FlowsConfig
	var seen *pingLog

	BeforeEach(func(ctx SpecContext) {
		l, seen = fig5(ctx), new(pingLog)
		client, server = node(l, "client1"), node(l, "lb1")
		config = probe.FlowsConfig{
			ICMP: netip.MustParseAddr("192.168.1.2"),
			UDP:  netip.MustParseAddrPort("192.168.1.2:7"),
			Held: netip.MustParseAddrPort("192.168.1.2:80"),
			Rate: 50,
		}
	})

	flows := func() *probe.Flows {
		GinkgoHelper()
		f, err := probe.NewFlows(client, config, seen.add)
		Expect(err).NotTo(HaveOccurred())
		return f
	}

	serve := func(ctx SpecContext) *lab.Process {
		GinkgoHelper()
		_, err := probe.StartEcho(ctx, server, config.UDP)
		Expect(err).NotTo(HaveOccurred())
		p, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		return p
	}

	all := []reports.Flow{reports.FlowICMP, reports.FlowUDP, reports.FlowHeld}

	It("of every class are answered, lost with the cable, and answered again", func(ctx SpecContext) {
		serve(ctx)
		stop := start(ctx, flows())
		answered := func() {
			GinkgoHelper()
			for _, flow := range all {
				have := seen.of(flow, reports.Answered)()
				Eventually(seen.of(flow, reports.Answered)).WithContext(ctx).
					Should(BeNumerically(">=", have+5), string(flow))
			}
		}
		answered()
		Expect(seen.broke()).To(BeZero())
		Expect(server.SetLink(ctx, "eth0", false)).To(Succeed())
		for _, flow := range all[:2] {
			Eventually(seen.of(flow, reports.Timeout)).WithContext(ctx).
				Should(BeNumerically(">=", 3), string(flow))
		}
		Expect(server.SetLink(ctx, "eth0", true)).To(Succeed())
		answered()
		// TCP has sent again what was lost: late, and the connection went on.
		Expect(seen.of(reports.FlowHeld, reports.Late)()).To(BeNumerically(">=", 1))
		Expect(seen.broke()).To(BeZero())
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("open another connection when the held one breaks", func(ctx SpecContext) {
		p := serve(ctx)
		start(ctx, flows())
		Eventually(seen.of(reports.FlowHeld, reports.Answered)).WithContext(ctx).
			Should(BeNumerically(">=", 3))
		Expect(p.Kill()).To(Succeed())
		Eventually(seen.of(reports.FlowHeld, reports.Refused)).WithContext(ctx).
			Should(BeNumerically(">=", 3))
		Expect(seen.broke()).To(Equal(1))
		_, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		have := seen.of(reports.FlowHeld, reports.Answered)()
		Eventually(seen.of(reports.FlowHeld, reports.Answered)).WithContext(ctx).
			Should(BeNumerically(">=", have+3))
		Expect(seen.broke()).To(Equal(1))
	}, SpecTimeout(specTimeout))

	It("end at once, whatever is out", func(ctx SpecContext) {
		serve(ctx)
		config.ICMP, config.UDP = netip.Addr{}, netip.AddrPort{}
		stop := start(ctx, flows())
		Eventually(seen.of(reports.FlowHeld, reports.Answered)).WithContext(ctx).
			Should(BeNumerically(">=", 3))
		Expect(server.SetLink(ctx, "eth0", false)).To(Succeed())
		begun := l.Now()
		Expect(stop()).To(Succeed())
		Expect(l.Now() - begun).To(BeNumerically("<", probe.DefaultStreamLimit/2))
		Expect(seen.of(reports.FlowICMP, reports.Answered)()).To(BeZero())
	}, SpecTimeout(specTimeout))

	DescribeTable("refuse", func(ctx SpecContext, spoil func(*probe.FlowsConfig), says string) {
		spoil(&config)
		_, err := probe.NewFlows(client, config, seen.add)
		Expect(err).To(MatchError(ContainSubstring(says)))
	},
		Entry("no target", func(c *probe.FlowsConfig) { *c = probe.FlowsConfig{} }, "set one of"),
		Entry("a negative rate", func(c *probe.FlowsConfig) { c.Rate = -1 }, "negative"),
	)

	It("have an echo for an address that its node does not have", func(ctx SpecContext) {
		_, err := probe.StartEcho(ctx, server, netip.MustParseAddrPort("192.168.1.1:7"))
		Expect(err).NotTo(HaveOccurred())
	}, SpecTimeout(specTimeout))
})
