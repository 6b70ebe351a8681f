package probe_test

import (
	"net/netip"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

// streamLog collects streams.
type streamLog struct {
	mu  sync.Mutex
	all []reports.Stream
}

func (l *streamLog) add(s reports.Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *streamLog) streams() []reports.Stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]reports.Stream(nil), l.all...)
}

var _ = Describe("Held streams", func() {
	var l *lab.Lab
	var client, server *lab.Node
	var config probe.StreamsConfig
	var seen *streamLog

	BeforeEach(func(ctx SpecContext) {
		l, seen = fig5(ctx), new(streamLog)
		client, server = node(l, "client1"), node(l, "lb1")
		config = probe.StreamsConfig{Target: netip.MustParseAddrPort("192.168.1.2:80"), Count: 5,
			Tick: 20 * time.Millisecond, Limit: 5 * time.Second}
	})

	hold := func() *probe.Streams {
		GinkgoHelper()
		s, err := probe.NewStreams(client, config, seen.add)
		Expect(err).NotTo(HaveOccurred())
		return s
	}

	It("are open until they are stopped", func(ctx SpecContext) {
		_, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		stop := start(ctx, hold())
		Expect(seen.streams()).To(BeEmpty())
		Expect(stop()).To(Succeed())
		Expect(seen.streams()).To(HaveLen(5))
		for _, s := range seen.streams() {
			Expect(s).To(And(HaveField("Outcome", reports.Answered), HaveField("Server", "lb1"),
				HaveField("Client", "client1"), HaveField("Broken", BeZero())))
			Expect(s.Closed).To(BeNumerically(">", s.Opened))
		}
	}, SpecTimeout(specTimeout))

	It("break with their server, and are not opened again", func(ctx SpecContext) {
		p, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		stop := start(ctx, hold())
		killed := l.Now()
		Expect(p.Kill()).To(Succeed())
		Eventually(seen.streams).WithContext(ctx).Should(HaveLen(5))
		_, err = server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		Expect(stop()).To(Succeed())
		Expect(seen.streams()).To(HaveLen(5))
		for _, s := range seen.streams() {
			Expect(s.Outcome).NotTo(Equal(reports.Answered))
			Expect(s.Closed).To(BeZero())
			Expect(s.Broken).To(BeNumerically(">", killed-config.Tick))
		}
	}, SpecTimeout(specTimeout))

	It("come and go when they are young", func(ctx SpecContext) {
		_, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		config.Young, config.Life = 10*time.Millisecond, 100*time.Millisecond
		stop := start(ctx, hold())
		Eventually(seen.streams).WithContext(ctx).Should(ContainElement(And(
			HaveField("Outcome", reports.Answered), HaveField("Closed", BeNumerically(">", 0)))))
		Expect(stop()).To(Succeed())
	}, SpecTimeout(specTimeout))

	It("are an error where nobody answers", func(ctx SpecContext) {
		Expect(hold().Run(ctx)).To(MatchError(ContainSubstring("open stream 1 of 5")))
	}, SpecTimeout(specTimeout))

	DescribeTable("refuse", func(change func(*probe.StreamsConfig), what string) {
		change(&config)
		_, err := probe.NewStreams(client, config, seen.add)
		Expect(err).To(MatchError(ContainSubstring(what)))
	},
		Entry("no target", func(c *probe.StreamsConfig) { c.Target = netip.AddrPort{} }, "target"),
		Entry("no streams", func(c *probe.StreamsConfig) { c.Count = 0 }, "count"),
		Entry("a negative tick", func(c *probe.StreamsConfig) { c.Tick = -1 }, "negative"),
		Entry("young ones without a life", func(c *probe.StreamsConfig) { c.Young = 1 }, "life"),
	)
})
