package daemon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// groups turns instances and sync groups into what runs them: one for each sync group and for each
// instance that is in none, in the order of the file.
func groups(cfg *config.Config) []instance.Group {
	var gs []instance.Group
	rules := rulesOf(cfg)
	vmacs, addrs := vmacsOf(cfg)
	member := func(i *config.Instance) instance.Config {
		c := member(cfg, i)
		c.Rules, c.VMAC = rules[i.Name], vmacs[i.Name]
		c.AdvertsOnParent = i.VMAC != nil && i.VMAC.AdvertsOnParent
		c.AddrVMACs = addrs[i.Name]
		return c
	}
	for i := range cfg.SyncGroups {
		g := instance.Group{Name: cfg.SyncGroups[i].Name}
		for _, name := range cfg.SyncGroups[i].Members {
			g.Members = append(g.Members, member(cfg.Instance(name)))
		}
		gs = append(gs, g)
	}
	for i := range cfg.Instances {
		if cfg.GroupOf(cfg.Instances[i].Name) == nil {
			gs = append(gs, instance.Group{Members: []instance.Config{member(&cfg.Instances[i])}})
		}
	}
	if cfg.Global.Adverts.LogUnknownVRIDs {
		hearUnknown(gs)
	}
	return gs
}

func member(cfg *config.Config, i *config.Instance) instance.Config {
	c := instance.Config{
		Name:        i.Name,
		Interface:   i.Interface,
		Router:      virtualRouter(i),
		VIPs:        vips(i.VIPs),
		Excluded:    vips(i.ExcludedVIPs),
		Group:       multicastGroup(cfg, i),
		OldChecksum: oldChecksum(i.OldChecksum),
		Routes:      newRouting(cfg).routes(i.Routes),

		DontTrackPrimary:   i.DontTrackPrimary,
		StepDown:           i.Rules.StepDown,
		PromoteSecondaries: i.PromoteSecondaries,
		PaceGroups:         paceGroups(cfg),
	}
	c.Router.PreemptDelay = preemptDelay(cfg, i)
	if c.Router.Unicast {
		c.UnicastTTL, c.VRF = i.UnicastTTL, i.VRF
	}
	if !i.Accept && i.Priority != vrrp.PriorityOwner {
		c.ShieldTable = shieldTable(cfg)
		c.ShieldPriority = int32(cfg.Global.Firewall.Priority)
		c.ShieldCounters = cfg.Global.Firewall.Counters
	}
	announcing(&c, i.GARP)
	fit, rest := vrrp.FitAddrs(c.Router.Version, packetSize, addressesOf(c.VIPs))
	if len(rest) > 0 {
		c.Router.Addrs = fit
	}
	return c
}

// paceGroups returns the interfaces that share a pace.
func paceGroups(cfg *config.Config) []instance.PaceGroup {
	var all []instance.PaceGroup
	for _, g := range cfg.GARPGroups {
		all = append(all, instance.PaceGroup{
			Devices: g.Interfaces, ARPInterval: g.ARPInterval, NAInterval: g.NAInterval,
		})
	}
	return all
}

// vmacsOf returns the macvlans, or ipvlans, of the instances that have one, by name, and the
// macvlans of their VIPs on other interfaces. Those without a name of their own are vrrp.51 or, for
// IPv6, vrrp6.51; further ones of that virtual router, on other interfaces, vrrp.51.2 and so on.
func vmacsOf(cfg *config.Config) (map[string]*netif.Macvlan, map[string][]netif.Macvlan) {
	all, addrs := map[string]*netif.Macvlan{}, map[string][]netif.Macvlan{}
	prefix := cmp.Or(cfg.Global.Adverts.VMACPrefix, "vrrp")
	addrPrefix := cmp.Or(cfg.Global.Adverts.VMACAddressPrefix, prefix)
	taken := map[string]int{}
	free := func(prefix string, i *config.Instance) string {
		family := ""
		if i.IPv6() {
			family = "6"
		}
		name := fmt.Sprintf("%s%s.%d", prefix, family, i.VRID)
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s.%d", name, taken[name])
		}
		return name
	}
	for n := range cfg.Instances {
		i := &cfg.Instances[n]
		for _, device := range otherDevices(i) {
			addrs[i.Name] = append(addrs[i.Name], netif.Macvlan{
				Name: free(addrPrefix, i), Parent: device, MAC: virtualMAC(i),
			})
		}
		var m *netif.Macvlan
		switch {
		case i.VMAC != nil:
			m = &netif.Macvlan{Name: i.VMAC.Name, Parent: i.VMAC.Parent, MAC: virtualMAC(i)}
		case i.IPVLAN != nil:
			m = &netif.Macvlan{Name: i.IPVLAN.Name, IPVLAN: cmp.Or(i.IPVLAN.Mode, "bridge")}
		default:
			continue
		}
		if m.Parent == "" {
			m.Parent = i.Interface
		}
		if m.Name == "" {
			m.Name = free(prefix, i)
		}
		all[i.Name] = m
	}
	return all, addrs
}

// otherDevices are the interfaces beside the instance's own whose VIPs want a macvlan, each once.
func otherDevices(i *config.Instance) []string {
	var all []string
	for _, v := range slices.Concat(i.VIPs, i.ExcludedVIPs) {
		own := i.VMAC != nil && (v.Device == i.VMAC.Name || v.Device == i.VMAC.Parent)
		if (i.VMACForAll || v.UseVMAC) && v.Device != i.Interface && !own &&
			!slices.Contains(all, v.Device) {
			all = append(all, v.Device)
		}
	}
	return all
}

// virtualMAC returns the RFC's address, or the one that is configured: six octets, or five before
// the VRID.
func virtualMAC(i *config.Instance) netif.MAC {
	if i.VMAC == nil || i.VMAC.MAC == "" {
		return netif.VirtualMAC(i.VRID, i.IPv6())
	}
	mac := netif.MAC{5: i.VRID}
	for n, octet := range strings.SplitN(i.VMAC.MAC, ":", len(mac)) {
		v, _ := strconv.ParseUint(octet, 16, 8) // config has checked it
		mac[n] = byte(v)
	}
	return mac
}

// packetSize is that of Ethernet: adverts are never longer, whatever the interface can do, for the
// peer's may not.
const packetSize = 1500

// virtualRouter returns what the protocol is told.
func virtualRouter(i *config.Instance) vrrp.Config {
	c := vrrp.Config{
		Version:      vrrp.Version(i.Version),
		VRID:         i.VRID,
		Priority:     i.Priority,
		Interval:     i.AdvertInterval,
		Source:       i.Source,
		Auth:         auth(i.Auth.Type),
		Password:     vrrp.MakePassword(i.Auth.Password),
		NoPreempt:    !i.Preempt,
		PreemptDelay: i.PreemptDelay,
		DownAdverts:  i.Rules.DownTimer,

		LowerPrioNoAdvert:    i.Rules.LowerPriorityNoAdvert,
		HigherPrioSendAdvert: i.Rules.HigherPrioritySendAdvert,
		OwnerIgnoreAdverts:   i.Rules.OwnerIgnore,
		SkipCheckAddrs:       i.SkipCheckAdvertAddresses,
		Strict:               i.Strict,
		FastTakeover:         i.Rules.FastTakeover,
		Unicast:              len(i.Peers) > 0,
	}
	if i.Rules.ChecksumAsV2 {
		c.Checksum = vrrp.ChecksumPlain
	}
	for _, p := range i.Peers {
		c.Peers = append(c.Peers, vrrp.Peer{Addr: p.Addr, MinTTL: p.MinTTL, MaxTTL: p.MaxTTL})
	}
	c.CheckUnicastSource = c.Unicast && i.Rules.CheckUnicastSource
	c.FaultNoPeer, c.Unicast = i.FaultWithoutPeer, c.Unicast || i.FaultWithoutPeer
	if i.BackupIfLate {
		c.LatePriority = uint8(i.LatePriority)
	}
	return c
}

func auth(t config.AuthType) vrrp.AuthType {
	if t == config.AuthPassword {
		return vrrp.AuthSimple
	}
	return vrrp.AuthNone
}

// multicastGroup returns where adverts go, or an invalid address if that is the standard group.
func multicastGroup(cfg *config.Config, i *config.Instance) netip.Addr {
	group, standard := i.Group, vrrp.MulticastAddr(netip.IPv4Unspecified())
	global := cfg.Global.Adverts.Group4
	if i.IPv6() {
		standard, global = vrrp.MulticastAddr(netip.IPv6Unspecified()), cfg.Global.Adverts.Group6
	}
	if !group.IsValid() {
		group = global
	}
	if group == standard || len(i.Peers) > 0 {
		return netip.Addr{}
	}
	return group
}

func oldChecksum(word string) instance.OldChecksum {
	switch word {
	case "always":
		return instance.OldChecksumAlways
	case "never":
		return instance.OldChecksumNever
	}
	return instance.OldChecksumFoundOut
}

// announcing sets how the VIPs are announced. In a configuration a delay of 0 is never, to a Machine
// it is the default.
func announcing(c *instance.Config, g config.GARP) {
	c.AnnounceRepeat, c.RefreshRepeat, c.LowerRepeat = g.Repeat, g.RefreshRepeat, g.LowerPriorityRepeat
	c.ARPInterval, c.NAInterval = g.ARPInterval, g.NAInterval
	c.ExtraEvery, c.ExtraAll = g.Extra.Interval, g.Extra.All
	c.Router.AnnounceDelay = g.Delay
	c.Router.AnnounceRefresh = g.Refresh
	c.Router.LowerPrioAnnounceDelay = g.LowerPriorityDelay
	if g.Least {
		c.AnnounceRepeat, c.LowerRepeat = 1, 1
		c.Router.AnnounceDelay, c.Router.LowerPrioAnnounceDelay = 0, 0
	}
	if c.Router.AnnounceDelay == 0 {
		c.Router.AnnounceDelay = -1
	}
}

func vips(vs []config.VIP) []instance.VIP {
	var out []instance.VIP
	for i := range vs {
		v := &vs[i]
		out = append(out, instance.VIP{
			Prefix: v.Prefix, Device: v.Device, Options: addrOptions(v), NoTrack: v.NoTrack,
		})
	}
	return out
}

func addressesOf(vs []instance.VIP) []netip.Addr {
	var all []netip.Addr
	for _, v := range vs {
		all = append(all, v.Prefix.Addr())
	}
	return all
}

// addrOptions: an IPv6 address that is alone in its network is no source of connections unless it
// is asked to be one, as in keepalived.
func addrOptions(v *config.VIP) netif.AddrOptions {
	o := netif.AddrOptions{
		Label: v.Label, Scope: scope(v.Scope), Broadcast: v.Broadcast, Peer: v.Peer,
		DAD: v.NoDAD, Home: v.Home, ManageTemporary: v.ManageTemporary,
		NoPrefixRoute: v.NoPrefixRoute, AutoJoin: v.AutoJoin,
	}
	switch {
	case v.HasPreferred && v.Preferred != config.Forever:
		o.Deprecated, o.PreferredFor = true, v.Preferred
	case !v.HasPreferred && v.Prefix.Addr().Is6() && v.Prefix.IsSingleIP():
		o.Deprecated = true
	}
	return o
}

// scope returns the kernel's number for a scope that the configuration has checked.
func scope(name string) uint8 {
	return map[string]uint8{"site": 200, "link": 253, "host": 254, "nowhere": 255}[name]
}

// shieldTable is the nftables table that keeps no_accept.
func shieldTable(cfg *config.Config) string {
	return cmp.Or(cfg.Global.Firewall.Table, "tandem")
}
