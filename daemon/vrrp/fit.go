package vrrp

import "net/netip"

// FitAddrs splits addrs, all of one family, into those that fit one advert of that version in a
// packet of mtu bytes with its IP header, and the rest, in their order. A master has to have the
// rest all the same, only not to advertise it: Config.Addrs is fit. Nothing fits an mtu too small
// for one address. The slices share memory with addrs.
//
// RFC 9568, Section 5.2.5, counts the addresses in one byte; an advert is never fragmented, for a
// backup would miss it whenever it missed a part.
func FitAddrs(version Version, mtu int, addrs []netip.Addr) (fit, rest []netip.Addr) {
	const header4, header6, countMax = 20, 40, 255
	if len(addrs) == 0 {
		return nil, nil
	}
	room, size := mtu-header6-headerLen, 16
	if addrs[0].Is4() {
		room, size = mtu-header4-headerLen, 4
	}
	if version == V2 {
		room -= authLen
	}
	n := min(max(room/size, 0), countMax, len(addrs))
	return addrs[:n:n], addrs[n:]
}
