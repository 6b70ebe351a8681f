package scenarios

import (
	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// associations are the drills of services of SCTP.
func associations() []Scenario {
	return []Scenario{
		{
			Name: "fig6-sctp",
			Doc: "One director spreads 60 requests by SCTP, each an association of its own and one after " +
				"another, by the scheduler rr: each real server gets every third one.",
			Topology: overSCTP("fig6"),
			Steps:    []Step{Steady{}, Requests{Client: "client1", Count: 60}},
			Bounds: []Bound{
				Shares(map[string]int{"web1": 20, "web2": 20, "web3": 20}),
				Order("web3", "web2", "web1"),
			},
		},
		failover(Scenario{
			Name: "fig7-sctp-director-killed",
			Doc: "Clients ask by SCTP, by an association for each request. Every process of the master is " +
				"killed at once. Both VIPs must end on the other director, clients may wait no longer " +
				"than the protocol needs, and after the heal the first director takes both back.",
			Topology: overSCTP("fig7"),
		}, faults.DirectorKilled, "@master"),
	}
}

// overSCTP is a preset whose service is of SCTP. There is no health check of that, so that the real
// servers are asked for echo replies.
func overSCTP(name string) topology.Topology {
	t := preset(name)
	serve(&t, topology.SCTP, 7, topology.PingCheck)
	return t
}
