package topology

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// topology reads a whole file. The preset comes first wherever it stands.
func (d *decoder) topology(n ast.Node) Topology {
	t := d.preset(n)
	d.object(n, "", []field{
		{"name", d.text(&t.Name)},
		{"doc", d.text(&t.Doc)},
		{"preset", func(ast.Node, string) {}},
		{"networks", func(n ast.Node, path string) {
			list(d, n, path, &t.Networks, dotted, func(n *Network) string { return n.Name }, d.network)
		}},
		{"nodes", func(n ast.Node, path string) {
			list(d, n, path, &t.Nodes, dotted, func(n *Node) string { return n.Name },
				func(node *Node, name string, n ast.Node, path string) { d.node(&t, node, name, n, path) })
		}},
		{"vips", func(n ast.Node, path string) {
			list(d, n, path, &t.VIPs, dotted, func(v *VIP) string { return v.Name }, d.vip)
		}},
		{"vrrp", func(n ast.Node, path string) {
			d.object(n, path, []field{
				{"version", d.number(&t.VRRP.Version, 2, 3)},
				{"advert", d.duration(&t.VRRP.Advert)},
				{"password", d.text(&t.VRRP.Password)},
			})
		}},
		{"services", func(n ast.Node, path string) {
			list(d, n, path, &t.Services, bracketed,
				func(s *Service) string { return s.Addr.String() }, d.service)
		}},
	})
	if len(d.problems) == 0 {
		d.prefixLengths(&t)
	}
	return t
}

// preset returns what the file starts from: a preset, or nothing.
func (d *decoder) preset(n ast.Node) Topology {
	m, ok := n.(ast.MapNode)
	if !ok {
		return Topology{}
	}
	for it := m.MapRange(); it.Next(); {
		if it.Key().GetToken().Value != "preset" {
			continue
		}
		name, _ := textOf(it.Value())
		t, err := Preset(name)
		if err != nil {
			d.fail(it.Value(), "preset", "%q: expected %s%s", name, oneOf(Presets()),
				didYouMean(name, Presets()))
		}
		return t
	}
	return Topology{}
}

func (d *decoder) network(network *Network, name string, n ast.Node, path string) {
	network.Name = name
	scalar(d, &network.Prefix, "an IPv4 prefix such as 192.168.1.0/24", netip.ParsePrefix)(n, path)
}

func (d *decoder) node(t *Topology, node *Node, name string, n ast.Node, path string) {
	node.Name = name
	priority := int(node.Priority)
	d.object(n, path, []field{
		{"role", scalar(d, &node.Role, "client, director or real-server", parseRole)},
		{"priority", d.number(&priority, 0, 255)},
		{"links", func(n ast.Node, path string) {
			list(d, n, path, &node.Links, dotted, func(l *Link) string { return l.Network },
				func(l *Link, network string, n ast.Node, path string) {
					l.Network = network
					scalar(d, &l.Addr, "an IPv4 address such as 192.168.1.2", parseHost)(n, path)
				})
		}},
		{"gateway", d.addr(&node.Gateway)},
	})
	node.Priority = uint8(priority)
	for i := range node.Links {
		node.Links[i].Interface = interfaceName(i)
	}
}

// prefixLengths gives addresses without a prefix length that of their network.
func (d *decoder) prefixLengths(t *Topology) {
	for i := range t.Nodes {
		for j := range t.Nodes[i].Links {
			l := &t.Nodes[i].Links[j]
			network, ok := t.Network(l.Network)
			if ok && !l.Addr.IsValid() {
				l.Addr = netip.PrefixFrom(l.Addr.Addr(), network.Prefix.Bits())
			}
		}
	}
}

func (d *decoder) vip(vip *VIP, name string, n ast.Node, path string) {
	vip.Name = name
	id := int(vip.RouterID)
	d.object(n, path, []field{
		{"network", d.text(&vip.Network)},
		{"addr", d.addr(&vip.Addr)},
		{"router_id", d.number(&id, 1, 255)},
	})
	vip.RouterID = uint8(id)
}

func (d *decoder) service(s *Service, addr string, n ast.Node, path string) {
	var err error
	if s.Addr, err = netip.ParseAddrPort(addr); err != nil {
		d.problems = append(d.problems, Problem{At: d.places[path], Path: path,
			Text: "expected an address and a port such as 192.168.1.1:80"})
	}
	d.object(n, path, []field{
		{"protocol", scalar(d, &s.Protocol, oneOf(protocolNames), ParseProtocol)},
		{"marked", d.prefix(&s.Marked)},
		{"scheduler", d.text(&s.Scheduler)},
		{"real_servers", func(n ast.Node, path string) {
			list(d, n, path, &s.RealServers, dotted, func(r *Destination) string { return r.Node },
				func(r *Destination, name string, n ast.Node, path string) {
					if r.Node == "" {
						*r = Destination{Node: name, Port: s.Addr.Port(), Weight: 1}
					}
					d.destination(r, n, path)
				})
		}},
		{"check", func(n ast.Node, path string) { d.check(&s.Check, n, path) }},
	})
}

func (d *decoder) destination(r *Destination, n ast.Node, path string) {
	port := int(r.Port)
	d.object(n, path, []field{
		{"port", d.number(&port, 1, 65535)},
		{"weight", d.number(&r.Weight, 0, maxWeight)},
	})
	r.Port = uint16(port)
}

func (d *decoder) check(c *Check, n ast.Node, path string) {
	if _, ok := n.(*ast.NullNode); ok {
		*c = Check{}
		return
	}
	d.object(n, path, []field{
		{"kind", scalar(d, &c.Kind, oneOf(checkNames[TCPCheck:]), parseCheckKind)},
		{"delay_loop", d.duration(&c.DelayLoop)},
		{"connect_timeout", d.duration(&c.ConnectTimeout)},
		{"retry", d.number(&c.Retry, 0, 100)},
		{"delay_before_retry", d.duration(&c.DelayBeforeRetry)},
		{"page", d.yes(&c.Page)},
	})
}

func (d *decoder) addr(into *netip.Addr) func(ast.Node, string) {
	return scalar(d, into, "an IPv4 address such as 192.168.1.1", netip.ParseAddr)
}

func (d *decoder) prefix(into *netip.Prefix) func(ast.Node, string) {
	return scalar(d, into, "an IPv4 network such as 10.0.0.0/24", netip.ParsePrefix)
}

func (d *decoder) duration(into *time.Duration) func(ast.Node, string) {
	return scalar(d, into, "a time with its unit such as 1s or 300ms", time.ParseDuration)
}

// parseHost reads an address with or without a prefix length. Without one, the Prefix is not valid
// until prefixLengths completes it.
func parseHost(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	addr, err := netip.ParseAddr(s)
	return netip.PrefixFrom(addr, -1), err
}

func parseRole(s string) (Role, error) {
	for r := Client; r <= RealServer; r++ {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, strconv.ErrSyntax
}

// parseDecimal refuses what YAML versions read differently: 010, 0x10, 1_000.
func parseDecimal(s string) (int, error) {
	value, err := strconv.Atoi(s)
	if err == nil && strconv.Itoa(value) != s {
		err = strconv.ErrSyntax
	}
	return value, err
}
