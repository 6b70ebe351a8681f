package bfd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	// trafficClass is precedence Internetwork Control, as in VRRP's adverts.
	trafficClass = 0xc0
	// firstSource to lastSource are the ports to send from (RFC 5881, Section 4).
	firstSource, lastSource = 49152, 65535
	// sourceTries is how many of them are tried.
	sourceTries = 64
	// drainMost is how many datagrams are read at once.
	drainMost = 64
	// maxDatagram is more than a packet with any authentication takes.
	maxDatagram = 512
	maxControl  = 128
)

// kernel is the network of the thread that asks.
type kernel struct{}

// listen opens the socket of a door.
//
// Equivalent to: `socat -u UDP4-RECVFROM:3784,ip-recvttl,ip-pktinfo -`
func (kernel) listen(d door) (ear, error) {
	family := "udp4"
	if d.ipv6 {
		family = "udp6"
	}
	where := ":" + strconv.Itoa(d.port())
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), family, where)
	if err != nil {
		return nil, err // says what was done and where
	}
	e := &socketEar{door: d, conn: conn.(*net.UDPConn)}
	if d.ipv6 {
		flags := ipv6.FlagHopLimit | ipv6.FlagDst | ipv6.FlagInterface
		err = ipv6.NewPacketConn(conn).SetControlMessage(flags, true)
	} else {
		flags := ipv4.FlagTTL | ipv4.FlagDst | ipv4.FlagInterface
		err = ipv4.NewPacketConn(conn).SetControlMessage(flags, true)
	}
	if err == nil {
		e.raw, err = e.conn.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s %s: %w", family, where, err), conn.Close())
	}
	return e, nil
}

// socketEar is a socket that hears.
type socketEar struct {
	door door
	conn *net.UDPConn
	raw  syscall.RawConn
	buf  [maxDatagram]byte
	oob  [maxControl]byte
}

// hear has the runtime's poller say when there is something, and leaves the reading to drain.
func (e *socketEar) hear(ready func()) error {
	err := e.raw.Read(func(uintptr) bool {
		ready()
		return false
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// drain reads the socket. It does not go through the poller, whose reader may be waiting.
func (e *socketEar) drain(deliver func(datagram)) (more bool, err error) {
	again := true
	outer := e.raw.Control(func(fd uintptr) {
		for range drainMost {
			var d datagram
			var ok bool
			if d, ok, err = e.receive(int(fd)); err != nil {
				again = !errors.Is(err, unix.EAGAIN)
				return
			} else if ok {
				deliver(d)
			}
		}
	})
	if outer != nil { // closed
		return false, outer
	}
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return again, err
}

func (e *socketEar) Close() error { return e.conn.Close() }

// receive reads one datagram, or returns EAGAIN; false is one whose header is not known.
func (e *socketEar) receive(fd int) (datagram, bool, error) {
	n, oobn, _, from, err := unix.Recvmsg(fd, e.buf[:], e.oob[:], unix.MSG_DONTWAIT)
	if err != nil {
		return datagram{}, false, err
	}
	d := datagram{payload: e.buf[:n]}
	var dst net.IP
	var index int
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		var cm ipv4.ControlMessage
		err = cm.Parse(e.oob[:oobn])
		d.from, d.ttl, dst, index = netip.AddrFrom4(from.Addr), cm.TTL, cm.Dst, cm.IfIndex
	case *unix.SockaddrInet6:
		var cm ipv6.ControlMessage
		err = cm.Parse(e.oob[:oobn])
		d.from, d.ttl, dst, index = netip.AddrFrom16(from.Addr), cm.HopLimit, cm.Dst, cm.IfIndex
	}
	to, ok := netip.AddrFromSlice(dst)
	if err != nil || !ok {
		return datagram{}, false, nil
	}
	if d.to = to; !e.door.ipv6 {
		d.to = to.Unmap()
	}
	if d.from.IsLinkLocalUnicast() && e.door.ipv6 {
		d.index = index
	}
	return d, true, nil
}

// dial opens a socket for one session, from a port that no other session has.
//
// RFC 5881, Section 4: "The source port MUST be in the range 49152 through 65535. The same UDP
// source port number MUST be used for all BFD Control packets associated with a particular session.
// The source port number SHOULD be unique among all BFD sessions on the system."
func (kernel) dial(c Config) (mouth, error) {
	family, m := "udp4", &socketMouth{}
	to := &net.UDPAddr{IP: c.Neighbor.AsSlice(), Port: c.door().port()}
	if c.Neighbor.Is6() {
		family = "udp6"
	}
	if zone := c.Neighbor.Zone(); zone != "" {
		device, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, fmt.Errorf("find interface %s: %w", zone, err)
		}
		to.Zone = strconv.Itoa(device.Index)
		if c.Neighbor.IsLinkLocalUnicast() {
			m.device = device.Index
		}
	}
	var err error
	if m.conn, err = dialFromAny(family, c.Source, to); err != nil {
		return nil, err
	}
	if err := m.prepare(c); err != nil {
		return nil, errors.Join(fmt.Errorf("speak to %s: %w", c.Neighbor, err), m.conn.Close())
	}
	return m, nil
}

// dialFromAny looks for a source port that is free.
func dialFromAny(family string, source netip.Addr, to *net.UDPAddr) (*net.UDPConn, error) {
	from := &net.UDPAddr{IP: source.AsSlice()}
	if source.Is6() && source.IsLinkLocalUnicast() {
		from.Zone = to.Zone
	}
	for try := 1; ; try++ {
		from.Port = firstSource + rand.IntN(lastSource-firstSource+1)
		conn, err := net.DialUDP(family, from, to)
		if err == nil || !errors.Is(err, unix.EADDRINUSE) || try == sourceTries {
			return conn, err
		}
	}
}

// socketMouth is a socket that speaks. It is connected, so that the kernel tells when the neighbour
// cannot be reached.
type socketMouth struct {
	conn   *net.UDPConn
	raw    syscall.RawConn
	device int
}

func (m *socketMouth) prepare(c Config) (err error) {
	if m.raw, err = m.conn.SyscallConn(); err != nil {
		return err
	}
	if c.Neighbor.Is6() {
		conn := ipv6.NewConn(m.conn)
		return errors.Join(conn.SetHopLimit(c.ttl()), conn.SetTrafficClass(trafficClass))
	}
	conn := ipv4.NewConn(m.conn)
	return errors.Join(conn.SetTTL(c.ttl()), conn.SetTOS(trafficClass))
}

// send sends. What the network has said about an earlier packet comes as the error of this one, and
// keeps it back (net/core/sock.c: sock_alloc_send_pskb), so it is sent again; the error is returned
// all the same.
func (m *socketMouth) send(payload []byte) error {
	err := m.write(payload)
	if unreachable(err) {
		if again := m.write(payload); again != nil {
			return again
		}
	}
	return err
}

func (m *socketMouth) write(payload []byte) (err error) {
	outer := m.raw.Write(func(fd uintptr) bool {
		_, err = unix.SendmsgN(int(fd), payload, nil, nil, unix.MSG_DONTWAIT)
		return true
	})
	return errors.Join(outer, err)
}

// unreachable reports whether err is what another host has said, and not this one.
func unreachable(err error) bool {
	for _, e := range []error{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.EHOSTDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (m *socketMouth) index() int { return m.device }

func (m *socketMouth) Close() error { return m.conn.Close() }
