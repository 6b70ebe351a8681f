package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// needIPVS skips the test where the kernel has no IPVS, or nobody to ask it: it returns ipvsadm.
func needIPVS(t *testing.T, node *netiftest.Node) string {
	t.Helper()
	path, err := exec.LookPath("ipvsadm")
	if err != nil {
		t.Skip("needs ipvsadm: apt-get install ipvsadm")
	}
	node.Do(func() {
		var k *ipvs.Kernel
		if k, err = ipvs.OpenKernel(t.Context()); err == nil {
			err = k.Close()
		}
	})
	if errors.Is(err, ipvs.ErrNoIPVS) {
		t.Skip("this kernel has no IPVS")
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ipvsNode returns a node whose kernel has IPVS, and what asks it as an administrator does: for
// daemons, timeouts and the settings that synchronisation changes.
func ipvsNode(t *testing.T) (*netiftest.Node, func() string) {
	t.Helper()
	node, _ := netiftest.Pair(t)
	path := needIPVS(t, node)
	return node, func() string {
		var answers []string
		node.Do(func() {
			for _, args := range [][]string{{path, "-L", "--timeout"}, {path, "-L", "--daemon"},
				{path, "-S", "-n"}} {
				out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v: %s", args, err, out)
				}
				answers = append(answers, string(out))
			}
		})
		for _, s := range syncSettings() {
			value, err := node.Host.IPVSSetting(s.name)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, s.name+" "+value+"\n")
		}
		return strings.Join(answers, "")
	}
}

const (
	untouched = "Timeout (tcp tcpfin udp): 900 120 300\nsync_refresh_period 0\n" +
		"sync_threshold 3 50\nsync_retries 0\n"
	kernelSynced = "Timeout (tcp tcpfin udp): 1200 120 30\n" +
		"master sync daemon (mcast=eth0, syncid=51, maxlen=152, group=224.0.0.81, port=8848, " +
		"ttl=1)\n" +
		"backup sync daemon (mcast=eth0, syncid=51, maxlen=1472, group=224.0.0.81, port=8848, " +
		"ttl=1)\n" +
		"sync_refresh_period 10\nsync_threshold 0 0\nsync_retries 1\n"
	foreignService = "-A -t 10.0.0.1:80 -s rr\n"
)

// TestLVSInKernel has a director set up the kernel, mend what others do to it, and leave nothing.
func TestLVSInKernel(t *testing.T) {
	node, ask := ipvsNode(t)
	admin := func(args ...string) {
		t.Helper()
		node.Do(func() {
			if out, err := exec.Command("ipvsadm", args...).CombinedOutput(); err != nil {
				t.Fatalf("ipvsadm %v: %v: %s", args, err, out)
			}
		})
	}
	expect := func(why, want string) {
		t.Helper()
		var got string
		defer func() {
			if t.Failed() {
				t.Logf("%s: (-want +got)\n%s", why, cmp.Diff(want, got))
			}
		}()
		until(t, why, func() bool { got = ask(); return got == want })
	}
	expect("before", untouched)
	admin("-A", "-t", "10.0.0.1:80", "-s", "rr")
	const sync = "lvs_sync_daemon eth0 inst VI_1\nlvs_timeouts tcp 1200 udp 30\n"
	t.Run("runs", func(t *testing.T) {
		direct(t, node, globals(sync+"lvs_flush")+oneInstance)
		expect("empties the table at the start", kernelSynced)
		admin("--stop-daemon", "master")
		admin("--set", "60", "0", "0")
		expect("mends", kernelSynced)
		node.Do(func() {
			if err := rename("eth0", "away"); err != nil {
				t.Fatal(err)
			}
		})
		expect("without its interface", strings.Join(slicesWithout(kernelSynced, "sync daemon"), ""))
		node.Do(func() {
			if err := rename("away", "eth0"); err != nil {
				t.Fatal(err)
			}
			if err := changeAddress("eth0", netlink.AddrReplace); err != nil {
				t.Fatal(err)
			}
		})
		expect("with it again", kernelSynced)
		admin("-A", "-t", "10.0.0.1:80", "-s", "rr")
	})
	expect("after", strings.Replace(untouched, "sync_ref", foreignService+"sync_ref", 1))
	t.Run("flushes", func(t *testing.T) {
		direct(t, node, globals("lvs_sync_daemon eth0\nlvs_flush_on_stop"))
	})
	expect("flushed", untouched)
}

// TestLVSCleanupInKernel has a director end without undoing anything, as one that is killed.
func TestLVSCleanupInKernel(t *testing.T) {
	node, ask := ipvsNode(t)
	file := write(t, globals("lvs_sync_daemon eth0 inst VI_1\nlvs_timeouts tcp 1200 udp 30")+
		oneInstance)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	ended := make(chan error, 1)
	go node.Do(func() {
		ended <- Run(ctx, Options{File: file, KeepServices: true, Log: slog.New(slog.DiscardHandler)})
	})
	until(t, "run", func() bool { return ask() == kernelSynced })
	kill()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kernelSynced, ask()); diff != "" {
		t.Fatalf("killed: (-want +got)\n%s", diff)
	}
	node.Do(func() {
		err := Cleanup(t.Context(), Options{File: file, Log: slog.New(slog.DiscardHandler)},
			t.TempDir()+"/claims")
		if err != nil {
			t.Errorf("Cleanup: %v", err)
		}
	})
	if diff := cmp.Diff(untouched, ask()); diff != "" {
		t.Errorf("cleaned: (-want +got)\n%s", diff)
	}
}

// slicesWithout returns the lines of text that do not have part in them.
func slicesWithout(text, part string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, part) {
			lines = append(lines, line)
		}
	}
	return lines
}
