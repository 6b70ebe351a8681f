package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

func macvlanKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		{
			name: "use_vmac", usage: vmacUsage, doc: "VIPs on a macvlan with the virtual MAC",
			otherwise: "off", set: setVMAC, write: writeVMAC,
		},
		leaf("vmac_xmit_base", "off", boolean(), func(b *b) *bool { return &b.xmitBase },
			"sends adverts from the interface under the macvlan"),
		leaf("use_vmac_addr", "off", boolean(), func(b *b) *bool { return &b.VMACForAll },
			"macvlans for VIPs on other interfaces too"),
		{
			name: "use_ipvlan", usage: "[NAME] [IP] [bridge|private|vepa]",
			doc: "VIPs on an ipvlan; IP has no effect, as adverts are sent from interface, with its " +
				"address",
			otherwise: "off", set: setIPVLAN, write: writeIPVLAN,
		},
		leaf("vrf", "", deviceName(), func(b *b) *string { return &b.VRF },
			"routing domain of unicast adverts").as(otherwise[b]("the interface's")),
	}
}

const vmacUsage = "[NAME [INTERFACE]] [MAC] [netlink_notify_msg] [group N]"

// vmacFlags are the words of use_vmac that are neither name nor address.
var vmacFlags = []string{"netlink_notify_msg", "group"}

func setVMAC(d *decoder, b *instanceBlock, n *Node) {
	b.VMAC = &VMAC{}
	devices := []*string{&b.VMAC.Name, &b.VMAC.Parent}
	args := n.Args()
	for i := 0; i < len(args); i++ {
		w := args[i]
		switch {
		case w.Text == "netlink_notify_msg":
			d.warn(w.Pos, "use_vmac %q: has no effect: whoever watches links is told anyway", w.Text)
			b.VMAC.NotifyLink = true
		case w.Text == "group" && i+1 < len(args):
			d.warn(args[i+1].Pos, "use_vmac %q: has no effect yet in this version", args[i+1].Text)
			if i++; !into(number[int](0, 1<<31-1), args[i], &b.VMAC.Group) {
				d.misfit(n, i, "the number of a group", nil)
			}
		case isMAC(w.Text):
			b.VMAC.MAC = w.kept()
		case isDevice(w.Text) && len(devices) > 0:
			*devices[0], devices = w.kept(), devices[1:]
		default:
			d.misfit(n, i, "the name of an interface, or "+vmacUsage, vmacFlags)
		}
	}
}

// isMAC says whether s is a MAC address of 6 octets, or 5 that the VRID completes.
func isMAC(s string) bool {
	var octets []string
	for i, first := 0, 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ':' {
			octets = append(octets, s[first:i])
			first = i + 1
		}
	}
	return (len(octets) == 5 || len(octets) == 6) && !slices.ContainsFunc(octets, func(o string) bool {
		_, err := strconv.ParseUint(o, 16, 8)
		return err != nil || len(o) > 2
	})
}

func writeVMAC(p *printer, _ *keyword[instanceBlock], b, _ *instanceBlock) {
	v := b.VMAC
	if v == nil {
		return
	}
	var ws []string
	for _, w := range []string{v.Name, v.Parent, v.MAC} {
		ws = append(ws, wordIfAny(w)...)
	}
	if v.NotifyLink {
		ws = append(ws, "netlink_notify_msg")
	}
	if v.Group != 0 {
		ws = append(ws, "group", strconv.Itoa(v.Group))
	}
	p.statement(false, "use_vmac", ws)
}

func setIPVLAN(d *decoder, b *instanceBlock, n *Node) {
	b.IPVLAN = &IPVLAN{}
	for i, w := range n.Args() {
		p, bad := parsePrefix(w.Text)
		switch {
		case w.Text == "bridge" || w.Text == "private" || w.Text == "vepa":
			b.IPVLAN.Mode = w.kept()
		case bad == "":
			d.note(w.Pos, "use_ipvlan %q: has no effect: adverts are sent from interface, with its "+
				"address", w.Text)
			b.IPVLAN.Address = p
		case isDevice(w.Text) && b.IPVLAN.Name == "":
			b.IPVLAN.Name = w.kept()
		default:
			d.misfit(n, i, "[NAME] [IP] [bridge|private|vepa]", nil)
		}
	}
}

func writeIPVLAN(p *printer, _ *keyword[instanceBlock], b, _ *instanceBlock) {
	if v := b.IPVLAN; v != nil {
		var ws []string
		for _, w := range []string{v.Name, prefixWord(v.Address), v.Mode} {
			ws = append(ws, wordIfAny(w)...)
		}
		p.statement(false, "use_ipvlan", ws)
	}
}

// stacked is an interface that an instance has made on another one.
type stacked struct {
	// name is empty if it is made up. Mode is empty for a macvlan.
	keyword, name, parent, mode string
	by                          *Instance
}

// checkStacks checks that instances do not get in each other's way: an interface has macvlans or
// ipvlans, all ipvlans on it pass packets on alike, and each has a name of its own.
func (d *decoder) checkStacks(is []Instance) {
	on, named := map[string]stacked{}, map[string]stacked{}
	for i := range is {
		for _, s := range stacksOf(&is[i]) {
			d.checkStack(s, on, named)
		}
	}
}

// checkStack checks one beside the first on each interface and the first of each name.
func (d *decoder) checkStack(s stacked, on, named map[string]stacked) {
	differ := func(first stacked, format string, args ...any) {
		at, before := s.by.Pos, first.by.Pos
		d.failTwice(at, before, "%s of %s: expected %s (%s)", s.keyword, s.by.Name,
			fmt.Sprintf(format, args...), see(at, before))
	}
	first, more := on[s.parent]
	switch {
	case !more:
		on[s.parent] = s
	case first.keyword != s.keyword:
		differ(first, "%s, as %s has it on %s, which is for one of them", first.keyword,
			first.by.Name, s.parent)
	case first.mode != s.mode:
		differ(first, "%s, as that of %s on %s, where it is the same for all", first.mode,
			first.by.Name, s.parent)
	}
	if first, taken := named[s.name]; taken {
		differ(first, "another name than %s, which %s has", s.name, first.by.Name)
	} else if s.name != "" {
		named[s.name] = s
	}
}

// stacksOf returns what the instance has made.
func stacksOf(n *Instance) []stacked {
	var all []stacked
	switch {
	case n.VMAC != nil:
		all = append(all, stacked{"use_vmac", n.VMAC.Name, cmp.Or(n.VMAC.Parent, n.Interface), "", n})
	case n.IPVLAN != nil:
		mode := cmp.Or(n.IPVLAN.Mode, "bridge")
		all = append(all, stacked{"use_ipvlan", n.IPVLAN.Name, n.Interface, mode, n})
	}
	for _, v := range slices.Concat(n.VIPs, n.ExcludedVIPs) {
		if (v.UseVMAC || n.VMACForAll) && v.Device != n.Interface {
			all = append(all, stacked{"use_vmac", "", v.Device, "", n})
		}
	}
	return all
}
