package config

import (
	"maps"
	"net/netip"
	"slices"
)

func (d *decoder) buildGroups(r *root, c *Config) {
	byName, byMember := nameSet{}, map[string]string{}
	for i := range r.groups {
		g := &r.groups[i]
		if !d.own(byName, "vrrp_sync_group", g.Name, g.Pos) {
			continue
		}
		if len(g.Members) == 0 {
			d.fail(g.Pos, "vrrp_sync_group %q: expected group { … } with its instances", g.Name)
		}
		for j, m := range g.Members {
			d.checkMember(r.known.instances, g.members[j].Pos, m, byMember)
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

// nameSet are the names of one kind of block, each with the place of the first that has it.
type nameSet map[string]Pos

// knownNames are the names of all kinds of blocks that others refer to.
type knownNames struct {
	instances, scripts, files, processes, bfds, trackGroups, serverGroups nameSet
}

// refer checks that a name is that of a block of a kind.
func (d *decoder) refer(at Pos, keyword, name, kind string, set nameSet) {
	if _, known := set[name]; known {
		return
	}
	hint := ""
	// To look for one takes as long as there are names.
	if d.hints++; d.hints <= mostHints {
		if near, ok := nearest(name, slices.Sorted(maps.Keys(set))); ok {
			hint = " (did you mean " + near + "?)"
		}
	}
	d.fail(at, "%s %q: expected the name of a %s%s", keyword, name, kind, hint)
}

// mostHints is of how many unknown names the nearest known one is told.
const mostHints = 50

// unique returns the names of the blocks of a kind, and checks that no two have one.
func unique[T any](d *decoder, kind string, ts []T, id func(*T) (string, Pos)) nameSet {
	set := make(nameSet, len(ts))
	for i := range ts {
		name, at := id(&ts[i])
		d.own(set, kind, name, at)
	}
	return set
}

// own adds the name of a block to those of its kind, and says whether no other has it.
func (d *decoder) own(set nameSet, kind, name string, at Pos) bool {
	first, twice := set[name]
	if twice {
		d.failTwice(at, first, "%s %q: expected a name of its own; %s has it",
			kind, name, see(at, first))
		return false
	}
	set[name] = at
	return true
}

// collect adds the names of all blocks but instances.
func (k *knownNames) collect(d *decoder, c *Config) {
	k.scripts = unique(d, "vrrp_script", c.Scripts, func(s *ScriptTracker) (string, Pos) {
		return s.Name, s.Pos
	})
	k.files = unique(d, "track_file", c.Files, func(f *FileTracker) (string, Pos) {
		return f.Name, f.Pos
	})
	k.processes = unique(d, "vrrp_track_process", c.Processes,
		func(p *ProcessTracker) (string, Pos) { return p.Name, p.Pos })
	k.bfds = unique(d, "bfd_instance", c.BFDs, func(b *BFD) (string, Pos) {
		return b.Name, b.Pos
	})
	k.trackGroups = unique(d, "track_group", c.TrackGroups, func(g *TrackGroup) (string, Pos) {
		return g.Name, g.Pos
	})
	k.serverGroups = unique(d, "virtual_server_group", c.ServerGroups,
		func(g *ServerGroup) (string, Pos) { return g.Name, g.Pos })
}

// checkReferences checks what blocks say of each other by name.
func (d *decoder) checkReferences(r *root, c *Config) {
	d.checkTrackers(&r.known, c)
	d.checkTrackGroups(&r.known, c)
	if s := c.Global.LVS.Sync; s != nil && s.Instance != "" {
		d.refer(r.syncPos, "lvs_sync_daemon", s.Instance, "vrrp_instance", r.known.instances)
	}
}

func (d *decoder) checkTrackers(known *knownNames, c *Config) {
	for i := range c.Instances {
		d.checkTracks(known, &c.Instances[i].Tracks)
	}
	for i := range c.SyncGroups {
		d.checkTracks(known, &c.SyncGroups[i].Tracks)
	}
	eachCheck(c, func(k *Check) {
		switch k.Kind {
		case CheckFile:
			d.refer(k.Pos, "track_file", k.File.Tracker, "track_file", known.files)
		case CheckBFD:
			d.refer(k.Pos, "name", k.BFD, "bfd_instance", known.bfds)
		}
	})
}

func (d *decoder) checkTracks(known *knownNames, t *Tracks) {
	for _, of := range []struct {
		keyword, kind string
		tracks        []Track
		known         nameSet
	}{
		{"track_script", "vrrp_script", t.Scripts, known.scripts},
		{"track_file", "track_file", t.Files, known.files},
		{"track_process", "vrrp_track_process", t.Processes, known.processes},
		{"track_bfd", "bfd_instance", t.BFDs, known.bfds},
	} {
		for _, track := range of.tracks {
			d.refer(track.Pos, of.keyword, track.Name, of.kind, of.known)
		}
	}
}

func eachCheck(c *Config, f func(*Check)) {
	for i := range c.VirtualServers {
		for j := range c.VirtualServers[i].RealServers {
			rs := &c.VirtualServers[i].RealServers[j]
			for k := range rs.Checks {
				f(&rs.Checks[k])
			}
		}
	}
}

func (d *decoder) checkTrackGroups(known *knownNames, c *Config) {
	for _, g := range c.TrackGroups {
		for _, m := range g.Members {
			d.refer(m.Pos, "group", m.Name, "vrrp_instance", known.instances)
		}
	}
	refer := func(at Pos, name string) {
		if name != "" {
			d.refer(at, "track_group", name, "track_group", known.trackGroups)
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
