package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/strict"
)

// Presets returns the names of the presets: the figures of DESIGN.md, section 1, of which fig7 is the
// default, and what varies one thing of it.
func Presets() []string { return []string{"fig5", "fig6", "fig7", "fig7-dr", "fig7-tun", "fig7-v6"} }

// Preset returns a new copy of the preset of that name. The error for an unknown name lists the
// names there are.
func Preset(name string) (Topology, error) {
	switch name {
	case "fig5":
		return fig5(), nil
	case "fig6":
		return fig6(), nil
	case "fig7":
		return fig7(), nil
	case "fig7-dr":
		return fig7DR(), nil
	case "fig7-tun":
		return fig7Tun(), nil
	case "fig7-v6":
		return fig7V6(), nil
	}
	return Topology{}, fmt.Errorf("find preset %q: expected %s%s", name,
		strict.OneOf(Presets()), strict.DidYouMean(name, Presets()))
}

// fig5 is director redundancy alone:
//
//	client1 .100 ── 192.168.1.0/24 ─┬─ lb1 .2 (150)
//	                                ├─ lb2 .3 (100)
//	                                └─ VIP .1
func fig5() Topology {
	return Topology{
		Name:     "fig5",
		Doc:      "Director redundancy: two directors keep one virtual IP.",
		Networks: []Network{clientSide()},
		Nodes: []Node{
			{Name: "client1", Role: Client, Links: links("client", "192.168.1.100/24")},
			{Name: "lb1", Role: Director, Links: links("client", "192.168.1.2/24"), Priority: 150},
			{Name: "lb2", Role: Director, Links: links("client", "192.168.1.3/24"), Priority: 100},
		},
		VIPs: []VIP{outerVIP()},
		VRRP: VRRP{Version: 2, Advert: time.Second},
	}
}

// fig6 is load balancing alone: one director that owns the addresses which fig7 makes virtual.
//
//	client1 .100 ─┬─ 192.168.1.0/24 ── .1 lb1 .1 ── 192.168.2.0/24 ─┬─ web1 .11
//	client2 .101 ─┘                                                 ├─ web2 .12
//	                                                                └─ web3 .13
func fig6() Topology {
	t := Topology{
		Name:     "fig6",
		Doc:      "Load balancing: one director spreads requests over three real servers by LVS-NAT.",
		Networks: []Network{clientSide(), serverSide()},
		Nodes: []Node{
			{Name: "client1", Role: Client, Links: links("client", "192.168.1.100/24")},
			{Name: "client2", Role: Client, Links: links("client", "192.168.1.101/24")},
			{Name: "lb1", Role: Director,
				Links: links("client", "192.168.1.1/24", "server", "192.168.2.1/24")},
		},
		Services: []Service{webService()},
	}
	t.Nodes = append(t.Nodes, webServers()...)
	return t
}

// fig7 is both together, and what a lab builds unless told otherwise:
//
//	              192.168.1.0/24                   192.168.2.0/24
//	client1 .100 ─┬─ .2 ────── lb1 (150) ────── .2 ─┬─ .11 web1
//	client2 .101 ─┤  .1 VIP outer   VIP inner   .1  ├─ .12 web2
//	              └─ .3 ────── lb2 (100) ────── .3 ─┴─ .13 web3
func fig7() Topology {
	t := Topology{
		Name: "fig7",
		Doc: "Both together: two directors keep a virtual IP on each side and spread requests over " +
			"three real servers by LVS-NAT.",
		Networks: []Network{clientSide(), serverSide()},
		Nodes: []Node{
			{Name: "client1", Role: Client, Links: links("client", "192.168.1.100/24")},
			{Name: "client2", Role: Client, Links: links("client", "192.168.1.101/24")},
			{Name: "lb1", Role: Director, Priority: 150,
				Links: links("client", "192.168.1.2/24", "server", "192.168.2.2/24")},
			{Name: "lb2", Role: Director, Priority: 100,
				Links: links("client", "192.168.1.3/24", "server", "192.168.2.3/24")},
		},
		VIPs: []VIP{outerVIP(), {Name: "inner", Network: "server",
			Addr: netip.MustParseAddr("192.168.2.1"), RouterID: 52}},
		VRRP:     VRRP{Version: 2, Advert: time.Second},
		Services: []Service{webService()},
	}
	t.Nodes = append(t.Nodes, webServers()...)
	return t
}

// fig7DR is fig7 by LVS-DR: all are on one network, and real servers answer clients by themselves.
//
//	client1 .100 ─┬─ 192.168.1.0/24 ─┬─ .2 lb1 (150)
//	client2 .101 ─┘                  ├─ .3 lb2 (100)
//	                                 ├─ .1 VIP outer
//	                                 └─ .11 web1, .12 web2, .13 web3
func fig7DR() Topology {
	t := fig5()
	t.Name = "fig7-dr"
	t.Doc = "Two directors keep a virtual IP and hand requests on to three real servers, which answer " +
		"clients by themselves (LVS-DR)."
	t.Nodes = slices.Insert(t.Nodes, 1,
		Node{Name: "client2", Role: Client, Links: links("client", "192.168.1.101/24")})
	for i := 1; i <= 3; i++ {
		t.Nodes = append(t.Nodes, Node{Name: fmt.Sprintf("web%d", i), Role: RealServer,
			Links: links("client", fmt.Sprintf("192.168.1.%d/24", 10+i))})
	}
	t.Services = []Service{webServiceBy(Route)}
	return t
}

// fig7Tun is fig7 by LVS-TUN: what directors hand on comes to the real servers inside of other packets,
// through another network than that by which they answer clients by themselves.
//
//	              192.168.1.0/24                   192.168.2.0/24
//	client1 .100 ─┬─ .2 ────── lb1 (150) ────── .2 ─┐
//	client2 .101 ─┤  .1 VIP outer                   │
//	              ├─ .3 ────── lb2 (100) ────── .3 ─┤
//	              └─ .11 ──── web1 to web3 ─── .11 ─┘
func fig7Tun() Topology {
	t := fig7()
	t.Name = "fig7-tun"
	t.Doc = "Two directors keep a virtual IP and send requests through tunnels to three real servers, " +
		"which answer clients by themselves (LVS-TUN)."
	t.VIPs = t.VIPs[:1]
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Role == RealServer {
			own := n.Links[0].Addr.Addr().As4()
			n.Gateway = netip.Addr{}
			n.Links = append(n.Links, links("server", n.Links[0].Addr.String(),
				"client", fmt.Sprintf("192.168.1.%d/24", own[3]))[1])
		}
	}
	t.Services = []Service{webServiceBy(IPIP)}
	return t
}

// fig7V6 is fig7 over IPv6:
//
//	               2001:db8:1::/64                   2001:db8:2::/64
//	client1 ::100 ─┬─ ::2 ───── lb1 (150) ───── ::2 ─┬─ ::11 web1
//	client2 ::101 ─┤  ::1 VIP outer   VIP inner  ::1 ├─ ::12 web2
//	               └─ ::3 ───── lb2 (100) ───── ::3 ─┴─ ::13 web3
func fig7V6() Topology {
	t := fig7()
	t.Name = "fig7-v6"
	t.Doc = "Two directors keep a virtual IP of IPv6 on each side and spread requests over three real " +
		"servers by LVS-NAT."
	t.VRRP.Version = 3
	for i := range t.Networks {
		p := t.Networks[i].Prefix
		t.Networks[i].Prefix = netip.PrefixFrom(six(p.Addr()), 64)
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		for j := range n.Links {
			n.Links[j].Addr = netip.PrefixFrom(six(n.Links[j].Addr.Addr()), 64)
		}
		n.Gateway = six(n.Gateway)
	}
	for i := range t.VIPs {
		t.VIPs[i].Addr = six(t.VIPs[i].Addr)
	}
	for i := range t.Services {
		t.Services[i].Addr = netip.AddrPortFrom(six(t.Services[i].Addr.Addr()), t.Services[i].Addr.Port())
	}
	return t
}

// six is the address of fig7V6 for one of fig7: 2001:db8:1::100 for 192.168.1.100. That of the zero
// Addr is the same.
func six(four netip.Addr) netip.Addr {
	if !four.IsValid() {
		return four
	}
	b := four.As4()
	return netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", b[2], b[3]))
}

// webServiceBy is the web service handed on in another way.
func webServiceBy(f Forward) Service {
	s := webService()
	for i := range s.RealServers {
		s.RealServers[i].Forward = f
	}
	return s
}

func clientSide() Network {
	return Network{Name: "client", Prefix: netip.MustParsePrefix("192.168.1.0/24")}
}

func serverSide() Network {
	return Network{Name: "server", Prefix: netip.MustParsePrefix("192.168.2.0/24")}
}

func outerVIP() VIP {
	return VIP{Name: "outer", Network: "client",
		Addr: netip.MustParseAddr("192.168.1.1"), RouterID: 51}
}

// webServers are web1 to web3, whose gateway is the directors' inner address.
func webServers() []Node {
	var nodes []Node
	for i := 1; i <= 3; i++ {
		nodes = append(nodes, Node{
			Name:    fmt.Sprintf("web%d", i),
			Role:    RealServer,
			Links:   links("server", fmt.Sprintf("192.168.2.%d/24", 10+i)),
			Gateway: netip.MustParseAddr("192.168.2.1"),
		})
	}
	return nodes
}

func webService() Service {
	return Service{
		Addr:      netip.MustParseAddrPort("192.168.1.1:80"),
		Scheduler: "rr",
		RealServers: []Destination{
			{Node: "web1", Port: 80, Weight: 1},
			{Node: "web2", Port: 80, Weight: 1},
			{Node: "web3", Port: 80, Weight: 1},
		},
		Check: Check{Kind: HTTPCheck, DelayLoop: time.Second, ConnectTimeout: time.Second,
			Retry: 1, DelayBeforeRetry: time.Second},
	}
}

// links makes eth0, eth1, … of pairs of a network's name and an address.
func links(pairs ...string) []Link {
	var all []Link
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Link{Interface: interfaceName(i / 2), Network: pairs[i],
			Addr: netip.MustParsePrefix(pairs[i+1])})
	}
	return all
}

// interfaceName is the name that a node's i-th link, counted from 0, must have.
func interfaceName(i int) string { return fmt.Sprintf("eth%d", i) }
