package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const vipUsage = "IP[/LENGTH] [dev INTERFACE] [label NAME] [scope NAME] [brd IP] [peer IP]"

// scopes are the scopes of addresses as iproute2 names them.
var scopes = []string{"global", "site", "link", "host", "nowhere"}

// Forever is a lifetime without end.
const Forever = time.Duration(1<<32-1) * time.Second

func addressKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		list("virtual_ipaddress", vipUsage, parseVIP, (*VIP).words,
			func(b *b) *[]VIP { return &b.VIPs },
			"addresses of the master; of the options only dev has an effect yet"),
		list("virtual_ipaddress_excluded", vipUsage, parseVIP, (*VIP).words,
			func(b *b) *[]VIP { return &b.ExcludedVIPs },
			"addresses of the master that adverts do not carry; options as there"),
	}
}

// parseVIP reads one line. Device stays empty unless given.
func parseVIP(d *decoder, keyword string, ws []Word) (VIP, bool) {
	v := VIP{Pos: ws[0].Pos}
	var bad string
	if v.Prefix, bad = parsePrefix(ws[0].Text); bad == "" && v.Prefix.Addr().IsUnspecified() {
		bad = "expected another address than the unspecified one"
	}
	if bad != "" {
		d.fail(ws[0].Pos, "%s %q: %s", keyword, ws[0].Text, bad)
		return v, false
	}
	if len(ws) == 1 {
		return v, true
	}
	return v, d.options(keyword, ws[1:], vipOptions(&v))
}

// parsePrefix reads an address with perhaps a prefix length, or says what is wrong with it.
func parsePrefix(s string) (netip.Prefix, string) {
	address, length, given := strings.Cut(s, "/")
	a, ok := parseAddr(address)
	if !ok {
		return netip.Prefix{}, "expected an IP address, perhaps with a prefix length"
	}
	if !given {
		return netip.PrefixFrom(a, a.BitLen()), ""
	}
	bits, ok := whole[int](length, 0, a.BitLen())
	if !ok {
		return netip.Prefix{}, fmt.Sprintf("prefix length must be 0..%d", a.BitLen())
	}
	return netip.PrefixFrom(a, bits), ""
}

func vipOptions(v *VIP) options {
	four := v.Prefix.Addr().Is4()
	brd := option{
		takes: 1, usage: "an IPv4 address, + or -, for an IPv4 address",
		set: func(w Word) (ok bool) {
			v.Broadcast, ok = broadcast(v.Prefix, w.Text)
			return ok
		},
	}
	flag := func(at *bool) option {
		return option{set: func(Word) bool { *at = true; return true }}
	}
	peer := option{takes: 1, usage: "an IP address of the same family",
		set: func(w Word) bool {
			p, bad := parsePrefix(w.Text)
			v.Peer = p.Addr()
			return bad == "" && v.Peer.Is4() == four
		}}
	return options{
		"brd": brd, "broadcast": brd,
		"dev": {takes: 1, usage: "the name of an interface",
			set: func(w Word) bool { return into(deviceName(), w, &v.Device) }},
		"label": {takes: 1, usage: "a name of up to 15 characters, for an IPv4 address",
			set: func(w Word) bool {
				v.Label = w.kept()
				return four && 0 < len(w.Text) && len(w.Text) < 16
			}},
		"scope": {takes: 1, usage: orList(scopes), set: func(w Word) bool {
			v.Scope = w.kept()
			return slices.Contains(scopes, w.Text)
		}},
		"peer":          peer,
		"no_track":      flag(&v.NoTrack),
		"-nodad":        flag(&v.NoDAD),
		"home":          flag(&v.Home),
		"mngtmpaddr":    flag(&v.ManageTemporary),
		"noprefixroute": flag(&v.NoPrefixRoute),
		"autojoin":      flag(&v.AutoJoin),
		"use_vmac":      {idle: true, set: func(Word) bool { v.UseVMAC = true; return true }},
		"preferred_lft": {takes: 1, usage: "whole seconds or forever",
			set: func(w Word) bool { return preferred(w, v) }},
		"track_group": {takes: 1, usage: "the name of a track_group",
			set: func(w Word) bool { v.TrackGroup = w.kept(); return w.Text != "" }},
	}
}

func preferred(w Word, v *VIP) bool {
	v.HasPreferred = true
	if w.Text == "forever" {
		v.Preferred = Forever
		return true
	}
	seconds, err := strconv.ParseUint(w.Text, 10, 32)
	v.Preferred = time.Duration(seconds) * time.Second
	return err == nil
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

// words is the line that parseVIP reads.
func (v *VIP) words() []string {
	ws := []string{v.Prefix.String()}
	for _, o := range [][2]string{
		{"dev", v.Device}, {"label", v.Label}, {"scope", v.Scope},
		{"brd", addrWord(v.Broadcast)}, {"peer", addrWord(v.Peer)}, {"track_group", v.TrackGroup},
	} {
		if o[1] != "" {
			ws = append(ws, o[0], o[1])
		}
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{v.NoTrack, "no_track"}, {v.NoDAD, "-nodad"}, {v.Home, "home"},
		{v.ManageTemporary, "mngtmpaddr"}, {v.NoPrefixRoute, "noprefixroute"},
		{v.AutoJoin, "autojoin"}, {v.UseVMAC, "use_vmac"},
	} {
		if f.on {
			ws = append(ws, f.name)
		}
	}
	switch {
	case !v.HasPreferred:
	case v.Preferred == Forever:
		ws = append(ws, "preferred_lft", "forever")
	default:
		ws = append(ws, "preferred_lft", inSeconds(v.Preferred))
	}
	return ws
}
