package faults_test

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
)

// adverts hears so many frames of VRRP on an interface, or as many as come in two and a half
// intervals.
func adverts(ctx context.Context, n *lab.Node, count int) [][]byte {
	GinkgoHelper()
	conn, err := n.Listen(ctx, "eth0", unix.ETH_P_IP)
	Expect(err).NotTo(HaveOccurred())
	defer conn.Close()
	return advertsOf(conn, count)
}

// reading is a packet socket.
type reading interface {
	ReadFrom(b []byte) (int, net.Addr, error)
	SetReadDeadline(t time.Time) error
}

func advertsOf(conn reading, count int) (frames [][]byte) {
	GinkgoHelper()
	Expect(conn.SetReadDeadline(time.Now().Add(2500 * time.Millisecond))).To(Succeed())
	for buffer := make([]byte, 1500); len(frames) < count; {
		length, _, err := conn.ReadFrom(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		Expect(err).NotTo(HaveOccurred())
		if length > 34 && buffer[14+9] == 112 {
			frames = append(frames, slices.Clone(buffer[:length]))
		}
	}
	return frames
}

// The offsets of a frame's sender, of its router's identity and of its priority.
const (
	atSender   = 6
	atRouter   = 14 + 20 + 1
	atPriority = 14 + 20 + 2
)

var _ = Describe("a fault of the protocol", func() {
	It("is a router that does not belong", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		heal := w.inject(ctx, faults.RogueRouter, "client1:eth0", faults.Settings{"priority": "253"})
		heard := adverts(ctx, w.lb2, 2)
		Expect(heard).To(HaveLen(2))
		vip := w.lab.Topology().VIPs[0]
		for _, frame := range heard {
			Expect(frame[atSender : atSender+6]).To(BeEquivalentTo(
				lab.HardwareAddr(w.client1.Spec().Links[0].Addr.Addr())))
			Expect(frame[atRouter]).To(Equal(vip.RouterID))
			Expect(frame[atPriority]).To(BeEquivalentTo(253))
		}
		w.healed(ctx, heal)
		Expect(adverts(ctx, w.lb2, 1)).To(BeEmpty())
	})

	It("is a router of another configuration", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		heal := w.inject(ctx, faults.AdvertsMismatching, "client1:eth0",
			faults.Settings{"what": "version"})
		heard := adverts(ctx, w.lb2, 1)
		Expect(heard).To(HaveLen(1))
		Expect(int(heard[0][atRouter-1] >> 4)).To(Equal(5 - w.lab.Topology().VRRP.Version))
		w.healed(ctx, heal)
		Expect(adverts(ctx, w.lb2, 1)).To(BeEmpty())
	})

	It("is an advert that comes again", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		master, err := faults.New(faults.RogueRouter, "lb1:eth0", faults.Settings{"priority": "100"})
		Expect(err).NotTo(HaveOccurred())
		silence, err := master.Inject(ctx, w.lab)
		Expect(err).NotTo(HaveOccurred())
		for _, sender := range []string{"own", "heard"} {
			heal := w.inject(ctx, faults.AdvertsReplayed, "client1:eth0",
				faults.Settings{"times": "20", "sender": sender})
			from := map[string]*lab.Node{"own": w.client1, "heard": w.lb1}[sender]
			mac := lab.HardwareAddr(from.Spec().Links[0].Addr.Addr())
			again := 0
			for _, frame := range adverts(ctx, w.lb2, 8) {
				Expect(frame[14+12:14+16]).To(Equal([]byte{192, 168, 1, 2}), "the master's address")
				Expect(frame[atPriority]).To(BeEquivalentTo(100))
				if slices.Equal(frame[atSender:atSender+6], mac) {
					again++
				}
			}
			Expect(again).To(BeNumerically(">", 4))
			Expect(heal(ctx)).To(Succeed())
			// The bridge knows again where the master is.
			Expect(w.lb1.Carries(ctx, "eth0", w.client1, "eth0", 0)).To(BeTrue())
		}
		Expect(silence(ctx)).To(Succeed())
		Expect(adverts(ctx, w.lb2, 1)).To(BeEmpty())
	})

	It("is not an advert that comes again where none is heard", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		refuses(ctx, w.lab, faults.AdvertsReplayed, "client1:eth0", "no director's advert came")
	})

	It("is somebody who has a VIP as well", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		vip := w.lab.Topology().VIPs[0].Addr
		director, err := w.lb2.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		Expect(w.lb2.Handle().AddrAdd(director, &netlink.Addr{IPNet: &net.IPNet{IP: vip.AsSlice(),
			Mask: net.CIDRMask(32, 32)}})).To(Succeed())
		at := func() string {
			list, err := w.client1.Handle().NeighList(0, netlink.FAMILY_V4)
			Expect(err).NotTo(HaveOccurred())
			for _, n := range list {
				if n.IP.Equal(vip.AsSlice()) {
					return n.HardwareAddr.String()
				}
			}
			return ""
		}
		right := lab.HardwareAddr(w.lb2.Spec().Links[0].Addr.Addr()).String()
		wrong := lab.HardwareAddr(w.client2().Spec().Links[0].Addr.Addr()).String()
		Expect(dial(ctx, w.client1, vip.String()+":9")).To(MatchError(unix.ECONNREFUSED))
		Expect(at()).To(Equal(right))
		heal := w.inject(ctx, faults.DuplicateAddress, "client2:"+vip.String(), nil)
		Eventually(at).WithContext(ctx).WithTimeout(time.Second).Should(Equal(wrong))
		refuses(ctx, w.lab, faults.DuplicateAddress, "client2:"+vip.String(), "already")
		w.healed(ctx, heal)
		Expect(dial(ctx, w.client1, vip.String()+":9")).To(MatchError(unix.ECONNREFUSED))
		Expect(at()).To(Equal(right))
	})

	It("is somebody who has a VIP and does not say so", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		vip := w.lab.Topology().VIPs[0].Addr
		heal := w.inject(ctx, faults.DuplicateAddress, "client2:"+vip.String(),
			faults.Settings{"announce": "no"})
		Expect(dial(ctx, w.client1, vip.String()+":9")).To(MatchError(unix.ECONNREFUSED))
		w.healed(ctx, heal)
		Expect(dial(ctx, w.client1, vip.String()+":9")).NotTo(MatchError(unix.ECONNREFUSED))
	})
})

// client2 is the node of that name.
func (w *world) client2() *lab.Node {
	n, _ := w.lab.Node("client2")
	return n
}
