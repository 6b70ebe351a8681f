package topology

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/tandemlb/tandem/internal/strict"
)

// topology reads a whole file. The preset comes first wherever it stands.
func (d *decoder) topology(n ast.Node) Topology {
	t := d.preset(n)
	d.Object(n, d.root, []strict.Field{
		strict.Key("name", d.Text(&t.Name)),
		strict.Key("doc", d.Text(&t.Doc)),
		strict.Key("preset", func(ast.Node, string) {}),
		strict.Key("networks", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &t.Networks, strict.Dotted,
				func(n *Network) string { return n.Name }, d.network)
		}),
		strict.Key("nodes", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &t.Nodes, strict.Dotted,
				func(n *Node) string { return n.Name },
				func(node *Node, name string, n ast.Node, path string) { d.node(&t, node, name, n, path) })
		}),
		strict.Key("vips", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &t.VIPs, strict.Dotted,
				func(v *VIP) string { return v.Name }, d.vip)
		}),
		strict.Key("vrrp", func(n ast.Node, path string) {
			d.Object(n, path, []strict.Field{
				strict.Key("version", d.Number(&t.VRRP.Version, 2, 3)),
				strict.Key("advert", d.Duration(&t.VRRP.Advert)),
				strict.Key("password", d.Text(&t.VRRP.Password)),
				strict.Key("use_vmac", d.Yes(&t.VRRP.UseVMAC)),
			})
		}),
		strict.Key("services", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &t.Services, strict.Bracketed,
				func(s *Service) string { return s.Addr.String() }, d.service)
		}),
	})
	if d.fine() {
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
		name, _ := strict.TextOf(it.Value())
		t, err := Preset(name)
		if err != nil {
			d.Fail(it.Value(), d.under("preset"), "%q: expected %s%s", name, strict.OneOf(Presets()),
				strict.DidYouMean(name, Presets()))
		}
		return t
	}
	return Topology{}
}

func (d *decoder) network(network *Network, name string, n ast.Node, path string) {
	network.Name = name
	strict.Scalar(d.Decoder, &network.Prefix, "a prefix such as 192.168.1.0/24",
		netip.ParsePrefix)(n, path)
}

func (d *decoder) node(t *Topology, node *Node, name string, n ast.Node, path string) {
	node.Name = name
	priority := int(node.Priority)
	d.Object(n, path, []strict.Field{
		strict.Key("role", strict.Scalar(d.Decoder, &node.Role,
			"client, director or real-server", parseRole)),
		strict.Key("priority", d.Number(&priority, 0, 255)),
		strict.Key("links", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &node.Links, strict.Dotted,
				func(l *Link) string { return l.Network },
				func(l *Link, network string, n ast.Node, path string) {
					l.Network = network
					strict.Scalar(d.Decoder, &l.Addr, "an address such as 192.168.1.2", parseHost)(n, path)
				})
		}),
		strict.Key("gateway", d.addr(&node.Gateway)),
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
	d.Object(n, path, []strict.Field{
		strict.Key("network", d.Text(&vip.Network)),
		strict.Key("addr", d.addr(&vip.Addr)),
		strict.Key("router_id", d.Number(&id, 1, 255)),
	})
	vip.RouterID = uint8(id)
}

func (d *decoder) service(s *Service, addr string, n ast.Node, path string) {
	var err error
	if s.Addr, err = netip.ParseAddrPort(addr); err != nil {
		d.Add(path, "expected an address and a port such as 192.168.1.1:80")
	}
	d.Object(n, path, []strict.Field{
		strict.Key("protocol", strict.Scalar(d.Decoder, &s.Protocol, strict.OneOf(protocolNames),
			ParseProtocol)),
		strict.Key("marked", d.prefix(&s.Marked)),
		strict.Key("scheduler", d.Text(&s.Scheduler)),
		strict.Key("hash_port", d.Yes(&s.HashPort)),
		strict.Key("fallback", d.Yes(&s.Fallback)),
		strict.Key("real_servers", func(n ast.Node, path string) {
			strict.List(d.Decoder, n, path, &s.RealServers, strict.Dotted,
				func(r *Destination) string { return r.Node },
				func(r *Destination, name string, n ast.Node, path string) {
					if r.Node == "" {
						*r = Destination{Node: name, Port: s.Addr.Port(), Weight: 1}
					}
					d.destination(r, n, path)
				})
		}),
		strict.Key("check", func(n ast.Node, path string) { d.check(&s.Check, n, path) }),
	})
}

func (d *decoder) destination(r *Destination, n ast.Node, path string) {
	port := int(r.Port)
	d.Object(n, path, []strict.Field{
		strict.Key("port", d.Number(&port, 1, 65535)),
		strict.Key("weight", d.Number(&r.Weight, 0, maxWeight)),
		strict.Key("forward", strict.Scalar(d.Decoder, &r.Forward, strict.OneOf(forwardNames),
			ParseForward)),
		strict.Key("uthreshold", d.Number(&r.Upper, 0, maxThreshold)),
		strict.Key("lthreshold", d.Number(&r.Lower, 0, maxThreshold)),
	})
	r.Port = uint16(port)
}

func (d *decoder) check(c *Check, n ast.Node, path string) {
	if _, ok := n.(*ast.NullNode); ok {
		*c = Check{}
		return
	}
	d.Object(n, path, []strict.Field{
		strict.Key("kind", strict.Scalar(d.Decoder, &c.Kind, strict.OneOf(checkNames[TCPCheck:]),
			parseCheckKind)),
		strict.Key("delay_loop", d.Duration(&c.DelayLoop)),
		strict.Key("connect_timeout", d.Duration(&c.ConnectTimeout)),
		strict.Key("retry", d.Number(&c.Retry, 0, 100)),
		strict.Key("delay_before_retry", d.Duration(&c.DelayBeforeRetry)),
		strict.Key("page", d.Yes(&c.Page)),
	})
}

func (d *decoder) addr(into *netip.Addr) func(ast.Node, string) {
	return strict.Scalar(d.Decoder, into, "an address such as 192.168.1.1", netip.ParseAddr)
}

func (d *decoder) prefix(into *netip.Prefix) func(ast.Node, string) {
	return strict.Scalar(d.Decoder, into, "an IPv4 network such as 10.0.0.0/24", netip.ParsePrefix)
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
