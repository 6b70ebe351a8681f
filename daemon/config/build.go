package config

import (
	"net/netip"
	"slices"
	"time"
)

// build makes the Config of what was read, and checks what can only be seen of whole objects and
// between them.
func (d *decoder) build(r *root) *Config {
	c := &Config{
		Global: r.global, Scripts: r.scripts, Files: r.files, Processes: r.processes,
		BFDs: r.bfds, TrackGroups: r.trackGroups, GARPGroups: r.garpGroups,
		Addresses: r.addresses, Routes: r.routes, Rules: r.rules,
		ServerGroups: r.serverGroups, TLS: r.tls,
	}
	c.Global.GARP.settle()
	for i := range c.Addresses {
		if c.Addresses[i].Device == "" {
			c.Addresses[i].Device = c.Global.Links.Default
		}
	}
	d.buildInstances(r, c)
	r.known.collect(d, c)
	d.buildGroups(r, c)
	d.buildServers(r, c)
	d.checkReferences(r, c)
	return c
}

func (d *decoder) buildInstances(r *root, c *Config) {
	c.Instances = slices.Grow(c.Instances, len(r.instances))
	for i, b := range r.instances {
		r.instances[i] = nil // there may be many, and the Config has its own
		c.Instances = append(c.Instances, b.Instance)
	}
	d.checkVRIDs(c.Instances)
	d.checkVIPs(c.Instances)
	d.checkStacks(c.Instances)
}

// addInstance completes an instance that has been read. It keeps nothing of how it was written.
func addInstance(d *decoder, r *root, b *instanceBlock, n *Node) {
	b.Name, b.Pos, b.node = d.name(n), n.Pos(), n
	if r.known.instances == nil {
		r.known.instances = nameSet{}
	}
	if !d.own(r.known.instances, "vrrp_instance", b.Name, b.Pos) {
		return
	}
	d.completeInstance(r, b)
	b.node = nil
	r.instances = append(r.instances, b)
}

// completeInstance fills in what follows from other fields.
func (d *decoder) completeInstance(r *root, b *instanceBlock) {
	if b.node.find("interface") == nil {
		d.fail(b.Pos, "vrrp_instance %q: expected interface in it", b.Name)
	}
	if b.node.find("virtual_router_id") == nil {
		d.fail(b.Pos, "vrrp_instance %q: expected virtual_router_id in it", b.Name)
	}
	if len(b.Peers) == 0 && b.source.IsValid() {
		b.Source = b.source
	}
	b.GARP.settle()
	if b.VMAC != nil {
		b.VMAC.AdvertsOnParent = b.xmitBase
	}
	if b.VMAC != nil && b.IPVLAN != nil {
		d.warn(b.node.placeOf("use_ipvlan"), "use_ipvlan of %s: expected none beside use_vmac; it is "+
			"left out", b.Name)
		b.IPVLAN = nil
	}
	d.completeVIPs(b)
	d.completeElection(r, b)
	d.checkFamily(b)
}

func (d *decoder) completeElection(r *root, b *instanceBlock) {
	if !b.Preempt && b.State == StateMaster && b.Priority != 255 {
		d.warn(b.node.placeOf("nopreempt"), "vrrp_instance %q: expected state BACKUP beside "+
			"nopreempt; BACKUP it is", b.Name)
		b.State = StateBackup
	}
	if b.Priority == 0 {
		b.Priority = 100
		if b.State == StateMaster {
			b.Priority = 255
		}
	}
	if b.State == 0 {
		b.State = StateBackup
	}
	if b.IPv6() && b.Version == 2 {
		d.warn(b.node.placeOf("version"), "version \"2\": expected 3 for IPv6; 3 it is")
	}
	switch {
	case b.IPv6():
		b.Version = 3
	case b.Version == 0:
		b.Version = r.global.Version
	}
	d.checkInterval(b)
	if b.Strict {
		d.completeStrict(b)
	}
	if b.Rules.FastTakeover && len(b.Peers) > 1 {
		d.fail(b.node.placeOf("fast_takeover"), "fast_takeover of %s: expected one unicast_peer, for "+
			"it is for two routers", b.Name)
	}
	if b.Auth.Type != AuthNone && (b.Version == 3 || b.Strict) {
		d.warn(b.node.placeOf("authentication"), "authentication: expected none in version 3 or "+
			"strict mode; it is left out")
		b.Auth = Auth{}
	}
}

// completeStrict holds an instance to the RFC, as keepalived's strict mode does: adverts are
// multicast, a better router takes over, and only the owner of the addresses answers on them (RFC
// 9568, Section 6.1).
func (d *decoder) completeStrict(b *instanceBlock) {
	if len(b.Peers) > 0 {
		d.fail(b.node.placeOf("unicast_peer"), "unicast_peer of %s: expected none in strict mode",
			b.Name)
	}
	if !b.Preempt {
		d.warn(b.node.placeOf("nopreempt"), "nopreempt of %s: expected preempt in strict mode; "+
			"it is left out", b.Name)
		b.Preempt = true
	}
	if b.Priority == 255 {
		return
	}
	if b.State == StateMaster {
		d.warn(b.node.placeOf("state"), "state \"MASTER\" of %s: expected BACKUP in strict mode, or "+
			"priority 255; BACKUP it is", b.Name)
		b.State = StateBackup
	}
	if b.node.find("accept") != nil {
		d.warn(b.node.placeOf("accept"), "accept of %s: expected none in strict mode; what goes to "+
			"the VIPs is dropped", b.Name)
	}
	b.Accept = false
}

// checkInterval checks what each version can say on the wire: whole seconds in 8 bits in version 2
// (RFC 3768, Section 5.3.7), centiseconds in 12 bits in version 3 (RFC 9568, Section 5.2.7).
func (d *decoder) checkInterval(b *instanceBlock) {
	step, last := time.Second, 255*time.Second
	usage := "whole seconds from 1 to 255 in version 2"
	if b.Version == 3 {
		step, last = 10*time.Millisecond, 40950*time.Millisecond
		usage = "seconds from 0.01 to 40.95 in steps of 0.01 in version 3"
	}
	if b.AdvertInterval < step || b.AdvertInterval > last || b.AdvertInterval%step != 0 {
		d.fail(b.node.placeOf("advert_int"), "advert_int %q of %s: expected %s",
			inSeconds(b.AdvertInterval), b.Name, usage)
	}
}

// completeVIPs puts VIPs on the instance's interface and moves those that its adverts cannot carry.
func (d *decoder) completeVIPs(b *instanceBlock) {
	four := len(b.VIPs) > 0 && b.VIPs[0].Prefix.Addr().Is4()
	b.VIPs = slices.DeleteFunc(b.VIPs, func(v VIP) bool {
		if v.Prefix.Addr().Is4() == four {
			return false
		}
		d.warn(v.Pos, "virtual_ipaddress %q: expected the family of the first; "+
			"it is held, not advertised", v.Prefix)
		b.ExcludedVIPs = append(b.ExcludedVIPs, v)
		return true
	})
	for _, vs := range [][]VIP{b.VIPs, b.ExcludedVIPs} {
		for i := range vs {
			if vs[i].Device == "" {
				vs[i].Device = b.Interface
			}
		}
	}
	// What was wrong with those that are there has been said.
	if len(b.VIPs) == 0 && !slices.ContainsFunc(b.node.Children, func(c *Node) bool {
		return c.Keyword() == "virtual_ipaddress" && len(c.Children) > 0
	}) {
		d.fail(b.Pos, "vrrp_instance %q: expected at least one virtual_ipaddress", b.Name)
	}
}

// checkFamily checks that all addresses of the adverts are of the instance's family.
func (d *decoder) checkFamily(b *instanceBlock) {
	check := func(keyword string, a netip.Addr) {
		if a.IsValid() && a.Is6() != b.IPv6() {
			d.fail(b.node.placeOf(keyword), "%s %q of %s: expected the family of its VIPs",
				keyword, a, b.Name)
		}
	}
	if b.source.IsValid() && b.Source == b.source {
		check("mcast_src_ip", b.Source)
	} else {
		check("unicast_src_ip", b.Source)
	}
	check("mcast_dst_ip", b.Group)
	for _, p := range b.Peers {
		check("unicast_peer", p.Addr)
	}
	if b.Group.IsValid() && !b.Group.IsMulticast() {
		d.fail(b.node.placeOf("mcast_dst_ip"), "mcast_dst_ip %q of %s: expected a multicast "+
			"address", b.Group, b.Name)
	}
}

// checkVRIDs checks that no two instances would take each other's adverts for their own.
func (d *decoder) checkVRIDs(is []Instance) {
	type router struct {
		device        string
		six           bool
		vrid          uint8
		source, group netip.Addr
	}
	seen := make(map[router]*Instance, len(is))
	for i := range is {
		n := &is[i]
		k := router{device: n.Interface, six: n.IPv6(), vrid: n.VRID, group: n.Group}
		if len(n.Peers) > 0 {
			k.source = n.Source
		}
		if first := seen[k]; first != nil && n.VRID != 0 {
			d.failTwice(n.Pos, first.Pos, "virtual_router_id \"%d\" of %s: expected another than "+
				"that of %s on %s (%s)", n.VRID, n.Name, first.Name, n.Interface,
				see(n.Pos, first.Pos))
			continue
		}
		seen[k] = n
	}
}

// checkVIPs drops the VIPs that an instance has twice, and tells of those that two instances have.
func (d *decoder) checkVIPs(is []Instance) {
	seen := make(map[netip.Addr]vipOwner, len(is))
	for i := range is {
		is[i].VIPs = d.ownVIPs(is[i].Name, is[i].VIPs, seen)
		is[i].ExcludedVIPs = d.ownVIPs(is[i].Name, is[i].ExcludedVIPs, seen)
	}
}

// vipOwner is the instance that has a VIP, and the place that says so.
type vipOwner struct {
	instance string
	at       Pos
}

func (d *decoder) ownVIPs(instance string, vs []VIP, seen map[netip.Addr]vipOwner) []VIP {
	return slices.DeleteFunc(vs, func(v VIP) bool {
		first, twice := seen[v.Prefix.Addr()]
		switch {
		case !twice:
			seen[v.Prefix.Addr()] = vipOwner{instance, v.Pos}
		case first.instance == instance:
			d.warnTwice(v.Pos, first.at, "virtual_ipaddress %q: expected once; %s has it",
				v.Prefix, see(v.Pos, first.at))
			return true
		default:
			d.warnTwice(v.Pos, first.at, "virtual_ipaddress %q: expected in one instance; "+
				"%s has it (%s)", v.Prefix, first.instance, see(v.Pos, first.at))
		}
		return false
	})
}
