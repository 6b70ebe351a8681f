package netif_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestMarks looks at the marks of packets that come from the network, as a socket is told them.
func TestMarks(t *testing.T) {
	a, b := netiftest.Pair(t)
	eth := a.Host.Interface(netiftest.Device)
	ok(t, eth.AddAddr(netip.MustParsePrefix("192.168.1.7/32"), 0))
	ok(t, eth.AddAddr(netip.MustParsePrefix("2001:db8::a/64"), 0))
	ok(t, b.Host.Interface(netiftest.Device).AddAddr(netip.MustParsePrefix("2001:db8::b/64"), 0))
	addr := netip.MustParseAddr
	table := netif.MarkTable{Name: "tandem_ipvs", Priority: -1, Marks: []netif.Mark{
		{addr("192.168.1.6"), addr("192.168.1.9"), unix.IPPROTO_UDP, 5000, 1000},
		{addr("2001:db8::a"), addr("2001:db8::a"), unix.IPPROTO_UDP, 0, 1001},
		{addr("192.168.1.2"), addr("192.168.1.2"), unix.IPPROTO_TCP, 0, 1002},
	}}
	if err := a.Host.PutMarks(table); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip(err)
	}
	marks := func() map[string]uint32 {
		got := map[string]uint32{}
		for _, to := range []string{"192.168.1.7:5000", "192.168.1.7:5001", "192.168.1.2:5000",
			"[2001:db8::a]:5000", "[2001:db8::a]:5001"} {
			got[to] = markOf(t, a, b, to)
		}
		return got
	}
	want := map[string]uint32{"192.168.1.7:5000": 1000, "192.168.1.7:5001": 0,
		"192.168.1.2:5000": 0, "[2001:db8::a]:5000": 1001, "[2001:db8::a]:5001": 1001}
	ok(t, a.Host.PutMarks(table))
	if diff := cmp.Diff(want, marks()); diff != "" {
		t.Errorf("marks (-want +got)\n%s", diff)
	}
	table.Marks = table.Marks[:1]
	table.Marks[0].Mark = 1 << 31
	ok(t, a.Host.PutMarks(table))
	want = map[string]uint32{"192.168.1.7:5000": 1 << 31, "192.168.1.7:5001": 0,
		"192.168.1.2:5000": 0, "[2001:db8::a]:5000": 0, "[2001:db8::a]:5001": 0}
	if diff := cmp.Diff(want, marks()); diff != "" {
		t.Errorf("other marks (-want +got)\n%s", diff)
	}
	for range 2 { // the second time it is gone
		ok(t, a.Host.DropMarks(table.Name))
	}
	if got := markOf(t, a, b, "192.168.1.7:5000"); got != 0 {
		t.Errorf("without the table: got mark %d", got)
	}
}

// TestManyMarks puts as many as a large group has.
func TestManyMarks(t *testing.T) {
	a, _ := netiftest.Pair(t)
	table := netif.MarkTable{Name: "tandem_ipvs"}
	for i := range 1000 {
		ip := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		table.Marks = append(table.Marks, netif.Mark{First: ip, Last: ip,
			Protocol: unix.IPPROTO_TCP, Port: 80, Mark: 7})
	}
	if err := a.Host.PutMarks(table); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip(err)
	} else {
		ok(t, err)
	}
	ok(t, a.Host.DropMarks(table.Name))
}

// markOf sends a datagram from one node to another, and returns its mark.
func markOf(t *testing.T, to, from *netiftest.Node, address string) uint32 {
	t.Helper()
	var in, out net.Conn
	var err error
	to.Do(func() {
		var packets net.PacketConn
		if packets, err = net.ListenPacket("udp", address); err == nil {
			in = packets.(*net.UDPConn)
		}
	})
	ok(t, err)
	defer in.Close()
	raw, err := in.(*net.UDPConn).SyscallConn()
	ok(t, err)
	ok(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVMARK, 1)
	}))
	ok(t, err)
	from.Do(func() { out, err = net.Dial("udp", address) })
	ok(t, err)
	defer out.Close()
	_ = in.SetReadDeadline(time.Now().Add(20 * time.Second))
	control := make([]byte, 256)
	// A neighbor may have to be found first, and an address of IPv6 checked: it is sent again.
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			_, _ = out.Write([]byte("x"))
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	})
	_, n, _, _, err := in.(*net.UDPConn).ReadMsgUDP(make([]byte, 8), control)
	close(stop)
	sending.Wait()
	ok(t, err)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	ok(t, err)
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_MARK {
			return binary.NativeEndian.Uint32(m.Data)
		}
	}
	t.Errorf("datagram to %s: no mark said", address)
	return 0
}
