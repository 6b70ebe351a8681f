package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

const (
	// crowdDevices carry the crowd: 255 virtual routers fit on each.
	crowdDevices = 4
	// patienceOfPeers is how long a peer of priority 100 waits for adverts of 1 s: three intervals
	// and its skew (RFC 3768, Section 6.1).
	patienceOfPeers = 3*time.Second + 156*time.Second/256
	// adverse is how long the bad time lasts, from when all are masters.
	adverse = 6 * time.Second
)

// TestAdverse runs many instances whose log is a pipe that nobody reads, which all start a script
// at once that takes its time, and beside which addresses come and go by the thousand: no gap between
// two adverts is long enough for a peer to take over, and TERM still ends all. A machine that makes
// the test itself wait makes a longer gap no fault of the director's.
func TestAdverse(t *testing.T) {
	node, peer := netiftest.PairOn(t, crowdDevices)
	dir := t.TempDir()
	config := crowdConfig(t, dir)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	heard := listen(t, peer)
	process := exec.Command("/proc/self/exe", "-DD", "-P", "-f", config,
		"--control", filepath.Join(dir, "control.sock"))
	process.Env = append(os.Environ(), asDaemon+"=1")
	process.Stderr = write
	fillPipe(t, write)
	node.Do(func() { err = process.Start() })
	if err != nil {
		t.Fatal(err)
	}
	defer process.Process.Kill() // does nothing to one that has ended
	_ = write.Close()            // the director has its own
	stop, stalled := storm(t, node), watchStalls(t)
	waitFor(t, "all masters", func() bool { return heard.routers() == crowd })
	<-time.After(adverse) // this long it is watched
	changes := stop()
	gap, router := heard.longest()
	t.Logf("%d instances, %d changes of addresses; longest gap %s, of %s; the machine stalled for %s",
		crowd, changes, gap, router, stalled())
	if limit := patienceOfPeers + stalled(); gap > limit {
		t.Errorf("longest gap between adverts: got %s of %s, want at most %s", gap, router, limit)
	}
	waitFor(t, "scripts", func() bool { return filesIn(t, filepath.Join(dir, "ran")) == crowd })
	if err := process.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		t.Errorf("after TERM: %v", err)
	}
}

// crowdConfig writes crowd instances and the script that each runs as master: it takes a while
// and leaves a file with the instance's name in dir/ran.
func crowdConfig(t *testing.T, dir string) string {
	t.Helper()
	script := filepath.Join(dir, "script")
	ran := filepath.Join(dir, "ran")
	if err := os.Mkdir(ran, 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, script, "#!/bin/sh\nsleep 0.4\n: > "+ran+"/$1\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("global_defs {\nscript_user root\n}\n")
	for i := range crowd {
		device, vrid := i%crowdDevices, i/crowdDevices+1
		fmt.Fprintf(&b, "vrrp_instance VI_%d {\ninterface %s\nvirtual_router_id %d\npriority 150\n"+
			"notify_master \"%s %d\"\nvirtual_ipaddress {\n192.168.%d.%d/24\n}\n}\n",
			i, netiftest.DeviceOf(device), vrid, script, i, device+1, vrid+3)
	}
	file := filepath.Join(dir, "crowd.conf")
	writeFile(t, file, b.String())
	return file
}

// fillPipe writes until the pipe is full.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := w.Write(make([]byte, 4096)); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// watchStalls returns what says by how much this process was late at most, so far.
func watchStalls(t *testing.T) (longest func() time.Duration) {
	t.Helper()
	const every = 10 * time.Millisecond
	var worst atomic.Int64
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-time.After(every):
			}
			now := time.Now()
			if late := now.Sub(last) - every; int64(late) > worst.Load() {
				worst.Store(int64(late))
			}
			last = now
		}
	}()
	return func() time.Duration { return time.Duration(worst.Load()) }
}

// stormEvery is the time between two rounds of stormRound changes each.
const (
	stormEvery = time.Millisecond
	stormRound = 4
)

// storm adds and deletes addresses of the node until the returned function is called, which says how
// often.
func storm(t *testing.T, node *netiftest.Node) (stop func() int) {
	t.Helper()
	done, count := make(chan struct{}), make(chan int)
	go node.Do(func() {
		changes := 0
		defer func() { count <- changes }()
		device := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "storm"}}
		if err := netlink.LinkAdd(device); err != nil {
			t.Errorf("add link: %v", err)
			return
		}
		tick := time.NewTicker(stormEvery)
		defer tick.Stop()
		for {
			if changes%stormRound == 0 {
				select {
				case <-done:
					return
				case <-tick.C:
				}
			}
			a := &netlink.Addr{IPNet: &net.IPNet{
				IP: net.IPv4(10, 99, byte(changes>>8), byte(changes)), Mask: net.CIDRMask(32, 32),
			}}
			if err := errors.Join(netlink.AddrAdd(device, a), netlink.AddrDel(device, a)); err != nil {
				t.Errorf("change address: %v", err)
				return
			}
			changes += 2
		}
	})
	return func() int {
		close(done)
		return <-count
	}
}

func filesIn(t *testing.T, dir string) int {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// virtualRouter is one as it is heard.
type virtualRouter struct {
	source netip.Addr
	vrid   byte
}

// String returns, for example, "virtual router 7 of 192.168.1.2".
func (r virtualRouter) String() string {
	return fmt.Sprintf("virtual router %d of %s", r.vrid, r.source)
}

// adverts are those that a node hears, by the kernel's clock.
type adverts struct {
	mu   sync.Mutex
	last map[virtualRouter]time.Time
	gap  time.Duration // the longest so far, of router
	of   virtualRouter
}

// listen hears all adverts until the test ends.
func listen(t *testing.T, n *netiftest.Node) *adverts {
	t.Helper()
	a := &adverts{last: map[virtualRouter]time.Time{}}
	var fd int
	var err error
	n.Do(func() {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC,
			int(ethernetIP()))
	})
	if err == nil {
		err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "packets")
	conn, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Its error is that the file has been closed.
		_ = conn.Read(func(fd uintptr) bool { return !a.read(int(fd)) })
	}()
	t.Cleanup(func() {
		_ = file.Close()
		<-ended
	})
	return a
}

// ethernetIP is ETH_P_IP in the order of the network.
func ethernetIP() uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP))
}

// read reads what has come; it returns true when the socket is to be waited for.
func (a *adverts) read(fd int) (again bool) {
	packet, control := make([]byte, 2048), make([]byte, 128)
	for {
		n, oob, _, _, err := unix.Recvmsg(fd, packet, control, 0)
		if err != nil {
			return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
		}
		a.hear(packet[:n], control[:oob])
	}
}

// hear takes an IPv4 packet of RFC 3768, Section 5.3, with its time.
func (a *adverts) hear(packet, control []byte) {
	const protocol, header = 112, 20
	if len(packet) < header+8 || packet[9] != protocol || packet[0] != 0x45 {
		return
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return
	}
	data := messages[0].Data
	at := time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
	r := virtualRouter{netip.AddrFrom4([4]byte(packet[12:16])), packet[header+1]}
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, known := a.last[r]; known && at.Sub(last) > a.gap {
		a.gap, a.of = at.Sub(last), r
	}
	a.last[r] = at
}

func (a *adverts) routers() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.last)
}

// longest returns the longest gap so far, those that last included.
func (a *adverts) longest() (time.Duration, virtualRouter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gap, of := a.gap, a.of
	for r, last := range a.last {
		if open := time.Since(last); open > gap {
			gap, of = open, r
		}
	}
	return gap, of
}
