package netiftest

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Replace deletes an address of the Device and adds it again at once, by one message to the kernel:
// whoever looks finds it there.
//
// Equivalent to: `ip addr del PREFIX dev eth0` and `ip addr add PREFIX dev eth0`.
func (n *Node) Replace(p netip.Prefix) {
	n.t.Helper()
	sock, err := nl.GetNetlinkSocketAt(n.ns, netns.None(), unix.NETLINK_ROUTE)
	n.must("open netlink", err)
	defer sock.Close()
	batch := append(n.aboutAddr(unix.RTM_DELADDR, 0, p),
		n.aboutAddr(unix.RTM_NEWADDR, unix.NLM_F_CREATE, p)...)
	err = unix.Sendto(sock.GetFd(), batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	n.must("replace "+p.String(), err)
}

// Remove deletes an address of the Device, as somebody else than the Host.
//
// Equivalent to: `ip addr del PREFIX dev eth0`.
func (n *Node) Remove(p netip.Prefix) {
	n.t.Helper()
	n.must("remove "+p.String(), n.nl.AddrDel(n.link(Device), nlAddr(p)))
}

// aboutAddr returns a request about an address of the Device. It is answered only if it fails.
func (n *Node) aboutAddr(kind, flags int, p netip.Prefix) []byte {
	n.t.Helper()
	family := unix.AF_INET
	if p.Addr().Is6() {
		family = unix.AF_INET6
	}
	head := nl.NewIfAddrmsg(family)
	head.Prefixlen, head.Index = uint8(p.Bits()), uint32(n.link(Device).Attrs().Index)
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(head)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD)))
	return req.Serialize()
}
