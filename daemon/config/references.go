package config

import (
	"net/netip"
	"slices"
)

func (d *decoder) buildGroups(r *root, c *Config) {
	byName, byMember := map[string]Pos{}, map[string]string{}
	known := namesOf(c.Instances, instanceName)
	for i := range r.groups {
		g := &r.groups[i]
		if first, twice := byName[g.Name]; twice {
			d.failTwice(g.Pos, first, "vrrp_sync_group %q: expected a name of its own; %s has it",
				g.Name, see(g.Pos, first))
			continue
		}
		byName[g.Name] = g.Pos
		if len(g.Members) == 0 {
			d.fail(g.Pos, "vrrp_sync_group %q: expected group { … } with its instances", g.Name)
		}
		for j, m := range g.Members {
			d.checkMember(known, g.members[j].Pos, m, byMember)
			byMember[m] = g.Name
		}
		c.SyncGroups = append(c.SyncGroups, g.SyncGroup)
	}
}

func (d *decoder) checkMember(known nameSet, at Pos, member string, groups map[string]string) {
	d.refer(at, "group", member, "vrrp_instance", known)
	if g, twice := groups[member]; twice {
		d.fail(at, "group %q: expected in one group; %s has it", member, g)
	}
}

// nameSet are the names of one kind of block, in the order of the file.
type nameSet struct {
	known map[string]bool
	names []string
}

func instanceName(i *Instance) string { return i.Name }

func namesOf[T any](ts []T, name func(*T) string) nameSet {
	set := nameSet{known: map[string]bool{}}
	for i := range ts {
		n := name(&ts[i])
		set.known[n] = true
		set.names = append(set.names, n)
	}
	return set
}

// refer checks that a name is that of a block of a kind.
func (d *decoder) refer(at Pos, keyword, name, kind string, set nameSet) {
	if set.known[name] {
		return
	}
	hint := ""
	if near, ok := nearest(name, set.names); ok {
		hint = " (did you mean " + near + "?)"
	}
	d.fail(at, "%s %q: expected the name of a %s%s", keyword, name, kind, hint)
}

// unique checks that no two blocks of a kind have one name.
func unique[T any](d *decoder, kind string, ts []T, id func(*T) (string, Pos)) {
	seen := map[string]Pos{}
	for i := range ts {
		name, at := id(&ts[i])
		if first, twice := seen[name]; twice {
			d.failTwice(at, first, "%s %q: expected a name of its own; %s has it",
				kind, name, see(at, first))
			continue
		}
		seen[name] = at
	}
}

// checkReferences checks what blocks say of each other by name.
func (d *decoder) checkReferences(r *root, c *Config) {
	unique(d, "vrrp_script", c.Scripts, func(s *ScriptTracker) (string, Pos) {
		return s.Name, s.Pos
	})
	unique(d, "track_file", c.Files, func(f *FileTracker) (string, Pos) { return f.Name, f.Pos })
	unique(d, "vrrp_track_process", c.Processes, func(p *ProcessTracker) (string, Pos) {
		return p.Name, p.Pos
	})
	unique(d, "bfd_instance", c.BFDs, func(b *BFD) (string, Pos) { return b.Name, b.Pos })
	unique(d, "track_group", c.TrackGroups, func(g *TrackGroup) (string, Pos) {
		return g.Name, g.Pos
	})
	unique(d, "virtual_server_group", c.ServerGroups, func(g *ServerGroup) (string, Pos) {
		return g.Name, g.Pos
	})
	d.checkTrackers(c)
	d.checkTrackGroups(c)
	if s := c.Global.LVS.Sync; s != nil && s.Instance != "" {
		d.refer(r.syncPos, "lvs_sync_daemon", s.Instance, "vrrp_instance",
			namesOf(c.Instances, instanceName))
	}
}

func (d *decoder) checkTrackers(c *Config) {
	scripts := namesOf(c.Scripts, func(s *ScriptTracker) string { return s.Name })
	files := namesOf(c.Files, func(f *FileTracker) string { return f.Name })
	processes := namesOf(c.Processes, func(p *ProcessTracker) string { return p.Name })
	bfds := namesOf(c.BFDs, func(b *BFD) string { return b.Name })
	check := func(t *Tracks) {
		for _, of := range []struct {
			keyword, kind string
			tracks        []Track
			known         nameSet
		}{
			{"track_script", "vrrp_script", t.Scripts, scripts},
			{"track_file", "track_file", t.Files, files},
			{"track_process", "vrrp_track_process", t.Processes, processes},
			{"track_bfd", "bfd_instance", t.BFDs, bfds},
		} {
			for _, track := range of.tracks {
				d.refer(track.Pos, of.keyword, track.Name, of.kind, of.known)
			}
		}
	}
	for i := range c.Instances {
		check(&c.Instances[i].Tracks)
	}
	for i := range c.SyncGroups {
		check(&c.SyncGroups[i].Tracks)
	}
	eachIdleCheck(c, func(k *Check) {
		switch k.Kind {
		case CheckFile:
			d.refer(k.Pos, "track_file", k.File.Tracker, "track_file", files)
		case CheckBFD:
			d.refer(k.Pos, "name", k.BFD, "bfd_instance", bfds)
		}
	})
}

func eachIdleCheck(c *Config, f func(*Check)) {
	for _, vss := range [][]VirtualServer{c.VirtualServers, c.MarkServers} {
		for i := range vss {
			for j := range vss[i].RealServers {
				rs := &vss[i].RealServers[j]
				for k := range rs.IdleChecks {
					f(&rs.IdleChecks[k])
				}
			}
		}
	}
}

func (d *decoder) checkTrackGroups(c *Config) {
	instances := namesOf(c.Instances, instanceName)
	groups := namesOf(c.TrackGroups, func(g *TrackGroup) string { return g.Name })
	for _, g := range c.TrackGroups {
		for _, m := range g.Members {
			d.refer(m.Pos, "group", m.Name, "vrrp_instance", instances)
		}
	}
	refer := func(at Pos, name string) {
		if name != "" {
			d.refer(at, "track_group", name, "track_group", groups)
		}
	}
	for i := range c.Addresses {
		refer(c.Addresses[i].Pos, c.Addresses[i].TrackGroup)
	}
	for i := range c.Routes {
		refer(c.Routes[i].Pos, c.Routes[i].TrackGroup)
	}
	for i := range c.Rules {
		refer(c.Rules[i].Pos, c.Rules[i].TrackGroup)
	}
}

// checkReach says which real servers are in no network that the file knows of. A file that knows of
// none leaves the networks to the machine.
func (d *decoder) checkReach(c *Config) {
	known := c.networks()
	for i := range c.VirtualServers {
		for j := range c.VirtualServers[i].RealServers {
			rs := &c.VirtualServers[i].RealServers[j]
			if a := rs.Address.Addr(); !known.leadTo(a) {
				d.note(rs.Pos, "real_server %q: expected it in a network of the VIPs or behind a "+
					"route of the file; the machine's own routes must lead there", a)
				break
			}
		}
	}
}

// networks are prefixes, by family and length.
type networks struct {
	prefixes map[netip.Prefix]bool
	lengths  map[bool][]int // of IPv6, and not
}

func (n *networks) add(p netip.Prefix) {
	if !p.IsValid() || p.Bits() == p.Addr().BitLen() {
		return
	}
	n.prefixes[p.Masked()] = true
	if six := p.Addr().Is6(); !slices.Contains(n.lengths[six], p.Bits()) {
		n.lengths[six] = append(n.lengths[six], p.Bits())
	}
}

// leadTo says whether an address is in one of them, or there are none of its family.
func (n *networks) leadTo(a netip.Addr) bool {
	lengths := n.lengths[a.Is6()]
	for _, bits := range lengths {
		if p, err := a.Prefix(bits); err == nil && n.prefixes[p] {
			return true
		}
	}
	return len(lengths) == 0
}

// networks are those that the VIPs, addresses and routes of the file lead into.
func (c *Config) networks() *networks {
	known := &networks{prefixes: map[netip.Prefix]bool{}, lengths: map[bool][]int{}}
	addRoutes := func(routes []Route) {
		for _, r := range routes {
			switch {
			case r.Destination.IsValid():
				known.add(r.Destination)
			case r.IPv6:
				known.add(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
			default:
				known.add(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
			}
		}
	}
	addRoutes(c.Routes)
	for _, v := range c.Addresses {
		known.add(v.Prefix)
	}
	for i := range c.Instances {
		n := &c.Instances[i]
		for _, vs := range [][]VIP{n.VIPs, n.ExcludedVIPs} {
			for _, v := range vs {
				known.add(v.Prefix)
			}
		}
		addRoutes(n.Routes)
	}
	return known
}
