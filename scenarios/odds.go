package scenarios

import (
	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// place is where a plan has a fault strike.
type place int

const (
	// atDirector: at any director, or each of its interfaces.
	atDirector place = iota
	// atServer: at any real server.
	atServer
	// atOwner: at the director that has the VIPs while nothing else is wrong.
	atOwner
	// atCaller: at the first client, which sends requests.
	atCaller
	// atStranger: at a client that sends none, if there is one.
	atStranger
)

// odd is a kind that plans draw, and how.
type odd struct {
	kind faults.Kind
	// weight is how often it comes: what happens more often in practice weighs more.
	weight int
	at     place
	// beyond: nothing has to survive it.
	beyond bool
	// alone: no other fault may hold at once, for what it finds could be another's doing.
	alone bool
	// settings are those of every fault of the kind that is drawn.
	settings faults.Settings
}

// odds are the kinds that plans draw.
var odds = []odd{
	{kind: faults.DirectorKilled, weight: 3},
	{kind: faults.DirectorTerminated, weight: 3},
	{kind: faults.DirectorFrozen, weight: 2},
	{kind: faults.WorkerKilled, weight: 1},
	{kind: faults.WorkerFrozen, weight: 1},
	{kind: faults.GuardKilled, weight: 1},
	{kind: faults.OutOfDescriptors, weight: 1},
	{kind: faults.MemoryLimited, weight: 1},
	{kind: faults.DiskFull, weight: 1},
	{kind: faults.LogBlocked, weight: 1},
	{kind: faults.PowerOff, weight: 2},
	{kind: faults.Paused, weight: 1},
	{kind: faults.LinkDown, weight: 2},
	{kind: faults.InterfaceOff, weight: 1},
	// What is later than this, clients lose.
	{kind: faults.LinkDelay, weight: 1, settings: faults.Settings{"delay": "20ms"}},
	{kind: faults.LinkJitter, weight: 1, settings: faults.Settings{"delay": "15ms", "jitter": "10ms"}},
	{kind: faults.LinkDuplicate, weight: 1},
	{kind: faults.LinkReorder, weight: 1, settings: faults.Settings{"delay": "10ms"}},
	{kind: faults.LinkRate, weight: 1},
	{kind: faults.VIPDeleted, weight: 2, at: atOwner, alone: true},
	{kind: faults.IPVSFlushed, weight: 1, alone: true},
	{kind: faults.ConfigBroken, weight: 1},
	{kind: faults.ConfigBroken, weight: 1, settings: faults.Settings{"what": "half"}},
	{kind: faults.HostilePackets, weight: 1, at: atStranger},
	{kind: faults.AdvertsReplayed, weight: 1, at: atStranger, alone: true},

	{kind: faults.ServerStopped, weight: 4, at: atServer},
	{kind: faults.ServerRefusing, weight: 2, at: atServer},
	{kind: faults.ServerHalfOpen, weight: 1, at: atServer},
	{kind: faults.ServerSilent, weight: 2, at: atServer},
	{kind: faults.ServerSlow, weight: 1, at: atServer},
	{kind: faults.ServerUnavailable, weight: 2, at: atServer},
	{kind: faults.ServerWrong, weight: 1, at: atServer},
	{kind: faults.ServerBadTLS, weight: 1, at: atServer},
	{kind: faults.ServerMarked, weight: 1, at: atServer},
	{kind: faults.EchoIgnored, weight: 1, at: atServer},
	{kind: faults.PowerOff, weight: 1, at: atServer},
	{kind: faults.Paused, weight: 1, at: atServer},
	{kind: faults.LinkDown, weight: 1, at: atServer},

	{kind: faults.OneWay, weight: 1, beyond: true},
	{kind: faults.BothWays, weight: 1, beyond: true},
	{kind: faults.AdvertsLost, weight: 1, beyond: true},
	{kind: faults.ARPLost, weight: 1, beyond: true},
	{kind: faults.ChecksLost, weight: 1, beyond: true, alone: true},
	{kind: faults.LinkFlapping, weight: 1, beyond: true},
	{kind: faults.LinkLoss, weight: 1, beyond: true},
	{kind: faults.LinkCorrupt, weight: 1, beyond: true},
	{kind: faults.LinkMTU, weight: 1, beyond: true},
	{kind: faults.Starved, weight: 1, beyond: true},
	{kind: faults.Rebooted, weight: 1, beyond: true},
	{kind: faults.ConntrackFull, weight: 1, beyond: true, alone: true},
	{kind: faults.RouteDeleted, weight: 1, at: atServer, beyond: true},
	{kind: faults.NeighbourPoisoned, weight: 1, at: atCaller, beyond: true},
	// Survived, too, but it keeps a guest's processor so busy that drills take minutes.
	{kind: faults.HostileFlood, weight: 1, at: atStranger, beyond: true},
	{kind: faults.RogueRouter, weight: 1, at: atStranger, beyond: true, alone: true},
	{kind: faults.AdvertsMismatching, weight: 1, at: atStranger, beyond: true, alone: true},
	{kind: faults.DuplicateAddress, weight: 1, at: atStranger, beyond: true, alone: true},
}

// hits are all faults that the plan may draw, in a fixed order.
func (c Chance) hits() []hit {
	var all []hit
	for _, o := range odds {
		if o.beyond && !c.Beyond || !c.fits(o) {
			continue
		}
		own := o.hits(c.Topology)
		for i := range own {
			own[i].weight, own[i].settings, own[i].alone = o.weight, o.settings, o.alone
		}
		all = append(all, own...)
	}
	return all
}

// fits says whether a topology has what a fault is about, and but beyond what it survives, what must
// stand in for what fails.
func (c Chance) fits(o odd) bool {
	t := c.Topology
	e, _ := entitlementOf(o.kind)
	routers, services := len(t.VIPs) > 0, len(t.Services) > 0
	switch {
	case t.IPv6() && o.kind.IPv4Only():
		return false
	case o.at == atServer && o.kind == faults.RouteDeleted:
		return services
	case o.at == atServer:
		check := Chance{Topology: t}.allowance().check()
		return services && mustSee(check, o.kind) &&
			(c.Beyond || len(t.NodesOf(topology.RealServer)) > 1)
	case o.kind == faults.IPVSFlushed, o.kind == faults.ChecksLost:
		return services
	case o.at != atDirector, o.kind.Family() == faults.Partition:
		return routers && len(t.NodesOf(topology.Director)) > 1
	case e.vips == never:
		return true
	}
	return c.Beyond || routers && len(t.NodesOf(topology.Director)) > 1
}

// hits are the faults of a kind at every place where it may strike.
func (o odd) hits(t topology.Topology) []hit {
	clients := t.NodesOf(topology.Client)
	switch o.at {
	case atServer:
		return strikeAll(t, t.NodesOf(topology.RealServer), o.kind)
	case atCaller:
		return strikeAll(t, clients[:min(len(clients), 1)], o.kind)
	case atStranger:
		return strikeAll(t, clients[min(len(clients)-1, 1):], o.kind)
	case atOwner:
		best, _ := t.Node(Best(t))
		return strikeAll(t, []*topology.Node{best}, o.kind)
	case atDirector:
	}
	return strikeAll(t, t.NodesOf(topology.Director), o.kind)
}

// strikeAll are the faults of a kind on nodes; where it strikes interfaces, on every interface of
// those, and where it strikes addresses, on every one that is there.
func strikeAll(t topology.Topology, nodes []*topology.Node, kind faults.Kind) []hit {
	var all []hit
	for _, n := range nodes {
		whom := partBackup
		switch {
		case n.Role == topology.RealServer:
			whom = partServer
		case n.Name == Best(t):
			whom = partMaster
		}
		for _, where := range targetsOn(t, n, kind) {
			all = append(all, hit{kind: kind, target: where, whom: whom})
		}
	}
	return all
}

// targetsOn are the targets of a kind on one node.
func targetsOn(t topology.Topology, n *topology.Node, kind faults.Kind) []string {
	var targets []string
	switch kind.Form() {
	case faults.OfInterface:
		for _, l := range n.Links {
			targets = append(targets, n.Name+":"+l.Interface)
		}
	case faults.OfAddress:
		if kind == faults.RouteDeleted {
			if t.IPv6() {
				return []string{n.Name + ":::"}
			}
			return []string{n.Name + ":0.0.0.0"}
		}
		for _, v := range t.VIPs {
			if _, on := n.LinkOn(v.Network); on {
				targets = append(targets, n.Name+":"+v.Addr.String())
			}
		}
	case faults.OfNode:
		targets = []string{n.Name}
	}
	return targets
}
