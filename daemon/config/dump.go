package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// String writes the configuration in its own language with every default spelled out. Parsed again
// it gives the same Config, but for places and what has no effect.
func (c *Config) String() string {
	var p printer
	p.global(&c.Global)
	for i := range c.SyncGroups {
		p.group(&c.SyncGroups[i])
	}
	for i := range c.Instances {
		p.instance(&c.Instances[i])
	}
	for i := range c.VirtualServers {
		p.server(&c.VirtualServers[i])
	}
	return p.b.String()
}

// printer writes statements, indented by the blocks they are in.
type printer struct {
	b     strings.Builder
	depth int
}

// line writes one statement. Nothing is written if the last word is empty: it has no value.
func (p *printer) line(words ...any) {
	var ws []string
	for _, w := range words {
		ws = append(ws, word(w))
	}
	if ws[len(ws)-1] == "" {
		return
	}
	fmt.Fprintf(&p.b, "%s%s\n", strings.Repeat("    ", p.depth), strings.Join(ws, " "))
}

// word writes one value; the invalid address and the zero of an enumeration are empty.
func word(w any) string {
	switch v := w.(type) {
	case time.Duration:
		return inSeconds(v)
	case netip.Addr:
		if !v.IsValid() {
			return ""
		}
	case netip.AddrPort:
		if !v.IsValid() {
			return ""
		}
		return fmt.Sprintf("%s %d", v.Addr(), v.Port())
	case string:
		return quoteIfNeeded(v)
	}
	return fmt.Sprint(w)
}

// quoteIfNeeded quotes what would not be one word.
func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, " \t\v\f#!{}\"'\\") {
		return `"` + s + `"`
	}
	return s
}

// flag writes a keyword without value, if on is set.
func (p *printer) flag(on bool, name string) {
	if on {
		p.line(name)
	}
}

func (p *printer) block(inside func(), head ...any) {
	p.line(append(head, raw("{"))...)
	p.depth++
	inside()
	p.depth--
	p.line(raw("}"))
}

// raw is a word that is written as it is.
type raw string

func (p *printer) global(g *Global) {
	p.block(func() {
		p.line("router_id", g.RouterID)
		if len(g.Mail.To) > 0 {
			p.block(func() {
				for _, to := range g.Mail.To {
					p.line(to)
				}
			}, "notification_email")
		}
		p.line("notification_email_from", g.Mail.From)
		if g.Mail.Server.Host != "" {
			p.line("smtp_server", g.Mail.Server.Host, g.Mail.Server.Port)
		}
		p.line("smtp_helo_name", g.Mail.Helo)
		p.line("smtp_connect_timeout", g.Mail.ConnectTimeout)
		if g.ScriptAccount.User != "" {
			p.line("script_user", g.ScriptAccount.User, raw(g.ScriptAccount.Group))
		}
		p.line("enable_script_security", g.ScriptSecurity)
		p.line("vrrp_version", g.Version)
		p.line("vrrp_skip_check_adv_addr", g.SkipCheckAdvertAddresses)
		p.line("vrrp_strict", g.Strict)
		p.line("vrrp_garp_interval", g.GARP.ARPInterval)
		p.line("vrrp_gna_interval", g.GARP.NAInterval)
		p.garp("vrrp_", &g.GARP)
	}, "global_defs")
}

func (p *printer) garp(prefix string, g *GARP) {
	p.line(prefix+"garp_master_delay", g.Delay)
	p.line(prefix+"garp_master_repeat", g.Repeat)
	p.line(prefix+"garp_master_refresh", g.Refresh)
	p.line(prefix+"garp_master_refresh_repeat", g.RefreshRepeat)
	p.line(prefix+"garp_lower_prio_delay", g.LowerPriorityDelay)
	p.line(prefix+"garp_lower_prio_repeat", g.LowerPriorityRepeat)
}

func (p *printer) group(g *SyncGroup) {
	p.block(func() {
		p.block(func() {
			for _, m := range g.Members {
				p.line(m)
			}
		}, "group")
		p.notify(&g.Notify)
	}, "vrrp_sync_group", g.Name)
}

func (p *printer) notify(n *Notify) {
	p.script("notify_master", n.Master)
	p.script("notify_backup", n.Backup)
	p.script("notify_fault", n.Fault)
	p.script("notify_stop", n.Stop)
	p.script("notify", n.Any)
}

// script writes a command as one quoted word, its arguments quoted inside it.
func (p *printer) script(name string, s *Script) {
	if s == nil {
		return
	}
	var args []string
	for _, a := range s.Args {
		if a == "" || strings.ContainsAny(a, " \t\"'") {
			a = "'" + strings.ReplaceAll(a, "'", `'"'"'`) + "'"
		}
		args = append(args, a)
	}
	ws := []any{name}
	for _, w := range []string{strings.Join(args, " "), s.Account.User, s.Account.Group} {
		if w != "" {
			ws = append(ws, raw(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w)+`"`))
		}
	}
	p.line(ws...)
}

func (p *printer) instance(i *Instance) {
	p.block(func() {
		p.election(i)
		p.transport(i)
		p.garp("", &i.GARP)
		p.vips("virtual_ipaddress", i.VIPs)
		p.vips("virtual_ipaddress_excluded", i.ExcludedVIPs)
		p.notify(&i.Notify)
	}, "vrrp_instance", i.Name)
}

func (p *printer) election(i *Instance) {
	p.line("state", i.State)
	p.line("virtual_router_id", i.VRID)
	p.line("priority", i.Priority)
	p.line("version", i.Version)
	p.line("advert_int", i.AdvertInterval)
	p.flag(i.Preempt, "preempt")
	p.flag(!i.Preempt, "nopreempt")
	p.line("preempt_delay", i.PreemptDelay)
	if i.Auth.Type != AuthNone {
		p.block(func() {
			p.line("auth_type", i.Auth.Type)
			p.line("auth_pass", i.Auth.Password)
		}, "authentication")
	}
	p.line("strict_mode", i.Strict)
	p.line("skip_check_adv_addr", i.SkipCheckAdvertAddresses)
}

func (p *printer) transport(i *Instance) {
	p.line("interface", i.Interface)
	source := "mcast_src_ip"
	if len(i.Peers) > 0 {
		source = "unicast_src_ip"
		p.block(func() {
			for _, peer := range i.Peers {
				p.line(peer.Addr, "min_ttl", peer.MinTTL, "max_ttl", peer.MaxTTL)
			}
		}, "unicast_peer")
	}
	p.line(source, i.Source)
	p.line("mcast_dst_ip", i.Group)
	if len(i.TrackInterfaces) > 0 {
		p.block(func() {
			for _, t := range i.TrackInterfaces {
				ws := []any{t.Name, "weight", t.Weight}
				if t.Reverse {
					ws = append(ws, "reverse")
				}
				p.line(ws...)
			}
		}, "track_interface")
	}
	p.line("dont_track_primary", i.DontTrackPrimary)
	if i.VMAC != nil {
		if i.VMAC.Name == "" {
			p.line("use_vmac")
		}
		p.line("use_vmac", i.VMAC.Name)
		p.line("vmac_xmit_base", i.VMAC.AdvertsOnParent)
	}
	p.flag(i.Accept, "accept")
	p.flag(!i.Accept, "no_accept")
}

func (p *printer) vips(name string, vs []VIP) {
	if len(vs) == 0 {
		return
	}
	p.block(func() {
		for _, v := range vs {
			ws := []any{v.Prefix, "dev", v.Device}
			for _, o := range []struct {
				name  string
				value any
			}{{"label", v.Label}, {"scope", v.Scope}, {"brd", v.Broadcast}, {"peer", v.Peer}} {
				if word(o.value) != "" {
					ws = append(ws, o.name, o.value)
				}
			}
			if v.NoTrack {
				ws = append(ws, "no_track")
			}
			p.line(ws...)
		}
	}, name)
}
