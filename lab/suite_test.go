package lab_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
	"go.uber.org/goleak"
)

// specTimeout bounds every wait of a spec, with an allowance for a busy machine.
const specTimeout = 20 * time.Second

func TestMain(m *testing.M) {
	lab.Main(lab.Role{Name: victimRole, Run: runVictim})
	goleak.VerifyTestMain(m,
		// Ginkgo watches for interrupts until the process ends.
		goleak.IgnoreAnyFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler."+
			"(*InterruptHandler).registerForInterrupts.func2"),
		goleak.IgnoreTopFunction("os/signal.signal_recv"),
	)
}

func TestLab(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces and links cannot be made")
	}
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(specTimeout)
	RunSpecs(t, "lab")
}

// preset returns a preset topology.
func preset(name string) topology.Topology {
	GinkgoHelper()
	t, err := topology.Preset(name)
	Expect(err).NotTo(HaveOccurred())
	return t
}

// up builds a lab that ends with the spec.
func up(ctx context.Context, t topology.Topology, o lab.Options) *lab.Lab {
	GinkgoHelper()
	l, err := lab.Up(ctx, t, o)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(l.Close)
	return l
}

// node returns a node of a lab.
func node(l *lab.Lab, name string) *lab.Node {
	GinkgoHelper()
	n, ok := l.Node(name)
	Expect(ok).To(BeTrue(), "node %s", name)
	return n
}

// shell starts a shell script on a node.
func shell(ctx context.Context, n *lab.Node, script string) *lab.Process {
	GinkgoHelper()
	p, err := n.Start(ctx, lab.Command{Name: "sh", Args: []string{"-c", script}})
	Expect(err).NotTo(HaveOccurred())
	return p
}

// said matches one line of output.
func said(text string) func(string) bool { return func(line string) bool { return line == text } }

// namespaceKinds are the kinds of namespaces that a lab makes.
var namespaceKinds = []string{"net", "mnt", "uts", "pid"}

// namespaces returns the namespaces that the threads of processes are in, and how many threads each
// has; pattern names the processes, "*" all.
func namespaces(pattern string) map[string]int {
	found := make(map[string]int)
	for _, kind := range namespaceKinds {
		paths, _ := filepath.Glob("/proc/" + pattern + "/task/*/ns/" + kind)
		for _, path := range paths {
			// A thread that ends meanwhile is in none.
			if ns, err := os.Readlink(path); err == nil {
				found[ns]++
			}
		}
	}
	return found
}

// threads returns the numbers of this process's threads.
func threads() []string {
	paths, _ := filepath.Glob("/proc/self/task/*")
	return paths
}

// descriptors returns what this process's descriptors lead to, by number.
func descriptors() map[string]string {
	open := make(map[string]string)
	paths, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range paths {
		// The descriptor of the listing itself is gone again.
		if to, err := os.Readlink(path); err == nil {
			open[path] = to
		}
	}
	return open
}

// children returns the processes whose parent is this one.
func children() []int {
	var pids []int
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		var pid, parent int
		var name, state string
		// Names of the test's own children have no spaces.
		_, err = fmt.Sscan(string(text), &pid, &name, &state, &parent)
		if err == nil && parent == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// mounts returns the lines of this process's mount table.
func mounts() []string {
	GinkgoHelper()
	file, err := os.Open("/proc/self/mountinfo")
	Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	var lines []string
	for in := bufio.NewScanner(file); in.Scan(); {
		lines = append(lines, in.Text())
	}
	return lines
}

// gone reports whether a process does not exist.
func gone(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return errors.Is(err, os.ErrNotExist)
}

// inside returns the processes in whose threads any of the namespaces is found.
func inside(owned map[string]int) []int {
	found := make(map[int]bool)
	paths, _ := filepath.Glob("/proc/[0-9]*/task/*/ns/net")
	for _, path := range paths {
		ns, err := os.Readlink(path)
		if _, ours := owned[ns]; err != nil || !ours {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err == nil {
			found[pid] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
