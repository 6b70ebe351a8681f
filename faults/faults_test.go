package faults_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/topology"
)

func TestMain(m *testing.M) {
	kernel.Init()
	lab.Main()
	need := []lab.Capability{lab.Root, lab.NetNS, lab.PIDNS, lab.Veth, lab.Bridge,
		lab.NftablesBridge, lab.Netem, lab.IPVS}
	mode, err := kernel.ModeFromEnvironment()
	status := 2
	if err == nil {
		status, err = kernel.RunTests(context.Background(), kernel.Options{Mode: mode, Need: need},
			func() int { return leaks(m.Run()) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	os.Exit(status)
}

// leaks turns the status of tests that leave a goroutine behind into a failure.
func leaks(status int) int {
	err := goleak.Find(
		// Ginkgo watches for interrupts until the process ends.
		goleak.IgnoreAnyFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler."+
			"(*InterruptHandler).registerForInterrupts.func2"),
		goleak.IgnoreTopFunction("os/signal.signal_recv"),
	)
	if status == 0 && err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	return status
}

// specTimeout bounds every wait of a spec, with an allowance for a busy machine.
const specTimeout = 20 * time.Second

func TestFaults(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(specTimeout)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "Faults")
}

// Stand-ins for daemons: one with a child, that stops when asked to, one that starts another child
// when that ends, which ends with it, and one that does not stop.
const (
	guarded  = `while :; do setpriv --pdeathsig KILL sh -c 'echo ready; exec sleep 1000' & wait; done`
	daemon   = `trap 'kill -9 $!' TERM; sleep 1000 & echo ready; wait`
	stubborn = `trap "" TERM; echo ready; while :; do sleep 1000; done`
)

var _ = Describe("a fault", func() {
	var (
		l    *lab.Lab
		node *lab.Node
	)

	// unit starts a shell that stands for the director's daemon or the server's program.
	unit := func(ctx SpecContext, name, script string) *lab.Unit {
		u := node.AddUnit(name, func(ctx context.Context) (*lab.Process, error) {
			p, err := node.Start(ctx, lab.Command{Name: "sh", Args: []string{"-c", script}, Init: true})
			if err != nil {
				return nil, err
			}
			return p, p.AwaitLine(ctx, func(text string) bool { return text == "ready" })
		})
		Expect(u.Start(ctx)).To(Succeed())
		return u
	}

	other := func(name string) *lab.Node {
		n, ok := l.Node(name)
		Expect(ok).To(BeTrue())
		return n
	}

	inject := func(ctx SpecContext, kind faults.Kind, target string) faults.Heal {
		fault, err := faults.New(kind, target, nil)
		Expect(err).NotTo(HaveOccurred())
		heal, err := fault.Inject(ctx, l)
		Expect(err).NotTo(HaveOccurred(), fault.String())
		return heal
	}

	BeforeEach(func(ctx SpecContext) {
		t, err := topology.Preset("fig5")
		Expect(err).NotTo(HaveOccurred())
		l, err = lab.Up(ctx, t, lab.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() error { return l.Close() })
		node, _ = l.Node("lb1")
	})

	for _, kind := range []faults.Kind{faults.DirectorKilled, faults.DirectorTerminated} {
		It("ends the director and starts it again: "+kind.String(), func(ctx SpecContext) {
			u := unit(ctx, faults.DirectorUnit, daemon)
			first := u.Process()
			heal := inject(ctx, kind, "lb1")
			Expect(first.Alive()).To(BeFalse())
			Expect(node.Processes()).To(BeEmpty(), "its children are gone too")
			Expect(heal(ctx)).To(Succeed())
			Expect(u.Alive()).To(BeTrue())
			again := u.Process()
			Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
			Expect(u.Process()).To(BeIdenticalTo(again))
		})
	}

	It("that is not injected says so: a director that does not stop", func(ctx SpecContext) {
		unit(ctx, faults.DirectorUnit, stubborn)
		fault, err := faults.New(faults.DirectorTerminated, "lb1", nil)
		Expect(err).NotTo(HaveOccurred())
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err = fault.Inject(short, l)
		Expect(err).To(MatchError(faults.ErrNotInjected))
	})

	It("freezes the director and lets it go on", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, daemon)
		heal := inject(ctx, faults.DirectorFrozen, "lb1")
		Expect(u.Process().Frozen()).To(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Process().Frozen()).To(BeFalse())
		Expect(u.Alive()).To(BeTrue())
	})

	It("kills the director's worker, and finds the director alive", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, guarded)
		p := u.Process()
		heal := inject(ctx, faults.WorkerKilled, "lb1")
		Expect(p.Alive()).To(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Process()).To(BeIdenticalTo(p))
	})

	It("freezes the director's worker and lets it go on", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, guarded)
		heal := inject(ctx, faults.WorkerFrozen, "lb1")
		Expect(u.Process().Frozen()).To(BeFalse(), "the first process goes on")
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Alive()).To(BeTrue())
	})

	It("kills the director's guard, and starts it when its worker has ended", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, guarded)
		first := u.Process()
		heal := inject(ctx, faults.GuardKilled, "lb1")
		Expect(heal(ctx)).To(Succeed())
		Expect(first.Alive()).To(BeFalse())
		Expect(u.Alive()).To(BeTrue())
	})

	It("takes a node's power and gives it back with all its programs", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, daemon)
		before, err := node.Addrs("eth0")
		Expect(err).NotTo(HaveOccurred())
		heal := inject(ctx, faults.PowerOff, "lb1")
		Expect(u.Alive()).To(BeFalse())
		Expect(node.Carrier("eth0")).To(BeFalse())
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Alive()).To(BeTrue())
		Expect(node.Carrier("eth0")).To(BeTrue())
		Expect(node.Addrs("eth0")).To(Equal(before))
	})

	It("pulls one cable and plugs it in", func(ctx SpecContext) {
		heal := inject(ctx, faults.LinkDown, "lb1:eth0")
		Expect(node.Carrier("eth0")).To(BeFalse())
		fault, _ := faults.New(faults.LinkDown, "lb1:eth0", nil)
		_, err := fault.Inject(ctx, l)
		Expect(err).To(MatchError(ContainSubstring("down already")))
		Expect(heal(ctx)).To(Succeed())
		Expect(node.Carrier("eth0")).To(BeTrue())
	})

	It("ends a real server's program, not its node", func(ctx SpecContext) {
		u := unit(ctx, faults.ServerUnit, daemon)
		heal := inject(ctx, faults.ServerStopped, "lb1")
		Expect(u.Alive()).To(BeFalse())
		Expect(node.Powered()).To(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Alive()).To(BeTrue())
	})

	It("loses what one director sends to the other", func(ctx SpecContext) {
		lb2, client := other("lb2"), other("client1")
		heal := inject(ctx, faults.OneWay, "lb1:eth0")
		Expect(node.Carries(ctx, "eth0", lb2, "eth0", 0)).To(BeFalse())
		Expect(lb2.Carries(ctx, "eth0", node, "eth0", 0)).To(BeTrue(), "the other way")
		Expect(node.Carries(ctx, "eth0", client, "eth0", 0)).To(BeTrue(), "to the client")
		fault, _ := faults.New(faults.OneWay, "lb1:eth0", nil)
		_, err := fault.Inject(ctx, l)
		Expect(err).To(MatchError(ContainSubstring("already")))
		Expect(heal(ctx)).To(Succeed())
		Expect(node.Carries(ctx, "eth0", lb2, "eth0", 0)).To(BeTrue())
		Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
	})

	It("loses adverts and nothing else", func(ctx SpecContext) {
		lb2 := other("lb2")
		heal := inject(ctx, faults.AdvertsLost, "lb1:eth0")
		Expect(node.Carries(ctx, "eth0", lb2, "eth0", 112)).To(BeFalse())
		Expect(node.Carries(ctx, "eth0", lb2, "eth0", 0)).To(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(node.Carries(ctx, "eth0", lb2, "eth0", 112)).To(BeTrue())
	})

	It("deletes a VIP, and puts it back where nobody does", func(ctx SpecContext) {
		vip := &netlink.Addr{IPNet: &net.IPNet{IP: net.IP{192, 168, 1, 1}, Mask: net.CIDRMask(32, 32)},
			Label: "eth0:vip"}
		link, err := node.Handle().LinkByName("eth0")
		Expect(err).NotTo(HaveOccurred())
		Expect(node.Handle().AddrAdd(link, vip)).To(Succeed())
		before, err := node.Addrs("eth0")
		Expect(err).NotTo(HaveOccurred())
		heal := inject(ctx, faults.VIPDeleted, "lb1:192.168.1.1")
		Expect(node.Holds(netip.MustParseAddr("192.168.1.1"))).To(BeFalse())
		Expect(heal(ctx)).To(Succeed())
		Expect(node.Addrs("eth0")).To(ConsistOf(before))
	})

	It("leaves a VIP that was put back alone", func(ctx SpecContext) {
		vip := &netlink.Addr{IPNet: &net.IPNet{IP: net.IP{192, 168, 1, 1}, Mask: net.CIDRMask(32, 32)}}
		for _, n := range []*lab.Node{node, other("lb2")} {
			link, err := n.Handle().LinkByName("eth0")
			Expect(err).NotTo(HaveOccurred())
			Expect(n.Handle().AddrAdd(link, vip)).To(Succeed())
		}
		heal := inject(ctx, faults.VIPDeleted, "lb1:192.168.1.1")
		Expect(heal(ctx)).To(Succeed())
		Expect(node.Holds(netip.MustParseAddr("192.168.1.1"))).To(BeFalse(), "the other one has it")
	})

	DescribeTable("sends forged adverts until it is healed", func(ctx SpecContext, kind faults.Kind) {
		conn, err := other("lb2").Listen(ctx, "eth0", unix.ETH_P_IP)
		Expect(err).NotTo(HaveOccurred())
		defer conn.Close()
		heal := inject(ctx, kind, "client1:eth0")
		Expect(heal(ctx)).To(Succeed())
		frames := 0
		for frame := make([]byte, 1500); err == nil; frames++ {
			Expect(conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))).To(Succeed())
			_, _, err = conn.ReadFrom(frame)
		}
		Expect(err).To(MatchError(os.ErrDeadlineExceeded), "nothing more comes")
		Expect(frames).To(BeNumerically(">", 1))
		Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
	}, Entry("some", faults.HostilePackets), Entry("a flood of them", faults.HostileFlood))

	It("starves the director and lets it run again", func(ctx SpecContext) {
		u := unit(ctx, faults.DirectorUnit, daemon)
		heal := inject(ctx, faults.Starved, "lb1")
		Eventually(u.Process().Frozen).WithContext(ctx).Should(BeFalse(), "it runs for a moment")
		Eventually(u.Process().Frozen).WithContext(ctx).Should(BeTrue())
		Expect(heal(ctx)).To(Succeed())
		Expect(u.Process().Frozen()).To(BeFalse())
		Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
	})

	DescribeTable("on a target that is not there names what there is",
		func(ctx SpecContext, kind faults.Kind, target, says string) {
			refuses(ctx, l, kind, target, says)
		},
		Entry("an unknown node", faults.PowerOff, "lb9", "lb1, lb2"),
		Entry("a node without that program", faults.ServerStopped, "client1", "no server"),
		Entry("an unknown interface", faults.LinkDown, "lb1:eth7", "eth7"),
		Entry("a link without an interface", faults.LinkDown, "lb1", "NODE:INTERFACE"),
		Entry("a process with an interface", faults.DirectorKilled, "lb1:eth0", "NODE"),
		Entry("a path from an unknown interface", faults.OneWay, "lb1:eth7", "eth7"),
		Entry("an attack by an unknown interface", faults.HostilePackets, "client1:eth7", "eth7"),
		Entry("a VIP that the node does not have", faults.VIPDeleted, "lb1:192.168.1.9", "not have"),
		Entry("a VIP that is no address", faults.VIPDeleted, "lb1:outer", "outer"),
		Entry("a VIP without an address", faults.VIPDeleted, "lb1", "NODE:ADDRESS"),
		Entry("a director that does not run", faults.Starved, "lb1", "no director"),
		Entry("nothing", faults.PowerOff, "", "NODE"),
		Entry("an unset kind", faults.Kind(0), "lb1", "unknown kind"),
	)
})

// refuses demands that a fault cannot be injected, and says so.
func refuses(ctx context.Context, l *lab.Lab, kind faults.Kind, target, says string) {
	GinkgoHelper()
	fault, err := faults.New(kind, target, nil)
	if err == nil {
		_, err = fault.Inject(ctx, l)
	}
	Expect(err).To(MatchError(ContainSubstring(says)))
}

func TestKindsHaveNames(t *testing.T) {
	for _, k := range faults.Kinds() {
		if got, err := faults.ParseKind(k.String()); err != nil || got != k {
			t.Errorf("parse %q: %v, %v; want %v", k.String(), got, err, k)
		}
	}
	if _, err := faults.ParseKind("flood"); err == nil {
		t.Error("an unknown kind parses")
	}
}
