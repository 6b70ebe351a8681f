package scenarios

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

const (
	// faultHolds is how long the fault of a FaultDrill holds: longer than a takeover takes, and a health
	// check.
	faultHolds = 6 * time.Second
	// calmAfter is how long everything is watched once it is as before: longer than any invariant
	// excuses anything after a heal.
	calmAfter = 10 * time.Second
	// faultDrill begins the name of every FaultDrill, which ends with that of its fault.
	faultDrill = "fault-"
	// recovery is how long everything may take to be as before, after the heal.
	recovery = 40 * time.Second
)

// FaultDrills returns the FaultDrill of every kind, in the order of faults.Kinds.
func FaultDrills() []Scenario {
	var all []Scenario
	for _, kind := range faults.Kinds() {
		all = append(all, FaultDrill(kind))
	}
	return all
}

// FaultDrill is a drill of one kind of fault on the whole network, at a place where it hurts: it
// strikes, holds, and is healed, and then everything has to be as before: the best director holds
// every VIP, every real server is in every table, and clients are answered. What it costs until then
// is for the invariants to judge. An unknown kind gives a drill whose injection fails.
func FaultDrill(kind faults.Kind) Scenario {
	t := hurt(kind)
	client := Probe{Client: t.NodesOf(topology.Client)[0].Name, Target: serviceOf(t)}
	inARow := 100
	if t.Services[0].Protocol == topology.HTTPS {
		client.Rate, inARow = 20, 20 // handshakes take a slow guest's processor a while
	}
	return Scenario{
		Name: faultDrill + kind.String(),
		Doc: kind.Doc() + " However much that costs, after the heal everything is as before: the " +
			"first director holds every VIP, all real servers are in service, clients are answered.",
		Topology: t,
		Probes:   []Probe{client},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: kind, Target: worstTarget(t, kind)},
			Observe{For: faultHolds},
			HealAll{},
			Await{Condition: FailBack{}, Limit: recovery},
			Await{Condition: FullTable{}, Limit: recovery},
			Await{Condition: Answers{InARow: inARow}, Limit: recovery},
			Observe{For: calmAfter},
			Finish{},
		},
		Bounds: []Bound{everythingCame()},
	}
}

// hurt is the network that a fault of a kind strikes: fig7, with services that have what it is about.
func hurt(kind faults.Kind) topology.Topology {
	t := preset("fig7")
	switch kind {
	case faults.ServerBadTLS:
		serve(&t, topology.HTTPS, 443, topology.SSLCheck)
	case faults.ServerMarked:
		t.Services[0].Check.Kind = topology.MiscCheck
	case faults.EchoIgnored:
		t.Services[0].Check.Kind = topology.PingCheck
	case faults.ServerWrong:
		t.Services[0].Check.Page = true
	}
	return t
}

// worstTarget is where a fault of a kind does harm: at the master, or where it is about somebody
// else, at a real server or a client.
func worstTarget(t topology.Topology, kind faults.Kind) string {
	clients, servers := t.NodesOf(topology.Client), t.NodesOf(topology.RealServer)
	vip := t.VIPs[0].Addr
	switch kind {
	case faults.NeighbourPoisoned:
		return fmt.Sprintf("%s:%s", clients[0].Name, vip)
	case faults.DuplicateAddress:
		return fmt.Sprintf("%s:%s", clients[1].Name, vip)
	case faults.RouteDeleted:
		return servers[0].Name + ":0.0.0.0"
	}
	node := "@master"
	switch kind.Family() {
	case faults.Server:
		node = servers[1].Name
	case faults.Protocol:
		node = clients[1].Name
	case faults.Link, faults.Partition, faults.Process, faults.Node, faults.State,
		faults.Configuration:
	}
	switch kind.Form() {
	case faults.OfInterface:
		return node + ":" + clients[0].Links[0].Interface
	case faults.OfAddress:
		return fmt.Sprintf("%s:%s", node, vip)
	case faults.OfNode:
	}
	return node
}
