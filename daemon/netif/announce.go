package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"
)

// Announce tells everyone on the interface's network that each of addrs is here: repeat rounds of
// one frame each. For IPv4 that is a gratuitous ARP request; a request, because receivers take a
// gratuitous one at once, even within the second in which they would ignore a reply. For IPv6 it
// is an unsolicited neighbor advertisement of a router that overrides what was known.
//
// Equivalent to: `arping -U -c REPEAT -I IF ADDR` for each.
func (i *Interface) Announce(addrs []netip.Addr, repeat int) error {
	err := i.withLink(func(s State) error { return i.host.announce(s, addrs, repeat) })
	if err != nil {
		return fmt.Errorf("announce on %s: %w", i.name, err)
	}
	return nil
}

var errNoMAC = errors.New("interface has no Ethernet address")

func (h *Host) announce(s State, addrs []netip.Addr, repeat int) error {
	if len(s.mac) != macLen {
		return errNoMAC
	}
	raw, err := h.frameSocket()
	if err != nil {
		return err
	}
	for range repeat {
		for _, addr := range addrs {
			if err := sendFrame(raw, s.Index, announcement(MAC(s.mac), addr)); err != nil {
				return fmt.Errorf("announce %s: %w", addr, err)
			}
		}
	}
	return nil
}

// Announcement is addresses that are on an interface.
type Announcement struct {
	On    *Interface
	Addrs []netip.Addr
}

// AnnounceAll tells everyone, on the networks of several interfaces at once, that addresses are there:
// one frame for each, as Announce, all by one call of the kernel. It returns for each of all what
// Announce of its interface would; nil is no error at all.
func (h *Host) AnnounceAll(all []Announcement) []error {
	errs := make([]error, len(all))
	var out frames
	for i, a := range all {
		s, err := a.On.link()
		switch {
		case err != nil:
			errs[i] = err
		case len(s.mac) != macLen:
			errs[i] = errNoMAC
		default:
			for _, addr := range a.Addrs {
				out.add(i, s.Index, announcement(MAC(s.mac), addr))
			}
		}
	}
	raw, err := h.frameSocket()
	if err == nil {
		err = raw.Control(func(fd uintptr) { out.send(int(fd), errs) })
	}
	failed := false
	for i, a := range all {
		if errs[i] == nil {
			errs[i] = err
		}
		if errs[i] != nil { // the interface may be another one by now
			if errs[i] = a.On.Announce(a.Addrs, 1); errs[i] != nil {
				failed = true
			}
		}
	}
	if failed {
		return errs
	}
	return nil
}

// frames are whole Ethernet frames to be sent by one call.
type frames struct {
	of    []int // what they belong to
	to    []unix.RawSockaddrLinklayer
	bytes [][]byte
}

// add adds a frame that leaves by the interface of that index.
func (f *frames) add(of, index int, frame []byte) {
	to := unix.RawSockaddrLinklayer{
		Family: unix.AF_PACKET, Protocol: binary.NativeEndian.Uint16(frame[2*macLen:]),
		Ifindex: int32(index), Halen: macLen,
	}
	copy(to.Addr[:], frame[:macLen])
	f.of, f.to, f.bytes = append(f.of, of), append(f.to, to), append(f.bytes, frame)
}

// send sends all frames without waiting. What cannot be sent holds up no other; its error is put where
// it belongs.
func (f *frames) send(fd int, errs []error) {
	heads, messages := make([]unix.Mmsghdr, len(f.of)), make([]message, len(f.of))
	for i := range messages {
		m := &messages[i]
		m.addressed(unsafe.Pointer(&f.to[i]), unix.SizeofSockaddrLinklayer)
		m.load(f.bytes[i])
		m.head(&heads[i].Hdr)
	}
	sendEach(fd, heads, func(i int, err error) { errs[f.of[i]] = err })
}

// frameSocket returns a socket that sends whole frames and receives nothing. It is opened once.
func (h *Host) frameSocket() (syscall.RawConn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.frames == nil {
		var fd int
		err := h.inside(func() (err error) {
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("open packet socket: %w", err)
		}
		h.frames = os.NewFile(uintptr(fd), "announcements")
	}
	return h.frames.SyscallConn()
}

// sendFrame sends a frame, whose first bytes are its Ethernet header, without waiting.
func sendFrame(raw syscall.RawConn, index int, frame []byte) error {
	to := &unix.SockaddrLinklayer{
		// The kernel wants it in network order, whatever the host's is.
		Protocol: binary.NativeEndian.Uint16(frame[2*macLen:]),
		Ifindex:  index, Halen: macLen,
	}
	copy(to.Addr[:], frame[:macLen])
	var sent error
	err := raw.Control(func(fd uintptr) { sent = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT, to) })
	return errors.Join(err, sent)
}

// announcement returns the frame that says that ip is at mac.
func announcement(mac MAC, ip netip.Addr) []byte {
	if ip.Is4() {
		return gratuitousARP(mac, ip.As4())
	}
	return unsolicitedNA(mac, ip)
}

const macLen = 6

func broadcast() net.HardwareAddr {
	return net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
}

// gratuitousARP returns the Ethernet frame of an ARP request for ip from itself (RFC 826; RFC
// 5227, Section 3, for the name).
func gratuitousARP(mac MAC, ip [4]byte) []byte {
	const (
		hardwareEthernet = 1
		operationRequest = 1
	)
	b := make([]byte, 0, 42)
	b = append(b, broadcast()...)
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_ARP)
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
	b = append(b, macLen, byte(len(ip)))
	b = binary.BigEndian.AppendUint16(b, operationRequest)
	b = append(b, mac[:]...)
	b = append(b, ip[:]...)
	b = append(b, make([]byte, macLen)...)
	return append(b, ip[:]...)
}

// unsolicitedNA returns the Ethernet frame of a neighbor advertisement to all nodes.
//
// RFC 9568, Section 6.4.2: "with the Router Flag (R) set, the Solicited Flag (S) clear, the Override
// flag (O) set, the target address set to the IPv6 address of the Virtual Router, and the target
// link-layer address set to the Virtual Router MAC address".
func unsolicitedNA(mac MAC, ip netip.Addr) []byte {
	const hopLimit = 255
	all := netip.IPv6LinkLocalAllNodes()
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborAdvertisement{
		Router: true, Override: true, TargetAddress: ip.WithZone(""),
		Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac[:]},
		},
	}, ip, all)
	if err != nil {
		panic(fmt.Sprintf("netif: marshal neighbor advertisement: %v", err))
	}
	return multicastFrame(mac, ip, all, header{protocol: unix.IPPROTO_ICMPV6, ttl: hopLimit}, body)
}
