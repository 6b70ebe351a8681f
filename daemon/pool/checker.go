package pool

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// Means are what checks need beside their own configuration. Its zero value carries out those that
// run no script and are told nothing by others.
type Means struct {
	// TLS is that of each SSL_GET, but for the names.
	TLS check.TLS
	// Helo is the name that an SMTP_CHECK gives which has none of its own; empty is the address.
	Helo string
	// ReportAll has all checks report each failure.
	ReportAll bool
	// Script returns the script of a MISC_CHECK, and the time that it may take beyond its timeout.
	Script func(*config.MiscCheck) (check.Script, time.Duration)
	// Source returns who knows of a FILE_CHECK or a BFD_CHECK; nil if nobody does.
	Source func(*config.Check) check.Source
}

// checker returns the checker for c, and the time that it can take.
func (m *Means) checker(c *config.Check) (check.Checker, time.Duration, error) {
	limit := c.ConnectTimeout + grace
	way := dialer(c.BindInterface, c.Mark)
	switch c.Kind {
	case config.CheckTCP:
		return (*tcp)(c), limit, nil
	case config.CheckHTTP, config.CheckSSL:
		web, err := m.web(c)
		return web, time.Duration(len(c.HTTP.URLs))*c.ConnectTimeout + grace, err
	case config.CheckMisc:
		return m.misc(c)
	case config.CheckSMTP:
		return m.smtp(c)
	case config.CheckDNS:
		dns, err := dns(c)
		return dns, limit, err
	case config.CheckUDP:
		udp, err := udp(c)
		return udp, limit, err
	case config.CheckPing:
		return check.Ping{Target: c.Target.Addr(), Bind: c.Bind.Addr(), Dialer: way,
			Timeout: c.ConnectTimeout}, limit, nil
	case config.CheckFile:
		return m.known(c, check.File)
	case config.CheckBFD:
		return m.known(c, check.Session)
	}
	return nil, 0, fmt.Errorf("unknown kind %s", c.Kind)
}

// tcp is a TCP_CHECK as it is in the configuration. There are thousands, and what they are is there
// once.
type tcp config.Check

// TCP implements check.TCPer.
func (t *tcp) TCP() check.TCP {
	return check.TCP{Target: t.Target, Bind: t.Bind, Dialer: dialer(t.BindInterface, t.Mark),
		Timeout: t.ConnectTimeout}
}

// Check implements check.Checker.
func (t *tcp) Check(ctx context.Context) error { return t.TCP().Check(ctx) }

// dialer returns nil for the plain way.
func dialer(device string, mark uint32) *check.Dialer {
	if device == "" && mark == 0 {
		return nil
	}
	return &check.Dialer{Device: device, Mark: mark}
}

// web returns a checker of pages. Those that want TLS sessions to end as they should, and those
// that do not, are asked by checkers of their own, in order.
func (m *Means) web(c *config.Check) (check.Checker, error) {
	var all check.All
	var last *check.HTTP
	add := func() {
		if last != nil {
			all = append(all, *last)
		}
	}
	strict := false
	for i := range c.HTTP.URLs {
		u, err := url(&c.HTTP.URLs[i])
		if err != nil {
			err = fmt.Errorf("url %s: %w", c.HTTP.URLs[i].Path, err)
			return nil, placed{c.HTTP.URLs[i].RegexPos, err}
		}
		compliant := c.HTTP.TLSCompliant || c.HTTP.URLs[i].TLSCompliant
		if last == nil || compliant != strict && c.Kind == config.CheckSSL {
			add()
			last, strict = m.http(c, compliant), compliant
		}
		last.URLs = append(last.URLs, u)
	}
	add()
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

// http returns a checker of no pages.
func (m *Means) http(c *config.Check, compliant bool) *check.HTTP {
	h := &check.HTTP{
		Target:  c.Target,
		Bind:    c.Bind,
		Dialer:  dialer(c.BindInterface, c.Mark),
		Timeout: c.ConnectTimeout,
		Version: httpVersion(c.HTTP.Version),
	}
	if c.Kind == config.CheckSSL {
		t := m.TLS
		t.SNI, t.Name, t.Compliant = c.HTTP.SNI, c.HTTP.SNIName, compliant
		h.TLS = &t
	}
	return h
}

// url returns a page to get. An error is of its regular expression.
func url(u *config.URL) (check.URL, error) {
	out := check.URL{Path: u.Path, Host: u.Host, Digest: u.Digest}
	for _, r := range u.Status {
		out.Status = append(out.Status, check.StatusRange(r))
	}
	if u.Regex == "" {
		return out, nil
	}
	var err error
	out.Regex, err = check.NewRegex(u.Regex, check.RegexOptions{
		Names: u.RegexOptions, NoMatch: u.RegexNoMatch,
		MinOffset: u.MinOffset, MaxOffset: u.MaxOffset,
	})
	return out, err
}

func httpVersion(v config.HTTPVersion) check.HTTPVersion {
	switch v {
	case config.HTTP10Close:
		return check.HTTP10Close
	case config.HTTP11:
		return check.HTTP11
	}
	return check.HTTP10
}

func (m *Means) misc(c *config.Check) (check.Checker, time.Duration, error) {
	if m.Script == nil {
		return nil, 0, errors.New("nobody runs scripts")
	}
	script, over := m.Script(c.Misc)
	misc := check.Misc{Script: script, Timeout: c.Misc.Timeout, Dynamic: c.Misc.Dynamic}
	return misc, c.Misc.Timeout + over + grace, nil
}

// smtp returns a checker of the hosts in c, or of its target if there are none.
func (m *Means) smtp(c *config.Check) (check.Checker, time.Duration, error) {
	mail := check.SMTP{
		Target: c.Target, Bind: c.Bind, Dialer: dialer(c.BindInterface, c.Mark),
		Timeout: c.ConnectTimeout, Helo: cmp.Or(c.SMTP.Helo, m.Helo),
	}
	if len(c.SMTP.Hosts) == 0 {
		return mail, mail.Timeout + grace, nil
	}
	var all check.All
	limit := grace
	for i := range c.SMTP.Hosts {
		h := &c.SMTP.Hosts[i]
		host := check.SMTP{
			Target: smtpTarget(h, c.Target.Addr()), Bind: h.Bind,
			Dialer:  dialer(h.BindInterface, h.Mark),
			Timeout: cmp.Or(h.ConnectTimeout, c.ConnectTimeout), Helo: mail.Helo,
		}
		if b := h.Bind.Addr(); b.IsValid() && b.Is4() != host.Target.Addr().Is4() {
			return nil, 0, fmt.Errorf("host: bindto %q: expected the family of %s", b,
				host.Target.Addr())
		}
		all = append(all, host)
		limit += host.Timeout
	}
	return all, limit, nil
}

// smtpPort is that of a host that names none.
const smtpPort = 25

// smtpTarget is what a host says, or else the address of the real server.
func smtpTarget(h *config.SMTPHost, server netip.Addr) netip.AddrPort {
	addr := h.Target.Addr()
	if !addr.IsValid() {
		addr = server
	}
	return netip.AddrPortFrom(addr, cmp.Or(h.Target.Port(), smtpPort))
}

func dns(c *config.Check) (check.Checker, error) {
	kind, known := check.DNSType(c.DNS.Type)
	if !known {
		return nil, fmt.Errorf("type %s: no type of record", c.DNS.Type)
	}
	return check.DNS{
		Target: c.Target, Bind: c.Bind, Dialer: dialer(c.BindInterface, c.Mark),
		Timeout: c.ConnectTimeout, Type: kind, Name: c.DNS.Name,
	}, nil
}

func udp(c *config.Check) (check.Checker, error) {
	udp := check.UDP{
		Target: c.Target, Bind: c.Bind, Dialer: dialer(c.BindInterface, c.Mark),
		Timeout: c.ConnectTimeout,
	}
	if c.UDP.Payload != "" {
		var err error
		if udp.Payload, err = hex.DecodeString(c.UDP.Payload); err != nil {
			return nil, fmt.Errorf("payload: %w", err)
		}
	}
	if !c.UDP.RequireReply {
		return udp, nil
	}
	start, err := check.ParseBytePattern(c.UDP.Reply)
	if err != nil {
		return nil, fmt.Errorf("require_reply: %w", err)
	}
	if c.UDP.MinReply > c.UDP.MaxReply && c.UDP.MaxReply > 0 {
		return nil, fmt.Errorf("min_reply_length %d: expected at most max_reply_length, %d",
			c.UDP.MinReply, c.UDP.MaxReply)
	}
	udp.Reply = &check.UDPReply{Start: start, Min: c.UDP.MinReply, Max: c.UDP.MaxReply}
	return udp, nil
}

func (m *Means) known(c *config.Check, r check.Reason) (check.Checker, time.Duration, error) {
	if m.Source != nil {
		if s := m.Source(c); s != nil {
			return check.Known{Source: s, Reason: r}, c.ConnectTimeout + grace, nil
		}
	}
	return nil, 0, fmt.Errorf("nobody knows of %s", appendWhat(nil, c))
}
