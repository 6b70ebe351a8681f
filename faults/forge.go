package faults

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// forger makes frames like adverts that no router may believe: each has at least one thing for
// which the receiver must discard it. What is valid but for its sender is not among them; VRRP has
// nothing against that. Of the same seed it makes the same frames.
type forger struct {
	random *rand.Rand
	// mac is the sender's; sources are the addresses that it pretends to have.
	mac     net.HardwareAddr
	sources []netip.Addr
	// version, routers, vips and advert are those of the network under attack.
	version int
	routers []uint8
	vips    []netip.Addr
	advert  time.Duration
}

// forgery is a packet in the making.
type forgery struct {
	source  netip.Addr
	ttl     uint8
	options int // words of IP options
	message []byte
}

// The offsets of an advert's fields, of both versions. Source: RFC 3768, Section 5.1; RFC 9568,
// Section 5.1.
const (
	offsetVersion  = 0
	offsetRouter   = 1
	offsetPriority = 2
	offsetCount    = 3
	offsetAuth     = 4 // version 2
	offsetInterval = 5 // version 2, seconds
	offsetAdvert   = 4 // version 3, 12 bits, centiseconds
	offsetChecksum = 6
	offsetAddrs    = 8
)

// lies are the ways to spoil a valid packet. The last two are lies in version 2 only; version 3 has
// no such fields, or believes them.
//
// Source: RFC 3768, Section 7.1; RFC 9568, Section 7.1.
var lies = []func(*forger, *forgery){
	func(f *forger, p *forgery) { p.message = f.noise() },
	func(f *forger, p *forgery) {
		p.message = p.message[:f.random.IntN(offsetAddrs+4*len(f.vips))]
	},
	func(f *forger, p *forgery) { p.message[offsetChecksum] ^= uint8(1 + f.random.IntN(255)) },
	func(f *forger, p *forgery) { p.ttl = uint8(f.random.IntN(255)) },
	func(f *forger, p *forgery) { f.set(p, offsetRouter, f.otherRouter()) },
	func(f *forger, p *forgery) {
		f.set(p, offsetVersion, uint8((4+f.random.IntN(12))<<4|1))
	},
	func(f *forger, p *forgery) {
		f.set(p, offsetVersion, uint8(f.version<<4|2+f.random.IntN(14)))
	},
	func(f *forger, p *forgery) {
		f.set(p, offsetCount, uint8(len(f.vips)+5+f.random.IntN(200)))
	},
	func(f *forger, p *forgery) { f.set(p, offsetAuth, uint8(1+f.random.IntN(255))) },
	func(f *forger, p *forgery) {
		f.set(p, offsetInterval, p.message[offsetInterval]+uint8(1+f.random.IntN(255)))
	},
}

// liesOfVersion2 is how many of the lies are for version 2 only.
const liesOfVersion2 = 2

// frame makes the next frame.
func (f *forger) frame() []byte {
	p := &forgery{ttl: 255, source: f.sources[f.random.IntN(len(f.sources))]}
	router := f.routers[f.random.IntN(len(f.routers))]
	priority := uint8(255 * f.random.IntN(2))
	p.message = f.advertOf(router, priority)
	choice := len(lies)
	if f.version != 2 {
		choice -= liesOfVersion2
	}
	f.seal(p)
	lies[f.random.IntN(choice)](f, p)
	if f.random.IntN(4) == 0 {
		p.options = 1 + f.random.IntN(10)
	}
	return f.packet(p)
}

// advertOf is a valid advert, but for its checksum.
func (f *forger) advertOf(router, priority uint8) []byte {
	m := []byte{uint8(f.version<<4 | 1), router, priority, uint8(len(f.vips)), 0, 0, 0, 0}
	if f.version == 2 {
		m[offsetInterval] = uint8(f.advert / time.Second)
	} else {
		binary.BigEndian.PutUint16(m[offsetAdvert:], uint16(f.advert/(10*time.Millisecond)))
	}
	for _, vip := range f.vips {
		m = append(m, vip.AsSlice()...)
	}
	if f.version == 2 {
		m = append(m, make([]byte, 8)...) // authentication data
	}
	return m
}

// set changes one field and makes the checksum right again: it must not be what gives the lie away.
func (f *forger) set(p *forgery, offset int, value uint8) {
	p.message[offset] = value
	f.seal(p)
}

// multicast is VRRP's destination. Source: RFC 9568, Section 5.1.1.2.
var multicast = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// seal sets the checksum; that of version 3 covers a pseudo-header too.
//
// Source: RFC 9568, Section 5.2.8.
func (f *forger) seal(p *forgery) {
	m := p.message
	m[offsetChecksum], m[offsetChecksum+1] = 0, 0
	all := m
	if m[offsetVersion]>>4 != 2 {
		all = append(append(p.source.AsSlice(), multicast.AsSlice()...),
			0, protocolVRRP, uint8(len(m)>>8), uint8(len(m)))
		all = append(all, m...)
	}
	binary.BigEndian.PutUint16(m[offsetChecksum:], lab.Checksum(all))
}

// noise is bytes that mean nothing: their type is never that of an advert.
func (f *forger) noise() []byte {
	b := make([]byte, f.random.IntN(100))
	for i := range b {
		b[i] = uint8(f.random.Uint32())
	}
	if len(b) > 0 && b[0]&0x0f == 1 {
		b[0] ^= 2
	}
	return b
}

// otherRouter is a virtual router that the network does not have.
func (f *forger) otherRouter() uint8 {
	for {
		id := uint8(1 + f.random.IntN(255))
		used := false
		for _, router := range f.routers {
			used = used || router == id
		}
		if !used {
			return id
		}
	}
}

// packet puts a message into an IPv4 packet in a frame to everybody who listens to VRRP.
func (f *forger) packet(p *forgery) []byte {
	group := net.HardwareAddr{0x01, 0x00, 0x5e, 0x00, 0x00, 0x12}
	frame := append(append([]byte{}, group...), f.mac...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_IP)
	words := 5 + p.options
	header := make([]byte, 4*words)
	header[0] = uint8(0x40 | words)
	header[1] = 0xc0 // precedence: internetwork control
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)+len(p.message)))
	header[8], header[9] = p.ttl, protocolVRRP
	copy(header[12:], p.source.AsSlice())
	copy(header[16:], multicast.AsSlice())
	for i := 20; i < len(header); i++ {
		header[i] = 1 // no operation
	}
	binary.BigEndian.PutUint16(header[10:], lab.Checksum(header))
	return append(append(frame, header...), p.message...)
}
