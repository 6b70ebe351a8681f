package config

import (
	"net/netip"
	"slices"
	"strings"
)

const vipUsage = "IP[/LENGTH] [dev INTERFACE] [label NAME] [scope NAME] [brd IP] [peer IP]"

// scopes are the scopes of addresses as iproute2 names them.
var scopes = []string{"global", "site", "link", "host", "nowhere"}

func addressKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		list("virtual_ipaddress", vipUsage, func(d *decoder, b *b, ws []Word) {
			if v, ok := parseVIP(d, "virtual_ipaddress", ws); ok {
				b.VIPs = append(b.VIPs, v)
			}
		}, "addresses of the master"),
		list("virtual_ipaddress_excluded", vipUsage, func(d *decoder, b *b, ws []Word) {
			if v, ok := parseVIP(d, "virtual_ipaddress_excluded", ws); ok {
				b.ExcludedVIPs = append(b.ExcludedVIPs, v)
			}
		}, "addresses of the master that adverts do not carry"),
	}
}

// parseVIP reads one line. Device stays empty unless given.
func parseVIP(d *decoder, keyword string, ws []Word) (VIP, bool) {
	v := VIP{Pos: ws[0].Pos}
	var ok bool
	if v.Prefix, ok = parseVIPPrefix(ws[0].Text); !ok {
		d.fail(ws[0].Pos, "%s %q: expected an IP address, perhaps with a prefix length",
			keyword, ws[0].Text)
		return v, false
	}
	return v, d.options(keyword, ws[1:], vipOptions(&v))
}

func parseVIPPrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, ok := parseAddr(s)
		return netip.PrefixFrom(a, a.BitLen()), ok && !a.IsUnspecified()
	}
	p, err := netip.ParsePrefix(s)
	ok := err == nil && !p.Addr().Is4In6() && !p.Addr().IsUnspecified() && p.Bits() > 0
	return p, ok
}

func vipOptions(v *VIP) options {
	brd := option{
		takes: 1, idle: true, usage: "an IPv4 address, + or -, for an IPv4 address",
		set: func(w Word) (ok bool) {
			v.Broadcast, ok = broadcast(v.Prefix, w.Text)
			return ok
		},
	}
	idle, idleValue := option{idle: true}, option{idle: true, takes: 1}
	return options{
		"brd": brd, "broadcast": brd,
		"dev": {takes: 1, usage: "the name of an interface",
			set: func(w Word) bool { return into(deviceName(), w, &v.Device) }},
		"label": {takes: 1, idle: true, usage: "a name of up to 15 characters, for an IPv4 address",
			set: func(w Word) bool {
				v.Label = w.Text
				return v.Prefix.Addr().Is4() && 0 < len(w.Text) && len(w.Text) < 16
			}},
		"scope": {takes: 1, idle: true, usage: orList(scopes), set: func(w Word) bool {
			v.Scope = w.Text
			return slices.Contains(scopes, w.Text)
		}},
		"peer": {takes: 1, idle: true, usage: "an IP address of the same family",
			set: func(w Word) bool {
				p, ok := parseVIPPrefix(w.Text)
				v.Peer = p.Addr()
				return ok && v.Peer.Is4() == v.Prefix.Addr().Is4()
			}},
		"no_track":      {set: func(Word) bool { v.NoTrack = true; return true }, idle: true},
		"-nodad":        idle,
		"home":          idle,
		"mngtmpaddr":    idle,
		"noprefixroute": idle,
		"autojoin":      idle,
		"use_vmac":      idle,
		"preferred_lft": idleValue,
		"track_group":   idleValue,
	}
}

// broadcast is the address that the word means: all host bits 1 for "+", 0 for "-".
func broadcast(p netip.Prefix, word string) (netip.Addr, bool) {
	if !p.Addr().Is4() {
		return netip.Addr{}, false
	}
	if word != "+" && word != "-" {
		a, ok := parseAddr(word)
		return a, ok && a.Is4()
	}
	b := p.Masked().Addr().As4()
	if word == "+" {
		for i := p.Bits(); i < 32; i++ {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	return netip.AddrFrom4(b), true
}
