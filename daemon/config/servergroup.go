package config

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const rangeUsage = "IP[-LAST] [PORT], or fwmark N [inet|inet6]"

// addServerGroup reads a virtual_server_group, whose lines have no keywords.
func addServerGroup(d *decoder, r *root, n *Node) {
	g := ServerGroup{Pos: n.Pos(), Name: d.name(n)}
	for _, c := range n.Children {
		if c.HasBlock() {
			d.fail(c.Open, "%s {: expected %s and no block", c.Keyword(), rangeUsage)
			continue
		}
		if m, ok := parseRange(d, c); ok {
			g.Members = append(g.Members, m)
		}
	}
	if len(n.Children) == 0 {
		d.fail(n.Pos(), "virtual_server_group %q: expected at least one address or fwmark in it",
			g.Name)
	}
	r.serverGroups = append(r.serverGroups, g)
}

func parseRange(d *decoder, n *Node) (ServiceRange, bool) {
	m := ServiceRange{Pos: n.Pos()}
	w, args := n.Words[0], n.Args()
	if w.Text == "fwmark" {
		var ok bool
		m.Mark, m.Family, ok = parseMark(d, n)
		return m, ok
	}
	first, last, several := strings.Cut(w.Text, "-")
	var ok bool
	if m.First, ok = parseAddr(first); !ok {
		d.fail(w.Pos, "virtual_server_group %q: expected %s", w.Text, rangeUsage)
		return m, false
	}
	if m.Last = m.First; several {
		if m.Last, ok = lastOf(m.First, last); !ok {
			d.fail(w.Pos, "virtual_server_group %q: expected the last part of an address, not "+
				"below that of the first", w.Text)
			return m, false
		}
	}
	if len(args) > 0 {
		port, bad := number[uint16](0, 65535).parse(args)
		if bad != fits {
			d.misfit(n, bad, "a port from 0 to 65535", nil)
		}
		m.Port = port
		return m, bad == fits
	}
	return m, true
}

// parseMark reads what follows fwmark.
func parseMark(d *decoder, n *Node) (uint32, Family, bool) {
	args := n.Args()
	mark := number[uint32](1, 1<<32-1)
	if len(args) == 0 {
		d.misfit(n, 0, mark.usage, nil)
		return 0, 0, false
	}
	v, bad := mark.parse(args[:1])
	if bad != fits {
		d.misfit(n, bad, mark.usage, nil)
		return 0, 0, false
	}
	if len(args) == 1 {
		return v, 0, true
	}
	f, bad := oneOf(families).parse(args[1:])
	if bad != fits {
		d.misfit(n, 1+bad, "inet or inet6", families.words())
	}
	return v, f, bad == fits
}

// lastOf is the address whose last part is s: decimal in IPv4, hexadecimal in IPv6.
func lastOf(first netip.Addr, s string) (netip.Addr, bool) {
	base, bits := 10, 8
	if first.Is6() {
		base, bits = 16, 16
	}
	part, err := strconv.ParseUint(s, base, bits)
	if err != nil {
		return first, false
	}
	b := first.AsSlice()
	b[len(b)-1] = byte(part)
	if first.Is6() {
		b[len(b)-2] = byte(part >> 8)
	}
	last, ok := netip.AddrFromSlice(b)
	return last, ok && !last.Less(first)
}

// settleGroup gives a virtual server the members of its group, which is nil if there is none.
func (d *decoder) settleGroup(s *serverBlock, g *ServerGroup) {
	if g == nil {
		s.broken = true // it has been told
		return
	}
	s.Members = slices.Clone(g.Members)
	for i := range s.Members {
		m := &s.Members[i]
		switch {
		case m.Mark != 0 && s.SuspendOnBackup:
			d.failSuspend(s)
		case m.Mark == 0 && m.Port == 0 && s.Persistence == 0:
			d.warn(s.Pos, "virtual_server \"group %s\": expected a port for %s, or "+
				"persistence_timeout; 360 it is", s.Group, m.First)
			s.Persistence = 6 * time.Minute
		}
		if m.Mark != 0 && m.Family == 0 {
			m.Family = s.markFamily(g)
		}
		d.checkMemberFamily(s, m)
	}
	d.checkGranularity(s)
}

// markFamily is that of the marks of a group which name none.
func (s *VirtualServer) markFamily(g *ServerGroup) Family {
	if s.Family != 0 {
		return s.Family
	}
	for i := range g.Members {
		if g.Members[i].Mark == 0 {
			return familyOf(g.Members[i].First)
		}
	}
	return s.realFamily()
}

// checkMemberFamily does for a member of a group what checkRealFamily does for a service.
func (d *decoder) checkMemberFamily(s *serverBlock, m *ServiceRange) {
	family := m.Family
	if m.Mark == 0 {
		family = familyOf(m.First)
	}
	expect := func(at Pos, keyword string, a netip.AddrPort, f Forward) bool {
		fits := f == TUN || familyOf(a.Addr()) == family
		if !fits {
			d.fail(at, "%s %q: expected the family of virtual_server_group %s, %s",
				keyword, a, s.Group, strings.Join(m.words(), " "))
		}
		return fits
	}
	for i := range s.RealServers {
		if r := &s.RealServers[i]; !expect(r.Pos, "real_server", r.Address, s.ForwardOf(r)) {
			return
		}
	}
	if s.SorryServer.IsValid() {
		expect(s.Pos, "sorry_server", s.SorryServer, cmp.Or(s.SorryForward, s.Forward))
	}
}

func writeServerGroups(p *printer, _ *keyword[root], r, _ *root) {
	for i := range r.serverGroups {
		g := &r.serverGroups[i]
		p.block(func() {
			for j := range g.Members {
				p.statement(false, "", g.Members[j].words())
			}
		}, "virtual_server_group", g.Name)
	}
}

func (m *ServiceRange) words() []string {
	if m.Mark != 0 {
		ws := []string{"fwmark", strconv.FormatUint(uint64(m.Mark), 10)}
		if m.Family != 0 {
			ws = append(ws, m.Family.String())
		}
		return ws
	}
	s := m.First.String()
	if m.Last != m.First {
		b := m.Last.AsSlice()
		if m.First.Is6() {
			s += "-" + strconv.FormatUint(uint64(b[14])<<8|uint64(b[15]), 16)
		} else {
			s += "-" + strconv.Itoa(int(b[3]))
		}
	}
	return []string{s, strconv.Itoa(int(m.Port))}
}
