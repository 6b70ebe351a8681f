package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tandemlb/tandem/internal/strict"
)

// What a name may be long: a topology's as a file name, all others for process names and diagrams.
const (
	maxTitle = 63
	maxName  = 15
)

// Schedulers returns the IPVS schedulers that a Service may name, as the Linux kernel names them.
func Schedulers() []string {
	return []string{"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed",
		"nq", "twos"}
}

// Validate returns nil for a topology that a lab can build, else Problems: everything wrong with it
// at once.
func (t *Topology) Validate() error { return validate(t).Err() }

// validation collects problems, and who has which address.
type validation struct {
	*Topology
	problems Problems
	owners   map[netip.Addr]string
}

func validate(t *Topology) Problems {
	v := &validation{Topology: t, owners: map[netip.Addr]string{}}
	v.name("name", t.Name, maxTitle)
	if strings.TrimSpace(t.Doc) != t.Doc || strings.ContainsFunc(t.Doc, unprintable) {
		v.add("doc", "%q: expected one line of printable text", t.Doc)
	}
	v.networks()
	for i := range t.Nodes {
		v.node(&t.Nodes[i])
	}
	v.unique("nodes.", "node", nodeNames(t))
	v.vips()
	if len(t.VIPs) > 0 || t.VRRP != (VRRP{}) {
		v.vrrp()
	}
	for i := range t.Nodes {
		v.gateway(&t.Nodes[i])
	}
	for i := range t.Services {
		v.service(i)
	}
	return v.problems
}

func (v *validation) add(path, format string, args ...any) {
	v.problems = append(v.problems, Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

// unprintable also refuses the bytes that are no UTF-8.
func unprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }

// name demands a word that can be part of host names, file names and diagrams.
func (v *validation) name(path, name string, longest int) {
	ok := name != "" && len(name) <= longest && name[0] != '-'
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}
	if !ok {
		v.add(path, "name %q: expected 1 to %d lower-case letters, digits and dashes, no dash first",
			name, longest)
	}
}

func (v *validation) unique(prefix, kind string, names []string) {
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			v.add(prefix+name, "another %s has this name: expected each name once", kind)
		}
		seen[name] = true
	}
}

func (v *validation) networks() {
	if len(v.Networks) == 0 {
		v.add("networks", "none: expected at least one")
	}
	for i, n := range v.Networks {
		path := "networks." + n.Name
		v.name(path, n.Name, maxName)
		if !usable(n.Prefix) {
			v.add(path, "prefix %s: expected an IPv4 prefix of 8 to 30 bits or a global IPv6 prefix of 64 "+
				"to 112 bits, without host bits, such as 192.168.1.0/24 or 2001:db8:1::/64", n.Prefix)
			continue
		}
		if n.Prefix.Addr().Is6() != v.IPv6() {
			v.add(path, "prefix %s: expected the family of network %q, %s: all are of IPv4, or all of IPv6",
				n.Prefix, v.Networks[0].Name, v.Networks[0].Prefix)
		}
		for _, other := range v.Networks[:i] {
			if usable(other.Prefix) && other.Prefix.Overlaps(n.Prefix) {
				v.add(path, "prefix %s: overlaps %s of network %q", n.Prefix, other.Prefix, other.Name)
			}
		}
	}
	v.unique("networks.", "network", networkNames(v.Topology))
}

func usable(p netip.Prefix) bool {
	least, most := 8, 30
	if a := p.Addr(); a.Is6() {
		if a.Is4In6() || a.IsLinkLocalUnicast() || a.IsMulticast() {
			return false
		}
		least, most = 64, 112
	}
	return p.IsValid() && p.Bits() >= least && p.Bits() <= most && p == p.Masked()
}

func (v *validation) node(n *Node) {
	path := "nodes." + n.Name
	v.name(path, n.Name, maxName)
	if n.Role < Client || n.Role > RealServer {
		v.add(path+".role", "role is unset: expected client, director or real-server")
	}
	v.priority(n)
	if len(n.Links) == 0 {
		v.add(path+".links", "none: expected at least one")
	}
	on := map[string]bool{}
	for i, l := range n.Links {
		linkPath := path + ".links." + l.Network
		if want := interfaceName(i); l.Interface != want {
			v.add(linkPath, "interface %q: expected %s, by its place in the list", l.Interface, want)
		}
		if on[l.Network] {
			v.add(linkPath, "second link to network %q: expected one link to each", l.Network)
		}
		on[l.Network] = true
		v.link(n, l, linkPath)
	}
}

func (v *validation) priority(n *Node) {
	path := "nodes." + n.Name + ".priority"
	switch {
	case n.Role != Director && n.Priority != 0:
		v.add(path, "priority %d: only a director has one", n.Priority)
	case n.Role == Director && n.Priority == 0 && len(v.VIPs) > 0:
		v.add(path, "priority is missing: expected 1 to 255")
	}
}

func (v *validation) link(n *Node, l Link, path string) {
	network, ok := v.Network(l.Network)
	if !ok {
		v.unknown(path, "network", l.Network, networkNames(v.Topology))
		return
	}
	if usable(network.Prefix) && l.Addr.Bits() != network.Prefix.Bits() {
		v.add(path, "address %s: expected the prefix length of network %q, /%d",
			l.Addr, network.Name, network.Prefix.Bits())
	}
	v.claim(path, l.Addr.Addr(), network, "node "+n.Name)
}

// claim demands a host address inside the network that nobody else has.
func (v *validation) claim(path string, addr netip.Addr, network Network, owner string) {
	p := network.Prefix
	switch {
	case !usable(p):
		return
	case !addr.IsValid():
		v.add(path, "address is missing: expected one of %s", p)
	case !p.Contains(addr):
		v.add(path, "address %s: outside network %q, expected one of %s", addr, network.Name, p)
	case addr.Is6() && !netip.PrefixFrom(p.Addr(), 112).Contains(addr):
		v.add(path, "address %s: expected one of the first 65535 of network %q, such as %s: MAC "+
			"addresses are made of them", addr, network.Name, p.Addr().Next())
	case addr == p.Addr() || !p.Contains(addr.Next()):
		v.add(path, "address %s: is the network's or its broadcast address, expected a host's", addr)
	case v.owners[addr] != "":
		v.add(path, "address %s: %s has it already", addr, v.owners[addr])
	default:
		v.owners[addr] = owner
	}
}

func (v *validation) unknown(path, kind, name string, known []string) {
	expected := "there is none"
	if len(known) > 0 {
		expected = "expected " + strict.OneOf(known)
	}
	v.add(path, "unknown %s %q: %s%s", kind, name, expected, strict.DidYouMean(name, known))
}

func (v *validation) vips() {
	var names []string
	for i, vip := range v.VIPs {
		path := "vips." + vip.Name
		v.name(path, vip.Name, maxName)
		names = append(names, vip.Name)
		if vip.RouterID == 0 {
			v.add(path+".router_id", "virtual router 0: expected 1 to 255")
		}
		for _, other := range v.VIPs[:i] {
			if other.RouterID == vip.RouterID && other.Network == vip.Network {
				v.add(path+".router_id", "virtual router %d: VIP %q has it on the same network",
					vip.RouterID, other.Name)
			}
		}
		network, ok := v.Network(vip.Network)
		if !ok {
			v.unknown(path+".network", "network", vip.Network, networkNames(v.Topology))
			continue
		}
		v.claim(path+".addr", vip.Addr, network, "VIP "+vip.Name)
		for _, d := range v.NodesOf(Director) {
			if _, ok := d.LinkOn(vip.Network); !ok {
				v.add(path, "director %s has no link to network %q: expected one on every director",
					d.Name, vip.Network)
			}
		}
	}
	v.unique("vips.", "VIP", names)
	if len(v.VIPs) > 0 && v.NodesOf(Director) == nil {
		v.add("vips", "no director to keep them: expected at least one")
	}
}

// vrrp checks what adverts can carry: whole seconds in one byte in version 2 (RFC 3768, Section
// 5.3.7), centiseconds in twelve bits in version 3 (RFC 9568, Section 5.2.7).
func (v *validation) vrrp() {
	unit, largest := time.Second, 255*time.Second
	switch v.VRRP.Version {
	case 2:
		if v.IPv6() {
			v.add("vrrp.version", "version 2: expected 3 for IPv6")
			return
		}
	case 3:
		unit, largest = 10*time.Millisecond, 40950*time.Millisecond
	default:
		v.add("vrrp.version", "version %d: expected 2 or 3", v.VRRP.Version)
		return
	}
	if a := v.VRRP.Advert; a < unit || a > largest || a%unit != 0 {
		v.add("vrrp.advert", "interval %s: expected %s to %s in steps of %s for version %d",
			a, unit, largest, unit, v.VRRP.Version)
	}
	v.password()
}

// maxPassword is the length of the field for it (RFC 2338, Section 5.3.10).
const maxPassword = 8

// password checks that every director's configuration can carry the password, and an advert.
func (v *validation) password() {
	p := v.VRRP.Password
	plain := strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
	switch {
	case p == "":
	case v.VRRP.Version == 3:
		v.add("vrrp.password", "password: expected none in version 3, which has no authentication")
	case len(p) > maxPassword || !plain:
		v.add("vrrp.password", "password %q: expected 1 to %d letters, digits and dashes", p, maxPassword)
	}
}

// gateway checks a node's default route, and that the node can reach whom it must.
func (v *validation) gateway(n *Node) {
	path := "nodes." + n.Name + ".gateway"
	gw := n.Gateway
	if gw.IsValid() {
		network, ok := v.onLink(n, gw)
		switch {
		case !ok:
			v.add(path, "address %s: unreachable, expected one on a network of this node", gw)
			return
		case v.owners[gw] == "":
			v.add(path, "address %s: nobody on network %q has it", gw, network)
			return
		case v.owners[gw] == "node "+n.Name:
			v.add(path, "address %s: is the node's own", gw)
			return
		}
	}
	switch n.Role {
	case RealServer:
		if v.AnswersAlone(n.Name) {
			v.alone(n, "nodes."+n.Name+".links")
		} else {
			v.wayBack(n, path)
		}
	case Client:
		v.wayThere(n, path)
	}
}

// onLink returns the name of the node's network that holds the address.
func (v *validation) onLink(n *Node, addr netip.Addr) (string, bool) {
	for _, l := range n.Links {
		if network, ok := v.Network(l.Network); ok && network.Prefix.Contains(addr) {
			return network.Name, true
		}
	}
	return "", false
}

// wayBack demands that a real server answers through a director: LVS-NAT rewrites the answer's
// source there, and a client refuses an answer from any other address.
func (v *validation) wayBack(n *Node, path string) {
	owner := v.owners[n.Gateway]
	if kind, name, _ := strings.Cut(owner, " "); kind == "node" {
		if d, ok := v.Node(name); ok && d.Role == Director {
			return
		}
	} else if kind == "VIP" {
		return
	}
	var choices []string
	for _, vip := range v.VIPs {
		if _, ok := n.LinkOn(vip.Network); ok {
			choices = append(choices, fmt.Sprintf("%s (VIP %s)", vip.Addr, vip.Name))
		}
	}
	for _, d := range v.NodesOf(Director) {
		for _, l := range d.Links {
			if _, ok := n.LinkOn(l.Network); ok {
				choices = append(choices, fmt.Sprintf("%s (%s)", l.Addr.Addr(), d.Name))
			}
		}
	}
	expected := "no director is on its network"
	if len(choices) > 0 {
		expected = "expected " + strict.OneOf(choices)
	}
	v.add(path, "no way back to the clients through a director: %s", expected)
}

// wayThere demands that a client reaches every service.
func (v *validation) wayThere(n *Node, path string) {
	for _, s := range v.Services {
		if _, ok := v.onLink(n, s.Addr.Addr()); !ok && !n.Gateway.IsValid() {
			v.add(path, "no way to service %s: expected a gateway, or a link to its network", s.Addr)
		}
	}
}

func nodeNames(t *Topology) []string {
	var names []string
	for _, n := range t.Nodes {
		names = append(names, n.Name)
	}
	return names
}

func networkNames(t *Topology) []string {
	var names []string
	for _, n := range t.Networks {
		names = append(names, n.Name)
	}
	return names
}

// namesOf returns the names of the nodes of a role.
func namesOf(t *Topology, role Role) []string {
	var names []string
	for _, n := range t.NodesOf(role) {
		names = append(names, n.Name)
	}
	return names
}

// isDirector says whether the address is a director's own.
func (v *validation) isDirector(addr netip.Addr) bool {
	return slices.ContainsFunc(v.NodesOf(Director), func(d *Node) bool {
		return slices.ContainsFunc(d.Links, func(l Link) bool { return l.Addr.Addr() == addr })
	})
}
