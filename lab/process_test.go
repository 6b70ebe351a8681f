package lab_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
	"github.com/vishvananda/netlink"
)

var _ = Describe("A process", func() {
	var n *lab.Node
	var logs string

	BeforeEach(func(ctx SpecContext) {
		logs = GinkgoT().TempDir()
		l := up(ctx, preset("fig5"), lab.Options{LogDir: logs, TailLines: 10})
		n = node(l, "lb1")
	})

	It("is process 1, and its end is its descendants' end", func(ctx SpecContext) {
		p := shell(ctx, n, "sleep 1000 & echo pid $$; sleep 1000")
		Expect(p.AwaitLine(ctx, said("pid 1"))).To(Succeed())
		own := "pid:[" + pidNamespace(p.Pid())
		Expect(namespaces("*")).To(HaveKey(own))
		Expect(p.Kill()).To(Succeed())
		Expect(p.Alive()).To(BeFalse())
		Expect(namespaces("*")).NotTo(HaveKey(own))
		Expect(p.Kill()).To(Succeed())
		Expect(p.Signal(syscall.SIGTERM)).To(MatchError(os.ErrProcessDone))
		Expect(n.Processes()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("keeps its last lines in memory and all in the log", func(ctx SpecContext) {
		p := shell(ctx, n, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; echo e >&2")
		Expect(p.Wait(ctx)).To(Succeed())
		tail := p.Tail(0)
		Expect(tail).To(HaveLen(10))
		Expect(tail[0]).To(HaveSuffix("line 4"))
		Expect(p.Tail(1)).To(ConsistOf(MatchRegexp(`^ +\d+\.\d{6} sh\[\d+\]: e$`)))
		Expect(n.Tail(2)).To(Equal(p.Tail(2)))
		text, err := os.ReadFile(filepath.Join(logs, "lb1.log"))
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(text), "\n")).To(Equal(13))
		Expect(string(text)).To(HaveSuffix(p.Tail(1)[0] + "\n"))
	}, SpecTimeout(specTimeout))

	It("tells how it ended", func(ctx SpecContext) {
		p := shell(ctx, n, "read line; exit 3")
		Expect(p.Wait(ctx)).To(MatchError(ContainSubstring("exit status 3")))
		Expect(p.Status()).To(Equal(3))
		Expect(p.AwaitLine(ctx, said("never"))).To(MatchError(ContainSubstring("status 3")))
	}, SpecTimeout(specTimeout))

	It("is waited for as long as the context lasts", func(ctx SpecContext) {
		p := shell(ctx, n, "sleep 1000")
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		Expect(p.Wait(short)).To(MatchError(context.DeadlineExceeded))
		Expect(p.AwaitLine(short, said("never"))).To(MatchError(context.DeadlineExceeded))
		Expect(p.Status()).To(Equal(-1))
	}, SpecTimeout(specTimeout))

	It("gets signals", func(ctx SpecContext) {
		p := shell(ctx, n, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
		Expect(p.AwaitLine(ctx, said("ready"))).To(Succeed())
		Expect(p.Signal(syscall.SIGTERM)).To(Succeed())
		Expect(p.Wait(ctx)).To(Succeed())
		Expect(p.Tail(1)).To(ConsistOf(HaveSuffix("bye")))
	}, SpecTimeout(specTimeout))

	It("freezes and thaws with all its descendants", func(ctx SpecContext) {
		p := shell(ctx, n, "(while :; do echo tick; read -t 0 x; done) & sleep 1000")
		Expect(p.AwaitLine(ctx, said("tick"))).To(Succeed())
		Expect(p.Freeze(ctx)).To(Succeed())
		Expect(p.Frozen()).To(BeTrue())
		Expect(p.Alive()).To(BeTrue())
		for _, pid := range family(p) {
			// A shell that was caught in vfork waits for its child, which is stopped.
			Expect(os.ReadFile("/proc/" + pid + "/status")).To(MatchRegexp("State:\t[TD] "))
		}
		Expect(p.Freeze(ctx)).To(Succeed())

		Expect(p.Thaw(ctx)).To(Succeed())
		Expect(p.Frozen()).To(BeFalse())
		before := p.Tail(0)
		Eventually(func() []string { return p.Tail(0) }).ShouldNot(Equal(before))

		Expect(p.Freeze(ctx)).To(Succeed())
		Expect(p.Kill()).To(Succeed())
		Expect(p.Freeze(ctx)).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))

	It("is run to its end by Exec", func(ctx SpecContext) {
		result, err := n.Exec(ctx, "sh", "-c", "echo out; echo err >&2; exit 7")
		Expect(err).NotTo(HaveOccurred())
		Expect(result).To(Equal(lab.Result{Output: []byte("out\nerr\n"), Status: 7}))
		_, err = n.Exec(ctx, "no-such-program")
		Expect(err).To(MatchError(exec.ErrNotFound))
		Expect(err).To(MatchError(ContainSubstring("start no-such-program on lb1")))

		begun := filepath.Join(GinkgoT().TempDir(), "begun")
		short, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			defer GinkgoRecover()
			Eventually(func() error {
				_, err := os.Stat(begun)
				return err
			}).WithContext(ctx).Should(Succeed())
			cancel()
		}()
		result, err = n.Exec(short, "sh", "-c", "echo out; >"+begun+"; sleep 1000 & sleep 1000")
		Expect(err).To(MatchError(context.Canceled))
		Expect(string(result.Output)).To(Equal("out\n"))
		Expect(result.Status).To(Equal(128 + 9))
	}, SpecTimeout(specTimeout))

	It("finds /run empty and its own interfaces in /sys", func(ctx SpecContext) {
		result, err := n.Exec(ctx, "sh", "-c", "ls -A /run; ls /sys/class/net")
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Fields(string(result.Output))).To(ConsistOf("eth0", "lo"))
	}, SpecTimeout(specTimeout))

	It("can be the built-in real server", func(ctx SpecContext) {
		p, err := n.StartRealServer(ctx, 8080)
		Expect(err).NotTo(HaveOccurred())
		result, err := n.Exec(ctx, "curl", "-si", "http://192.168.1.2:8080/any")
		Expect(err).NotTo(HaveOccurred())
		Expect(string(result.Output)).To(And(
			HavePrefix("HTTP/1.1 200 OK\r\n"),
			ContainSubstring("Server-Name: lb1\r\n"),
			ContainSubstring("Connection: close\r\n"),
			HaveSuffix("\r\n\r\nlb1\n")))
		_, err = n.StartRealServer(ctx, 8080)
		Expect(err).To(MatchError(ContainSubstring("address already in use")))
		Expect(p.Alive()).To(BeTrue())
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A process under the init", func() {
	var n *lab.Node

	BeforeEach(func(ctx SpecContext) {
		n = node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
	})

	start := func(ctx context.Context, script string) *lab.Process {
		GinkgoHelper()
		p, err := n.Start(ctx, lab.Command{
			Name: "sh", Args: []string{"-c", script}, Init: true,
		})
		Expect(err).NotTo(HaveOccurred())
		return p
	}

	It("is an ordinary process that sees only its own in /proc", func(ctx SpecContext) {
		p := start(ctx, "echo pid $$; printf '%s\n' /proc/[0-9]*; read line; exit 3")
		Expect(p.Wait(ctx)).To(MatchError(ContainSubstring("exit status 3")))
		Expect(p.Status()).To(Equal(3))
		var last []string
		for _, line := range p.Tail(0) {
			Expect(line).To(ContainSubstring(" sh[%d]: ", p.Pid()))
			last = append(last, line[strings.LastIndex(line, " ")+1:])
		}
		Expect(last).To(HaveLen(3))
		Expect(last[0]).NotTo(Equal("1"))
		Expect(last[1:]).To(Equal([]string{"/proc/1", "/proc/" + last[0]}))
	}, SpecTimeout(specTimeout))

	It("is ended by a signal that it does not handle", func(ctx SpecContext) {
		p := start(ctx, "echo ready; exec sleep 1000")
		Expect(p.AwaitLine(ctx, said("ready"))).To(Succeed())
		Expect(p.Signal(syscall.SIGTERM)).To(Succeed())
		Expect(p.Wait(ctx)).To(HaveOccurred())
		Expect(p.Status()).To(Equal(128 + 15))
		Expect(p.Signal(syscall.SIGTERM)).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))

	It("can die and leave its children behind", func(ctx SpecContext) {
		p := start(ctx, "(while :; do echo tick; read -t 0 x; done) & exec sleep 1000")
		Expect(p.AwaitLine(ctx, said("tick"))).To(Succeed())
		Expect(p.Signal(syscall.SIGKILL)).To(Succeed())
		Eventually(func() bool { return gone(p.Pid()) }).WithContext(ctx).Should(BeTrue())
		Expect(p.Alive()).To(BeTrue())
		before := p.Tail(0)
		Eventually(func() []string { return p.Tail(0) }).ShouldNot(Equal(before))
		Expect(p.Freeze(ctx)).To(Succeed())
		Expect(p.Kill()).To(Succeed())
		Expect(n.Processes()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("is not started when it cannot be", func(ctx SpecContext) {
		// A script whose interpreter is missing passes for a program until it is to run.
		script := filepath.Join(GinkgoT().TempDir(), "script")
		Expect(os.WriteFile(script, []byte("#!/no/such/shell\n"), 0o755)).To(Succeed())
		_, err := n.Start(ctx, lab.Command{Name: script, Init: true})
		Expect(err).To(MatchError("start script on lb1: no such file or directory"))
		Expect(n.Processes()).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("can be a built-in role", func(ctx SpecContext) {
		p, err := n.StartRole(ctx, "real-server", lab.Command{
			Args: []string{"lb1", "80", "http"}, Init: true,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(p.AwaitLine(ctx, said("listening on 0.0.0.0:80"))).To(Succeed())
		Expect(p.String()).To(Equal("lb1:real-server"))
	}, SpecTimeout(specTimeout))
})

// pidNamespace returns the rest of the name of a process's PID namespace.
func pidNamespace(pid int) string {
	GinkgoHelper()
	name, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/pid"))
	Expect(err).NotTo(HaveOccurred())
	return strings.TrimPrefix(name, "pid:[")
}

// family returns the processes in the PID namespace of one.
func family(p *lab.Process) []string {
	GinkgoHelper()
	own := "pid:[" + pidNamespace(p.Pid())
	var pids []string
	paths, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, path := range paths {
		if ns, err := os.Readlink(path); err == nil && ns == own {
			pids = append(pids, strings.Split(path, "/")[2])
		}
	}
	return pids
}

// victimRole is the role of a program that builds a lab and is then killed.
const victimRole = "victim"

// runVictim builds fig7 with processes that have descendants, says so and never ends.
func runVictim([]string) error {
	t, err := topology.Preset("fig7")
	if err != nil {
		return err
	}
	ctx := context.Background()
	l, err := lab.Up(ctx, t, lab.Options{})
	if err != nil {
		return err
	}
	for _, n := range l.Nodes() {
		command := lab.Command{Name: "sh", Args: []string{"-c", "sleep 1000 & sleep 1000"}}
		if _, err := n.Start(ctx, command); err != nil {
			return err
		}
		if _, err := n.StartRealServer(ctx, 80); err != nil {
			return err
		}
	}
	os.Stdout.WriteString("up\n")
	select {}
}

var _ = Describe("A lab whose process is killed", func() {
	It("leaves no namespace, process, link or mount", func(ctx SpecContext) {
		links, err := netlink.LinkList()
		Expect(err).NotTo(HaveOccurred())
		tables := mounts()
		victim := exec.Command("/proc/self/exe")
		victim.Args[0] = "tandem-lab:" + victimRole
		victim.Stderr = GinkgoWriter
		output, err := victim.StdoutPipe()
		Expect(err).NotTo(HaveOccurred())
		Expect(victim.Start()).To(Succeed())
		DeferCleanup(func() {
			victim.Process.Kill()
			victim.Wait()
		})
		Expect(bufio.NewReader(output).ReadString('\n')).To(Equal("up\n"))

		owned := namespaces(strconv.Itoa(victim.Process.Pid))
		for ns := range namespaces("self") {
			delete(owned, ns)
		}
		// A network, a mount and a UTS namespace for each of the seven nodes and the fabric.
		Expect(owned).To(HaveLen(3 * 8))
		pids := inside(owned)
		// On each node a shell with two sleeping children, and a real server.
		Expect(len(pids)).To(BeNumerically(">=", 7*4))
		Expect(mounts()).To(Equal(tables))

		Expect(victim.Process.Kill()).To(Succeed())
		Expect(victim.Wait()).To(MatchError("signal: killed"))
		Eventually(func() []int { return slices.DeleteFunc(pids, gone) }).
			WithContext(ctx).Should(BeEmpty())
		Eventually(func() []int { return inside(owned) }).WithContext(ctx).Should(BeEmpty())
		Expect(mounts()).To(Equal(tables))
		after, err := netlink.LinkList()
		Expect(err).NotTo(HaveOccurred())
		Expect(after).To(HaveLen(len(links)))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("A program under init", func() {
	It("keeps its number when it has ended", func(ctx SpecContext) {
		n := node(up(ctx, preset("fig5"), lab.Options{}), "lb1")
		p, err := n.Start(ctx, lab.Command{Name: "sleep", Args: []string{"1000"}, Init: true})
		Expect(err).NotTo(HaveOccurred())
		pid := p.Pid()
		Expect(p.Kill()).To(Succeed())
		Expect(p.Pid()).To(Equal(pid), "a number below 0 would be that of a group")
		_, err = p.Frozen()
		Expect(err).To(MatchError(os.ErrProcessDone))
	}, SpecTimeout(specTimeout))
})
