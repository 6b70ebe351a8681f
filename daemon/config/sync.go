package config

import (
	"net/netip"
	"strconv"
	"time"
)

const (
	syncUsage = "INTERFACE [[inst] INSTANCE] [id 0-255] [maxlen N] [port N] [ttl N] [group IP]"

	timeoutsUsage = "at least one of tcp SECONDS, tcpfin SECONDS, udp SECONDS"
)

func setSync(d *decoder, g *global, n *Node) {
	args := n.Args()
	if len(args) == 0 || !isDevice(args[0].Text) {
		d.misfit(n, 0, syncUsage, nil)
		return
	}
	s := Sync{Interface: args[0].kept()}
	args = args[1:]
	known := syncOptions(&s)
	if len(args) > 0 {
		if _, option := known[args[0].Text]; !option {
			s.Instance, args = args[0].kept(), args[1:]
		}
	}
	if d.options("lvs_sync_daemon", args, known) {
		g.LVS.Sync = &s
	}
}

func syncOptions(s *Sync) options {
	return options{
		"inst": {takes: 1, set: func(w Word) bool { s.Instance = w.kept(); return w.Text != "" }},
		"id": {takes: 1, usage: "a whole number from 0 to 255", set: func(w Word) bool {
			s.HasID = true
			return into(number[uint8](0, 255), w, &s.ID)
		}},
		"maxlen": {takes: 1, usage: "a whole number from 1 to 65507", set: func(w Word) bool {
			return into(number[int](1, 65507), w, &s.MaxLength)
		}},
		"port": {takes: 1, usage: "a whole number from 1 to 65535", set: func(w Word) bool {
			return into(number[uint16](1, 65535), w, &s.Port)
		}},
		"ttl": {takes: 1, usage: "a whole number from 1 to 255", set: func(w Word) bool {
			return into(number[uint8](1, 255), w, &s.TTL)
		}},
		"group": {takes: 1, usage: "a multicast address", set: func(w Word) bool {
			a, ok := parseAddr(w.Text)
			s.Group = a
			return ok && a.IsMulticast()
		}},
	}
}

func writeSync(p *printer, _ *keyword[global], g, _ *global) {
	s := g.LVS.Sync
	if s == nil {
		return
	}
	ws := []string{s.Interface}
	add := func(name string, v int, given bool) {
		if given {
			ws = append(ws, name, strconv.Itoa(v))
		}
	}
	if s.Instance != "" {
		ws = append(ws, "inst", s.Instance)
	}
	add("id", int(s.ID), s.HasID)
	add("maxlen", s.MaxLength, s.MaxLength != 0)
	add("port", int(s.Port), s.Port != 0)
	add("ttl", int(s.TTL), s.TTL != 0)
	if s.Group != (netip.Addr{}) {
		ws = append(ws, "group", s.Group.String())
	}
	p.statement(false, "lvs_sync_daemon", ws)
}

func setTimeouts(d *decoder, g *global, n *Node) {
	if len(n.Args()) == 0 {
		d.misfit(n, 0, timeoutsUsage, nil)
		return
	}
	set := func(at *time.Duration) option {
		return option{
			takes: 1, usage: "a whole number from 1 to 2678400",
			set: func(w Word) bool {
				var s int
				ok := into(number[int](1, 31*24*3600), w, &s)
				*at = time.Duration(s) * time.Second
				return ok
			},
		}
	}
	t := &g.LVS.Timeouts
	d.options("lvs_timeouts", n.Args(), options{
		"tcp": set(&t.TCP), "tcpfin": set(&t.TCPFin), "udp": set(&t.UDP),
	})
}

func writeTimeouts(p *printer, _ *keyword[global], g, _ *global) {
	var ws []string
	for _, t := range []struct {
		name string
		d    time.Duration
	}{
		{"tcp", g.LVS.Timeouts.TCP},
		{"tcpfin", g.LVS.Timeouts.TCPFin},
		{"udp", g.LVS.Timeouts.UDP},
	} {
		if t.d != 0 {
			ws = append(ws, t.name, inSeconds(t.d))
		}
	}
	if ws != nil {
		p.statement(false, "lvs_timeouts", ws)
	}
}
