package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Constants of the protocol (RFC 9568, Section 5.1 and 5.2.4).
const (
	// Protocol is the IP protocol number of VRRP.
	Protocol = 112
	// TTL is what adverts are sent with and, when multicast, must arrive with: a router in
	// between would have lowered it.
	TTL = 255
	// PriorityResign is advertised by a master that gives up.
	PriorityResign = 0
	// PriorityOwner is the priority of the router whose own addresses the VIPs are.
	PriorityOwner = 255
)

// MulticastAddr returns where adverts of src's address family are sent: 224.0.0.18 or ff02::12.
func MulticastAddr(src netip.Addr) netip.Addr {
	if src.Is4() {
		return netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
}

// Version is the protocol version of an advert. Zero is unset.
type Version uint8

// The versions in use. V2 carries IPv4 only.
const (
	V2 Version = 2
	V3 Version = 3
)

// String returns "v2" or "v3".
func (v Version) String() string { return fmt.Sprintf("v%d", uint8(v)) }

// ChecksumForm says what the checksum of a VRRPv3 advert over IPv4 covers. RFC 5798 was read both
// ways and RFC 9568 settled on the message alone; keepalived still sends the pseudo-header by
// default, and FRR 8.4 refuses adverts without it. Both are accepted here; VRRPv2 is always plain
// and IPv6 always has the pseudo-header.
type ChecksumForm uint8

// The two forms. Zero is unset.
const (
	// ChecksumPseudo covers the IP pseudo-header and the message.
	ChecksumPseudo ChecksumForm = iota + 1 // pseudo-header
	// ChecksumPlain covers the message alone (RFC 9568, Section 5.2.8, for IPv4).
	ChecksumPlain // plain
)

// AuthType is the authentication of a VRRPv2 advert (RFC 2338, Section 5.3.6).
type AuthType uint8

// The authentication types. RFC 3768 withdrew all but AuthNone; keepalived kept AuthSimple.
const (
	// AuthNone is no authentication. It is the zero value because the wire says so.
	AuthNone AuthType = iota // none
	// AuthSimple is a password of up to eight bytes in clear text.
	AuthSimple // password
)

// Password is the authentication data of AuthSimple, padded with zero bytes.
type Password [8]byte

// MakePassword returns the first eight bytes of s, as keepalived cuts longer ones.
func MakePassword(s string) Password {
	var p Password
	copy(p[:], s)
	return p
}

// Advert is one VRRP advertisement.
type Advert struct {
	// Version is V2 or V3.
	Version Version
	// VRID names the virtual router on its network, 1 to 255.
	VRID uint8
	// Priority is the sender's: 0 resigns, 255 owns the addresses.
	Priority uint8
	// Interval is the sender's advertisement interval: whole seconds up to 255 in V2, whole
	// centiseconds up to 40.95 s in V3.
	Interval time.Duration
	// Addrs are the VIPs, 1 to 255, all of the family of the packet.
	Addrs []netip.Addr
	// Auth and Password authenticate V2 adverts. V3 has neither.
	Auth     AuthType
	Password Password
	// Checksum is the form found by Parse and used by Append. Only V3 over IPv4 has a choice.
	Checksum ChecksumForm
}

// Equal reports whether a and b say the same, their addresses in the same order.
func (a Advert) Equal(b Advert) bool {
	return a.Version == b.Version && a.VRID == b.VRID && a.Priority == b.Priority &&
		a.Interval == b.Interval && a.Auth == b.Auth && a.Password == b.Password &&
		a.Checksum == b.Checksum && slices.Equal(a.Addrs, b.Addrs)
}

// String describes a in one line, without the password.
func (a Advert) String() string {
	return fmt.Sprintf("%s vrid %d priority %d every %s for %v",
		a.Version, a.VRID, a.Priority, a.Interval, a.Addrs)
}
