package config

import (
	"net/netip"
	"slices"
)

// Compare returns what the configurations of two directors say that cannot both be: c's own places,
// with those of the peer as First. Both must be valid. What would make two masters, or none that
// stays, is an error.
func (c *Config) Compare(peer *Config) Diagnostics {
	d := &decoder{}
	for i := range c.Instances {
		a := &c.Instances[i]
		b := peer.counterpart(a)
		if b == nil {
			d.warn(a.Pos, "vrrp_instance %q: expected the peer to have virtual_router_id %d too",
				a.Name, a.VRID)
			continue
		}
		d.compareAdverts(a, b)
		d.compareElection(a, b)
		d.compareAddresses(a, b)
	}
	for i := range peer.Instances {
		if b := &peer.Instances[i]; c.counterpart(b) == nil {
			d.warn(b.Pos, "vrrp_instance %q: expected the peer to have virtual_router_id %d too",
				b.Name, b.VRID)
		}
	}
	for i := range c.SyncGroups {
		d.compareGroup(c, peer, &c.SyncGroups[i])
	}
	d.compareServers(c, peer)
	d.diags.Sort()
	return d.diags
}

// counterpart is the instance that takes part in i's elections, nil if there is none. Of several
// with its VRID, on several networks, it is the one of its name, or on an interface of its name.
func (c *Config) counterpart(i *Instance) *Instance {
	var found *Instance
	for k := range c.Instances {
		b := &c.Instances[k]
		if b.VRID != i.VRID || b.IPv6() != i.IPv6() {
			continue
		}
		if b.Name == i.Name {
			return b
		}
		if found == nil || b.Interface == i.Interface {
			found = b
		}
	}
	return found
}

// differ reports one setting that must be the same.
func (d *decoder) differ(a, b *Instance, what string, here, there any) {
	if here != there {
		d.failTwice(a.Pos, b.Pos, "%s \"%v\" of %s: expected \"%v\", as the peer has it: "+
			"both would be master", what, here, a.Name, there)
	}
}

// compareAdverts: a director does not take adverts that differ in these.
func (d *decoder) compareAdverts(a, b *Instance) {
	d.differ(a, b, "version", a.Version, b.Version)
	if a.Version == 2 && b.Version == 2 {
		d.differ(a, b, "advert_int", inSeconds(a.AdvertInterval), inSeconds(b.AdvertInterval))
	} else if a.AdvertInterval != b.AdvertInterval {
		d.warnTwice(a.Pos, b.Pos, "advert_int \"%s\" of %s: expected \"%s\", as the peer has it",
			inSeconds(a.AdvertInterval), a.Name, inSeconds(b.AdvertInterval))
	}
	d.differ(a, b, "auth_type", a.Auth.Type, b.Auth.Type)
	if a.Auth.Type == b.Auth.Type && a.Auth.Password != b.Auth.Password {
		d.failTwice(a.Pos, b.Pos, "auth_pass of %s: expected it as the peer has it: "+
			"both would be master", a.Name)
	}
	d.differ(a, b, "destination of adverts", destination(a), destination(b))
	switch {
	case a.Source.IsValid() && a.Source == b.Source:
		d.failTwice(a.Pos, b.Pos, "source %q of %s: expected another than the peer's",
			a.Source, a.Name)
	case len(a.Peers) > 0 && b.Source.IsValid() && !slices.ContainsFunc(a.Peers,
		func(p Peer) bool { return p.Addr == b.Source }):
		d.failTwice(a.Pos, b.Pos, "unicast_peer of %s: expected %s in it, from where the peer "+
			"sends: both would be master", a.Name, b.Source)
	}
}

func destination(i *Instance) string {
	switch {
	case len(i.Peers) > 0:
		return "unicast"
	case i.Group.IsValid():
		return i.Group.String()
	}
	return "multicast"
}

func (d *decoder) compareElection(a, b *Instance) {
	if a.Priority != b.Priority {
		return
	}
	if a.Priority == 255 {
		d.failTwice(a.Pos, b.Pos, "priority \"255\" of %s: expected one owner of its addresses; "+
			"the peer is one too", a.Name)
		return
	}
	d.warnTwice(a.Pos, b.Pos, "priority \"%d\" of %s: expected another than the peer's; the higher "+
		"address becomes master", a.Priority, a.Name)
}

func (d *decoder) compareAddresses(a, b *Instance) {
	missing := func(vs, in []VIP) {
		for _, v := range vs {
			if !slices.ContainsFunc(in, func(w VIP) bool { return w.Prefix == v.Prefix }) {
				d.warn(v.Pos, "virtual_ipaddress %q of %s: expected the peer to have it too",
					v.Prefix, a.Name)
			}
		}
	}
	missing(a.VIPs, b.VIPs)
	missing(b.VIPs, a.VIPs)
	missing(a.ExcludedVIPs, b.ExcludedVIPs)
	missing(b.ExcludedVIPs, a.ExcludedVIPs)
}

// compareGroup checks that one director has the higher priority in all instances of a group: the
// master of each would take the others' away from the other, again and again.
func (d *decoder) compareGroup(c, peer *Config, g *SyncGroup) {
	var here, there *Instance
	for _, name := range g.Members {
		a := c.Instance(name)
		if a == nil {
			continue
		}
		b := peer.counterpart(a)
		if b == nil {
			continue
		}
		if peer.GroupOf(b.Name) == nil {
			d.warnTwice(g.Pos, b.Pos, "vrrp_sync_group %q: expected the peer to have %s in a group too",
				g.Name, b.Name)
		}
		switch {
		case a.Priority > b.Priority:
			here = a
		case a.Priority < b.Priority:
			there = a
		}
	}
	if here != nil && there != nil {
		d.failTwice(g.Pos, there.Pos, "vrrp_sync_group %q: expected one director to have "+
			"the higher priority in all instances; it is this one in %s, the peer in %s",
			g.Name, here.Name, there.Name)
	}
}

// compareServers tells of services and real servers that a failover would lose.
func (d *decoder) compareServers(c, peer *Config) {
	type key struct {
		address  netip.AddrPort
		protocol Protocol
	}
	known := map[key]*VirtualServer{}
	for i := range peer.VirtualServers {
		s := &peer.VirtualServers[i]
		known[key{s.Address, s.Protocol}] = s
	}
	if len(c.Instances) == 0 || len(peer.Instances) == 0 {
		return
	}
	for i := range c.VirtualServers {
		s := &c.VirtualServers[i]
		k := key{s.Address, s.Protocol}
		other := known[k]
		delete(known, k)
		if other == nil {
			d.warn(s.Pos, "virtual_server %q: expected the peer to have it too", s.Address)
			continue
		}
		d.compareReals(s, other)
	}
	for i := range peer.VirtualServers {
		s := &peer.VirtualServers[i]
		if known[key{s.Address, s.Protocol}] != nil {
			d.warn(s.Pos, "virtual_server %q: expected the peer to have it too", s.Address)
		}
	}
}

func (d *decoder) compareReals(s, other *VirtualServer) {
	for _, way := range [][2]*VirtualServer{{s, other}, {other, s}} {
		has := map[netip.AddrPort]bool{}
		for i := range way[1].RealServers {
			has[way[1].RealServers[i].Address] = true
		}
		for i := range way[0].RealServers {
			if rs := &way[0].RealServers[i]; !has[rs.Address] {
				d.warn(rs.Pos, "real_server %q: expected the peer to have it too for %s",
					rs.Address, s.Address)
			}
		}
	}
}
