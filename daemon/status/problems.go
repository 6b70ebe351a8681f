package status

import (
	"fmt"
	"strings"
	"time"
)

const (
	// maxNames is how many names a problem lists, and how often a condition is shown at length.
	maxNames = 5
	// lossMemory is how long after the last loss of a message there is a problem.
	lossMemory = time.Hour
)

// problem is a kind of trouble and what has it.
type problem struct {
	one, many string
	names     []string
}

// problems returns what is wrong beside the conditions, a line for each kind.
func (s *Snapshot) problems() []string {
	var all []string
	if s.Daemon.Reloads.Error != "" {
		all = append(all, "the last reload was refused: what is in the file does not run")
	}
	for _, p := range append(s.vrrpProblems(), s.serviceProblems()...) {
		if len(p.names) > 0 {
			all = append(all, p.String())
		}
	}
	for _, d := range s.Notify.deliveries() {
		if d.lost() > 0 && s.Time.Sub(d.ErrorAt) < lossMemory {
			all = append(all, fmt.Sprintf("messages to %s not delivered: %d, the last error %s ago", d.to,
				d.lost(), short(s.Time.Sub(d.ErrorAt))))
		}
	}
	return all
}

// String returns the problem with the names, but not with all of a thousand.
func (p *problem) String() string {
	what := p.many
	if len(p.names) == 1 {
		what = p.one
	}
	names := p.names
	rest := ""
	if len(names) > maxNames {
		rest = fmt.Sprintf(" and %d more", len(names)-maxNames)
		names = names[:maxNames]
	}
	return fmt.Sprintf("%d %s: %s%s", len(p.names), what, strings.Join(names, ", "), rest)
}

func (s *Snapshot) vrrpProblems() []problem {
	fault := problem{one: "instance in FAULT", many: "instances in FAULT"}
	missing := problem{one: "master without all of its VIPs",
		many: "masters without all of their VIPs"}
	left := problem{one: "instance with VIPs that is not master",
		many: "instances with VIPs that are not master"}
	for i := range s.Instances {
		n := &s.Instances[i]
		if n.State == Fault {
			fault.names = append(fault.names, n.Name)
		}
		switch held := n.held(); {
		case n.State == Master && held < len(n.VIPs):
			missing.names = append(missing.names, n.Name)
		case n.State != Master && held > 0:
			left.names = append(left.names, n.Name)
		}
	}
	trackers := problem{one: "tracker down", many: "trackers down"}
	for i := range s.Trackers {
		if t := &s.Trackers[i]; t.Health == Down {
			trackers.names = append(trackers.names, t.Kind+" "+t.Name)
		}
	}
	return []problem{left, missing, fault, trackers}
}

func (s *Snapshot) serviceProblems() []problem {
	quorum := problem{one: "service without quorum", many: "services without quorum"}
	table := problem{one: "service not as wanted in the kernel's table",
		many: "services not as wanted in the kernel's table"}
	down := problem{one: "real server down", many: "real servers down"}
	for i := range s.Services {
		v := &s.Services[i]
		if v.Health == Down {
			quorum.names = append(quorum.names, v.Name)
		}
		if v.Error != "" {
			table.names = append(table.names, v.Name)
		}
		for _, r := range v.Servers {
			if r.Health == Down {
				down.names = append(down.names, r.Name)
			}
		}
	}
	return []problem{quorum, table, down}
}
