package probe_test

import (
	"context"
	"errors"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// protocols are all of them.
func protocols() []topology.Protocol {
	var all []topology.Protocol
	for p := topology.HTTP; p <= topology.SCTP; p++ {
		all = append(all, p)
	}
	return all
}

var _ = Describe("The probe of a service", func() {
	var client, server *lab.Node
	var config probe.HTTPConfig

	BeforeEach(func(ctx SpecContext) {
		l := fig5(ctx)
		client, server = node(l, "client1"), node(l, "lb1")
		config = probe.HTTPConfig{Target: netip.MustParseAddrPort("192.168.1.2:80")}
	})

	ask := func(ctx context.Context, n int) []reports.Request {
		GinkgoHelper()
		requests, err := probe.Serial(ctx, client, config, n)
		Expect(err).NotTo(HaveOccurred())
		return requests
	}

	// spoken skips a protocol that the kernel has not.
	spoken := func(p topology.Protocol) {
		if p != topology.SCTP {
			return
		}
		listener, err := lab.ListenSCTP(netip.MustParseAddrPort("0.0.0.0:0"))
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			Skip("needs sctp: this kernel has none")
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(listener.Close()).To(Succeed())
	}

	for _, protocol := range protocols() {
		It("knows who answers by "+protocol.String(), func(ctx SpecContext) {
			spoken(protocol)
			config.Protocol = protocol
			config.Limit = 2 * time.Second
			for _, r := range ask(ctx, 2) {
				Expect(r.Outcome).To(Equal(reports.Refused), "before it is there")
			}
			_, err := server.StartService(ctx, protocol, 80)
			Expect(err).NotTo(HaveOccurred())
			for _, r := range ask(ctx, 5) {
				Expect(r).To(And(HaveField("Outcome", reports.Answered), HaveField("Server", "lb1")))
			}
		}, SpecTimeout(specTimeout))

		It("sees every ailment by "+protocol.String(), func(ctx SpecContext) {
			spoken(protocol)
			config.Protocol = protocol
			_, err := server.StartService(ctx, protocol, 80)
			Expect(err).NotTo(HaveOccurred())
			for ailment := lab.Refusing; ailment <= lab.BadTLS; ailment++ {
				err := server.Ail(ctx, 80, ailment)
				if !ailment.Befalls(protocol) {
					Expect(err).To(MatchError(ContainSubstring("cannot be " + ailment.String())))
					continue
				}
				Expect(err).NotTo(HaveOccurred(), ailment.String())
				config.Limit = 300 * time.Millisecond
				Expect(ask(ctx, 1)[0]).To(looks(ailment, protocol), ailment.String())
				Expect(server.Ail(ctx, 80, lab.Well)).To(Succeed())
				config.Limit = 5 * time.Second
				Expect(ask(ctx, 1)[0].Outcome).To(Equal(reports.Answered), "after %s", ailment)
			}
		}, SpecTimeout(3*specTimeout))
	}

	It("says where there is no server to fall ill", func(ctx SpecContext) {
		Expect(server.Ail(ctx, 80, lab.Silent)).To(
			MatchError(And(ContainSubstring("make server lb1:80 silent"),
				ContainSubstring("connection refused"))))
	}, SpecTimeout(specTimeout))
})

// looks is what becomes of a request to a server with an ailment.
func looks(a lab.Ailment, p topology.Protocol) OmegaMatcher {
	outcome := HaveField("Outcome", reports.Failed)
	switch a {
	case lab.Refusing:
		outcome = HaveField("Outcome", reports.Refused)
	case lab.HalfOpen, lab.Silent, lab.Slow:
		outcome = HaveField("Outcome", reports.Timeout)
	case lab.Wrong:
		switch p {
		case topology.HTTP, topology.HTTPS:
			return HaveField("Server", "this is another page")
		case topology.DNS:
			outcome = HaveField("Outcome", reports.Timeout)
		case topology.Echo, topology.SCTP:
			return HaveField("Server", "what?")
		}
	}
	return outcome
}
