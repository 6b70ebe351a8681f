package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/topology"
)

// answerAlone has a real server that directors hand connections to as they are take them for its own:
// it has the services' addresses, on lo, and no neighbour hears of that; what comes through a tunnel
// is unpacked. It may be repeated. Nothing happens on other nodes.
//
// Equivalent to: `sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr
// replace 192.168.1.1/32 dev lo`, and for a tunnel `ip link add ipip0 type ipip local 192.168.2.11; ip
// link set ipip0 up`.
func (n *Node) answerAlone(lo netlink.Link) error {
	t := n.lab.topology
	if !t.AnswersAlone(n.spec.Name) {
		return nil
	}
	err := n.Do(context.Background(), func() error {
		for _, s := range []struct{ path, value string }{
			{"net/ipv4/conf/all/arp_ignore", "1"}, {"net/ipv4/conf/all/arp_announce", "2"},
		} {
			if err := writeSysctl(s.path, s.value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range t.Services {
		if !slices.ContainsFunc(s.RealServers, func(d topology.Destination) bool {
			return d.Node == n.spec.Name
		}) {
			continue
		}
		own := netip.PrefixFrom(s.Addr.Addr(), s.Addr.Addr().BitLen())
		if err := n.handle.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(own)}); err != nil {
			return fmt.Errorf("add %s to lo: %w", own, err)
		}
	}
	for _, way := range t.Forwards(n.spec.Name) {
		if err := n.unpack(way); err != nil {
			return fmt.Errorf("unpack %s: %w", way, err)
		}
	}
	return nil
}

// unpack makes what takes packets of a tunnel out again, unless it is there.
func (n *Node) unpack(way topology.Forward) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = topology.IPIP.String() + "0"
	own := n.spec.Links[0].Addr.Addr().AsSlice()
	var tunnel netlink.Link
	switch way {
	case topology.Masq, topology.Route:
		return nil
	case topology.GRE:
		attrs.Name = topology.GRE.String() + "0"
		tunnel = &netlink.Gretun{LinkAttrs: attrs, Local: own}
	case topology.IPIP:
		tunnel = &netlink.Iptun{LinkAttrs: attrs, Local: own}
	case topology.GUE:
		// The port takes packets out of UDP, the interface those out of packets.
		tunnel = &netlink.Iptun{LinkAttrs: attrs, Local: own}
		if err := n.Do(context.Background(), ListenGUE); err != nil && !errors.Is(err, unix.EALREADY) {
			return err
		}
	}
	if err := n.handle.LinkAdd(tunnel); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add link %s: %w", attrs.Name, err)
	}
	link, err := n.handle.LinkByName(attrs.Name)
	if err != nil {
		return err
	}
	return n.handle.LinkSetUp(link)
}

// ListenGUE has the kernel take packets out of GUE that comes to topology.GUEPort, in the network
// namespace of the calling thread. The error wraps EALREADY where it does so already.
//
// Equivalent to: `ip fou add port 6080 gue`. The library's FouAdd also says protocol 0, which newer
// kernels refuse.
func ListenGUE() error {
	family, err := netlink.FouFamilyId()
	if err != nil {
		return fmt.Errorf("listen on port %d for GUE: %w", topology.GUEPort, err)
	}
	port := binary.BigEndian.AppendUint16(nil, topology.GUEPort)
	add := nl.NewNetlinkRequest(family, unix.NLM_F_ACK)
	add.AddData(&nl.Genlmsg{Command: netlink.FOU_CMD_ADD, Version: 1})
	add.AddData(nl.NewRtAttr(netlink.FOU_ATTR_PORT, port))
	add.AddData(nl.NewRtAttr(netlink.FOU_ATTR_AF, []byte{unix.AF_INET}))
	add.AddData(nl.NewRtAttr(netlink.FOU_ATTR_TYPE, []byte{netlink.FOU_ENCAP_GUE}))
	if _, err := add.Execute(unix.NETLINK_GENERIC, 0); err != nil {
		return fmt.Errorf("listen on port %d for GUE: %w", topology.GUEPort, err)
	}
	return nil
}
