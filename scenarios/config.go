package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/topology"
)

// Config returns the keepalived.conf of one director of a topology, that any director reads.
func Config(t topology.Topology, n topology.Node) string { return configWith(t, n, nil) }

// configWith is Config with lines of global_defs.
func configWith(t topology.Topology, n topology.Node, globals []string) string {
	var c confWriter
	c.line("# %s: director %s", t.Name, n.Name)
	c.open("global_defs")
	c.line("router_id %s", n.Name)
	for _, line := range globals {
		c.line("%s", line)
	}
	c.close()
	if len(t.VIPs) > 1 {
		c.open("vrrp_sync_group %s", t.Name)
		c.open("group")
		for _, v := range t.VIPs {
			c.line("%s", v.Name)
		}
		c.close()
		c.close()
	}
	for _, v := range t.VIPs {
		c.instance(t, n, v)
	}
	c.trackFiles(t)
	for _, s := range t.Services {
		c.service(t, s)
	}
	return c.b.String()
}

// confWriter writes blocks of keepalived.conf, indented.
type confWriter struct {
	b     strings.Builder
	depth int
}

func (c *confWriter) line(format string, args ...any) {
	c.b.WriteString(strings.Repeat("    ", c.depth))
	fmt.Fprintf(&c.b, format, args...)
	c.b.WriteByte('\n')
}

func (c *confWriter) open(format string, args ...any) {
	c.line(format+" {", args...)
	c.depth++
}

func (c *confWriter) close() {
	c.depth--
	c.line("}")
}

func (c *confWriter) instance(t topology.Topology, n topology.Node, v topology.VIP) {
	link, _ := n.LinkOn(v.Network)
	c.open("vrrp_instance %s", v.Name)
	c.line("state BACKUP")
	c.line("interface %s", link.Interface)
	c.line("virtual_router_id %d", v.RouterID)
	c.line("priority %d", n.Priority)
	c.line("version %d", t.VRRP.Version)
	c.line("advert_int %s", seconds(t.VRRP.Advert))
	if t.VRRP.UseVMAC {
		c.line("use_vmac")
	}
	if t.VRRP.Password != "" {
		c.open("authentication")
		c.line("auth_type PASS")
		c.line("auth_pass %s", t.VRRP.Password)
		c.close()
	}
	c.open("virtual_ipaddress")
	if local := v.LinkLocal(); local.IsValid() {
		c.line("%s", local)
	}
	c.line("%s", v.Addr)
	c.close()
	c.close()
}

func (c *confWriter) service(t topology.Topology, s topology.Service) {
	if s.Marked.IsValid() {
		c.open("virtual_server fwmark %d", markOf(t, s))
	} else {
		c.open("virtual_server %s %d", s.Addr.Addr(), s.Addr.Port())
	}
	c.line("delay_loop %s", seconds(s.Check.DelayLoop))
	c.line("lb_algo %s", s.Scheduler)
	if s.HashPort {
		c.line("%s-port", s.Scheduler)
	}
	if s.Fallback {
		c.line("%s-fallback", s.Scheduler)
	}
	c.line("lb_kind NAT")
	c.line("protocol %s", s.Protocol.Transport())
	for _, d := range s.RealServers {
		node, ok := t.Node(d.Node)
		if !ok || len(node.Links) == 0 {
			continue // the topology does not validate
		}
		c.open("real_server %s %d", node.Links[0].Addr.Addr(), d.Port)
		c.line("weight %d", d.Weight)
		if d.Forward != topology.Masq {
			c.line("lvs_method %s", methodOf(d.Forward))
		}
		if d.Upper > 0 {
			c.line("uthreshold %d", d.Upper)
		}
		if d.Lower > 0 {
			c.line("lthreshold %d", d.Lower)
		}
		c.check(s.Check, d.Node)
		c.close()
	}
	c.close()
}

// methodOf is a way of forwarding as keepalived.conf has it.
func methodOf(f topology.Forward) string {
	switch f {
	case topology.Masq:
	case topology.Route:
		return "DR"
	case topology.IPIP:
		return "TUN type ipip"
	case topology.GUE:
		return fmt.Sprintf("TUN type gue port %d", topology.GUEPort)
	case topology.GRE:
		return "TUN type gre"
	}
	return "NAT"
}

// seconds prints a time as keepalived.conf has it: decimal seconds.
func seconds(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", d.Seconds()), "0"), ".")
}
