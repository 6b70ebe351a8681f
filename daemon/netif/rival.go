package netif

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Rival is another station that has said that an address is its own.
type Rival struct {
	Addr netip.Addr
	MAC  MAC
}

// FollowRivals calls heard, from another goroutine, with what other stations on the interface say of
// addresses that they have: by ARP, announcements and answers; with ipv6, by neighbor advertisements.
// What comes from a MAC of the host's own is among it; see HasMAC. It does so until stop is called,
// which waits for the last call, or, once, failed. Neither may call stop. An interface without an
// Ethernet address is ErrNoMAC.
func (i *Interface) FollowRivals(
	ipv6 bool, heard func(Rival), failed func(error),
) (stop func(), err error) {
	listen := i.listenARP
	if ipv6 {
		listen = i.listenNDP
	}
	s, err := i.link()
	if err == nil {
		var l rivals
		if l, err = listen(s); err == nil {
			return follow(l, heard, failed), nil
		}
	}
	return nil, fmt.Errorf("listen for rivals on %s: %w", i.name, err)
}

// ErrNoMAC is that an interface has no Ethernet address, so that nobody can have what is its own.
var ErrNoMAC = errors.New("interface has no Ethernet address")

// HasMAC reports whether an interface of the host has the address.
func (h *Host) HasMAC(mac MAC) (has bool, err error) {
	apart(func() {
		var links []netlink.Link
		links, err = h.eyes.LinkList()
		has = slices.ContainsFunc(links, func(l netlink.Link) bool {
			return string(l.Attrs().HardwareAddr) == string(mac[:])
		})
	})
	if err != nil {
		return false, fmt.Errorf("list interfaces: %w", err)
	}
	return has, nil
}

// AskRivals asks other stations for the addresses, each by one frame whose answers come to this host
// alone and change nobody's mind.
//
// Equivalent to: `arping -D -c 1 -I IF ADDR` for each, `ndisc6 -1 ADDR IF` for IPv6.
func (i *Interface) AskRivals(addrs []netip.Addr) error {
	err := i.withLink(func(s State) error {
		if len(s.mac) != macLen {
			return ErrNoMAC
		}
		if len(s.Addrs) == 0 && slices.ContainsFunc(addrs, netip.Addr.Is6) { // it is not watched
			var err error
			if s, err = i.State(); err != nil {
				return err
			}
		}
		raw, err := i.host.frameSocket()
		if err != nil {
			return err
		}
		for _, addr := range addrs {
			frame := arpProbe(MAC(s.mac), addr)
			if addr.Is6() {
				if frame, err = solicitation(s, addr); err != nil {
					return err
				}
			}
			if err := sendFrame(raw, s.Index, frame); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask for rivals on %s: %w", i.name, err)
	}
	return nil
}

// rivals is a socket that hears of them.
type rivals interface {
	// next returns the next one, or a zero Rival for what is none.
	next() (Rival, error)
	Close() error
}

func follow(l rivals, heard func(Rival), failed func(error)) (stop func()) {
	ended := make(chan struct{})
	var closed atomic.Bool
	go func() {
		defer close(ended)
		for {
			r, err := l.next()
			switch {
			case closed.Load():
				return
			case errors.Is(err, unix.ENETDOWN): // it says so once, and hears again when the link is up
			case err != nil:
				failed(fmt.Errorf("listen for rivals: %w", err))
				return
			case r.Addr.IsValid():
				heard(r)
			}
		}
	}()
	return func() {
		closed.Store(true)
		_ = l.Close() // it was only read
		<-ended
	}
}

// The offsets in an ARP packet of IPv4 over Ethernet (RFC 826), and its length.
const (
	arpOperation, arpSender, arpSenderIP = 6, 8, 14
	arpTargetIP, arpLen                  = 24, 28
	ethernetLen                          = 14
)

const arpReply = 2

// arpRivals hears ARP.
type arpRivals struct {
	*packet.Conn
	buf [ethernetLen + arpLen]byte
}

// listenARP opens a socket that hears announcements and answers, and nothing else.
func (i *Interface) listenARP(s State) (rivals, error) {
	if len(s.mac) != macLen {
		return nil, ErrNoMAC
	}
	conn, err := i.listenFrames(s, unix.ETH_P_ARP, []bpf.Instruction{
		bpf.LoadAbsolute{Off: ethernetLen + arpOperation, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arpReply, SkipTrue: 4},
		bpf.LoadAbsolute{Off: ethernetLen + arpSenderIP, Size: 4},
		bpf.TAX{},
		bpf.LoadAbsolute{Off: ethernetLen + arpTargetIP, Size: 4},
		bpf.JumpIfX{Cond: bpf.JumpNotEqual, SkipTrue: 1},
		bpf.RetConstant{Val: ethernetLen + arpLen},
		bpf.RetConstant{Val: 0},
	})
	return &arpRivals{Conn: conn}, err
}

// listenFrames opens a socket that gets the frames of a protocol which come to the interface, as far
// as the program says, from Ethernet's header on.
func (i *Interface) listenFrames(
	s State, protocol int, program []bpf.Instruction,
) (conn *packet.Conn, err error) {
	filter, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble filter: %w", err)
	}
	err = i.host.inside(func() (err error) {
		eth := &net.Interface{Index: s.Index, Name: i.name, HardwareAddr: s.mac}
		conn, err = packet.Listen(eth, packet.Raw, protocol, &packet.Config{Filter: filter})
		return err
	})
	return conn, err
}

func (r *arpRivals) next() (Rival, error) {
	n, _, err := r.ReadFrom(r.buf[:])
	if err != nil || n < len(r.buf) {
		return Rival{}, err
	}
	b := r.buf[ethernetLen:]
	return Rival{netip.AddrFrom4([4]byte(b[arpSenderIP:])), MAC(b[arpSender:])}, nil
}

// arpProbe asks who has ip, for nobody: its answer is for the asker, and no cache keeps anything of
// the question (RFC 5227, Section 2.1.1).
func arpProbe(mac MAC, ip netip.Addr) []byte {
	if !ip.Is4() {
		return nil
	}
	b := gratuitousARP(mac, ip.As4())
	copy(b[ethernetLen+arpSenderIP:], netip.IPv4Unspecified().AsSlice())
	return b
}

// ndpRivals hears neighbor advertisements.
type ndpRivals struct {
	*ndp.Conn
	index int
	buf   [1 << 11]byte // more than options take
}

func (i *Interface) listenNDP(s State) (rivals, error) {
	if len(s.mac) != macLen {
		return nil, ErrNoMAC
	}
	r := &ndpRivals{index: s.Index}
	err := i.host.inside(func() (err error) {
		eth := &net.Interface{Index: s.Index, Name: i.name}
		r.Conn, _, err = ndp.Listen(eth, ndp.Unspecified)
		return err
	})
	if err != nil {
		return nil, err
	}
	var only ipv6.ICMPFilter
	only.SetAll(true)
	only.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	err = errors.Join(r.SetICMPFilter(&only), r.SetControlMessage(ipv6.FlagInterface, true))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *ndpRivals) next() (Rival, error) {
	n, control, _, err := r.ReadRaw(r.buf[:])
	if err != nil || control == nil || control.IfIndex != r.index {
		return Rival{}, err
	}
	m, err := ndp.ParseMessage(r.buf[:n])
	na, ok := m.(*ndp.NeighborAdvertisement)
	if err != nil || !ok { // somebody sends nonsense
		return Rival{}, nil
	}
	for _, o := range na.Options {
		l, ok := o.(*ndp.LinkLayerAddress)
		if ok && l.Direction == ndp.Target && len(l.Addr) == macLen {
			return Rival{Addr: na.TargetAddress, MAC: MAC(l.Addr)}, nil
		}
	}
	return Rival{}, nil
}

// solicitation asks who has ip. The answer comes to the interface's link-local address.
func solicitation(s State, ip netip.Addr) ([]byte, error) {
	const hopLimit = 255
	var src netip.Addr
	for _, p := range s.Addrs {
		if p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && p.Addr() != ip {
			src = p.Addr()
		}
	}
	if !src.IsValid() {
		return nil, errors.New("interface has no link-local address")
	}
	group, err := ndp.SolicitedNodeMulticast(ip)
	if err != nil {
		return nil, err
	}
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{
		TargetAddress: ip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: s.mac}},
	}, src, group)
	if err != nil {
		return nil, err
	}
	h := header{protocol: unix.IPPROTO_ICMPV6, ttl: hopLimit}
	return multicastFrame(MAC(s.mac), src, group, h, body), nil
}
