package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/status"
)

const (
	drainVIP   = "192.168.1.2:8080"
	drainFirst = "192.168.1.3:8001"
	drainOther = "192.168.1.3:8002"
)

const drainConfig = `virtual_server 192.168.1.2 8080 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 1
    real_server 192.168.1.3 8001 { TCP_CHECK { } }
    real_server 192.168.1.3 8002 { TCP_CHECK { } }
}
`

// balanced is a director with two real servers on another node, and clients on its own.
type balanced struct {
	guarded
	peer    *netiftest.Node
	control string
}

// startBalanced starts it. What needs IPVS is skipped where there is none.
func startBalanced(t *testing.T) *balanced {
	t.Helper()
	if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
		t.Skip("no IPVS in this kernel: go test -exec \"tandem kernel exec --\"")
	}
	node, peer := netiftest.Pair(t)
	dir := t.TempDir()
	b := &balanced{peer: peer, control: filepath.Join(dir, "control.sock")}
	b.guarded = guarded{t: t, node: node, log: &console{}, file: filepath.Join(dir, "conf")}
	writeFile(t, b.file, drainConfig)
	var err error
	node.Do(func() {
		var lo netlink.Link
		if lo, err = netlink.LinkByName("lo"); err == nil {
			err = netlink.LinkSetUp(lo)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{drainFirst, drainOther} {
		b.listen(server)
	}
	b.start()
	return b
}

// listen has a server of that address say its name for each line that it gets.
func (b *balanced) listen(address string) {
	b.t.Helper()
	var l net.Listener
	var err error
	b.peer.Do(func() { l, err = net.Listen("tcp", address) })
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					fmt.Fprintln(conn, address)
				}
			}()
		}
	}()
}

// start starts the director, and waits until both real servers are in the table.
func (b *balanced) start() {
	b.t.Helper()
	b.process = exec.Command("/proc/self/exe", "-C", "-f", b.file, "--control", b.control)
	b.process.Env = append(os.Environ(), asDaemon+"=1")
	b.process.Stderr = b.log
	var err error
	b.node.Do(func() { err = b.process.Start() })
	if err != nil {
		b.t.Fatal(err)
	}
	process := b.process.Process
	b.t.Cleanup(func() {
		_ = process.Kill() // does nothing to one that has ended
		if b.t.Failed() {
			b.t.Log(b.log)
		}
	})
	waitFor(b.t, "real servers", func() bool {
		first, other := b.servers()
		return first.Weight != nil && other.Weight != nil && first.Health == status.Up &&
			other.Health == status.Up
	})
}

// ask runs the program with options for who asks the daemon.
func (b *balanced) ask(want int, args ...string) string {
	b.t.Helper()
	var out strings.Builder
	if got := run(append(args, "--control", b.control), &out, &out); got != want {
		b.t.Fatalf("%s: got status %d, want %d\n%s", args, got, want, &out)
	}
	return out.String()
}

// servers are the two real servers as the status tells of them; zero where nobody answers.
func (b *balanced) servers() (first, other status.Server) {
	b.t.Helper()
	var out, said strings.Builder
	run([]string{"--status", "--format=json", "--control", b.control}, &out, &said)
	s, err := status.Read(strings.NewReader(out.String()))
	if err != nil || len(s.Services) != 1 || len(s.Services[0].Servers) != 2 {
		return status.Server{}, status.Server{}
	}
	return s.Services[0].Servers[0], s.Services[0].Servers[1]
}

// dial opens a connection to the VIP, and returns it with what the server calls itself.
func (b *balanced) dial() (net.Conn, string) {
	b.t.Helper()
	var conn net.Conn
	var err error
	b.node.Do(func() { conn, err = net.Dial("tcp", drainVIP) })
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn, b.say(conn)
}

// say sends a line, and returns the answer.
func (b *balanced) say(conn net.Conn) string {
	b.t.Helper()
	_, err := io.WriteString(conn, "hello\n")
	answer := ""
	if err == nil {
		answer, err = bufio.NewReader(conn).ReadString('\n')
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(answer)
}

// tally counts which servers ten new connections get to.
func (b *balanced) tally() map[string]int {
	b.t.Helper()
	counts := map[string]int{}
	for range 10 {
		conn, server := b.dial()
		counts[server]++
		_ = conn.Close()
	}
	return counts
}

// weighs waits until the kernel has that weight for the first real server.
func (b *balanced) weighs(want int) status.Server {
	b.t.Helper()
	var got status.Server
	waitFor(b.t, fmt.Sprintf("weight %d", want), func() bool {
		got, _ = b.servers()
		return got.Weight != nil && *got.Weight == want
	})
	return got
}

func (b *balanced) expect(when string, want map[string]int) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.tally()); diff != "" {
		b.t.Errorf("%s: servers of ten connections (-want +got)\n%s", when, diff)
	}
}

// TestDrain drains a real server under connections, which go on, through the death of the worker
// and a restart, and lets it come back.
func TestDrain(t *testing.T) {
	const both = drainVIP + "/" + drainFirst
	b := startBalanced(t)
	b.expect("at first", map[string]int{drainFirst: 5, drainOther: 5})
	held, server := b.dial()
	for server != drainFirst {
		held, server = b.dial()
	}
	b.ask(exitOK, "--drain", both)
	s := b.weighs(0)
	if s.Override == nil || s.Wanted == nil || *s.Wanted != 0 || s.Health != status.Up ||
		s.Active < 1 {
		t.Errorf("status: got %+v, want it drained with a connection", s)
	}
	waitFor(t, "what the kernel has carried", func() bool { // it counts every 2 s
		s, _ := b.servers()
		return s.Flow != nil && s.Flow.Connections > 5 && s.Flow.BytesIn > 0 && s.Flow.BytesOut > 0
	})
	if got := b.ask(exitOK, "--status"); !strings.Contains(got, "drained by operator") {
		t.Errorf("status: got %s, want that it is drained", got)
	} else {
		t.Log(got)
	}
	drained := map[string]int{drainOther: 10}
	b.expect("drained", drained)
	if got := b.say(held); got != drainFirst {
		t.Errorf("connection: got %q, want it to go on", got)
	}

	first := b.worker()
	b.kill(first)
	b.said("worker ended")
	waitFor(t, "next worker", func() bool {
		s, _ := b.servers()
		return s.Override != nil && s.Weight != nil && *s.Weight == 0
	})
	b.expect("after the worker's death", drained)
	if got := b.say(held); got != drainFirst {
		t.Errorf("connection after the worker's death: got %q, want it to go on", got)
	}

	if err := b.process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := b.process.Wait(); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.expect("after a restart", drained)

	b.ask(exitOK, "--weight", both+"=4", "--weight", drainVIP+"/"+drainOther+"=0")
	b.weighs(4)
	b.expect("the other way round", map[string]int{drainFirst: 10})
	b.ask(exitOK, "--undrain", both, "--undrain", "tcp/192.168.1.2/"+drainOther)
	b.weighs(1)
	b.expect("undrained", map[string]int{drainFirst: 5, drainOther: 5})
	if _, err := os.Stat(strings.TrimSuffix(b.control, ".sock") + ".overrides"); err == nil {
		t.Error("file of overrides: expected it to be gone")
	}
	got := b.ask(exitConfig, "--drain", "192.168.1.2:80/"+drainFirst)
	if !strings.Contains(got, "expected tcp/"+drainVIP) {
		t.Errorf("drain of a service that is not there: got %s", got)
	}
}

// TestServicesElsewhere has the virtual services in another namespace than the daemon.
func TestServicesElsewhere(t *testing.T) {
	if _, err := os.Stat("/proc/net/ip_vs"); err != nil {
		t.Skip("no IPVS in this kernel: go test -exec \"tandem kernel exec --\"")
	}
	node, other := netiftest.Pair(t)
	if _, err := exec.LookPath("ipvsadm"); err != nil {
		t.Skip("apt-get install ipvsadm")
	}
	name := fmt.Sprintf("tandemd-test-%d", os.Getpid())
	bind(t, other, name)
	g := startIn(t, node, "net_namespace_ipvs "+name+"\nglobal_defs {\nlvs_sync_daemon eth0 id 7\n}\n"+
		drainConfig)
	const line = "TCP  C0A80102:1F90 rr" // 192.168.1.2:8080
	waitFor(t, "service", func() bool { return strings.Contains(tableOf(t, other), line) })
	if got := tableOf(t, node); strings.Contains(got, line) {
		t.Errorf("the daemon's own table: got %s, want nothing in it", got)
	}
	waitFor(t, "both sync daemons", func() bool { return len(syncedIn(t, other)) == 2 })
	if got := syncedIn(t, node); len(got) > 0 {
		t.Errorf("sync daemons in the daemon's own namespace: %v, want none", got)
	}
	if err := g.process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.process.Wait(); err != nil {
		t.Error(err)
	}
	if got := tableOf(t, other); strings.Contains(got, line) {
		t.Errorf("after TERM: got %s, want nothing in it", got)
	}
	if got := syncedIn(t, other); len(got) > 0 {
		t.Errorf("after TERM: sync daemons %v, want none", got)
	}
}

// syncedIn are the sync daemons of the node's namespace, as ipvsadm prints them.
func syncedIn(t *testing.T, node *netiftest.Node) (lines []string) {
	t.Helper()
	node.Do(func() {
		out, err := exec.Command("ipvsadm", "--list", "--daemon").CombinedOutput()
		if err != nil {
			t.Errorf("ipvsadm: %v: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "sync daemon") {
				lines = append(lines, line)
			}
		}
	})
	return lines
}

// tableOf is the table of virtual services of the node's namespace.
func tableOf(t *testing.T, node *netiftest.Node) string {
	t.Helper()
	var text []byte
	var err error
	node.Do(func() { text, err = os.ReadFile("/proc/thread-self/net/ip_vs") })
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
