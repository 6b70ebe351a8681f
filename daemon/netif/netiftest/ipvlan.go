package netiftest

import (
	"errors"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NeedIPVLAN skips the test where the kernel has no ipvlan.
func (n *Node) NeedIPVLAN() {
	n.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "probe", n.link(Device).Attrs().Index
	probe := &netlink.IPVlan{LinkAttrs: attrs}
	err := n.nl.LinkAdd(probe)
	if errors.Is(err, unix.EOPNOTSUPP) {
		n.t.Skip("this kernel has no ipvlan (CONFIG_IPVLAN); the guest kernels have")
	}
	n.must("add ipvlan", err)
	n.must("remove ipvlan", n.nl.LinkDel(probe))
}

// ARPAnnounce is how the node's Device asks for neighbors: the kernel's setting arp_announce.
func (n *Node) ARPAnnounce() string {
	n.t.Helper()
	var text []byte
	var err error
	n.Do(func() { text, err = os.ReadFile("/proc/sys/net/ipv4/conf/" + Device + "/arp_announce") })
	n.must("read arp_announce", err)
	return strings.TrimSpace(string(text))
}
