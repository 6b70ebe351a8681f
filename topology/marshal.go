package topology

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Marshal returns a valid topology as a file that Parse reads back to an equal one. What does not
// Validate is refused with its Problems.
func Marshal(t Topology) ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("marshal topology: %w", err)
	}
	doc := yaml.MapSlice{{Key: "name", Value: t.Name}}
	if t.Doc != "" {
		doc = append(doc, yaml.MapItem{Key: "doc", Value: t.Doc})
	}
	doc = append(doc, section("networks", t.Networks, func(n Network) yaml.MapItem {
		return yaml.MapItem{Key: n.Name, Value: n.Prefix.String()}
	})...)
	doc = append(doc, section("nodes", t.Nodes, nodeItem)...)
	doc = append(doc, section("vips", t.VIPs, func(v VIP) yaml.MapItem {
		return yaml.MapItem{Key: v.Name, Value: yaml.MapSlice{{Key: "network", Value: v.Network},
			{Key: "addr", Value: v.Addr.String()}, {Key: "router_id", Value: v.RouterID}}}
	})...)
	if t.VRRP != (VRRP{}) {
		vrrp := yaml.MapSlice{{Key: "version", Value: t.VRRP.Version},
			{Key: "advert", Value: t.VRRP.Advert.String()}}
		if t.VRRP.Password != "" {
			vrrp = append(vrrp, yaml.MapItem{Key: "password", Value: t.VRRP.Password})
		}
		if t.VRRP.UseVMAC {
			vrrp = append(vrrp, yaml.MapItem{Key: "use_vmac", Value: true})
		}
		doc = append(doc, yaml.MapItem{Key: "vrrp", Value: vrrp})
	}
	doc = append(doc, section("services", t.Services, serviceItem)...)
	b, err := yaml.MarshalWithOptions(doc, yaml.Indent(2))
	if err != nil {
		return nil, fmt.Errorf("marshal topology %s: %w", t.Name, err)
	}
	return b, nil
}

// section is a mapping of all items under a key; nothing for none.
func section[T any](key string, items []T, item func(T) yaml.MapItem) yaml.MapSlice {
	if len(items) == 0 {
		return nil
	}
	var m yaml.MapSlice
	for _, it := range items {
		m = append(m, item(it))
	}
	return yaml.MapSlice{{Key: key, Value: m}}
}

func nodeItem(n Node) yaml.MapItem {
	m := yaml.MapSlice{{Key: "role", Value: n.Role.String()}}
	if n.Priority != 0 {
		m = append(m, yaml.MapItem{Key: "priority", Value: n.Priority})
	}
	m = append(m, section("links", n.Links, func(l Link) yaml.MapItem {
		return yaml.MapItem{Key: l.Network, Value: l.Addr.Addr().String()}
	})...)
	if n.Gateway.IsValid() {
		m = append(m, yaml.MapItem{Key: "gateway", Value: n.Gateway.String()})
	}
	return yaml.MapItem{Key: n.Name, Value: m}
}

func serviceItem(s Service) yaml.MapItem {
	m := yaml.MapSlice{{Key: "scheduler", Value: s.Scheduler}}
	if s.HashPort {
		m = append(m, yaml.MapItem{Key: "hash_port", Value: true})
	}
	if s.Fallback {
		m = append(m, yaml.MapItem{Key: "fallback", Value: true})
	}
	if s.Protocol != HTTP {
		m = append(m, yaml.MapItem{Key: "protocol", Value: s.Protocol.String()})
	}
	if s.Marked.IsValid() {
		m = append(m, yaml.MapItem{Key: "marked", Value: s.Marked.String()})
	}
	m = append(m, section("real_servers", s.RealServers, func(d Destination) yaml.MapItem {
		item := yaml.MapSlice{{Key: "port", Value: d.Port}, {Key: "weight", Value: d.Weight}}
		if d.Forward != Masq {
			item = append(item, yaml.MapItem{Key: "forward", Value: d.Forward.String()})
		}
		if d.Upper != 0 {
			item = append(item, yaml.MapItem{Key: "uthreshold", Value: d.Upper})
		}
		if d.Lower != 0 {
			item = append(item, yaml.MapItem{Key: "lthreshold", Value: d.Lower})
		}
		return yaml.MapItem{Key: d.Node, Value: item}
	})...)
	if c := s.Check; c.Kind != 0 {
		check := yaml.MapSlice{
			{Key: "kind", Value: c.Kind.String()},
			{Key: "delay_loop", Value: c.DelayLoop.String()},
			{Key: "connect_timeout", Value: c.ConnectTimeout.String()},
			{Key: "retry", Value: c.Retry},
			{Key: "delay_before_retry", Value: c.DelayBeforeRetry.String()}}
		if c.Page {
			check = append(check, yaml.MapItem{Key: "page", Value: true})
		}
		m = append(m, yaml.MapItem{Key: "check", Value: check})
	}
	return yaml.MapItem{Key: s.Addr.String(), Value: m}
}
