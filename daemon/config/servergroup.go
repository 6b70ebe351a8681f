package config

import (
	"net/netip"
	"strconv"
	"strings"
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
