package drills

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/internal/strict"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// servicePort is where clients call a VIP that is no virtual service's.
const servicePort = 80

// check completes a drill that was read, and finds what is wrong with its parts taken together.
func (d *decoder) check(drill *Drill) {
	d.checkName(drill.Name)
	for i := range drill.Globals {
		if strings.ContainsAny(drill.Globals[i], "\n{}") || strings.TrimSpace(drill.Globals[i]) == "" {
			d.Add(strict.Bracketed("globals", fmt.Sprint(i)), "%q: expected one line of global_defs",
				drill.Globals[i])
		}
	}
	for i := range drill.Probes {
		d.checkProbe(drill.Topology, &drill.Probes[i])
	}
	d.checkMethod(drill)
	for _, e := range drill.Bounds {
		d.checkServers(drill.Topology, "expectations.bounds."+e.Key, e.servers())
	}
	d.checkBounds(drill)
	if len(drill.Probes)+len(drill.Method) == 0 {
		d.Add("", "the drill does nothing: expected a method, or probes in hypothesis")
	}
	d.checkInvariants(drill)
}

// checkName demands what can be part of a file's name.
func (d *decoder) checkName(name string) {
	ok := name != "" && len(name) <= 63 && name[0] != '-'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}
	if !ok {
		d.Add("name", "%q: expected 1 to 63 lower-case letters, digits and dashes, no dash first", name)
	}
}

// checkProbe checks a client and gives it its target.
func (d *decoder) checkProbe(t topology.Topology, p *Probe) {
	path := "hypothesis.probes." + p.Client
	d.checkClient(t, path, p.Client)
	if p.Pause >= probe.DefaultLimit {
		d.Add(path+".pause", "%s: expected less than %s, after which a request is lost", p.Pause,
			probe.DefaultLimit)
	}
	if p.Target.IsValid() || d.Failed(path) {
		return
	}
	var ok bool
	if p.Target, ok = targetOf(t); !ok {
		d.Add(path, "the topology has no service and no VIP: expected a key target")
	}
}

// targetOf is what clients call unless told otherwise; false: there is nothing to call.
func targetOf(t topology.Topology) (netip.AddrPort, bool) {
	switch {
	case len(t.Services) > 0:
		return t.Services[0].Addr, true
	case len(t.VIPs) > 0:
		return netip.AddrPortFrom(t.VIPs[0].Addr, servicePort), true
	}
	return netip.AddrPort{}, false
}

// checkClient demands the name of a client.
func (d *decoder) checkClient(t topology.Topology, path, name string) {
	d.oneOfNodes(t, path, name, topology.Client)
}

// checkServers demands names of real servers.
func (d *decoder) checkServers(t topology.Topology, path string, names []string) {
	for _, name := range names {
		d.oneOfNodes(t, path, name, topology.RealServer)
	}
}

func (d *decoder) oneOfNodes(t topology.Topology, path, name string, role topology.Role) {
	var known []string
	for _, n := range t.NodesOf(role) {
		known = append(known, n.Name)
	}
	if slices.Contains(known, name) {
		return
	}
	expected := "the topology has none"
	if len(known) > 0 {
		expected = "expected " + strict.OneOf(known) + strict.DidYouMean(name, known)
	}
	d.Add(path, "unknown %s %q: %s", role, name, expected)
}

// checkMethod checks the steps against the topology and against each other.
func (d *decoder) checkMethod(drill *Drill) {
	names := map[string]int{}
	for i, s := range drill.Method {
		path := strict.Bracketed("method", fmt.Sprint(i))
		if first, twice := names[s.Name]; twice && s.Name != "" {
			d.Add(path+".name", "%q: step %d has this name already", s.Name, first+1)
		} else {
			names[s.Name] = i
		}
		switch do := s.Do.(type) {
		case scenarios.Requests:
			d.checkSends(drill.Topology, path+".requests", do.Client, do.Count)
		case scenarios.Calls:
			d.checkSends(drill.Topology, path+".calls", do.Client, do.Count)
		case scenarios.Reloads:
			d.checkReload(drill.Topology, path+".reload", do.Files[0])
		}
	}
	for i, s := range drill.Method {
		if _, known := names[s.Heals]; s.Heals == "" || known {
			continue
		}
		path := strict.Bracketed("method", fmt.Sprint(i)) + ".heal"
		d.Add(path, "%q: no fault of the method has this name%s", s.Heals,
			strict.DidYouMean(s.Heals, stepNames(drill.Method)))
	}
	if !d.Failed("method") {
		for _, f := range (scenarios.Schedule{Acts: drill.Acts()}).Check(drill.Topology) {
			d.Add(strict.Bracketed("method", fmt.Sprint(f.Act)), "%s", f.Text)
		}
	}
	if drill.Limit > 0 && drill.Ends() > drill.Limit {
		d.Add("limit", "%s: the method ends at %s: expected more than that, with a minute for the start",
			drill.Limit, drill.Ends())
	}
}

// stepNames are the names that heals may have.
func stepNames(method []Step) []string {
	var names []string
	for _, s := range method {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// checkSends checks a step in which a client calls a service.
func (d *decoder) checkSends(t topology.Topology, path, client string, count int) {
	d.checkClient(t, path, client)
	if count == 0 {
		d.Add(path, "expected a key count, the number to send")
	}
	if len(t.Services) == 0 {
		d.Add(path, "the topology has no virtual service to send to")
	}
}

// checkReload checks a file to load.
func (d *decoder) checkReload(t topology.Topology, path string, l scenarios.Reload) {
	switch {
	case len(t.VIPs) == 0:
		d.Add(path, "the topology has no VIP, without which adverts are not listened to")
	case l.Change == 0:
		d.Add(path, "expected a key change: %s", strict.OneOf(changeNames()))
	case l.Change == scenarios.Unchanged && l.Server != "":
		d.Add(path+".server", "a file that is unchanged differs in no real server")
	case l.Change != scenarios.Unchanged:
		d.oneOfNodes(t, path, l.Server, topology.RealServer)
	}
}

// checkBounds checks what bounds need of the rest of the drill.
func (d *decoder) checkBounds(drill *Drill) {
	for _, e := range drill.Bounds {
		if e.Key == "predicted" && !drill.does(func(s scenarios.Step) bool {
			_, ok := s.(scenarios.Calls)
			return ok
		}) {
			d.Add("expectations.bounds.predicted", "no step of the method has calls to predict")
		}
	}
	if drill.Survives == "" {
		return
	}
	if len(drill.Probes) == 0 {
		d.Add("expectations.survives", "nobody would see it: expected a client in hypothesis.probes")
	}
	if len(drill.faults()) == 0 {
		d.Add("expectations.survives", "expected a fault in method")
	}
}

// does says whether the method has such a step.
func (drill *Drill) does(this func(scenarios.Step) bool) bool {
	return slices.ContainsFunc(drill.Method, func(s Step) bool { return s.Do != nil && this(s.Do) })
}

// checkInvariants demands that those named are known and mean something for the drill.
func (d *decoder) checkInvariants(drill *Drill) {
	var known []string
	for _, r := range rules() {
		known = append(known, r.name)
	}
	for i, name := range drill.Invariants {
		path := strict.Bracketed("expectations.invariants", fmt.Sprint(i))
		r, ok := ruleOf(name)
		switch {
		case !ok:
			d.Add(path, "unknown invariant %q: expected %s%s", name, strict.OneOf(known),
				strict.DidYouMean(name, known))
		case !d.Failed("") && !r.applies(drill.Scenario()):
			d.Add(path, "%q says nothing about this drill: leave it out", name)
		}
	}
}
