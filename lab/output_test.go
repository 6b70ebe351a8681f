package lab_test

import (
	"fmt"
	"os"
	"runtime"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

var _ = Describe("The output of a process", func() {
	var p *lab.Process

	BeforeEach(func(ctx SpecContext) {
		l := up(ctx, preset("fig5"), lab.Options{})
		p = shell(ctx, node(l, "lb1"), "trap 'echo more' USR1; echo ready; while :; do sleep 0.01; done")
		Expect(p.AwaitLine(ctx, said("ready"))).To(Succeed())
	})

	// room reports whether there is room for a byte in the pipe that a process writes to.
	room := func() bool {
		GinkgoHelper()
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/fd/2", p.Pid()), unix.O_WRONLY|unix.O_NONBLOCK, 0)
		Expect(err).NotTo(HaveOccurred())
		defer unix.Close(fd)
		_, err = unix.Write(fd, []byte("\n"))
		return err == nil
	}

	It("is read by nobody for a while", func(ctx SpecContext) {
		unblock, err := p.BlockOutput()
		Expect(err).NotTo(HaveOccurred())
		Expect(room()).To(BeFalse())
		_, err = p.BlockOutput()
		Expect(err).To(MatchError(ContainSubstring("nobody reads it already")))
		Expect(p.Signal(unix.SIGUSR1)).To(Succeed())
		Expect(unblock()).To(Succeed())
		Expect(p.AwaitLine(ctx, said("more"))).To(Succeed())
		Expect(unblock()).To(Succeed(), "a second time does nothing")
		Expect(room()).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("is not read any more from one moment to the next", func(ctx SpecContext) {
		for range 10 {
			p = shell(ctx, p.Node(), "echo ready; exec sleep 1000")
			Expect(p.AwaitLine(ctx, said("ready"))).To(Succeed())
			_, err := p.BlockOutput() // while who reads is at work
			Expect(err).NotTo(HaveOccurred())
			runtime.Gosched()
			Expect(room()).To(BeFalse())
		}
	}, SpecTimeout(specTimeout))

	It("that nobody reads ends with the process", func(ctx SpecContext) {
		unblock, err := p.BlockOutput()
		Expect(err).NotTo(HaveOccurred())
		Expect(p.Kill()).To(Succeed())
		Expect(p.Tail(0)).To(ContainElement(ContainSubstring("nobody reads the log")))
		Expect(unblock()).To(Succeed())
		_, err = p.BlockOutput()
		Expect(err).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))
})
