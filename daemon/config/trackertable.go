package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func scriptTable() *table[ScriptTracker] {
	type b = ScriptTracker
	return newTable("vrrp_script", []keyword[b]{
		scriptLeaf("script", func(b *b) **Script { return &b.Script },
			"exit status 0 is good").as(otherwise[b]("none: it must be given")),
		leaf("interval", "1", seconds(time.Microsecond, longest),
			func(b *b) *time.Duration { return &b.Interval }, "from one run to the next"),
		leaf("timeout", "", seconds(time.Microsecond, longest),
			func(b *b) *time.Duration { return &b.Timeout }, "bounds a run").
			as(otherwise[b]("as interval")),
		leaf("weight", "0", weight(253), func(b *b) *Weight { return &b.Weight },
			"added to the priority while good (positive) or bad; 0 is fault while bad"),
		leaf("rise", "1", number[int](1, 1<<30), func(b *b) *int { return &b.Rise },
			"good results in a row that count"),
		leaf("fall", "1", number[int](1, 1<<30), func(b *b) *int { return &b.Fall },
			"bad results in a row that count"),
		leaf("user", "", account(), func(b *b) *Account { return &b.Account },
			"runs it").as(otherwise[b]("script_user")),
		leaf("init_fail", "off", boolean(), func(b *b) *bool { return &b.Failed },
			"bad until the first result"),
	})
}

func fileTable(scope string) *table[FileTracker] {
	type b = FileTracker
	return newTable(scope, []keyword[b]{
		leaf("file", "", file(), func(b *b) *string { return &b.File },
			"the file with the number").as(otherwise[b]("none: it must be given")),
		leaf("weight", "1", weight(254), func(b *b) *Weight { return &b.Weight },
			"times the number is added to the priority; 0 is fault while it is not 0"),
		{
			name: "init_file", usage: "perhaps a whole number, and perhaps overwrite",
			doc: "makes the file at the start", otherwise: "off",
			set: setInitFile, write: writeInitFile,
		},
	})
}

func setInitFile(d *decoder, f *FileTracker, n *Node) {
	f.Init = true
	args := n.Args()
	if len(args) > 0 && args[0].Text != "overwrite" {
		if !into(number[int](-1<<31, 1<<31-1), args[0], &f.InitValue) {
			d.misfit(n, 0, "a whole number or overwrite", nil)
		}
		args = args[1:]
	}
	d.options("init_file", args, options{
		"overwrite": {set: func(Word) bool { f.Overwrite = true; return true }},
	})
}

func writeInitFile(p *printer, _ *keyword[FileTracker], f, _ *FileTracker) {
	if !f.Init {
		return
	}
	ws := []string{strconv.Itoa(f.InitValue)}
	if f.Overwrite {
		ws = append(ws, "overwrite")
	}
	p.statement(false, "init_file", ws)
}

func processTable() *table[ProcessTracker] {
	type b = ProcessTracker
	delay := seconds(time.Microsecond, time.Hour)
	delays := func(name string, at func(*b) *time.Duration, doc string) keyword[b] {
		return leaf(name, "", delay, at, doc).as(otherwise[b]("0"))
	}
	return newTable("vrrp_track_process", []keyword[b]{
		leaf("process", "", words("a command and perhaps its arguments", 1, 1000),
			func(b *b) *[]string { return &b.Command }, "the processes").
			as(otherwise[b]("none: it must be given")),
		leaf("param_match", "", choice("initial", "partial"),
			func(b *b) *string { return &b.Match },
			"partial: the first arguments are those; initial: the last one may be longer, too").
			as(otherwise[b]("all arguments, if there are any")),
		leaf("weight", "0", weight(254), func(b *b) *Weight { return &b.Weight },
			"added to the priority while there are enough (positive) or not; 0 is fault"),
		leaf("quorum", "1", number[int](1, 65535), func(b *b) *int { return &b.Quorum },
			"how many there must be"),
		{
			name: "quorum_max", usage: "a whole number from 0 to 65535",
			doc: "how many there may be", otherwise: "any number",
			set: func(d *decoder, b *b, n *Node) {
				b.QuorumMax, b.HasQuorumMax = arguments(d, n, number[int](0, 65535))
			},
			write: func(p *printer, _ *keyword[b], b, _ *b) {
				if b.HasQuorumMax {
					p.statement(false, "quorum_max", []string{strconv.Itoa(b.QuorumMax)})
				}
			},
		},
		{
			name: "delay", usage: delay.usage, doc: "both fork_delay and terminate_delay",
			otherwise: "0",
			set: func(d *decoder, b *b, n *Node) {
				b.ForkDelay, _ = arguments(d, n, delay)
				b.TerminateDelay = b.ForkDelay
			},
		},
		delays("fork_delay", func(b *b) *time.Duration { return &b.ForkDelay },
			"from enough processes to good").as(isLate),
		delays("terminate_delay", func(b *b) *time.Duration { return &b.TerminateDelay },
			"from too few processes to bad").as(isLate),
		leaf("full_command", "off", boolean(), func(b *b) *bool { return &b.FullCommand },
			"compares the whole command line"),
	})
}

func bfdTable() *table[BFD] {
	type b = BFD
	interval := func(name, def string, at func(*b) *time.Duration, doc string) keyword[b] {
		return leaf(name, def, decimal(time.Microsecond, 4294*time.Second, time.Millisecond,
			"milliseconds"), at, doc)
	}
	neighbor := leaf("neighbor_ip", "", address(), func(b *b) *netip.Addr { return &b.Neighbor },
		"the other end").as(otherwise[b]("none: it must be given"))
	ttl := leaf("ttl", "", number[uint8](1, 255), func(b *b) *uint8 { return &b.TTL },
		"TTL of its packets").as(otherwise[b]("255; 64 with multihop"))
	flag := func(name string, at func(*b) *bool, doc string) keyword[b] {
		return leaf(name, "off", boolean(), at, doc)
	}
	return newTable("bfd_instance", []keyword[b]{
		neighbor, neighbor.alias("neighbour_ip"),
		leaf("source_ip", "", address(), func(b *b) *netip.Addr { return &b.Source },
			"this end").as(otherwise[b]("the kernel's choice")),
		interval("min_rx", "10", func(b *b) *time.Duration { return &b.MinRX },
			"least interval of packets it takes"),
		interval("min_tx", "10", func(b *b) *time.Duration { return &b.MinTX },
			"interval of its packets"),
		interval("idle_tx", "1000", func(b *b) *time.Duration { return &b.IdleTX },
			"interval of its packets while down"),
		leaf("multiplier", "5", number[int](1, 255), func(b *b) *int { return &b.Multiplier },
			"lost packets after which it is down"),
		flag("passive", func(b *b) *bool { return &b.Passive }, "waits for the neighbour"),
		ttl, ttl.alias("hoplimit"),
		leaf("max_hops", "0", number[uint8](0, 255), func(b *b) *uint8 { return &b.MaxHops },
			"hops that packets may have come; 255 does not count"),
		flag("multihop", func(b *b) *bool { return &b.Multihop }, "as RFC 5883 has it"),
		leaf("weight", "0", weight(253), func(b *b) *Weight { return &b.Weight },
			"added to the priority while up (positive) or down; 0 is fault while down"),
		flag("vrrp", func(b *b) *bool { return &b.VRRP }, "tells instances only"),
		flag("checker", func(b *b) *bool { return &b.Checker }, "tells checks only"),
	})
}

func garpGroupTable() *table[GARPGroup] {
	type b = GARPGroup
	interval := func(name string, at func(*b) *time.Duration, doc string) keyword[b] {
		return leaf(name, "", seconds(time.Microsecond, longest), at, doc)
	}
	return newTable("garp_group", []keyword[b]{
		interval("garp_interval", func(b *b) *time.Duration { return &b.ARPInterval },
			"least time between two gratuitous ARP"),
		interval("gna_interval", func(b *b) *time.Duration { return &b.NAInterval },
			"least time between two unsolicited NA"),
		{
			name: "interface", usage: "the name of an interface", doc: "what it is about",
			many: true, set: func(d *decoder, b *b, n *Node) {
				if name, ok := arguments(d, n, deviceName()); ok {
					b.Interfaces = append(b.Interfaces, name)
				}
			},
		},
		list("interfaces", "names of interfaces", parseDevice,
			func(s *string) []string { return []string{*s} },
			func(b *b) *[]string { return &b.Interfaces }, "what it is about together"),
	})
}

func parseDevice(d *decoder, keyword string, ws []Word) (string, bool) {
	for _, w := range ws {
		if !isDevice(w.Text) || len(ws) > 1 {
			d.fail(w.Pos, "%s %q: expected the name of an interface", keyword, w.Text)
			return "", false
		}
	}
	return ws[0].kept(), true
}

func tlsTable() *table[TLS] {
	type b = TLS
	path := func(name string, at func(*b) *string, doc string) keyword[b] {
		return leaf(name, "", text("a path"), at, doc)
	}
	return newTable("SSL", []keyword[b]{
		leaf("password", "", text("a password"), func(b *b) *string { return &b.Password },
			"password of the key"),
		path("ca", func(b *b) *string { return &b.CA }, "certificates of authorities"),
		path("certificate", func(b *b) *string { return &b.Certificate }, "certificate"),
		path("key", func(b *b) *string { return &b.Key }, "key of the certificate"),
	})
}

// members is a list of names, several on a line perhaps.
func members[T any](at func(*T) *[]Member, doc string) keyword[T] {
	k := list("group", "names of instances", nil, func(m *Member) []string {
		return []string{m.Name}
	}, at, doc)
	k.set = func(d *decoder, t *T, n *Node) {
		d.noArguments(n)
		for _, c := range n.Children {
			if c.HasBlock() {
				d.fail(c.Open, "%s {: expected names of instances and no block", c.Keyword())
				continue
			}
			for _, w := range c.Words {
				*at(t) = append(*at(t), Member{w.Pos, w.kept()})
			}
		}
	}
	return k
}

func parsePolled(d *decoder, keyword string, ws []Word) (PolledLink, bool) {
	l := PolledLink{Interface: ws[0].kept()}
	if !isDevice(l.Interface) {
		d.fail(ws[0].Pos, "%s %q: expected the name of an interface", keyword, l.Interface)
		return l, false
	}
	if len(ws) == 1 {
		return l, true
	}
	n := &Node{Words: ws}
	var ok bool
	l.Method, ok = arguments(d, n, choice("MII", "ETHTOOL", "IOCTL"))
	return l, ok
}

func (l *PolledLink) words() []string {
	return strings.Fields(l.Interface + " " + l.Method)
}

func parseLinkDelay(d *decoder, keyword string, ws []Word) (LinkDelay, bool) {
	l := LinkDelay{Interface: ws[0].kept()}
	if !isDevice(l.Interface) || len(ws) < 2 || len(ws) > 3 {
		d.fail(ws[0].Pos, "%s %q: expected %s", keyword, ws[0].Text, delayUsage)
		return l, false
	}
	for i, at := range []*time.Duration{&l.Down, &l.Up} {
		if i+1 < len(ws) && !into(seconds(0, 255*time.Second), ws[i+1], at) {
			d.fail(ws[i+1].Pos, "%s %q: expected seconds from 0 to 255", keyword, ws[i+1].Text)
			return l, false
		}
	}
	return l, true
}

const delayUsage = "INTERFACE DOWN-SECONDS [UP-SECONDS]"

func (l *LinkDelay) words() []string {
	return []string{l.Interface, inSeconds(l.Down), inSeconds(l.Up)}
}
