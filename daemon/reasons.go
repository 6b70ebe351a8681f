package daemon

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// setting is one part of an instance.
type setting struct {
	name string
	// verb is what it takes to make it another: change, or restart if it ties the instance to its
	// sockets or to its peers.
	verb  verb
	value func(*instance.Config) any
	// secret keeps the value out of logs.
	secret bool
}

// settings are all parts of an instance but its name and its addresses. Lists are compared by how
// they print.
func settings() []setting {
	return slices.Concat(tyingSettings(), electionSettings(), announceSettings(), masterSettings())
}

// tyingSettings are those that say which adverts an instance sends and hears, and where.
func tyingSettings() []setting {
	type c = instance.Config
	return []setting{
		{"interface", restart, func(c *c) any { return c.Interface }, false},
		{"version", restart, func(c *c) any { return c.Router.Version }, false},
		{"virtual_router_id", restart, func(c *c) any { return c.Router.VRID }, false},
		{"IPv6", restart, func(c *c) any { return c.IPv6() }, false},
		{"unicast", restart, func(c *c) any { return c.Router.Unicast }, false},
		{"multicast group", restart, func(c *c) any { return c.Group }, false},
		{"unicast_ttl", restart, func(c *c) any { return c.UnicastTTL }, false},
		{"use_vmac", restart, func(c *c) any { return made("macvlan", c.VMAC) }, false},
		{"use_ipvlan", restart, func(c *c) any { return made("ipvlan", c.VMAC) }, false},
		{"use_vmac_addr", restart, func(c *c) any { return fmt.Sprint(c.AddrVMACs) }, false},
		{"vrf", restart, func(c *c) any { return c.VRF }, false},
		{"vmac_xmit_base", restart, func(c *c) any { return c.AdvertsOnParent }, false},
		{"log_unknown_vrids", change, func(c *c) any { return c.HearAll }, false},
		{"other virtual_router_ids", change, func(c *c) any { return fmt.Sprint(c.Siblings) }, false},
	}
}

func electionSettings() []setting {
	type c = instance.Config
	return []setting{
		{"priority", change, func(c *c) any { return c.Router.Priority }, false},
		{"advert_int", change, func(c *c) any { return c.Router.Interval }, false},
		{"source", change, func(c *c) any { return c.Router.Source }, false},
		{"unicast_peer", change, func(c *c) any { return fmt.Sprint(c.Router.Peers) }, false},
		{"TTL of peers", change, func(c *c) any { return limitsOf(c.Router.Peers) }, false},
		{"check_unicast_src", change, func(c *c) any { return c.Router.CheckUnicastSource }, false},
		{"auth_type", change, func(c *c) any { return c.Router.Auth }, false},
		{"auth_pass", change, func(c *c) any { return c.Router.Password }, true},
		{"checksum", change, func(c *c) any { return c.Router.Checksum }, false},
		{"old_unicast_checksum", change, func(c *c) any { return c.OldChecksum }, false},
		{"nopreempt", change, func(c *c) any { return c.Router.NoPreempt }, false},
		{"preempt_delay", change, func(c *c) any { return c.Router.PreemptDelay }, false},
		{"down_timer_adverts", change, func(c *c) any { return c.Router.DownAdverts }, false},
		{"lower_prio_no_advert", change, func(c *c) any { return c.Router.LowerPrioNoAdvert }, false},
		{"higher_prio_send_advert", change,
			func(c *c) any { return c.Router.HigherPrioSendAdvert }, false},
		{"owner_ignore_adverts", change, func(c *c) any { return c.Router.OwnerIgnoreAdverts }, false},
		{"skip_check_adv_addr", change, func(c *c) any { return c.Router.SkipCheckAddrs }, false},
		{"strict_mode", change, func(c *c) any { return c.Router.Strict }, false},
		{"step_down_if_vip_deleted", change, func(c *c) any { return c.StepDown }, false},
		{"dont_track_primary", change, func(c *c) any { return c.DontTrackPrimary }, false},
		{"unicast_fault_no_peer", change, func(c *c) any { return c.Router.FaultNoPeer }, false},
		{"timer_expired_backup", change, func(c *c) any { return c.Router.LatePriority }, false},
		{"fast_takeover", change, func(c *c) any { return c.Router.FastTakeover }, false},
	}
}

func announceSettings() []setting {
	type c = instance.Config
	return []setting{
		{"garp_master_delay", change, func(c *c) any { return c.Router.AnnounceDelay }, false},
		{"garp_master_repeat", change, func(c *c) any { return c.AnnounceRepeat }, false},
		{"garp_master_refresh", change, func(c *c) any { return c.Router.AnnounceRefresh }, false},
		{"garp_master_refresh_repeat", change, func(c *c) any { return c.RefreshRepeat }, false},
		{"garp_lower_prio_delay", change,
			func(c *c) any { return c.Router.LowerPrioAnnounceDelay }, false},
		{"garp_lower_prio_repeat", change, func(c *c) any { return c.LowerRepeat }, false},
		{"garp_interval", change, func(c *c) any { return c.ARPInterval }, false},
		{"garp_group", change, func(c *c) any { return fmt.Sprint(c.PaceGroups) }, false},
		{"gna_interval", change, func(c *c) any { return c.NAInterval }, false},
		{"garp_extra_if", change, func(c *c) any { return c.ExtraEvery }, false},
		{"garp_extra_if all", change, func(c *c) any { return c.ExtraAll }, false},
	}
}

// masterSettings are what a master has beside its addresses.
func masterSettings() []setting {
	type c = instance.Config
	return []setting{
		{"lease", change, func(c *c) any { return c.Lease }, false},
		{"virtual_routes", change, func(c *c) any { return fmt.Sprint(c.Routes) }, false},
		{"virtual_rules", change, func(c *c) any { return fmt.Sprint(c.Rules) }, false},
		{"promote_secondaries", change, func(c *c) any { return c.PromoteSecondaries }, false},
		{"no_accept", change, func(c *c) any { return c.ShieldTable }, false},
		{"nftables_priority", change, func(c *c) any { return c.ShieldPriority }, false},
		{"nftables_counters", change, func(c *c) any { return c.ShieldCounters }, false},
	}
}

// made is the text of an interface of that kind; another is none.
func made(kind string, m *netif.Macvlan) string {
	if m == nil || m.Kind() != kind {
		return "none"
	}
	return m.String()
}

// limitsOf is the TTLs that peers may have.
func limitsOf(peers []vrrp.Peer) string {
	var all []string
	for _, p := range peers {
		all = append(all, fmt.Sprintf("%d-%d", p.MinTTL, p.MaxTTL))
	}
	return strings.Join(all, " ")
}

// compareGroup returns what makes the group before the group after, which has the same key.
func compareGroup(before, after instance.Group) step {
	s := step{verb: keep, key: key(after), group: after}
	members, same := paired(before.Members, after.Members)
	if !same {
		s.verb = restart
		s.reasons = []string{fmt.Sprintf("members %v -> %v", names(before), names(after))}
		return s
	}
	s.group.Members = members
	for i := range members {
		v, reasons := compareMember(&before.Members[i], &members[i])
		s.verb = max(s.verb, v)
		for _, r := range reasons {
			if len(members) > 1 {
				r = members[i].Name + ": " + r
			}
			s.reasons = append(s.reasons, r)
		}
	}
	return s
}

// paired returns the members of after in the order of before, and whether they have the same names.
func paired(before, after []instance.Config) ([]instance.Config, bool) {
	if len(before) != len(after) {
		return nil, false
	}
	var members []instance.Config
	for _, b := range before {
		i := slices.IndexFunc(after, func(a instance.Config) bool { return a.Name == b.Name })
		if i < 0 {
			return nil, false
		}
		members = append(members, after[i])
	}
	return members, true
}

func names(g instance.Group) []string {
	var all []string
	for _, m := range g.Members {
		all = append(all, m.Name)
	}
	return all
}

// compareMember returns the least that makes the instance before the instance after, and why.
func compareMember(before, after *instance.Config) (verb, []string) {
	if reflect.DeepEqual(before, after) {
		return keep, nil
	}
	v := keep
	var reasons []string
	for _, s := range settings() {
		was, is := s.value(before), s.value(after)
		if was == is {
			continue
		}
		v = max(v, s.verb)
		reason := s.name
		if !s.secret {
			reason = fmt.Sprintf("%s %v -> %v", s.name, was, is)
		}
		reasons = append(reasons, reason)
	}
	for _, l := range []struct {
		name    string
		was, is []instance.VIP
	}{
		{"VIP", before.VIPs, after.VIPs},
		{"excluded VIP", before.Excluded, after.Excluded},
	} {
		reasons = append(reasons, compareVIPs(l.name, l.was, l.is)...)
	}
	if v == keep && len(reasons) > 0 {
		v = change
	}
	return v, reasons
}

func compareVIPs(name string, before, after []instance.VIP) []string {
	var reasons []string
	for _, l := range []struct {
		what       string
		these, not []instance.VIP
	}{{"more", after, before}, {"less", before, after}} {
		for _, v := range l.these {
			if !slices.Contains(l.not, v) {
				reasons = append(reasons,
					fmt.Sprintf("%s %s on %s %s", name, v.Prefix, v.Device, l.what))
			}
		}
	}
	return reasons
}
