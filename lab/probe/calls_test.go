package probe_test

import (
	"context"
	"net/netip"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

var _ = Describe("A caller", func() {
	var server *lab.Node
	var caller *probe.Caller
	from := netip.MustParseAddrPort("192.168.1.100:20000")
	to := netip.MustParseAddrPort("192.168.1.2:80")

	BeforeEach(func(ctx SpecContext) {
		l := fig5(ctx)
		server = node(l, "lb1")
		var err error
		caller, err = probe.NewCaller(ctx, node(l, "client1"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(caller.Close)
	})

	It("keeps its connections until it is told to close them", func(ctx SpecContext) {
		_, err := server.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		for i := range 3 {
			f := netip.AddrPortFrom(from.Addr(), from.Port()+uint16(i))
			call, err := caller.Open(ctx, f, to, time.Second)
			Expect(err).NotTo(HaveOccurred())
			Expect(call).To(And(HaveField("ID", i+1), HaveField("Client", "client1"),
				HaveField("From", f), HaveField("To", to), HaveField("Server", "lb1"),
				HaveField("Outcome", reports.Answered)))
			Expect(call.Answered).To(BeNumerically(">=", call.Opened))
		}
		established := func(ctx context.Context) (string, error) {
			result, err := server.Exec(ctx, "ss", "-Htn", "state", "established", "sport", "=", ":80")
			return string(result.Output), err
		}
		Expect(established(ctx)).To(And(ContainSubstring(":20000"), ContainSubstring(":20001"),
			ContainSubstring(":20002")))
		Expect(caller.Hang(ctx, 1, false)).To(Succeed())
		Expect(caller.Hang(ctx, 2, true)).To(Succeed())
		Expect(caller.Hang(ctx, 2, true)).To(Succeed(), "a second call does nothing")
		Eventually(established).WithContext(ctx).Should(And(Not(ContainSubstring(":20000")),
			Not(ContainSubstring(":20001")), ContainSubstring(":20002")))
	}, SpecTimeout(specTimeout))

	It("says what became of one that nobody takes", func(ctx SpecContext) {
		call, err := caller.Open(ctx, from, to, time.Second)
		Expect(err).NotTo(HaveOccurred())
		Expect(call.Outcome).To(Equal(reports.Refused))
		Expect(call.Server).To(BeEmpty())
		Expect(caller.Hang(ctx, call.ID, false)).To(Succeed(), "there is nothing to close")
	}, SpecTimeout(specTimeout))

	It("gives up when its context ends", func(ctx SpecContext) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := caller.Open(ended, from, to, time.Second)
		Expect(err).To(MatchError(context.Canceled))
	}, SpecTimeout(specTimeout))
})
