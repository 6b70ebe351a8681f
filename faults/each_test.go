package faults_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// world is a lab of two directors, clients and real servers with stand-ins for the directors' daemon.
type world struct {
	lab                     *lab.Lab
	client1, lb1, lb2, web1 *lab.Node
	director                *lab.Unit // of lb1
	dir                     string    // for files
	before                  lab.State
}

// newWorld brings a lab up that ends with the spec, and its stand-ins, which run a script.
func newWorld(ctx context.Context, script string) *world {
	GinkgoHelper()
	t, err := topology.Preset("fig7")
	Expect(err).NotTo(HaveOccurred())
	l, err := lab.Up(ctx, t, lab.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return l.Close() })
	w := &world{lab: l, dir: GinkgoT().TempDir()}
	for name, n := range map[string]**lab.Node{"client1": &w.client1, "lb1": &w.lb1, "lb2": &w.lb2,
		"web1": &w.web1} {
		*n, _ = l.Node(name)
	}
	w.director = w.lb1.AddUnit(faults.DirectorUnit, func(ctx context.Context) (*lab.Process, error) {
		args := []string{"-c", script, "stand-in", "-f", filepath.Join(w.dir, "lb1.conf")}
		p, err := w.lb1.Start(ctx, lab.Command{Name: "sh", Args: args, Init: true})
		if err != nil {
			return nil, err
		}
		return p, p.AwaitLine(ctx, func(text string) bool { return text == "ready" })
	})
	if script != "" {
		Expect(w.director.Start(ctx)).To(Succeed())
	}
	return w
}

// inject injects a fault.
func (w *world) inject(
	ctx context.Context, kind faults.Kind, target string, settings faults.Settings,
) faults.Heal {
	GinkgoHelper()
	fault, err := faults.New(kind, target, settings)
	Expect(err).NotTo(HaveOccurred())
	w.before, err = w.lab.State(ctx)
	Expect(err).NotTo(HaveOccurred())
	heal, err := fault.Inject(ctx, w.lab)
	Expect(err).NotTo(HaveOccurred())
	return heal
}

// healed heals a fault twice and demands that frames flow and that nothing of the fault is left.
func (w *world) healed(ctx context.Context, heal faults.Heal) {
	GinkgoHelper()
	Expect(heal(ctx)).To(Succeed())
	Expect(heal(ctx)).To(Succeed(), "a second heal does nothing")
	after, err := w.lab.State(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(w.before.Diff(after)).To(BeEmpty(), "what is left of it")
	Expect(w.client1.Carries(ctx, "eth0", w.lb1, "eth0", 0)).To(BeTrue())
	Expect(w.lb1.Carries(ctx, "eth0", w.client1, "eth0", 0)).To(BeTrue())
	Expect(w.lb1.Carries(ctx, "eth1", w.web1, "eth0", 6)).To(BeTrue())
	if w.director.Process() != nil {
		Expect(w.director.Alive()).To(BeTrue(), "the director runs")
	}
}

// dial calls a port from a node.
func dial(ctx context.Context, n *lab.Node, to string) error {
	return n.Do(ctx, func() error {
		conn, err := net.DialTimeout("tcp", to, 300*time.Millisecond)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// last is the last line that a unit's program wrote.
func last(u *lab.Unit) string {
	lines := u.Process().Tail(1)
	if len(lines) == 0 {
		return ""
	}
	_, text, _ := strings.Cut(lines[0], ": ")
	return text
}

// run returns what a command on a node writes.
func run(ctx context.Context, n *lab.Node, script string) string {
	GinkgoHelper()
	r, err := n.Exec(ctx, "sh", "-c", script)
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(r.Output))
}

// Stand-ins that show what they can do.
const (
	idle   = `echo ready; while :; do sleep 1000; done`
	opener = `echo ready; while :; do
		if { : </dev/null; } 2>/dev/null; then echo opened; else echo refused; fi; sleep 0.02; done`
	grower = `trap 'x=$(head -c 4000000 /dev/zero | tr "\0" x); echo grown' USR1
		echo ready; while :; do sleep 0.02; done`
	talker = `i=0; echo ready; while :; do i=$((i+1)); echo $i; echo $i >/run/said; sleep 0.05; done`
	reader = `trap 'echo loads $(wc -c <"$2")' HUP; echo ready; while :; do sleep 0.02; done`
)

var _ = Describe("a fault of a link", func() {
	DescribeTable("makes it a bad one, in one direction or both",
		func(ctx SpecContext, kind faults.Kind, settings faults.Settings, want lab.Impairment) {
			w := newWorld(ctx, "")
			for _, direction := range []string{"out", "in", "both"} {
				settings["direction"] = direction
				heal := w.inject(ctx, kind, "lb1:eth0", settings)
				for way, word := range map[lab.Direction]string{lab.Outward: "out", lab.Inward: "in"} {
					if direction == word || direction == "both" {
						Expect(w.lb1.Impaired("eth0", way)).To(Equal(want), direction)
					} else {
						Expect(w.lb1.Impaired("eth0", way)).To(BeZero(), direction)
					}
				}
				w.healed(ctx, heal)
			}
		},
		Entry(nil, faults.LinkDelay, faults.Settings{}, lab.Impairment{Delay: 100 * time.Millisecond}),
		Entry(nil, faults.LinkJitter, faults.Settings{"delay": "20ms", "jitter": "5ms"},
			lab.Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond}),
		Entry(nil, faults.LinkLoss, faults.Settings{"share": "100%"}, lab.Impairment{Loss: 1}),
		Entry(nil, faults.LinkDuplicate, faults.Settings{"share": "50"},
			lab.Impairment{Duplicate: 0.5}),
		Entry(nil, faults.LinkCorrupt, faults.Settings{"share": "25%"}, lab.Impairment{Corrupt: 0.25}),
		Entry(nil, faults.LinkReorder, faults.Settings{"share": "50%"},
			lab.Impairment{Delay: 10 * time.Millisecond, Reorder: 0.5}),
		Entry(nil, faults.LinkRate, faults.Settings{"rate": "1.5Mbit"},
			lab.Impairment{Rate: 1_500_000}),
	)

	It("is what a client sees of it", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		Expect(w.client1.Carries(ctx, "eth0", w.lb1, "eth0", 0)).To(BeTrue())
		heal := w.inject(ctx, faults.LinkLoss, "lb1:eth0",
			faults.Settings{"share": "100%", "direction": "in"})
		Expect(w.client1.Carries(ctx, "eth0", w.lb1, "eth0", 0)).To(BeFalse())
		Expect(w.lb1.Carries(ctx, "eth0", w.client1, "eth0", 0)).To(BeTrue(), "the other way")
		w.healed(ctx, heal)
	})

	It("switches an interface off, and its routes on again", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		web := w.web1
		Expect(web.RouteTo(ctx, netip.MustParsePrefix("10.9.0.0/16"),
			netip.MustParseAddr("192.168.2.2"))).To(Succeed())
		heal := w.inject(ctx, faults.InterfaceOff, "web1:eth0", nil)
		Expect(web.Carrier("eth0")).To(BeFalse())
		Expect(web.Routes()).To(BeEmpty())
		w.healed(ctx, heal)
		Expect(web.Routes()).To(HaveLen(3))
	})

	It("flaps", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		heal := w.inject(ctx, faults.LinkFlapping, "lb1:eth0",
			faults.Settings{"period": "400ms", "up": "50%"})
		carrier := func() (bool, error) { return w.lb1.Carrier("eth0") }
		Expect(carrier()).To(BeFalse())
		for range 2 {
			Eventually(carrier).WithContext(ctx).Should(BeTrue())
			Eventually(carrier).WithContext(ctx).Should(BeFalse())
		}
		w.healed(ctx, heal)
		Consistently(carrier, "500ms").Should(BeTrue())
	})

	It("loses what is long", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		transfer := func(bytes int) error {
			return transfer(ctx, w.client1, w.lb1, bytes)
		}
		Expect(transfer(100_000)).To(Succeed())
		heal := w.inject(ctx, faults.LinkMTU, "lb1:eth0", faults.Settings{"mtu": "700"})
		Expect(transfer(100)).To(Succeed(), "what is short")
		Expect(transfer(100_000)).NotTo(Succeed())
		w.healed(ctx, heal)
		Expect(transfer(100_000)).To(Succeed())
	})
})

// transfer sends bytes from one node to another one by TCP and waits until all have come, for half
// a second at most.
func transfer(ctx context.Context, from, to *lab.Node, bytes int) error {
	var listener net.Listener
	var conn net.Conn
	err := to.Do(ctx, func() (err error) {
		listener, err = net.Listen("tcp", to.Spec().Links[0].Addr.Addr().String()+":0")
		return err
	})
	if err != nil {
		return err
	}
	defer listener.Close()
	err = from.Do(ctx, func() (err error) {
		conn, err = net.DialTimeout("tcp", listener.Addr().String(), time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	peer, err := listener.Accept()
	if err != nil {
		return err
	}
	defer peer.Close()
	if err := conn.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		return err
	}
	if err := peer.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write(make([]byte, bytes)); err != nil {
		return err
	}
	for got := 0; got < bytes; {
		n, err := peer.Read(make([]byte, 1<<16))
		if got += n; err != nil {
			return fmt.Errorf("%d of %d bytes: %w", got, bytes, err)
		}
	}
	return nil
}

var _ = Describe("a partition", func() {
	It("parts the directors, both ways", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		heal := w.inject(ctx, faults.BothWays, "lb1:eth0", nil)
		Expect(w.lb1.Carries(ctx, "eth0", w.lb2, "eth0", 112)).To(BeFalse())
		Expect(w.lb2.Carries(ctx, "eth0", w.lb1, "eth0", 112)).To(BeFalse())
		Expect(w.lb2.Carries(ctx, "eth0", w.client1, "eth0", 0)).To(BeTrue(), "seen by all others")
		Expect(w.client1.Carries(ctx, "eth0", w.lb1, "eth0", 0)).To(BeTrue(), "seen by all others")
		Expect(w.lb1.Carries(ctx, "eth1", w.lb2, "eth1", 112)).To(BeTrue(), "on the other network")
		w.healed(ctx, heal)
		Expect(w.lb2.Carries(ctx, "eth0", w.lb1, "eth0", 112)).To(BeTrue())
	})

	DescribeTable("loses ARP and nothing else",
		func(ctx SpecContext, direction string, out, in bool) {
			w := newWorld(ctx, "")
			arp := lab.Block{EtherType: unix.ETH_P_ARP}
			carries := func(from, to *lab.Node) bool {
				GinkgoHelper()
				ok, err := from.CarriesSuch(ctx, "eth0", to, "eth0", arp)
				Expect(err).NotTo(HaveOccurred())
				return ok
			}
			heal := w.inject(ctx, faults.ARPLost, "lb1:eth0", faults.Settings{"direction": direction})
			Expect(carries(w.lb1, w.client1)).To(Equal(out))
			Expect(carries(w.client1, w.lb1)).To(Equal(in))
			Expect(carries(w.client1, w.lb2)).To(BeTrue(), "others'")
			Expect(w.lb1.Carries(ctx, "eth0", w.lb2, "eth0", 112)).To(BeTrue(), "adverts")
			w.healed(ctx, heal)
			Expect(carries(w.lb1, w.client1)).To(BeTrue())
			Expect(carries(w.client1, w.lb1)).To(BeTrue())
		},
		Entry(nil, "out", false, true),
		Entry(nil, "in", true, false),
		Entry(nil, "both", false, false),
	)

	It("loses the health checks and nothing else", func(ctx SpecContext) {
		w := newWorld(ctx, "")
		_, err := w.web1.StartRealServer(ctx, 80)
		Expect(err).NotTo(HaveOccurred())
		Expect(dial(ctx, w.lb1, "192.168.2.11:80")).To(Succeed())
		heal := w.inject(ctx, faults.ChecksLost, "lb1", nil)
		Expect(isTimeout(dial(ctx, w.lb1, "192.168.2.11:80"))).To(BeTrue())
		Expect(dial(ctx, w.lb1, "192.168.2.11:81")).To(MatchError(unix.ECONNREFUSED), "another port")
		Expect(dial(ctx, w.lb2, "192.168.2.11:80")).To(Succeed(), "another director's")
		client := lab.Block{Protocol: 6, Port: 80, Source: netip.MustParseAddr("192.168.1.100"),
			Destination: netip.MustParseAddr("192.168.2.11")}
		Expect(w.lb1.CarriesSuch(ctx, "eth1", w.web1, "eth0", client)).To(BeTrue(), "a client's")
		w.healed(ctx, heal)
		Expect(dial(ctx, w.lb1, "192.168.2.11:80")).To(Succeed())
	})
})

var _ = Describe("a fault of a process", func() {
	DescribeTable("leaves it no descriptor", func(ctx SpecContext, who string) {
		w := newWorld(ctx, opener)
		Eventually(last).WithContext(ctx).WithArguments(w.director).Should(Equal("opened"))
		heal := w.inject(ctx, faults.OutOfDescriptors, "lb1", faults.Settings{"who": who})
		Eventually(last).WithContext(ctx).WithArguments(w.director).Should(Equal("refused"))
		w.healed(ctx, heal)
		Eventually(last).WithContext(ctx).WithArguments(w.director).Should(Equal("opened"))
	}, Entry(nil, "all"), Entry(nil, "guard"))

	It("leaves the worker alone no descriptor", func(ctx SpecContext) {
		w := newWorld(ctx, `sh -c '`+opener+`' & wait`)
		heal := w.inject(ctx, faults.OutOfDescriptors, "lb1", faults.Settings{"who": "worker"})
		Eventually(last).WithContext(ctx).WithArguments(w.director).Should(Equal("refused"))
		var guard unix.Rlimit
		Expect(unix.Prlimit(w.director.Process().Pid(), unix.RLIMIT_NOFILE, nil, &guard)).To(Succeed())
		Expect(guard.Cur).To(BeNumerically(">", 20), "the first process has its own")
		w.healed(ctx, heal)
		Eventually(last).WithContext(ctx).WithArguments(w.director).Should(Equal("opened"))
	})

	It("leaves it no memory, and starts it when it has ended of that", func(ctx SpecContext) {
		w := newWorld(ctx, grower)
		first := w.director.Process()
		grown := func(p *lab.Process) error {
			Expect(p.Signal(unix.SIGUSR1)).To(Succeed())
			return p.AwaitLine(ctx, func(text string) bool { return text == "grown" })
		}
		heal := w.inject(ctx, faults.MemoryLimited, "lb1", faults.Settings{"left": "64"})
		Expect(grown(first)).NotTo(Succeed())
		w.healed(ctx, heal)
		Expect(w.director.Process()).NotTo(BeIdenticalTo(first))
		Expect(grown(w.director.Process())).To(Succeed())
	})

	It("has nobody read its log", func(ctx SpecContext) {
		w := newWorld(ctx, talker)
		said := func() string { return run(ctx, w.lb1, "cat /run/said") }
		Eventually(said).WithContext(ctx).ShouldNot(BeEmpty())
		heal := w.inject(ctx, faults.LogBlocked, "lb1", nil)
		// A line may be under way.
		before := ""
		Eventually(func() bool {
			earlier := before
			before = said()
			return before == earlier
		}).WithContext(ctx).Should(BeTrue())
		stuck := said()
		Consistently(said, "200ms").Should(Equal(stuck))
		refuses(ctx, w.lab, faults.LogBlocked, "lb1", "already")
		w.healed(ctx, heal)
		Eventually(said).WithContext(ctx).ShouldNot(Equal(stuck))
		Expect(w.director.Process().Tail(0)).To(ContainElement(
			ContainSubstring("nobody reads the log until it is healed")))
	})

	It("fills its disk", func(ctx SpecContext) {
		w := newWorld(ctx, idle)
		write := `head -c 10000 /dev/zero 2>&1 >/run/some; rm -f /run/some`
		Expect(run(ctx, w.lb1, write)).To(BeEmpty())
		heal := w.inject(ctx, faults.DiskFull, "lb1", nil)
		Expect(run(ctx, w.lb1, write)).To(ContainSubstring("No space left on device"))
		Expect(run(ctx, w.lb2, write)).To(BeEmpty(), "another node")
		refuses(ctx, w.lab, faults.DiskFull, "lb1", "full already")
		w.healed(ctx, heal)
		Expect(run(ctx, w.lb1, write)).To(BeEmpty())
		heal = w.inject(ctx, faults.DiskFull, "lb1", faults.Settings{"left": "16"})
		Expect(run(ctx, w.lb1, write)).To(BeEmpty(), "there is room for this")
		w.healed(ctx, heal)
	})

	It("that has killed a director while it holds is healed", func(ctx SpecContext) {
		for _, kind := range []faults.Kind{faults.OutOfDescriptors, faults.LogBlocked,
			faults.MemoryLimited, faults.DirectorFrozen, faults.ConfigBroken, faults.Starved} {
			w := newWorld(ctx, idle)
			Expect(os.WriteFile(filepath.Join(w.dir, "lb1.conf"), []byte("a {\n}\n"), 0o600)).To(Succeed())
			heal := w.inject(ctx, kind, "lb1", nil)
			Expect(w.director.Process().Kill()).To(Succeed())
			w.healed(ctx, heal)
		}
	})
})

var _ = Describe("a fault of a node", func() {
	It("reboots it by itself", func(ctx SpecContext) {
		w := newWorld(ctx, idle)
		first := w.director.Process()
		heal := w.inject(ctx, faults.Rebooted, "lb1", faults.Settings{"down": "200ms"})
		Expect(first.Alive()).To(BeFalse())
		Expect(w.lb1.Powered()).To(BeFalse())
		Eventually(w.director.Alive).WithContext(ctx).Should(BeTrue())
		w.healed(ctx, heal)
	})

	It("that reboots is there at once when it is healed", func(ctx SpecContext) {
		w := newWorld(ctx, idle)
		heal := w.inject(ctx, faults.Rebooted, "lb1", faults.Settings{"down": "1h"})
		Expect(w.lb1.Powered()).To(BeFalse())
		w.healed(ctx, heal)
	})

	It("pauses it", func(ctx SpecContext) {
		w := newWorld(ctx, idle)
		heal := w.inject(ctx, faults.Paused, "lb1", nil)
		Expect(w.director.Process().Frozen()).To(BeTrue())
		Expect(w.lb1.Carrier("eth0")).To(BeTrue())
		Expect(w.client1.Carries(ctx, "eth0", w.lb1, "eth0", 0)).To(BeFalse())
		Expect(w.lb1.Carries(ctx, "eth1", w.web1, "eth0", 0)).To(BeFalse())
		w.healed(ctx, heal)
		Expect(w.director.Process().Frozen()).To(BeFalse())
	})

	It("wakes it up while a neighbour has no power", func(ctx SpecContext) {
		w := newWorld(ctx, idle)
		wakes := w.inject(ctx, faults.Paused, "web1", nil)
		boots := w.inject(ctx, faults.PowerOff, "lb1", nil)
		Expect(wakes(ctx)).To(Succeed())
		Expect(w.lb1.Powered()).To(BeFalse())
		Expect(boots(ctx)).To(Succeed())
		Expect(w.web1.Carries(ctx, "eth0", w.lb1, "eth1", 0)).To(BeTrue())
	})
})
