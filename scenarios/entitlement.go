package scenarios

import (
	"slices"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// right is for how long a fault entitles to something.
type right int

const (
	// never: it must be as without the fault.
	never right = iota
	// brief: until what must put it right has had its time, and again after the heal.
	brief
	// lasting: as long as the fault lasts, and until what must put it right has had its time.
	lasting
)

// String returns the word of docs/invariants.md.
func (r right) String() string { return []string{"never", "at first", "while it lasts"}[r] }

// entitlement is what faults of some kinds that strike a director, or are a stranger's, entitle a
// run to, and what they cost at the most. Faults of other nodes entitle to less; see entitledOn.
type entitlement struct {
	kinds []faults.Kind
	// vips: they may move, be on no director or on several. way: frames for them may go elsewhere than
	// to their owner. requests: some may be lost. table: the director's own may be wrong.
	vips, way, requests, table right
	// leases: the director's addresses may outlive it until their lease ends.
	leases bool
	// starts: after the heal its programs have to start first.
	starts bool
	// rechecks: after the heal it has to find the real servers again.
	rechecks bool
	// deaf: a backup that it strikes may take over from a master that goes on.
	deaf bool
	// retracts: the heal has everybody forget who said of a VIP that it is at the node.
	retracts bool
	// returns: it comes back by itself after so long, and takes over again. 0: it does not.
	returns time.Duration
	// rejoins is how much longer than a takeover it takes to come back after the heal.
	rejoins time.Duration
	// why says what the rights rest on, in a sentence.
	why string
}

// repair is how long a director may take to notice that its IPVS table was changed by hand: it looks
// every second and a half.
const repair = 1500 * time.Millisecond

// entitlements has each kind of fault in one row.
var entitlements = []entitlement{
	{kinds: []faults.Kind{faults.LinkDown, faults.InterfaceOff},
		vips: brief, way: brief, requests: brief, table: lasting, rechecks: true,
		why: "The director sees it and leaves; it may be back before it finds the real servers again."},
	{kinds: []faults.Kind{faults.LinkDelay, faults.LinkJitter, faults.LinkLoss, faults.LinkCorrupt,
		faults.LinkReorder, faults.LinkRate, faults.LinkFlapping, faults.LinkMTU},
		vips: lasting, way: lasting, requests: lasting, table: lasting,
		why: "How bad it is, and so whether adverts and checks suffer, is up to its parameters."},
	{kinds: []faults.Kind{faults.LinkDuplicate},
		why: "Nothing that is sent twice means anything else than what is sent once."},
	{kinds: []faults.Kind{faults.OneWay, faults.BothWays, faults.AdvertsLost},
		vips: lasting, way: lasting, requests: lasting, deaf: true,
		why: "Two that do not hear each other both have to take the VIPs; real servers hear them all."},
	{kinds: []faults.Kind{faults.ARPLost},
		way: lasting, requests: lasting, table: lasting,
		why: "Adverts need no ARP; who asks for a VIP or a real server gets no answer."},
	{kinds: []faults.Kind{faults.ChecksLost},
		requests: lasting, table: lasting, rechecks: true,
		why: "To the director all real servers are down, and are not."},
	{kinds: []faults.Kind{faults.DirectorKilled},
		vips: brief, way: brief, requests: brief, table: lasting, leases: true, starts: true,
		why: "Its addresses end with their lease, the other director's patience before."},
	{kinds: []faults.Kind{faults.DirectorFrozen},
		vips: brief, way: brief, requests: brief, table: lasting, leases: true,
		why: "Its addresses end with their lease, the other director's patience before."},
	{kinds: []faults.Kind{faults.DirectorTerminated, faults.GuardKilled},
		vips: brief, way: brief, requests: brief, table: lasting, starts: true,
		why: "It leaves with a word, or what is left of it does."},
	{kinds: []faults.Kind{faults.MemoryLimited},
		vips: brief, way: brief, requests: brief, table: lasting, leases: true, starts: true,
		why: "Any of its processes may end of it, and not be started again."},
	{kinds: []faults.Kind{faults.WorkerKilled, faults.WorkerFrozen},
		vips: brief, way: brief, requests: brief, table: lasting,
		why: "It goes on by itself, or leaves."},
	{kinds: []faults.Kind{faults.Starved},
		vips: lasting, way: lasting, requests: lasting, table: lasting,
		why: "It comes and goes as it gets to run."},
	{kinds: []faults.Kind{faults.OutOfDescriptors},
		table: lasting,
		why:   "What is open goes on; a check that cannot begin says nothing of a real server."},
	{kinds: []faults.Kind{faults.DiskFull, faults.LogBlocked, faults.ConfigBroken},
		why: "Files, a log and a new configuration are not what adverts, VIPs and tables wait for."},
	{kinds: []faults.Kind{faults.PowerOff},
		vips: brief, way: brief, requests: brief, table: lasting, starts: true, rechecks: true,
		why: "It forgets everything, its addresses included, and says nothing."},
	{kinds: []faults.Kind{faults.Rebooted},
		vips: lasting, way: lasting, requests: lasting, table: lasting, starts: true, rechecks: true,
		returns: 3 * time.Second,
		why:     "Likewise; when it comes back, and with it the VIPs, is up to its parameter."},
	{kinds: []faults.Kind{faults.Paused},
		vips: brief, way: brief, requests: brief, table: lasting, leases: true,
		why: "It wakes up as the master that it was, and must see that it is none."},

	{kinds: []faults.Kind{faults.ServerStopped, faults.ServerRefusing, faults.ServerHalfOpen,
		faults.ServerSilent, faults.ServerSlow, faults.ServerUnavailable, faults.ServerWrong,
		faults.ServerBadTLS, faults.ServerMarked, faults.EchoIgnored},
		requests: lasting, table: lasting,
		why: "They are of real servers: see below."},

	{kinds: []faults.Kind{faults.VIPDeleted},
		vips: brief, way: brief, requests: brief,
		why: "The director puts it back or leaves."},
	{kinds: []faults.Kind{faults.IPVSFlushed},
		requests: brief, table: brief,
		why: "The director looks every 1.5 s, and puts it right."},
	{kinds: []faults.Kind{faults.RouteDeleted, faults.ConntrackFull},
		vips: lasting, way: lasting, requests: lasting, table: lasting, rechecks: true, deaf: true,
		why: "Whatever it sends or hears may be lost, and it cannot know why."},
	{kinds: []faults.Kind{faults.NeighbourPoisoned},
		requests: lasting, table: lasting, rechecks: true,
		why: "What it sends to one neighbour is lost. Adverts are for nobody in particular."},

	{kinds: []faults.Kind{faults.HostilePackets, faults.HostileFlood},
		why: "No router may believe any of it."},
	{kinds: []faults.Kind{faults.RogueRouter, faults.AdvertsReplayed, faults.AdvertsMismatching},
		vips: lasting, way: lasting, requests: lasting, deaf: true,
		why: "Without passwords that nobody can read a router cannot be told from a director."},
	{kinds: []faults.Kind{faults.DuplicateAddress},
		way: lasting, requests: lasting, retracts: true,
		why: "Who answers first is believed. The directors know better."},
}

// anything is what nothing is demanded of: a fault of a kind that this program does not know, or one
// of several directors at once, which may all fail to hold what the others leave.
var anything = entitlement{vips: lasting, way: lasting, requests: lasting, table: lasting,
	leases: true, starts: true, rechecks: true}

// uplinkLost is what a fault of a router entitles to that a director depends on: that leaves.
var uplinkLost = entitlement{vips: brief, way: brief, requests: brief, starts: true,
	rejoins: sessionBegins}

// entitlementOf is the row of a kind; false: there is none.
func entitlementOf(kind faults.Kind) (entitlement, bool) {
	i := slices.IndexFunc(entitlements, func(e entitlement) bool {
		return slices.Contains(e.kinds, kind)
	})
	if i < 0 {
		return anything, false
	}
	return entitlements[i], true
}

// harmless says that a fault entitles to nothing.
func (e entitlement) harmless() bool {
	return e.vips == never && e.way == never && e.requests == never && e.table == never
}

// limits are what a fault of a director that is master may cost.
func (e entitlement) limits(t topology.Topology) limits {
	takeover := slowest(t) + Allowance
	if e.vips == never {
		l := limits{outage: Allowance, failBack: Allowance}
		switch e.requests {
		case lasting:
			l.outage = takeover
		case brief:
			l.outage += repair
		case never:
		}
		return l
	}
	l := limits{outage: takeover, settle: takeover, failBack: takeover, together: takeover}
	if e.leases {
		l.settle = max(takeover, leftover(t.VRRP)+Allowance)
	}
	if e.returns > 0 {
		l.settle += e.returns + StartAllowance
	}
	l.together += e.rejoins
	if e.starts {
		l.together += StartAllowance
	}
	return l
}

// entitledOn is what a fault of a kind entitles to that strikes a node of a role: unless it is a
// director's or a stranger's, it touches requests alone. "" is the role of a node that is not there.
func entitledOn(kind faults.Kind, known bool, role string) entitlement {
	e, listed := entitlementOf(kind)
	switch {
	case !known || !listed || role == "":
		return anything
	case e.harmless(), kind.Family() == faults.Protocol, role == topology.Director.String():
		return e
	}
	return entitlement{kinds: e.kinds, requests: lasting, why: e.why}
}

// entitled is what a fault of a recorded run entitles to. Where another director is struck, too, or
// not yet back, or there is no other one, nothing is demanded that it would have to take over.
func (h *history) entitled(f reports.Fault) entitlement {
	kind, err := faults.ParseKind(f.Name)
	role := h.role(f.Node)
	e := entitledOn(kind, err == nil, role)
	depends := func(u Uplink) bool { return u.Router == f.Node }
	switch {
	case e.harmless():
	case err == nil && slices.ContainsFunc(h.scenario.Uplinks, depends):
		return uplinkLost
	case role == topology.Director.String() && (h.othersStruck(f) || e.vips != never && h.single()):
		e.vips, e.way, e.requests, e.table = lasting, lasting, lasting, lasting
	}
	return e
}

// single says that no director can take over from another one.
func (h *history) single() bool {
	t := h.scenario.Topology
	return len(t.VIPs) == 0 || len(t.NodesOf(topology.Director)) < 2
}

// othersStruck says whether another director suffers from a fault at the same time.
func (h *history) othersStruck(f reports.Fault) bool {
	return slices.ContainsFunc(h.faults, func(g reports.Fault) bool {
		kind, err := faults.ParseKind(g.Name)
		return g.Node != f.Node && g.From <= f.To && f.From <= g.To &&
			h.role(g.Node) == topology.Director.String() &&
			!entitledOn(kind, err == nil, h.role(g.Node)).harmless()
	})
}

// ofServer says that a fault is one of a real server that may keep it from answering.
func (h *history) ofServer(f reports.Fault) bool {
	kind := kindOf(f)
	e, _ := entitlementOf(kind)
	return h.role(f.Node) == topology.RealServer.String() && kind.Family() != faults.Protocol &&
		!e.harmless()
}

// limitsOf are what a fault that is not a real server's may cost.
func (h *history) limitsOf(f reports.Fault) limits {
	l := h.entitled(f).limits(h.scenario.Topology)
	l.together = max(l.together, l.failBack)
	return l
}
