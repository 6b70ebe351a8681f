package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serverBlock is a VirtualServer while it is read, with what its real servers inherit.
type serverBlock struct {
	VirtualServer
	timing
	// node is nil once the service is complete.
	node    *Node
	weight  int
	inhibit bool
	reals   []realBlock
	// broken is set if the service has no identity: it is checked and left out; empty if it names
	// no real server.
	broken, empty bool
}

// byAddress says whether an address identifies the service.
func (s *serverBlock) byAddress() bool { return s.Mark == 0 && s.Group == "" && !s.broken }

// timing is what virtual servers, real servers and checks each hand down. Numbers and times are
// unset until given.
type timing struct {
	retry                                         int
	delayLoop, connectTimeout, retryDelay, warmup time.Duration
	alpha                                         bool
	host                                          string
}

func newServer(*root) serverBlock {
	return serverBlock{
		VirtualServer: VirtualServer{Granularity: unset},
		timing: timing{
			retry: unset, delayLoop: unset, connectTimeout: unset, retryDelay: unset, warmup: unset,
		},
	}
}

func serverTable() *table[serverBlock] {
	inner := realTable()
	reals := passing("real_server", inner, newReal, addReal, "a server that does the work").
		as(isLate).as(isMany).
		as(writesInTurn(inner, newReal, blocksOfReals, headOfReal))
	return newTable("virtual_server",
		serviceKeywords(),
		persistenceKeywords(),
		schedulerKeywords(),
		sorryKeywords(),
		quorumKeywords(),
		timingKeywords(map[string]string{
			"delay_loop": "60", "connect_timeout": "5",
		}, func(s *serverBlock) *timing { return &s.timing }),
		[]keyword[serverBlock]{reals})
}

func serviceKeywords() []keyword[serverBlock] {
	type b = serverBlock
	scheduler := single("one of "+orList(schedulers), func(s string) (Scheduler, bool) {
		i := slices.Index(schedulers, s)
		if i < 0 {
			return "", false
		}
		return Scheduler(schedulers[i]), true
	}, func(s Scheduler) string { return string(s) })
	scheduler.choices = schedulers
	algorithm := leaf("lb_algo", "", scheduler, func(b *b) *Scheduler { return &b.Scheduler },
		"picks the real server of a new connection").as(otherwise[b]("wlc"))
	method := methodKeyword("lb_kind", "NAT", func(b *b) (*Forward, *Tunnel) {
		return &b.Forward, &b.Tunnel
	})
	return []keyword[b]{
		leaf("protocol", "", oneOf(protocols), func(b *b) *Protocol { return &b.Protocol },
			"the transport protocol").as(otherwise[b]("UDP, with a warning")),
		algorithm, algorithm.alias("lvs_sched"),
		method, method.alias("lvs_method"),
		leaf("weight", "1", number[int](0, 65535), func(b *b) *int { return &b.weight },
			"weight of real servers that name none").as(unwritten),
		leaf("inhibit_on_failure", "off", boolean(), func(b *b) *bool { return &b.inhibit },
			"weight 0 instead of taking a failed real server out").as(unwritten),
	}
}

// unwritten leaves out what real servers and checks have already.
func unwritten[T any](k *keyword[T]) { k.write = nil }

func schedulerKeywords() []keyword[serverBlock] {
	type b = serverBlock
	flag := func(name string, at func(*b) *bool, doc string) keyword[b] {
		return leaf(name, "off", boolean(), at, doc)
	}
	hashed := needless("the kernel sets it by itself", flag("hashed",
		func(b *b) *bool { return &b.Hashed }, "an internal flag of the kernel's"))
	return append(hashed,
		flag("ops", func(b *b) *bool { return &b.OnePacket }, "each datagram by itself"),
		flag("flag-1", func(b *b) *bool { return &b.Flags.One }, "first flag of the scheduler"),
		flag("flag-2", func(b *b) *bool { return &b.Flags.Two }, "second flag of the scheduler"),
		flag("flag-3", func(b *b) *bool { return &b.Flags.Three }, "third flag of the scheduler"),
		flag("sh-port", func(b *b) *bool { return &b.SourceHash.Port }, "sh hashes the port too"),
		flag("sh-fallback", func(b *b) *bool { return &b.SourceHash.Fallback },
			"sh takes another server for one without weight"),
		flag("mh-port", func(b *b) *bool { return &b.Maglev.Port }, "mh hashes the port too"),
		flag("mh-fallback", func(b *b) *bool { return &b.Maglev.Fallback },
			"mh takes another server for one without weight"),
	)
}

func persistenceKeywords() []keyword[serverBlock] {
	type b = serverBlock
	return []keyword[serverBlock]{
		leaf("snmp_name", "", text("one name"), func(b *b) *string { return &b.SNMPName },
			"name in SNMP"),
		leaf("persistence_timeout", "0", persistence(),
			func(b *b) *time.Duration { return &b.Persistence },
			"keeps a client on its real server"),
		leaf("persistence_granularity", "", granularity(),
			func(b *b) *int { return &b.Granularity }, "clients of one such prefix are one").
			as(otherwise[b]("the whole address")),
		leaf("persistence_engine", "", choice("sip"), func(b *b) *string { return &b.Engine },
			"what tells clients apart").as(otherwise[b]("the address")),
		leaf("ip_family", "", oneOf(families), func(b *b) *Family { return &b.Family },
			"family of a service by firewall mark").as(otherwise[b]("that of its real servers")),
		leaf("ha_suspend", "off", boolean(), func(b *b) *bool { return &b.SuspendOnBackup },
			"checks only while the address is here"),
		leaf("smtp_alert", "", switched(), func(b *b) *Switch { return &b.Alert },
			"mail when a real server changes").as(otherwise[b]("as smtp_alert_checker")),
	}
}

// granularity is an IPv4 mask or an IPv6 prefix length.
func granularity() form[int] {
	return single("a mask such as 255.255.255.0, or a prefix length from 1 to 128",
		func(s string) (int, bool) {
			if bits, err := strconv.Atoi(s); err == nil {
				return bits, 1 <= bits && bits <= 128
			}
			a, ok := parseAddr(s)
			if !ok || !a.Is4() || a.IsUnspecified() {
				return 0, false
			}
			var bits strings.Builder
			for _, octet := range a.As4() {
				bits.WriteString(strconv.FormatUint(uint64(octet)|0x100, 2)[1:])
			}
			ones, zeros, _ := strings.Cut(bits.String(), "0")
			return len(ones), !strings.Contains(zeros, "1")
		},
		func(bits int) string {
			if bits == unset {
				return ""
			}
			return strconv.Itoa(bits)
		})
}

const methodUsage = "one of NAT, DR, TUN"

// methodKeyword is how packets reach a server.
func methodKeyword[T any](
	name, none string, at func(*T) (*Forward, *Tunnel),
) keyword[T] {
	return keyword[T]{
		name: name, usage: methodUsage, otherwise: none, doc: "how packets reach the real servers",
		set: func(d *decoder, t *T, n *Node) {
			f, tunnel := at(t)
			args := n.Args()
			if len(args) == 0 {
				d.misfit(n, 0, methodUsage, nil)
				return
			}
			method, ok := forwards.value(args[0].Text)
			if !ok {
				d.misfit(n, 0, methodUsage, forwards.words())
				return
			}
			*f, *tunnel = method, Tunnel{}
			switch {
			case len(args) == 1 && method != TUN:
				return // as mostly
			case method != TUN:
				d.misfit(n, 1, "nothing behind "+args[0].Text, nil)
				return
			}
			if d.options(n.Keyword(), args[1:], tunnelOptions(tunnel)) {
				d.checkTunnel(n, tunnel)
			}
		},
		write: func(p *printer, _ *keyword[T], t, _ *T) {
			f, tunnel := at(t)
			if *f != 0 {
				p.statement(false, name, append([]string{f.String()}, tunnel.words()...))
			}
		},
	}
}

// checkTunnel says what the kernel would refuse.
func (d *decoder) checkTunnel(n *Node, t *Tunnel) {
	switch gue := t.Type == "gue"; {
	case gue && t.Port == 0:
		d.fail(n.Pos(), "%s: expected port behind type gue", n.Keyword())
	case !gue && t.Port != 0:
		d.fail(n.Pos(), "%s: expected port only with type gue", n.Keyword())
	case t.Checksum == "csum" && t.Type != "gue" && t.Type != "gre":
		d.fail(n.Pos(), "%s: expected csum only with type gue or gre", n.Keyword())
	case t.Checksum == "remcsum" && !gue:
		d.fail(n.Pos(), "%s: expected remcsum only with type gue", n.Keyword())
	}
}

func tunnelOptions(t *Tunnel) options {
	sum := option{set: func(w Word) bool { t.Checksum = w.kept(); return true }}
	return options{
		"type": {takes: 1, usage: "ipip, gue or gre", set: func(w Word) bool {
			t.Type = w.kept()
			return contains([]string{"ipip", "gue", "gre"}, w.Text)
		}},
		"port": {takes: 1, usage: "a port from 1 to 65535", set: func(w Word) bool {
			return into(number[uint16](1, 65535), w, &t.Port)
		}},
		"csum": sum, "nocsum": sum, "remcsum": sum,
	}
}

func (t *Tunnel) words() []string {
	var ws []string
	if t.Type != "" {
		ws = append(ws, "type", t.Type)
	}
	if t.Port != 0 {
		ws = append(ws, "port", strconv.Itoa(int(t.Port)))
	}
	return append(ws, wordIfAny(t.Checksum)...)
}

// persistence is whole seconds; the keyword alone is 6 minutes.
func persistence() form[time.Duration] {
	whole := number[int](0, 31*24*3600)
	return form[time.Duration]{
		usage: whole.usage + ", or nothing for 360",
		parse: func(args []Word) (time.Duration, int) {
			if len(args) == 0 {
				return 6 * time.Minute, fits
			}
			n, bad := whole.parse(args)
			return time.Duration(n) * time.Second, bad
		},
		words: func(d time.Duration) []string { return []string{inSeconds(d)} },
	}
}

func sorryKeywords() []keyword[serverBlock] {
	type b = serverBlock
	ks := []keyword[b]{
		leaf("sorry_server", "", addressPort(),
			func(b *b) *netip.AddrPort { return &b.SorryServer },
			"serves while the quorum is lost"),
		leaf("sorry_server_inhibit", "off", boolean(), func(b *b) *bool { return &b.SorryInhibit },
			"the sorry server stays in the table with weight 0 while it is not needed"),
	}
	return append(ks, methodKeyword("sorry_server_lvs_method", "as lb_kind",
		func(b *b) (*Forward, *Tunnel) { return &b.SorryForward, &b.SorryTunnel }))
}

func quorumKeywords() []keyword[serverBlock] {
	type b = serverBlock
	ks := []keyword[b]{
		leaf("quorum", "1", number[int](1, 1<<30), func(b *b) *int { return &b.Quorum },
			"weight of live real servers needed to be up"),
		leaf("hysteresis", "0", number[int](0, 1<<30), func(b *b) *int { return &b.Hysteresis },
			"weight above the quorum to come up, below it to go down"),
	}
	return append(ks,
		scriptLeaf("quorum_up", func(b *b) **Script { return &b.QuorumUp },
			"run when the quorum is gained"),
		scriptLeaf("quorum_down", func(b *b) **Script { return &b.QuorumDown },
			"run when the quorum is lost"),
		leaf("omega", "off", boolean(), func(b *b) *bool { return &b.Omega },
			"runs the down scripts at the stop"))
}

// timingKeywords are those that virtual servers, real servers and checks share.
func timingKeywords[T any](defaults map[string]string, at func(*T) *timing) []keyword[T] {
	times := func(
		name string, least time.Duration, f func(*timing) *time.Duration, doc string,
	) keyword[T] {
		return leaf(name, defaults[name], seconds(least, longest),
			func(t *T) *time.Duration { return f(at(t)) }, doc)
	}
	ks := []keyword[T]{
		times("connect_timeout", time.Millisecond,
			func(t *timing) *time.Duration { return &t.connectTimeout }, "bounds one attempt"),
		times("delay_loop", time.Millisecond,
			func(t *timing) *time.Duration { return &t.delayLoop }, "from one check to the next"),
		leaf("retry", "", number[int](0, 1000), func(t *T) *int { return &at(t).retry },
			"attempts after the first that failed").
			as(inherits[T]("1; 3 for DNS_CHECK, 0 for MISC_CHECK")),
		times("delay_before_retry", 0,
			func(t *timing) *time.Duration { return &t.retryDelay },
			"from a failed attempt to the next").
			as(inherits[T]("1; 3 for HTTP_GET and SSL_GET; delay_loop for DNS_CHECK")),
		times("warmup", 0, func(t *timing) *time.Duration { return &t.warmup },
			"upper bound of the random delay of the first check").as(inherits[T]("as delay_loop")),
		leaf("alpha", "", boolean(), func(t *T) *bool { return &at(t).alpha },
			"down until the first check that succeeds").as(inherits[T]("off")),
		leaf("virtualhost", "", text("one host name"), func(t *T) *string { return &at(t).host },
			"the Host header of HTTP checks").as(otherwise[T]("the address of the real server")),
	}
	if defaults == nil {
		for i := range ks {
			ks[i].otherwise = "as in the block around it"
		}
	}
	return ks
}
