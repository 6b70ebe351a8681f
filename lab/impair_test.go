package lab_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// testType is a type of frames for experiments.
const testType = 0x88b5

// numbered sends so many frames with a number each from one interface to another, waits for what
// arrives until nothing has for a while, and returns the numbers in the order of arrival.
func numbered(ctx context.Context, from, to *lab.Node, count int) []int {
	GinkgoHelper()
	send, err := from.Listen(ctx, "eth0", testType)
	Expect(err).NotTo(HaveOccurred())
	defer send.Close()
	receive, err := to.Listen(ctx, "eth0", testType)
	Expect(err).NotTo(HaveOccurred())
	defer receive.Close()
	mac := lab.HardwareAddr(to.Spec().Links[0].Addr.Addr())
	frame := append(slices.Clone([]byte(mac)),
		lab.HardwareAddr(from.Spec().Links[0].Addr.Addr())...)
	frame = append(frame, 0x88, 0xb5)
	for i := range count {
		numbered := append(append(slices.Clone(frame), byte(i), byte(i>>8), 0xaa), make([]byte, 47)...)
		_, err := send.WriteTo(numbered, &packet.Addr{HardwareAddr: mac})
		Expect(err).NotTo(HaveOccurred())
	}
	var got []int
	for buffer := make([]byte, 1600); ; {
		Expect(receive.SetReadDeadline(time.Now().Add(300 * time.Millisecond))).To(Succeed())
		n, _, err := receive.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		Expect(err).NotTo(HaveOccurred())
		whole := slices.Equal(buffer[17:max(n, 17)], make([]byte, 47))
		if buffer[16] == 0xaa && whole {
			got = append(got, int(buffer[14])|int(buffer[15])<<8)
		}
	}
}

var _ = Describe("A bad cable", func() {
	var l *lab.Lab
	var client, lb1 *lab.Node

	BeforeEach(func(ctx SpecContext) {
		l = up(ctx, preset("fig5"), lab.Options{})
		client, lb1 = node(l, "client1"), node(l, "lb1")
		requireNetem(ctx, l)
	})

	impair := func(ctx SpecContext, d lab.Direction, i lab.Impairment) func() {
		GinkgoHelper()
		before, err := l.State(ctx)
		Expect(err).NotTo(HaveOccurred())
		end, err := lb1.Impair(ctx, "eth0", d, i)
		Expect(err).NotTo(HaveOccurred())
		return func() {
			GinkgoHelper()
			Expect(end(ctx)).To(Succeed())
			Expect(end(ctx)).To(Succeed(), "a second time does nothing")
			after, err := l.State(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(before.Diff(after)).To(BeEmpty())
		}
	}

	for _, d := range []lab.Direction{lab.Outward, lab.Inward} {
		from, to := func() *lab.Node { return lb1 }, func() *lab.Node { return client }
		if d == lab.Inward {
			from, to = to, from
		}

		It("loses every frame that goes "+d.String(), func(ctx SpecContext) {
			end := impair(ctx, d, lab.Impairment{Loss: 1})
			Expect(numbered(ctx, from(), to(), 20)).To(BeEmpty())
			Expect(numbered(ctx, to(), from(), 20)).To(HaveLen(20), "the other way")
			end()
			Expect(numbered(ctx, from(), to(), 20)).To(HaveLen(20))
		}, SpecTimeout(specTimeout))

		It("loses, doubles and corrupts some that go "+d.String(), func(ctx SpecContext) {
			end := impair(ctx, d, lab.Impairment{Loss: 0.3})
			Expect(len(numbered(ctx, from(), to(), 200))).To(BeNumerically("~", 140, 40))
			end()
			end = impair(ctx, d, lab.Impairment{Duplicate: 0.3})
			Expect(len(numbered(ctx, from(), to(), 200))).To(BeNumerically("~", 260, 40))
			end()
			end = impair(ctx, d, lab.Impairment{Corrupt: 0.3})
			Expect(len(numbered(ctx, from(), to(), 200))).To(BeNumerically("~", 140, 50))
			end()
		}, SpecTimeout(specTimeout))

		It("lets some overtake others that go "+d.String(), func(ctx SpecContext) {
			end := impair(ctx, d, lab.Impairment{Delay: 20 * time.Millisecond, Reorder: 0.3})
			got := numbered(ctx, from(), to(), 200)
			Expect(got).To(HaveLen(200))
			Expect(slices.IsSorted(got)).To(BeFalse())
			end()
			Expect(slices.IsSorted(numbered(ctx, from(), to(), 200))).To(BeTrue())
		}, SpecTimeout(specTimeout))

		It("delays what goes "+d.String()+", and what is slow besides", func(ctx SpecContext) {
			took := func() time.Duration {
				begin := time.Now()
				Expect(numbered(ctx, from(), to(), 1)).To(HaveLen(1))
				return time.Since(begin) - 300*time.Millisecond
			}
			first := impair(ctx, d, lab.Impairment{Delay: 80 * time.Millisecond})
			Expect(took()).To(BeNumerically(">=", 80*time.Millisecond))
			second := impair(ctx, d, lab.Impairment{Delay: 50 * time.Millisecond, Rate: 8000})
			Expect(took()).To(BeNumerically(">=", 130*time.Millisecond+60*time.Millisecond),
				"64 bytes take 64 ms")
			second()
			Expect(lb1.Impaired("eth0", d)).To(Equal(lab.Impairment{Delay: 80 * time.Millisecond}))
			first()
		}, SpecTimeout(specTimeout))
	}

	It("gets worse by one thing more, whichever doubles frames", func(ctx SpecContext) {
		for _, both := range [][2]lab.Impairment{
			{{Duplicate: 1}, {Delay: time.Millisecond}},
			{{Delay: time.Millisecond}, {Duplicate: 1}},
		} {
			first := impair(ctx, lab.Outward, both[0])
			second := impair(ctx, lab.Outward, both[1])
			Expect(numbered(ctx, lb1, client, 2)).To(ConsistOf(0, 0, 1, 1))
			Expect(lb1.Impaired("eth0", lab.Outward)).To(
				Equal(lab.Impairment{Delay: time.Millisecond, Duplicate: 1}))
			second()
			first()
		}
	}, SpecTimeout(specTimeout))

	It("of an unknown interface says so", func(ctx SpecContext) {
		_, err := lb1.Impair(ctx, "eth7", lab.Inward, lab.Impairment{Loss: 1})
		Expect(err).To(MatchError(ContainSubstring("eth7")))
	})
})

// requireNetem skips a spec where the kernel cannot do what it is about.
func requireNetem(ctx context.Context, l *lab.Lab) {
	GinkgoHelper()
	err := l.Fabric().Do(ctx, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return h.QdiscAdd(netlink.NewNetem(netlink.QdiscAttrs{LinkIndex: 1,
			Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}, netlink.NetemQdiscAttrs{}))
	})
	if errors.Is(err, unix.ENOENT) {
		Skip("this kernel has no netem")
	}
	Expect(err).NotTo(HaveOccurred())
}
