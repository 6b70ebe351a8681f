package config

import (
	"bufio"
	"io"
	"iter"
	"slices"
	"strings"
)

// String writes the configuration in its own language: what has an effect with every default
// spelled out, the rest where it is not the default. Parsed again it gives the same Config, but for
// places.
func (c *Config) String() string {
	var b strings.Builder
	_ = c.Write(&b) // it takes everything
	return b.String()
}

// Write writes what String returns, piece by piece: of a large configuration there is never the
// whole text. The error is the first of w.
func (c *Config) Write(w io.Writer) error {
	p := printer{w: bufio.NewWriter(w), spare: map[any]any{}}
	theLanguage().root.write(&p, c.blocks(), &root{})
	return p.w.Flush()
}

// blocks turns a Config back into what it was built of.
func (c *Config) blocks() *root {
	r := &root{
		global: c.Global, scripts: c.Scripts, files: c.Files, processes: c.Processes, bfds: c.BFDs,
		trackGroups: c.TrackGroups, garpGroups: c.GARPGroups, addresses: c.Addresses,
		routes: c.Routes, rules: c.Rules, serverGroups: c.ServerGroups, tls: c.TLS,
		built: c.VirtualServers,
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
	return r
}

// blocksOfServers are the virtual servers that were built as blocks.
func blocksOfServers(r *root) iter.Seq[serverBlock] {
	return func(yield func(serverBlock) bool) {
		for i := range r.built {
			b := newServer(nil)
			b.VirtualServer, b.timing.alpha = r.built[i], r.built[i].Alpha
			if !yield(b) {
				return
			}
		}
	}
}

// blocksOfReals are the real servers as blocks.
func blocksOfReals(s *serverBlock) iter.Seq[realBlock] {
	return func(yield func(realBlock) bool) {
		for i := range s.RealServers {
			rs := s.RealServers[i]
			b := realBlock{RealServer: rs, settings: *rs.RealServerSettings,
				timing: newServer(nil).timing}
			b.timing.alpha = b.settings.Alpha
			if !yield(b) {
				return
			}
		}
	}
}

// blocksOf are the checks of one kind as blocks; nil if there are none.
func blocksOf(r *realBlock, kind CheckKind) iter.Seq[checkBlock] {
	if !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Kind == kind }) {
		return nil
	}
	return func(yield func(checkBlock) bool) {
		for i := range r.Checks {
			if r.Checks[i].Kind == kind && !yield(blockOfCheck(&r.Checks[i])) {
				return
			}
		}
	}
}

func blockOfCheck(c *Check) checkBlock {
	b := checkBlock{
		CheckSettings: *c.CheckSettings,
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
	w     *bufio.Writer // keeps its first error
	depth int
	// spare are the blocks, by their table, whose memory the next one may have; see writesInTurn.
	spare map[any]any
}

// statement writes a keyword, unless it is empty, and its arguments. Those of a script keep their
// meaning by its rules.
func (p *printer) statement(script bool, keyword string, args []string) {
	for range p.depth {
		_, _ = p.w.WriteString("    ")
	}
	_, _ = p.w.WriteString(keyword)
	for i, w := range args {
		if i > 0 || keyword != "" {
			_ = p.w.WriteByte(' ')
		}
		if script {
			_, _ = p.w.WriteString(quoteScript(w))
		} else {
			_, _ = p.w.WriteString(quoteIfNeeded(w))
		}
	}
	_ = p.w.WriteByte('\n')
}

func (p *printer) block(inside func(), head ...string) {
	for range p.depth {
		_, _ = p.w.WriteString("    ")
	}
	for i, w := range head {
		if i > 0 {
			w = quoteIfNeeded(w)
		}
		_, _ = p.w.WriteString(w)
		_ = p.w.WriteByte(' ')
	}
	_, _ = p.w.WriteString("{\n")
	p.depth++
	inside()
	p.depth--
	for range p.depth {
		_, _ = p.w.WriteString("    ")
	}
	_, _ = p.w.WriteString("}\n")
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
