package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
)

// verb is what a reload does to a router or a virtual service. Zero is unset.
type verb uint8

// Keep leaves it alone. Change alters it while it works: a master stays master. Restart has it
// leave, as at a stop, and start again. Start and stop are for what is new and what is gone.
const (
	keep verb = iota + 1
	change
	restart
	start
	stop
)

// String returns the verb.
func (v verb) String() string {
	switch v {
	case keep:
		return "keep"
	case change:
		return "change"
	case restart:
		return "restart"
	case start:
		return "start"
	case stop:
		return "stop"
	}
	return fmt.Sprintf("verb(%d)", uint8(v))
}

// step is what a reload does to one router or virtual service, and why.
type step struct {
	verb verb
	// key is the kind and the name, as "vrrp_instance VI_1": the same before and after.
	key     string
	reasons []string
	// group is what the router is to be; zero for stop and for services.
	group instance.Group
}

// String returns, for example, "change vrrp_instance VI_1: priority 100 -> 150".
func (s step) String() string {
	text := s.verb.String() + " " + s.key
	if len(s.reasons) > 0 {
		text += ": " + s.because()
	}
	return text
}

// because returns the reasons as one text. Of many, as of a service with hundreds of new real
// servers, it is the first ones and the number of the others.
func (s step) because() string {
	const most = 10
	if more := len(s.reasons) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(s.reasons[:most], ", "), more)
	}
	return strings.Join(s.reasons, ", ")
}

// plan is what leads from one configuration to another.
type plan struct {
	// routers are those of the old configuration in their order, then those that start.
	routers []step
	// services are those that do not stay as they are, in the same order.
	services []step
	// others are the parts of the director that are neither and that change.
	others []step
}

// steps returns what is done, without what is kept.
func (p plan) steps() []step {
	all := slices.Concat(p.services, p.routers, p.others)
	return slices.DeleteFunc(all, func(s step) bool { return s.verb == keep })
}

// compare returns the plan that leads from before to after. It looks at what takes effect, not at
// where the files say it, nor in which order. It changes nothing.
func compare(before, after *config.Config) plan {
	return plan{routers: compareRouters(groups(before), groups(after)),
		services: compareServices(before.VirtualServers, after.VirtualServers),
		others:   compareOthers(before, after)}
}

// key returns what makes it the same group in another configuration.
func key(g instance.Group) string {
	if g.Name != "" {
		return "vrrp_sync_group " + g.Name
	}
	return "vrrp_instance " + g.Members[0].Name
}

func compareRouters(before, after []instance.Group) []step {
	wanted := make(map[string]instance.Group, len(after))
	for _, g := range after {
		wanted[key(g)] = g
	}
	var steps []step
	had := make(map[string]bool, len(before))
	for _, g := range before {
		k := key(g)
		had[k] = true
		if next, stays := wanted[k]; stays {
			steps = append(steps, compareGroup(g, next))
		} else {
			steps = append(steps, step{verb: stop, key: k, reasons: []string{"not configured"}})
		}
	}
	for _, g := range after {
		if k := key(g); !had[k] {
			steps = append(steps, step{verb: start, key: k, group: g, reasons: []string{"new"}})
		}
	}
	partMoves(before, steps)
	return steps
}

// partMoves has a group restart instead of change if it gives an address to another group: all that
// leave have left before anybody comes, while changes happen in no order.
func partMoves(before []instance.Group, steps []step) {
	takers := map[address]string{}
	for _, s := range steps {
		for a := range addresses(s.group) {
			takers[a] = s.key
		}
	}
	for i := range before {
		s := &steps[i]
		if s.verb != change {
			continue
		}
		now := addresses(s.group)
		var moves []string
		for a := range addresses(before[i]) {
			if taker := takers[a]; taker != "" && !now[a] {
				moves = append(moves, fmt.Sprintf("%s moves to %s", a, taker))
			}
		}
		if len(moves) > 0 {
			slices.Sort(moves)
			s.verb, s.reasons = restart, append(s.reasons, moves...)
		}
	}
}

// address is a VIP by what the kernel tells it apart by.
type address struct{ prefix, device string }

// String returns, for example, "VIP 192.168.1.1/24 on eth0".
func (a address) String() string { return fmt.Sprintf("VIP %s on %s", a.prefix, a.device) }

// addresses returns all that the group's members hold as masters.
func addresses(g instance.Group) map[address]bool {
	all := map[address]bool{}
	for _, m := range g.Members {
		for _, v := range slices.Concat(m.VIPs, m.Excluded) {
			all[address{v.Prefix.String(), v.Device}] = true
		}
	}
	return all
}
