package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// The layout of an advert (RFC 9568, Section 5.1; RFC 3768, Section 5.1):
//
//	0        version (4 bits), type (4 bits)
//	1        virtual router
//	2        priority
//	3        number of addresses
//	4, 5     V2: authentication type, interval in seconds
//	         V3: reserved (4 bits), interval in centiseconds (12 bits)
//	6, 7     checksum
//	8 …      addresses, 4 or 16 bytes each
//	…        V2: eight bytes of authentication data
const (
	headerLen   = 8
	authLen     = 8
	typeAdvert  = 1
	checksumAt  = 6
	centisecond = 10 * time.Millisecond
	maxV2       = 255 * time.Second
	maxV3       = 4095 * centisecond
)

// Parse reads the advert b that came from src to dst. The address family of src says which adverts
// are possible: VRRPv2 is IPv4 only. Every error is a DropReason; b is not kept. Whether the first
// IPv6 address is link-local is for the Machine to judge, for many senders do not care.
func Parse(b []byte, src, dst netip.Addr) (Advert, error) {
	if src.Is4() != dst.Is4() || !src.IsValid() || !dst.IsValid() {
		return Advert{}, DropFamily
	}
	if len(b) < headerLen {
		return Advert{}, DropShort
	}
	a := Advert{Version: Version(b[0] >> 4), VRID: b[1], Priority: b[2]}
	if a.Version != V3 && (a.Version != V2 || !src.Is4()) {
		return Advert{}, DropVersion
	}
	if b[0]&0xf != typeAdvert {
		return Advert{}, DropType
	}
	var ok bool
	if a.Checksum, ok = checksumForm(a.Version, b, src, dst); !ok {
		return Advert{}, DropChecksum
	}
	if a.VRID == 0 {
		return Advert{}, DropVRID
	}
	if err := a.parseInterval(b); err != nil {
		return Advert{}, err
	}
	if err := a.parseBody(b, src.Is4()); err != nil {
		return Advert{}, err
	}
	return a, nil
}

// parseInterval reads bytes 4 and 5, where V2 also has its authentication type.
func (a *Advert) parseInterval(b []byte) error {
	if a.Version == V2 {
		a.Auth = AuthType(b[4])
		a.Interval = time.Duration(b[5]) * time.Second
	} else {
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0xfff) * centisecond
	}
	if a.Auth > AuthSimple {
		return DropAuthType
	}
	if a.Interval == 0 {
		return DropInterval
	}
	return nil
}

// parseBody reads the addresses and the authentication data.
func (a *Advert) parseBody(b []byte, is4 bool) error {
	count, size := int(b[3]), 16
	if is4 {
		size = 4
	}
	if count == 0 {
		return DropNoAddress
	}
	rest := b[headerLen:]
	if len(rest) < count*size {
		return DropShort
	}
	a.Addrs = make([]netip.Addr, count)
	for i := range a.Addrs {
		a.Addrs[i], _ = netip.AddrFromSlice(rest[i*size : (i+1)*size])
	}
	return a.parseAuth(rest[count*size:])
}

// parseAuth reads what follows the addresses. A V2 advert without authentication may leave its
// eight zero bytes out.
func (a *Advert) parseAuth(rest []byte) error {
	want := 0
	if a.Version == V2 && (a.Auth == AuthSimple || len(rest) > 0) {
		want = authLen
	}
	if len(rest) < want {
		return DropShort
	}
	if len(rest) > want {
		return DropLong
	}
	if a.Auth == AuthSimple {
		copy(a.Password[:], rest)
	}
	return nil
}

// Append appends the wire form of a, as sent from src to dst, to b and returns the longer slice.
// It fails when a cannot be said on the wire: an interval out of range or between two units, no
// address, more than 255, one of another family than src, a V2 advert over IPv6.
func (a Advert) Append(b []byte, src, dst netip.Addr) ([]byte, error) {
	if err := a.encodable(src, dst); err != nil {
		return b, fmt.Errorf("encode advert: %w", err)
	}
	start := len(b)
	b = append(b, byte(a.Version)<<4|typeAdvert, a.VRID, a.Priority, byte(len(a.Addrs)))
	if a.Version == V2 {
		b = append(b, byte(a.Auth), byte(a.Interval/time.Second))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(a.Interval/centisecond))
	}
	b = append(b, 0, 0)
	for _, addr := range a.Addrs {
		b = append(b, addr.AsSlice()...)
	}
	if a.Version == V2 {
		b = append(b, a.Password[:]...)
	}
	var seed uint32
	if a.Version == V3 && (!src.Is4() || a.Checksum == ChecksumPseudo) {
		seed = pseudoSum(src, dst, len(b)-start)
	}
	binary.BigEndian.PutUint16(b[start+checksumAt:], ^fold(sum(seed, b[start:])))
	return b, nil
}

// encodable says what the wire form of a would lose.
func (a Advert) encodable(src, dst netip.Addr) error {
	if src.Is4() != dst.Is4() || !src.IsValid() || !dst.IsValid() {
		return fmt.Errorf("from %s to %s: %w", src, dst, DropFamily)
	}
	if a.VRID == 0 {
		return DropVRID
	}
	if len(a.Addrs) == 0 || len(a.Addrs) > 255 {
		return fmt.Errorf("carry %d addresses: want 1 to 255", len(a.Addrs))
	}
	for _, addr := range a.Addrs {
		if addr.Is4() != src.Is4() || !addr.IsValid() {
			return fmt.Errorf("carry %s: %w", addr, DropFamily)
		}
	}
	return a.encodableFields(src.Is4())
}

// encodableFields checks what differs between the versions.
func (a Advert) encodableFields(is4 bool) error {
	unit, limit := centisecond, maxV3
	switch {
	case a.Version == V2 && is4:
		unit, limit = time.Second, maxV2
	case a.Version != V3:
		return fmt.Errorf("%s: %w", a.Version, DropVersion)
	case a.Auth != AuthNone:
		return fmt.Errorf("authentication in v3: %w", DropAuthType)
	case is4 && a.Checksum != ChecksumPseudo && a.Checksum != ChecksumPlain:
		return fmt.Errorf("checksum form %d: %w", a.Checksum, DropChecksum)
	}
	if a.Auth > AuthSimple {
		return DropAuthType
	}
	if a.Auth == AuthNone && a.Password != (Password{}) {
		return fmt.Errorf("password without authentication: %w", DropPassword)
	}
	if a.Interval < unit || a.Interval > limit || a.Interval%unit != 0 {
		return fmt.Errorf("interval %s: want %s to %s in steps of %[2]s", a.Interval, unit, limit)
	}
	return nil
}

// checksumForm finds the form in which the checksum of b is right, and whether there is one.
func checksumForm(v Version, b []byte, src, dst netip.Addr) (ChecksumForm, bool) {
	if v == V3 && fold(sum(pseudoSum(src, dst, len(b)), b)) == 0xffff {
		return ChecksumPseudo, true
	}
	if src.Is4() && fold(sum(0, b)) == 0xffff {
		return ChecksumPlain, true
	}
	return 0, false
}

// pseudoSum is the sum of the pseudo-header (RFC 768 for IPv4, RFC 8200, Section 8.1, for IPv6).
func pseudoSum(src, dst netip.Addr, n int) uint32 {
	s := sum(0, src.AsSlice())
	s = sum(s, dst.AsSlice())
	return s + uint32(n) + Protocol
}

// sum adds the 16-bit words of b to s; an odd last byte counts as a high one. 64 kB cannot
// overflow it.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold brings s to 16 bits by adding the carries (RFC 1071).
func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
