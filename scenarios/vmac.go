package scenarios

import (
	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
)

// vmacDrills are failover drills in which switches, not hosts, learn where a VIP is: that is with the
// virtual MAC address, which every frame that comes from it moves.
func vmacDrills() []Scenario {
	return []Scenario{
		vmac("fig7", faults.DirectorTerminated, "The master is asked to stop, as for an upgrade."),
		vmac("fig7", faults.DirectorFrozen,
			"Every process of the master stands still and later goes on, as on a paused machine."),
		vmac("fig7-v6", faults.DirectorKilled, "Every process of the master is killed at once."),
		vmac("fig7-v6", faults.DirectorFrozen,
			"Every process of the master stands still and later goes on, as on a paused machine."),
	}
}

func vmac(of string, kind faults.Kind, doc string) Scenario {
	t := preset(of)
	t.Name, t.VRRP.UseVMAC = of+"-vmac", true
	t.Doc += " Virtual IPs are at virtual MAC addresses."
	s := failover(Scenario{
		Name: t.Name + "-" + kind.String(),
		Doc: "VIPs are at virtual MAC addresses (use_vmac). " + doc + " Both VIPs must end on the other " +
			"director, with every switch's way to them, clients may wait no longer than the protocol " +
			"needs, and after the heal the first director takes both back.",
		Topology: t,
		Needs:    []lab.Capability{lab.VirtualTime},
	}, kind, "@master")
	// Who is asked to stop, and the kernel of who is frozen or killed, forwards until the VIPs have moved.
	// What is under way while a switch's way to one of them moves may be lost, by a move and by its return.
	s.Bounds = append(s.Bounds, ClientLosesAtMost(s.Probes[0].Client, 2))
	return s
}
