package daemon

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/tandemlb/tandem/daemon/instance"
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

// settings are all parts of an instance but its name and its addresses.
func settings() []setting {
	type c = instance.Config
	return []setting{
		{"interface", restart, func(c *c) any { return c.Interface }, false},
		{"version", restart, func(c *c) any { return c.Router.Version }, false},
		{"virtual_router_id", restart, func(c *c) any { return c.Router.VRID }, false},
		{"unicast", restart, func(c *c) any { return c.Router.Unicast }, false},
		{"priority", change, func(c *c) any { return c.Router.Priority }, false},
		{"advert_int", change, func(c *c) any { return c.Router.Interval }, false},
		{"source", change, func(c *c) any { return c.Router.Source }, false},
		{"auth_type", change, func(c *c) any { return c.Router.Auth }, false},
		{"auth_pass", change, func(c *c) any { return c.Router.Password }, true},
		{"checksum", change, func(c *c) any { return c.Router.Checksum }, false},
		{"nopreempt", change, func(c *c) any { return c.Router.NoPreempt }, false},
		{"preempt_delay", change, func(c *c) any { return c.Router.PreemptDelay }, false},
		{"down_timer_adverts", change, func(c *c) any { return c.Router.DownAdverts }, false},
		{"garp_master_delay", change, func(c *c) any { return c.Router.AnnounceDelay }, false},
		{"garp_master_repeat", change, func(c *c) any { return c.AnnounceRepeat }, false},
		{"lease", change, func(c *c) any { return c.Lease }, false},
	}
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
