package probe_test

import (
	"context"
	"net/netip"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

// interval is the time between two requests of the default rate.
const interval = time.Second / probe.DefaultRate

var _ = Describe("The HTTP probe", func() {
	var l *lab.Lab
	var client, server *lab.Node
	var config probe.HTTPConfig
	var seen *probe.Recorder

	BeforeEach(func(ctx SpecContext) {
		l, seen = fig5(ctx), new(probe.Recorder)
		client, server = node(l, "client1"), node(l, "lb1")
		config = probe.HTTPConfig{Target: netip.MustParseAddrPort("192.168.1.2:80")}
	})

	newProbe := func() *probe.HTTP {
		GinkgoHelper()
		p, err := probe.NewHTTP(client, config, seen.Request)
		Expect(err).NotTo(HaveOccurred())
		return p
	}
	serve := func(ctx context.Context) *lab.Process {
		GinkgoHelper()
		p, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		return p
	}
	// await waits for a request with an outcome.
	await := func(ctx context.Context, outcome reports.Outcome) {
		GinkgoHelper()
		Eventually(seen.Requests).WithContext(ctx).
			Should(ContainElement(HaveField("Outcome", outcome)))
	}

	It("keeps its schedule and records every planned request", func(ctx SpecContext) {
		serve(ctx)
		p := newProbe()
		stop := start(ctx, p)
		Expect(p.AwaitAnswered(ctx, 100)).To(Succeed())
		Expect(stop()).To(Succeed())

		requests := seen.Requests()
		Expect(len(requests)).To(BeNumerically(">=", 100))
		for i, r := range requests {
			Expect(r.Sent).To(Equal(requests[0].Sent + time.Duration(i)*interval))
			Expect(r.Client).To(Equal("client1"))
			if r.Detail == "" {
				Expect(r.Outcome).To(Equal(reports.Answered))
				Expect(r.Server).To(Equal("lb1"))
				Expect(r.Latency).To(BeNumerically("<", probe.DefaultLimit))
			}
		}
		AddReportEntry("probe late by at most", p.Lateness())
	}, SpecTimeout(specTimeout))

	It("can send 500 requests a second", func(ctx SpecContext) {
		serve(ctx)
		config.Rate = 500
		p := newProbe()
		stop := start(ctx, p)
		Expect(p.AwaitAnswered(ctx, 500)).To(Succeed())
		Expect(stop()).To(Succeed())
		AddReportEntry("probe late by at most", p.Lateness())
	}, SpecTimeout(specTimeout))

	It("calls a closed port refused", func(ctx SpecContext) {
		start(ctx, newProbe())
		await(ctx, reports.Refused)
		Expect(seen.Requests()[0].Detail).To(ContainSubstring("connection refused"))
		Expect(seen.Requests()[0].Server).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("calls silence a timeout, after the limit, and never waits for it", func(ctx SpecContext) {
		serve(ctx)
		p := newProbe()
		stop := start(ctx, p)
		Expect(p.AwaitAnswered(ctx, 10)).To(Succeed())
		Expect(server.SetLink(ctx, "eth0", false)).To(Succeed())
		await(ctx, reports.Timeout)
		Expect(server.SetLink(ctx, "eth0", true)).To(Succeed())
		Expect(p.AwaitAnswered(ctx, 10)).To(Succeed())
		Expect(stop()).To(Succeed())
		requests := seen.Requests()
		for i, r := range requests {
			Expect(r.Sent).To(Equal(requests[0].Sent + time.Duration(i)*interval))
			if r.Outcome == reports.Timeout {
				Expect(r.Latency).To(BeNumerically(">=", probe.DefaultLimit))
			}
		}
	}, SpecTimeout(specTimeout))

	It("calls a frozen server's silence a timeout", func(ctx SpecContext) {
		process := serve(ctx)
		Expect(process.Freeze(ctx)).To(Succeed())
		config.Limit = 50 * time.Millisecond
		start(ctx, newProbe())
		await(ctx, reports.Timeout)
	}, SpecTimeout(specTimeout))

	It("says of every planned request that it was late itself", func(ctx SpecContext) {
		serve(ctx)
		p := newProbe()
		stop := start(ctx, p)
		Expect(p.AwaitAnswered(ctx, 10)).To(Succeed())
		processes := client.Processes()
		Expect(processes).To(HaveLen(1))
		Expect(processes[0].Freeze(ctx)).To(Succeed())
		frozen := l.Now()
		Eventually(l.Now).Should(BeNumerically(">", frozen+300*time.Millisecond))
		Expect(processes[0].Thaw(ctx)).To(Succeed())
		Expect(p.AwaitAnswered(ctx, 10)).To(Succeed())
		Expect(stop()).To(Succeed())

		Expect(p.Lateness()).To(BeNumerically(">", 250*time.Millisecond))
		late := 0
		requests := seen.Requests()
		for i, r := range requests {
			Expect(r.Sent).To(Equal(requests[0].Sent + time.Duration(i)*interval))
			if r.Detail != "" {
				Expect(r.Detail).To(HavePrefix("probe late by "))
				late++
			}
		}
		// About 30 were planned while it stood still; the last ones were late within the tolerance.
		Expect(late).To(BeNumerically(">=", 20))
	}, SpecTimeout(specTimeout))

	It("fails when its process is killed", func(ctx SpecContext) {
		p := newProbe()
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		Eventually(p.Ready()).WithContext(ctx).Should(BeClosed())
		Expect(client.Processes()[0].Signal(syscall.SIGKILL)).To(Succeed())
		Eventually(ended).WithContext(ctx).
			Should(Receive(MatchError(ContainSubstring("signal: killed"))))
	}, SpecTimeout(specTimeout))

	It("asks one after another for a scheduler's sake", func(ctx SpecContext) {
		serve(ctx)
		requests, err := probe.Serial(ctx, client, config, 50)
		Expect(err).NotTo(HaveOccurred())
		Expect(requests).To(HaveLen(50))
		for i, r := range requests {
			Expect(r.Outcome).To(Equal(reports.Answered))
			Expect(r.Server).To(Equal("lb1"))
			if i > 0 {
				before := requests[i-1]
				Expect(r.Sent).To(BeNumerically(">=", before.Sent+before.Latency))
			}
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, err = probe.Serial(over, client, config, 50)
		Expect(err).To(MatchError(context.Canceled))
	}, SpecTimeout(specTimeout))

	It("refuses what it cannot do", func(ctx SpecContext) {
		_, err := probe.NewHTTP(client, probe.HTTPConfig{}, seen.Request)
		Expect(err).To(MatchError("probe from client1: target is unset"))
		config.Rate = -1
		_, err = probe.NewHTTP(client, config, seen.Request)
		Expect(err).To(MatchError("probe from client1: rate -1 is negative"))
		config.Rate, config.Limit = 0, -1
		_, err = probe.Serial(ctx, client, config, 1)
		Expect(err).To(MatchError("probe from client1: limit -1ns is negative"))
		config.Limit, config.Pause = 0, probe.DefaultLimit
		_, err = probe.Serial(ctx, client, config, 1)
		Expect(err).To(MatchError(
			"probe from client1: pause 250ms is not 0 to less than the limit, 250ms"))
		config.Pause = 0
		_, err = probe.Serial(ctx, client, config, 0)
		Expect(err).To(MatchError("probe from client1: 0 requests: want at least 1"))
	}, SpecTimeout(specTimeout))
})
