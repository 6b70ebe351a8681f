package lab_test

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("What a process takes", func() {
	It("is that of all its descendants, without the init", func(ctx SpecContext) {
		l := up(ctx, preset("fig5"), lab.Options{})
		p, err := node(l, "lb1").Start(ctx, lab.Command{Name: "sh", Init: true, Args: []string{"-c",
			"sleep 1000 & exec 8</dev/null 9</dev/null; echo ready; wait"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(p.AwaitLine(ctx, said("ready"))).To(Succeed())
		u, err := p.Usage()
		Expect(err).NotTo(HaveOccurred())
		Expect(u.Processes).To(Equal(2), "sh and sleep")
		Expect(u.Threads).To(Equal(2))
		Expect(u.Descriptors).To(BeNumerically(">=", 3+3+2))
		Expect(u.Memory).To(BeNumerically(">", 0))
		Expect(p.Kill()).To(Succeed())
		_, err = p.Usage()
		Expect(err).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))
})
