package config

import (
	"iter"
	"net/netip"
	"reflect"
	"time"
)

// checkBlock is a Check while it is read.
type checkBlock struct {
	CheckSettings
	timing
	connectIP, bindIP     netip.Addr
	connectPort, bindPort uint16
	http                  HTTPCheck
	misc                  MiscCheck
	smtp                  SMTPCheck
	hosts                 []hostBlock
	dns                   DNSCheck
	udp                   UDPCheck
	file                  FileCheck
}

func newCheck(r *realBlock) checkBlock { return checkBlock{timing: r.timing} }

// checkerBlocks are the blocks of a real_server that check it.
func checkerBlocks() []keyword[realBlock] {
	type b = realBlock
	checker := func(k CheckKind, doc string, groups ...[]keyword[checkBlock]) keyword[b] {
		var own []keyword[checkBlock]
		for _, g := range groups {
			own = append(own, g...)
		}
		inner := newTable(k.String(), own, commonKeywords(k))
		return passing(k.String(), inner, newCheck, func(d *decoder, r *b, c *checkBlock, n *Node) {
			d.noArguments(n)
			addCheck(d, r, c, k, n)
		}, doc).as(isLate).as(isMany).
			as(writesInTurn(inner, newCheck,
				func(r *b) iter.Seq[checkBlock] { return blocksOf(r, k) }, nil))
	}
	return []keyword[b]{
		checker(CheckTCP, "a connection can be made"),
		checker(CheckHTTP, "pages are as expected", httpKeywords()),
		checker(CheckSSL, "pages are as expected over TLS", httpKeywords()),
		checker(CheckSMTP, "a mail server answers", smtpKeywords()),
		checker(CheckDNS, "a name server answers", dnsKeywords()),
		checker(CheckUDP, "a datagram is answered, or not refused", udpKeywords()),
		checker(CheckPing, "the address answers to ICMP echo"),
		checker(CheckMisc, "a command says so", miscKeywords()),
		checker(CheckFile, "a file has a good number in it", fileCheckKeywords()),
		checker(CheckBFD, "a BFD session is up", bfdKeywords()),
	}
}

// commonKeywords are those of every checker.
func commonKeywords(k CheckKind) []keyword[checkBlock] {
	type b = checkBlock
	ks := []keyword[b]{
		leaf("connect_ip", "", address(), func(b *b) *netip.Addr { return &b.connectIP },
			"checks this address").as(otherwise[b]("the real server's")),
		leaf("connect_port", "", number[uint16](1, 65535),
			func(b *b) *uint16 { return &b.connectPort },
			"checks this port").as(otherwise[b]("the real server's")),
		leaf("bindto", "", address(), func(b *b) *netip.Addr { return &b.bindIP },
			"connects from this address").as(otherwise[b]("any")),
		leaf("bind_port", "", number[uint16](1, 65535),
			func(b *b) *uint16 { return &b.bindPort },
			"connects from this port").as(otherwise[b]("any")),
	}
	ks = append(ks, timingKeywords(nil, func(b *b) *timing { return &b.timing })...)
	if k != CheckHTTP && k != CheckSSL {
		// The last of them is the Host header of HTTP checks.
		ks = ks[:len(ks)-1]
	}
	return append(ks,
		leaf("bind_if", "", deviceName(), func(b *b) *string { return &b.BindInterface },
			"connects from this interface").as(otherwise[b]("any")),
		leaf("fwmark", "0", number[uint32](0, 1<<32-1), func(b *b) *uint32 { return &b.Mark },
			"firewall mark of its packets"),
		leaf("log_all_failures", "off", boolean(), func(b *b) *bool { return &b.LogAllFailures },
			"logs each failed attempt"))
}

func miscKeywords() []keyword[checkBlock] {
	type b = checkBlock
	return []keyword[b]{
		scriptLeaf("misc_path", func(b *b) **Script { return &b.misc.Script },
			"exit status 0 is good").as(otherwise[b]("none: it must be given")),
		leaf("misc_timeout", "", seconds(time.Microsecond, longest),
			func(b *b) *time.Duration { return &b.misc.Timeout }, "bounds a run").
			as(otherwise[b]("as delay_loop")),
		leaf("misc_dynamic", "off", boolean(), func(b *b) *bool { return &b.misc.Dynamic },
			"exit status 2 to 255 gives the weight, and 2 more"),
		leaf("user", "", account(), func(b *b) *Account { return &b.misc.Account }, "runs it").
			as(otherwise[b]("script_user")),
	}
}

func dnsKeywords() []keyword[checkBlock] {
	type b = checkBlock
	return []keyword[b]{
		leaf("type", "SOA", choice("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG",
			"DNSKEY"), func(b *b) *string { return &b.dns.Type }, "type of the record"),
		leaf("name", ".", text("a domain name"), func(b *b) *string { return &b.dns.Name },
			"name of the record"),
	}
}

func udpKeywords() []keyword[checkBlock] {
	type b = checkBlock
	return []keyword[b]{
		leaf("payload", "", hexadecimal(false), func(b *b) *string { return &b.udp.Payload },
			"what is sent").as(otherwise[b]("something random")),
		{
			name: "require_reply", usage: "perhaps " + hexadecimal(true).usage,
			doc: "waits for an answer that starts so", otherwise: "off",
			set: func(d *decoder, b *b, n *Node) {
				b.udp.RequireReply = true
				b.udp.Reply, _ = arguments(d, n, orNothing(hexadecimal(true), "", ""))
			},
			write: func(p *printer, _ *keyword[b], b, _ *b) {
				if b.udp.RequireReply {
					p.statement(false, "require_reply", wordIfAny(b.udp.Reply))
				}
			},
		},
		leaf("min_reply_length", "0", number[int](0, 65535),
			func(b *b) *int { return &b.udp.MinReply }, "least length of the answer"),
		leaf("max_reply_length", "255", number[int](0, 65535),
			func(b *b) *int { return &b.udp.MaxReply }, "greatest length of the answer"),
	}
}

// hexadecimal is bytes of two digits each; a pattern may have x for any digit.
func hexadecimal(pattern bool) form[string] {
	digits, usage := "0123456789abcdefABCDEF", "bytes in hexadecimal"
	if pattern {
		digits, usage = digits+"xX", usage+", x for any digit"
	}
	return single(usage, func(s string) (string, bool) {
		for i := range len(s) {
			if !containsByte(digits, s[i]) {
				return "", false
			}
		}
		return s, s != "" && len(s)%2 == 0
	}, itself)
}

func containsByte(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

func fileCheckKeywords() []keyword[checkBlock] {
	type b = checkBlock
	w := weight(1<<31 - 1)
	return []keyword[b]{
		leaf("track_file", "", text("the name of a track_file"),
			func(b *b) *string { return &b.file.Tracker }, "the file").
			as(otherwise[b]("none: it must be given")),
		{
			name: "weight", usage: w.usage, doc: "times the number is the weight",
			otherwise: "that of the track_file",
			set: func(d *decoder, b *b, n *Node) {
				b.file.Weight, b.file.HasWeight = arguments(d, n, w)
			},
			write: func(p *printer, _ *keyword[b], b, _ *b) {
				if b.file.HasWeight {
					p.statement(false, "weight", w.words(b.file.Weight))
				}
			},
		},
	}
}

func bfdKeywords() []keyword[checkBlock] {
	return []keyword[checkBlock]{
		leaf("name", "", text("the name of a bfd_instance"),
			func(b *checkBlock) *string { return &b.BFD }, "the session").
			as(otherwise[checkBlock]("none: it must be given")),
	}
}

// hostBlock is an SMTPHost while it is read.
type hostBlock struct {
	SMTPHost
	ip, bind       netip.Addr
	port, bindPort uint16
}

func smtpKeywords() []keyword[checkBlock] {
	type b = checkBlock
	inner := hostTable()
	return []keyword[b]{
		leaf("helo_name", "", text("one name"), func(b *b) *string { return &b.smtp.Helo },
			"name in HELO").as(otherwise[b]("smtp_helo_name")),
		nested("host", inner, zero[b, hostBlock],
			func(d *decoder, b *b, h *hostBlock, n *Node) {
				d.noArguments(n)
				h.Target = netip.AddrPortFrom(h.ip, h.port)
				h.Bind = netip.AddrPortFrom(h.bind, h.bindPort)
				b.smtp.Hosts = append(b.smtp.Hosts, h.SMTPHost)
			}, "an address to check instead of the real server").as(isMany).
			as(writes(inner, zero[b, hostBlock], func(b *b) []hostBlock { return b.hosts }, nil)),
	}
}

func hostTable() *table[hostBlock] {
	type b = hostBlock
	port := number[uint16](1, 65535)
	return newTable("host", []keyword[b]{
		leaf("connect_ip", "", address(), func(b *b) *netip.Addr { return &b.ip },
			"checks this address").as(otherwise[b]("the real server's")),
		leaf("connect_port", "", port, func(b *b) *uint16 { return &b.port },
			"checks this port").as(otherwise[b]("25")),
		leaf("bindto", "", address(), func(b *b) *netip.Addr { return &b.bind },
			"connects from this address").as(otherwise[b]("any")),
		leaf("bind_port", "", port, func(b *b) *uint16 { return &b.bindPort },
			"connects from this port").as(otherwise[b]("any")),
		leaf("bind_if", "", deviceName(), func(b *b) *string { return &b.BindInterface },
			"connects from this interface").as(otherwise[b]("any")),
		leaf("fwmark", "0", number[uint32](0, 1<<32-1), func(b *b) *uint32 { return &b.Mark },
			"firewall mark of its packets"),
		leaf("connect_timeout", "", seconds(time.Millisecond, longest),
			func(b *b) *time.Duration { return &b.ConnectTimeout }, "bounds one attempt").
			as(otherwise[b]("as in the block around it")),
	})
}

// addCheck settles what does not need the addresses of the servers: see completeCheck.
func addCheck(d *decoder, r *realBlock, c *checkBlock, k CheckKind, n *Node) {
	c.Kind = k
	c.Bind = netip.AddrPortFrom(c.bindIP, c.bindPort)
	c.ConnectTimeout, c.DelayLoop, c.CheckSettings.Alpha = c.connectTimeout, c.delayLoop, c.alpha
	c.Warmup = given(c.warmup, c.delayLoop)
	retry, delay, last := 1, time.Second, d.lastCheck(k)
	switch k {
	case CheckHTTP, CheckSSL:
		delay = 3 * time.Second
		d.settleHTTP(c, n)
	case CheckDNS:
		retry, delay = 3, c.delayLoop
		c.DNS = shared(last.DNS, &c.dns)
	case CheckMisc:
		retry = 0
		d.settleMisc(c, n)
	case CheckSMTP:
		c.SMTP = shared(last.SMTP, &c.smtp)
	case CheckUDP:
		c.UDP = shared(last.UDP, &c.udp)
	case CheckFile:
		d.need(n, "track_file")
		c.File = shared(last.File, &c.file)
	case CheckBFD:
		d.need(n, "name")
	case CheckTCP, CheckPing:
	}
	c.Retry, c.DelayBeforeRetry = given(c.retry, retry), given(c.retryDelay, delay)
	r.Checks = append(r.Checks, Check{
		Pos: n.Pos(), Target: netip.AddrPortFrom(c.connectIP, c.connectPort),
		CheckSettings: d.sharedCheck(c.CheckSettings),
	})
}

// sharedCheck returns those settings, or equal ones of the check of that kind before: mostly many
// in a row are alike.
func (d *decoder) sharedCheck(s CheckSettings) *CheckSettings {
	if last := d.lastChecks[s.Kind]; last != nil && *last == s {
		return last
	}
	if d.lastChecks == nil {
		d.lastChecks = map[CheckKind]*CheckSettings{}
	}
	own := s // not for those that are shared
	d.lastChecks[s.Kind] = &own
	return &own
}

// lastCheck returns the settings of the check of a kind before; never nil.
func (d *decoder) lastCheck(k CheckKind) *CheckSettings {
	if last := d.lastChecks[k]; last != nil {
		return last
	}
	return &CheckSettings{}
}

// shared keeps one part of a block without the rest: last, of the block before, if that is equal.
func shared[V any](last, v *V) *V {
	if last != nil && reflect.DeepEqual(last, v) {
		return last
	}
	own := *v
	return &own
}

func (d *decoder) settleMisc(c *checkBlock, n *Node) {
	d.need(n, "misc_path")
	if c.misc.Timeout == 0 {
		c.misc.Timeout = c.delayLoop
	}
	c.Misc = shared(d.lastCheck(CheckMisc).Misc, &c.misc)
}

// need says that a block lacks a keyword.
func (d *decoder) need(n *Node, keyword string) {
	if n.find(keyword) == nil {
		d.fail(n.Pos(), "%s: expected %s in it", quoteArgs(n), keyword)
	}
}

// given returns v, or what it is without having been given.
func given[N int | time.Duration](v, otherwise N) N {
	if v == unset {
		return otherwise
	}
	return v
}
