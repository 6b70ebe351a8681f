package probe_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab/probe"
)

var _ = Describe("The count of adverts", func() {
	It("counts one director's, also those that nobody has room for", func(ctx SpecContext) {
		l := fig5(ctx)
		lb1, lb2 := node(l, "lb1"), node(l, "lb2")
		Expect(advertise(ctx, lb1, 150)).To(Succeed())
		count, err := probe.CountAdverts(ctx, l, lb1, "client")
		Expect(err).NotTo(HaveOccurred())
		defer count.Close()
		Expect(count.Sent()).To(BeZero(), "what was sent before")

		Expect(advertise(ctx, lb2, 100)).To(Succeed())
		for range 3 {
			Expect(advertise(ctx, lb1, 150)).To(Succeed())
		}
		Eventually(count.Sent).WithContext(ctx).Should(BeEquivalentTo(3))
		for range 2000 {
			Expect(advertise(ctx, lb1, 150)).To(Succeed())
		}
		Eventually(count.Sent).WithContext(ctx).Should(BeEquivalentTo(2003))
	}, SpecTimeout(specTimeout))

	It("refuses a network that the node is not on", func(ctx SpecContext) {
		l := fig5(ctx)
		_, err := probe.CountAdverts(ctx, l, node(l, "lb1"), "server")
		Expect(err).To(MatchError(ContainSubstring(`it is not on network "server"`)))
	}, SpecTimeout(specTimeout))
})
