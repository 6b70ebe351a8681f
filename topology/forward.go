package topology

import (
	"slices"

	"github.com/tandemlb/tandem/internal/strict"
)

// Forward is how directors hand a connection to a real server. The zero Forward is Masq.
type Forward int

// The ways, ipvsadm's masquerading, gatewaying and tunnels. With Masq (LVS-NAT) answers return through
// the director that has the connection; with all others the real servers have the service's address
// themselves, without telling anybody, and answer clients by themselves.
const (
	Masq Forward = iota
	// Route hands packets on as they are, by the MAC address (LVS-DR).
	Route
	// IPIP, GUE and GRE put packets into packets (LVS-TUN): RFC 2003, Generic UDP Encapsulation to
	// GUEPort, and RFC 2784.
	IPIP
	GUE
	GRE
)

// GUEPort is the UDP port of GUE that real servers listen on, the one that IANA has for it.
const GUEPort = 6080

var forwardNames = []string{Masq: "masq", Route: "route", IPIP: "ipip", GUE: "gue", GRE: "gre"}

// String returns the name, for example "masq"; "unknown" for what is no Forward.
func (f Forward) String() string { return nameOf(forwardNames, int(f)) }

// Tunnel says whether it is IPIP, GUE or GRE.
func (f Forward) Tunnel() bool { return f == IPIP || f == GUE || f == GRE }

// ParseForward returns the way of a name.
func ParseForward(name string) (Forward, error) {
	i, err := indexOf(forwardNames, name)
	return Forward(i), err
}

// Tunnels says whether any service forwards through a tunnel.
func (t *Topology) Tunnels() bool {
	return slices.ContainsFunc(t.Services, func(s Service) bool {
		return slices.ContainsFunc(s.RealServers, func(d Destination) bool { return d.Forward.Tunnel() })
	})
}

// forward returns the way of all real servers of a service; false if they have not the same.
func (s *Service) forward() (Forward, bool) {
	for _, d := range s.RealServers {
		if d.Forward != s.RealServers[0].Forward {
			return Masq, false
		}
	}
	return s.RealServers[0].Forward, true
}

// Forwards returns how a node gets the connections of services that it is a real server of, each way
// once; none: nil.
func (t *Topology) Forwards(node string) []Forward {
	var all []Forward
	for _, s := range t.Services {
		for _, d := range s.RealServers {
			if d.Node == node && !slices.Contains(all, d.Forward) {
				all = append(all, d.Forward)
			}
		}
	}
	return all
}

// AnswersAlone says whether a node answers clients by itself: it is a real server of services, and of
// none by Masq.
func (t *Topology) AnswersAlone(node string) bool {
	ways := t.Forwards(node)
	return len(ways) > 0 && !slices.Contains(ways, Masq)
}

// forward checks how a real server of a service gets its connections.
func (v *validation) forward(path string, s Service, d Destination) {
	switch {
	case d.Forward < 0 || int(d.Forward) >= len(forwardNames):
		v.add(path, "forward %d: expected %s", d.Forward, strict.OneOf(forwardNames))
		return
	case d.Forward == Masq:
		return
	case v.IPv6():
		v.add(path, "%s: expected masq, the only way in a network of IPv6", d.Forward)
	case s.Marked.IsValid():
		v.add(path, "%s: expected masq, for the service is by firewall mark", d.Forward)
	case v.isDirector(s.Addr.Addr()):
		v.add(path, "%s: expected masq, or a service on a VIP: the real servers have its address too, "+
			"and would take a director's own for theirs", d.Forward)
	}
	if d.Port != s.Addr.Port() {
		v.add(path, "%s: expected port %d, the service's, for packets are handed on as they are",
			d.Forward, s.Addr.Port())
	}
	n, ok := v.Node(d.Node)
	if !ok || len(n.Links) == 0 {
		return
	}
	if slices.Contains(v.Forwards(d.Node), Masq) {
		v.add(path, "%s: expected masq, by which %s serves too: its answers take one way", d.Forward,
			d.Node)
	}
	for _, director := range v.NodesOf(Director) {
		if _, near := director.LinkOn(n.Links[0].Network); d.Forward == Route && !near {
			v.add(path, "route: director %s has no link to network %q, expected one on every director",
				director.Name, n.Links[0].Network)
		}
	}
}

// alone demands that a real server reaches each client without a director.
func (v *validation) alone(n *Node, path string) {
	for _, c := range v.NodesOf(Client) {
		if !slices.ContainsFunc(c.Links, func(l Link) bool {
			_, near := n.LinkOn(l.Network)
			return near
		}) {
			v.add(path, "no way to client %s but through a director: expected a link to its network",
				c.Name)
		}
	}
}
