package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// refuse returns why ev is not believed; its Reason is zero when it is.
//
// RFC 9568, Section 7.1, and RFC 3768, Section 7.1, which for VRRPv2 "MUST verify that the Adver
// Interval in the packet is the same as the locally configured for this virtual router".
func (m *Machine) refuse(ev Received) Drop {
	if d := m.refusePacket(ev); d.Reason != 0 {
		return d
	}
	a, c := ev.Advert, &m.cfg
	switch {
	case a.VRID != c.VRID:
		return ev.because(DropVRID, "", "")
	case ev.From == c.Source:
		return ev.because(DropLooped, "", "")
	case a.Version != c.Version:
		return ev.because(DropVersion, a.Version.String(), c.Version.String())
	case a.Version == V2 && a.Auth != c.Auth:
		return ev.because(DropAuthType, a.Auth.String(), c.Auth.String())
	case a.Version == V2 && a.Password != c.Password:
		return ev.because(DropPassword, "", "")
	case a.Version == V2 && a.Interval != c.Interval:
		return ev.because(DropInterval, a.Interval.String(), c.Interval.String())
	case c.OwnerIgnoreAdverts && c.Priority == PriorityOwner:
		if a.Priority == PriorityOwner {
			return ev.because(DropTwoOwners, "", "")
		}
		return ev.because(DropOwner, "", "")
	case c.Strict && foreignFirst(a.Addrs):
		return ev.because(DropLinkLocal, a.Addrs[0].String(), "fe80::/10")
	case c.Strict && a.Priority != PriorityOwner && m.otherAddrs(ev):
		return ev.because(DropAddresses, brief(a.Addrs), brief(c.Addrs))
	}
	return Drop{}
}

// refusePacket is refuse as far as the packet is concerned that the advert came in.
func (m *Machine) refusePacket(ev Received) Drop {
	i := slices.IndexFunc(m.cfg.Peers, func(p Peer) bool { return p.Addr == ev.From })
	switch {
	case ev.To.IsValid() && ev.To.IsMulticast() == m.cfg.Unicast:
		want := "a multicast group"
		if m.cfg.Unicast {
			want = "unicast"
		}
		return ev.because(DropDestination, ev.To.String(), want)
	case !m.cfg.Unicast || m.cfg.Strict:
		if ev.TTL != TTL {
			return ev.because(DropTTL, strconv.Itoa(ev.TTL), strconv.Itoa(TTL))
		}
	case i >= 0 && !m.cfg.Peers[i].accepts(ev.TTL):
		return ev.because(DropTTL, strconv.Itoa(ev.TTL), m.cfg.Peers[i].ttls())
	}
	if m.cfg.CheckUnicastSource && i < 0 && ev.From != m.cfg.Source {
		return ev.because(DropPeer, "", "")
	}
	return Drop{}
}

// compare tells what is odd about an advert that is believed.
func (m *Machine) compare(ev Received) {
	a, c := ev.Advert, &m.cfg
	if m.owner && a.Priority == PriorityOwner {
		m.do(Mismatch(ev.because(DropTwoOwners, "", "")))
	}
	if a.Interval != c.Interval {
		d := ev.because(DropInterval, a.Interval.String(), c.Interval.String())
		m.do(Mismatch(d))
	}
	if m.otherAddrs(ev) {
		m.do(Mismatch(ev.because(DropAddresses, brief(a.Addrs), brief(c.Addrs))))
	}
	if foreignFirst(a.Addrs) && !foreignFirst(c.Addrs) {
		m.do(Mismatch(ev.because(DropLinkLocal, a.Addrs[0].String(), "fe80::/10")))
	}
}

// because returns ev as dropped, or odd, for that reason.
func (ev Received) because(reason DropReason, got, want string) Drop {
	return Drop{reason, ev.From, ev.Advert.Priority, ev.Advert.Interval, got, want}
}

// otherAddrs reports whether ev is about other VIPs, if that is to be looked at.
func (m *Machine) otherAddrs(ev Received) bool {
	skip := m.cfg.SkipCheckAddrs && ev.From == m.lastFrom
	return !skip && !sameAddrs(ev.Advert.Addrs, m.cfg.Addrs)
}

// foreignFirst reports whether addrs are IPv6 and break RFC 9568, Section 5.2.9: the first address
// "MUST be the IPv6 link-local address associated with the Virtual Router".
func foreignFirst(addrs []netip.Addr) bool {
	return len(addrs) > 0 && addrs[0].Is6() && !addrs[0].IsLinkLocalUnicast()
}

// sameAddrs compares as sets: the order of a list means nothing to its reader.
func sameAddrs(a, b []netip.Addr) bool {
	if slices.Equal(a, b) {
		return true
	}
	return slices.Equal(slices.SortedFunc(slices.Values(a), netip.Addr.Compare),
		slices.SortedFunc(slices.Values(b), netip.Addr.Compare))
}

// brief returns, for example, "192.168.1.1 192.168.1.7 and 3 more": adverts come often.
func brief(addrs []netip.Addr) string {
	const enough = 4
	var b strings.Builder
	for i, addr := range addrs {
		switch {
		case i == enough:
			fmt.Fprintf(&b, " and %d more", len(addrs)-enough)
			return b.String()
		case i > 0:
			b.WriteByte(' ')
		}
		b.WriteString(addr.String())
	}
	return b.String()
}
