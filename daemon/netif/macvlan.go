package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Macvlan is an interface with a MAC address of its own on top of another one. It passes on to the
// parent what comes from its own address elsewhere, as adverts of another master do (bridge mode).
//
// It may be an ipvlan instead, which has the MAC address of its parent.
type Macvlan struct {
	Name, Parent string
	// MAC is zero for an ipvlan.
	MAC MAC
	// IPVLAN is what an ipvlan, of layer 2, does with packets between those of one parent: bridge,
	// private or vepa. Empty is that it is none.
	IPVLAN string `json:",omitempty"`
}

// String returns, for example, "vrrp.51 on eth0 with 00:00:5e:00:01:33", or with "as ipvlan bridge"
// in the place of the address.
func (m Macvlan) String() string {
	if m.IPVLAN != "" {
		return fmt.Sprintf("%s on %s as ipvlan %s", m.Name, m.Parent, m.IPVLAN)
	}
	return fmt.Sprintf("%s on %s with %s", m.Name, m.Parent, m.MAC)
}

// Valid says whether it is one or the other, between two interfaces that have names.
func (m Macvlan) Valid() bool {
	return m.Name != "" && m.Parent != "" && (m.MAC == MAC{}) == (m.IPVLAN != "")
}

// Kind is the kernel's word for such an interface: ipvlan or macvlan.
func (m Macvlan) Kind() string {
	if m.IPVLAN != "" {
		return "ipvlan"
	}
	return "macvlan"
}

// is reports whether a link on that parent is this one. How an ipvlan passes packets on does not
// tell it from others: that is the same for all on one parent, and the last who says it decides.
func (m Macvlan) is(link netlink.Link, parent int) bool {
	if link.Type() != m.Kind() || link.Attrs().ParentIndex != parent {
		return false
	}
	return m.IPVLAN != "" || slices.Equal(link.Attrs().HardwareAddr, m.MAC[:])
}

// passes reports whether an ipvlan passes packets on as m says. A macvlan always does.
func (m Macvlan) passes(link netlink.Link) bool {
	v, ok := link.(*netlink.IPVlan)
	return !ok || v.Mode == netlink.IPVLAN_MODE_L2 && v.Flag == m.flag()
}

// flag is IPVLAN in the kernel's terms.
func (m Macvlan) flag() netlink.IPVlanFlag {
	switch m.IPVLAN {
	case "private":
		return netlink.IPVLAN_FLAG_PRIVATE
	case "vepa":
		return netlink.IPVLAN_FLAG_VEPA
	}
	return netlink.IPVLAN_FLAG_BRIDGE
}

// link is what the kernel is asked for.
func (m Macvlan) link(parent int) netlink.Link {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = m.Name, parent
	if m.IPVLAN != "" {
		return &netlink.IPVlan{LinkAttrs: attrs, Mode: netlink.IPVLAN_MODE_L2, Flag: m.flag()}
	}
	attrs.HardwareAddr = m.MAC[:]
	return &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}
}

// macvlanSettings keep the virtual router apart from its parent: it answers for its own addresses
// only, takes packets for which the parent has the route back, and makes up no address.
//
// Of a neighbor that it has answered it does not ask whether that is still there for eleven days, which
// is about what the kernel can count. It would after five seconds, by frames that have switches lead
// requests here, and a master that was killed or stands still may be one no more by then. A neighbor
// that has got another MAC address says so when it asks. IPv4 answers without a neighbor.
//
// Source: Linux, net/core/neighbour.c, __neigh_event_send and NEIGH_VAR_DELAY_PROBE_TIME.
var macvlanSettings = []Setting{
	{"ipv4", "arp_ignore", "1"}, {"ipv4", "accept_local", "1"}, {"ipv4", "rp_filter", "0"},
	{"ipv4", "promote_secondaries", "1"},
	{"ipv6", "addr_gen_mode", "1"}, {"ipv6", "accept_ra", "0"},
	{"ipv6", firstProbe, "1000000"},
}

// ParentSettings are those of the parent while there is the interface. That of a macvlan is not to
// answer for the macvlan's addresses with its own MAC address. That of an ipvlan is not to ask for
// neighbors in the name of the ipvlan's addresses: the kernel gives the answer to the ipvlan alone,
// and the parent, which sends what answers clients, would never learn where they are.
func (m Macvlan) ParentSettings() []Setting {
	if m.IPVLAN != "" {
		return []Setting{{"ipv4", "arp_announce", "2"}}
	}
	return []Setting{{"ipv4", "arp_ignore", "1"}, {"ipv4", "arp_filter", "1"}}
}

// PutMacvlan makes the interface and sets it up. One that is there as it should be is left alone;
// one that an earlier life has left otherwise is replaced, or told how to pass packets on. Any other
// interface of its name is an error.
//
// Equivalent to: `ip link add NAME link PARENT address MAC type macvlan mode bridge`, or
// `ip link add NAME link PARENT type ipvlan mode l2 bridge`.
func (h *Host) PutMacvlan(m Macvlan) error {
	parent, err := h.nl.LinkByName(m.Parent)
	if err == nil {
		err = h.putMacvlan(m, parent.Attrs().Index)
	}
	if err != nil {
		return fmt.Errorf("add %s %s: %w", m.Kind(), m, err)
	}
	return nil
}

func (h *Host) putMacvlan(m Macvlan, parent int) error {
	link, err := h.nl.LinkByName(m.Name)
	switch {
	case isGone(err):
	case err != nil:
		return err
	case link.Type() != "macvlan" && link.Type() != "ipvlan":
		return fmt.Errorf("there is a %s of that name", link.Type())
	case m.is(link, parent):
		if !m.passes(link) {
			err = h.nl.LinkModify(m.link(parent))
		}
		if err == nil && link.Attrs().RawFlags&unix.IFF_UP == 0 {
			err = h.nl.LinkSetUp(link)
		}
		return err
	default:
		if err := h.nl.LinkDel(link); err != nil {
			return err
		}
	}
	link = m.link(parent)
	if err := h.nl.LinkAdd(link); err != nil {
		return err
	}
	err = h.prepareMacvlan(m)
	if err == nil {
		err = h.nl.LinkSetUp(link)
	}
	if err != nil {
		return errors.Join(err, h.nl.LinkDel(link))
	}
	return nil
}

// prepareMacvlan sets what has to be before the interface is up. A kernel without IPv6 lacks some.
func (h *Host) prepareMacvlan(m Macvlan) error {
	i := h.Interface(m.Name)
	for _, s := range macvlanSettings {
		err := h.writeSetting(i.path(s), s.Value)
		if err != nil && (s.Family != "ipv6" || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("set %s: %w", s, err)
		}
	}
	return nil
}

// DropMacvlan removes the interface with all that it has. One that is not there is no error; one
// that is not a macvlan with that MAC address, or an ipvlan on that parent, is left alone.
//
// Equivalent to: `ip link del NAME`.
func (h *Host) DropMacvlan(m Macvlan) error {
	link, err := h.nl.LinkByName(m.Name)
	if err == nil {
		err = h.dropMacvlan(m, link)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("remove %s %s: %w", m.Kind(), m, err)
	}
	return nil
}

func (h *Host) dropMacvlan(m Macvlan, link netlink.Link) error {
	parent := link.Attrs().ParentIndex // a macvlan's MAC address is enough, wherever it is
	if m.IPVLAN != "" {
		under, err := h.nl.LinkByName(m.Parent)
		if err != nil {
			return err
		}
		parent = under.Attrs().Index
	}
	if !m.is(link, parent) {
		return nil
	}
	return h.nl.LinkDel(link)
}
