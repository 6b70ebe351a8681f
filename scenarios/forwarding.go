package scenarios

import (
	"fmt"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// forwardings are drills of the ways, beside LVS-NAT, in which directors hand on connections.
func forwardings() []Scenario {
	return []Scenario{
		forwarding("route", "as they are, by the MAC address (LVS-DR)", preset("fig7-dr")),
		forwarding("ipip", "as IP in IP (LVS-TUN)", tunnels(topology.IPIP)),
		forwarding("gue", "in UDP (LVS-TUN by GUE)", tunnels(topology.GUE)),
		forwarding("gre", "in GRE (LVS-TUN by GRE)", tunnels(topology.GRE)),
		forwarding("mixed", "to one real server by LVS-NAT, to one by LVS-DR and to one by LVS-TUN",
			mixedWays()),
		handover("dr", "Real servers answer clients by themselves (LVS-DR)."),
		handover("tun", "Real servers answer clients by themselves (LVS-TUN)."),
		withFlows(handover("v6", "Everything goes over IPv6 (LVS-NAT).")),
	}
}

// forwarding spreads requests in a way of handing them on. An answer is proof of the way: a real
// server answers from the address that it was called by, so that by LVS-NAT the client would be
// answered by somebody whom it has not asked, and it unpacks the topology's tunnels only. What unpacks
// GUE takes IP in IP as well; which of them is in the kernel's table daemon/ipvs tests.
func forwarding(name, way string, t topology.Topology) Scenario {
	return Scenario{
		Name: "forward-" + name,
		Doc: fmt.Sprintf("The master hands requests on %s. All of 60 requests are answered, and each "+
			"real server gets every third one.", way),
		Topology: t,
		Steps:    []Step{Steady{}, Requests{Client: "client1", Count: 60}},
		Bounds: []Bound{
			Shares(map[string]int{"web1": 20, "web2": 20, "web3": 20}),
			Order("web3", "web2", "web1"),
		},
	}
}

// tunnels is the preset of LVS-TUN with tunnels of a kind.
func tunnels(way topology.Forward) topology.Topology {
	t := preset("fig7-tun")
	for i := range t.Services[0].RealServers {
		t.Services[0].RealServers[i].Forward = way
	}
	return t
}

// mixedWays is fig7 with a real server of each preset.
func mixedWays() topology.Topology {
	t := preset("fig7")
	t.Name, t.Doc = "fig7-mixed", "A real server by LVS-NAT, one by LVS-DR and one by LVS-TUN."
	for node, from := range map[string]string{"web2": "fig7-dr", "web3": "fig7-tun"} {
		other := preset(from)
		mine, _ := t.Node(node)
		its, _ := other.Node(node)
		*mine = *its
		for i := range t.Services[0].RealServers {
			if d := &t.Services[0].RealServers[i]; d.Node == node {
				d.Forward = other.Services[0].RealServers[i].Forward
			}
		}
	}
	return t
}

// handover is a failover drill of one of the presets beside fig7.
func handover(variant, how string) Scenario {
	name := "fig7-" + variant
	return failover(Scenario{
		Name: name + "-director-killed",
		Doc: how + " Every process of the master is killed at once. Every VIP must end on the other " +
			"director, clients may wait no longer than the protocol needs, and after the heal the first " +
			"director takes it back.",
		Topology: preset(name),
	}, faults.DirectorKilled, "@master")
}
