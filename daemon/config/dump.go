package config

import (
	"strings"
)

// String writes the configuration in its own language: what has an effect with every default
// spelled out, the rest where it is not the default. Parsed again it gives the same Config, but for
// places.
func (c *Config) String() string {
	var p printer
	theLanguage().root.write(&p, c.blocks(), &root{})
	return p.b.String()
}

// blocks turns a Config back into what it was built of.
func (c *Config) blocks() *root {
	r := &root{
		global: c.Global, scripts: c.Scripts, files: c.Files, processes: c.Processes, bfds: c.BFDs,
		trackGroups: c.TrackGroups, garpGroups: c.GARPGroups, addresses: c.Addresses,
		routes: c.Routes, rules: c.Rules, serverGroups: c.ServerGroups, tls: c.TLS,
	}
	for _, g := range c.SyncGroups {
		b := groupBlock{SyncGroup: g}
		for _, m := range g.Members {
			b.members = append(b.members, Member{Name: m})
		}
		r.groups = append(r.groups, b)
	}
	for _, i := range c.Instances {
		b := &instanceBlock{Instance: i}
		if len(i.Peers) == 0 {
			b.source = i.Source
		}
		b.xmitBase = i.VMAC != nil && i.VMAC.AdvertsOnParent
		r.instances = append(r.instances, b)
	}
	for _, s := range c.VirtualServers {
		r.servers = append(r.servers, blockOfServer(s))
	}
	return r
}

func blockOfServer(s VirtualServer) serverBlock {
	b := newServer(nil)
	b.VirtualServer, b.timing.alpha = s, s.Alpha
	for _, rs := range s.RealServers {
		r := realBlock{RealServer: rs, timing: newServer(nil).timing}
		r.timing.alpha = rs.Alpha
		b.reals = append(b.reals, r)
	}
	return b
}

// blocksOf are the checks of one kind as blocks.
func blocksOf(r *realBlock, kind CheckKind) []checkBlock {
	var bs []checkBlock
	for i := range r.Checks {
		if r.Checks[i].Kind == kind {
			bs = append(bs, blockOfCheck(&r.Checks[i]))
		}
	}
	return bs
}

func blockOfCheck(c *Check) checkBlock {
	b := checkBlock{
		Check: *c,
		timing: timing{
			retry: c.Retry, delayLoop: c.DelayLoop, connectTimeout: c.ConnectTimeout,
			retryDelay: c.DelayBeforeRetry, warmup: c.Warmup, alpha: c.Alpha,
		},
		connectIP: c.Target.Addr(), connectPort: c.Target.Port(),
		bindIP: c.Bind.Addr(), bindPort: c.Bind.Port(),
	}
	switch {
	case c.HTTP != nil:
		b.http = *c.HTTP
	case c.Misc != nil:
		b.misc = *c.Misc
	case c.DNS != nil:
		b.dns = *c.DNS
	case c.UDP != nil:
		b.udp = *c.UDP
	case c.File != nil:
		b.file = *c.File
	case c.SMTP != nil:
		b.smtp = *c.SMTP
		for _, h := range c.SMTP.Hosts {
			b.hosts = append(b.hosts, hostBlock{
				SMTPHost: h, ip: h.Target.Addr(), port: h.Target.Port(),
				bind: h.Bind.Addr(), bindPort: h.Bind.Port(),
			})
		}
	}
	return b
}

// printer writes statements, indented by the blocks they are in.
type printer struct {
	b     strings.Builder
	depth int
}

// statement writes a keyword, unless it is empty, and its arguments. Those of a script keep their
// meaning by its rules.
func (p *printer) statement(script bool, keyword string, args []string) {
	for range p.depth {
		p.b.WriteString("    ")
	}
	p.b.WriteString(keyword)
	for i, w := range args {
		if i > 0 || keyword != "" {
			p.b.WriteByte(' ')
		}
		if script {
			p.b.WriteString(quoteScript(w))
		} else {
			p.b.WriteString(quoteIfNeeded(w))
		}
	}
	p.b.WriteByte('\n')
}

func (p *printer) block(inside func(), head ...string) {
	for range p.depth {
		p.b.WriteString("    ")
	}
	for i, w := range head {
		if i > 0 {
			w = quoteIfNeeded(w)
		}
		p.b.WriteString(w)
		p.b.WriteByte(' ')
	}
	p.b.WriteString("{\n")
	p.depth++
	inside()
	p.depth--
	for range p.depth {
		p.b.WriteString("    ")
	}
	p.b.WriteString("}\n")
}

// quoteIfNeeded quotes what would not be one word.
func quoteIfNeeded(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\v\f\r#!{}\"'\\") {
		return `"` + s + `"`
	}
	return s
}

var scriptEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func quoteScript(s string) string { return `"` + scriptEscapes.Replace(s) + `"` }
