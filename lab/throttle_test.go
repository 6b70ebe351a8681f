package lab_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("A process that is throttled", func() {
	It("stands still, runs, and stands still again until that ends", func(ctx SpecContext) {
		n := node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
		p := shell(ctx, n, "while :; do sleep 1; done")
		begins, seen, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		end, err := p.Throttle(ctx, 200*time.Millisecond, func() time.Duration {
			select {
			case begins <- struct{}{}:
				<-seen
			case <-over:
			}
			return time.Millisecond
		})
		Expect(err).NotTo(HaveOccurred())
		for range 3 {
			Eventually(begins).WithContext(ctx).Should(Receive())
			Expect(p.Frozen()).To(BeTrue())
			seen <- struct{}{}
			Eventually(p.Frozen).WithContext(ctx).Should(BeFalse())
		}
		close(over)
		Expect(end(ctx)).To(Succeed())
		Expect(p.Frozen()).To(BeFalse())
		Expect(p.Alive()).To(BeTrue())
		Expect(end(ctx)).To(Succeed(), "a second time")
	}, SpecTimeout(specTimeout))

	It("may end meanwhile", func(ctx SpecContext) {
		n := node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
		p := shell(ctx, n, "sleep 1000")
		end, err := p.Throttle(ctx, time.Millisecond, func() time.Duration { return time.Millisecond })
		Expect(err).NotTo(HaveOccurred())
		Expect(p.Kill()).To(Succeed())
		Expect(end(ctx)).To(Succeed())
	}, SpecTimeout(specTimeout))
})
