package config

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// serverIdle are the keywords of a virtual_server that are known and change nothing yet.
	serverIdle = `
		persistence_granularity persistence_engine ops hashed flag-1 flag-2 flag-3 sh-port
		sh-fallback mh-port mh-fallback sorry_server_lvs_method smtp_alert ip_family ha_suspend
		snmp_name`
	// realIdle are those of a real_server.
	realIdle = `lvs_method uthreshold lthreshold smtp_alert snmp_name`
)

// serverBlock is a VirtualServer while it is read, with what its real servers inherit.
type serverBlock struct {
	VirtualServer
	timing
	node    *Node
	weight  int
	inhibit bool
	reals   []realBlock
	// partly is set if the service is not identified by an address: it is checked, not carried out.
	partly bool
}

// realBlock is a RealServer while it is read, with what its checks inherit.
type realBlock struct {
	RealServer
	timing
}

// timing is what virtual servers, real servers and checks each hand down. Numbers and times are
// unset until given.
type timing struct {
	retry                                         int
	delayLoop, connectTimeout, retryDelay, warmup time.Duration
	alpha                                         bool
	host                                          string
}

func newServer(*root) serverBlock {
	return serverBlock{timing: timing{
		retry: unset, delayLoop: unset, connectTimeout: unset, retryDelay: unset, warmup: unset,
	}}
}

func serverTable() *table[serverBlock] {
	reals := nested("real_server", realTable(), func(s *serverBlock) realBlock {
		r := realBlock{timing: s.timing}
		r.Weight, r.InhibitOnFailure = s.weight, s.inhibit
		return r
	}, addReal, "a server that does the work").as(isLate).as(isMany)
	return newTable("virtual_server",
		serviceKeywords(),
		quorumKeywords(),
		timingKeywords(map[string]string{
			"delay_loop": "60", "connect_timeout": "5",
		}, func(s *serverBlock) *timing { return &s.timing }),
		[]keyword[serverBlock]{reals},
		idleWords[serverBlock](serverIdle))
}

func serviceKeywords() []keyword[serverBlock] {
	type b = serverBlock
	scheduler := single("one of "+orList(schedulers), func(s string) (Scheduler, bool) {
		return Scheduler(s), slices.Contains(schedulers, s)
	})
	scheduler.choices = schedulers
	algorithm := func(name string) keyword[b] {
		return leaf(name, "", scheduler, func(b *b) *Scheduler { return &b.Scheduler },
			"picks the real server of a new connection").as(otherwise[b]("wlc"))
	}
	method := func(name string) keyword[b] {
		return keyword[b]{name: name, usage: "one of NAT, DR, TUN", otherwise: "NAT",
			doc: "how packets reach the real servers", set: setForward}
	}
	return []keyword[b]{
		algorithm("lb_algo"), algorithm("lvs_sched"),
		method("lb_kind"), method("lvs_method"),
		leaf("protocol", "", oneOf(protocols), func(b *b) *Protocol { return &b.Protocol },
			"the transport protocol").as(otherwise[b]("UDP, with a warning")),
		leaf("persistence_timeout", "0", persistence(),
			func(b *b) *time.Duration { return &b.Persistence },
			"keeps a client on its real server"),
		leaf("weight", "1", number[int](0, 65535), func(b *b) *int { return &b.weight },
			"weight of real servers that name none"),
		leaf("inhibit_on_failure", "off", boolean(), func(b *b) *bool { return &b.inhibit },
			"weight 0 instead of taking a failed real server out"),
		leaf("sorry_server", "", addressPort(),
			func(b *b) *netip.AddrPort { return &b.SorryServer },
			"serves while the quorum is lost"),
		leaf("sorry_server_inhibit", "off", boolean(), func(b *b) *bool { return &b.SorryInhibit },
			"the sorry server stays in the table with weight 0 while it is not needed"),
	}
}

func setForward(d *decoder, s *serverBlock, n *Node) {
	args := n.Args()
	if len(args) == 0 {
		d.misfit(n, 0, "one of NAT, DR, TUN", nil)
		return
	}
	f, ok := forwards.value(args[0].Text)
	if !ok {
		d.misfit(n, 0, "one of NAT, DR, TUN", forwards.words())
		return
	}
	s.Forward = f
	for _, w := range args[1:] {
		d.warn(w.Pos, "%s %q: has no effect yet in this version", n.Keyword(), w.Text)
	}
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
	}
}

func quorumKeywords() []keyword[serverBlock] {
	type b = serverBlock
	return []keyword[b]{
		leaf("quorum", "1", number[int](1, 1<<30), func(b *b) *int { return &b.Quorum },
			"weight of live real servers needed to be up"),
		leaf("hysteresis", "0", number[int](0, 1<<30), func(b *b) *int { return &b.Hysteresis },
			"weight above the quorum to come up, below it to go down"),
		scriptLeaf("quorum_up", func(b *b) **Script { return &b.QuorumUp },
			"run when the quorum is gained").as(isIdle),
		scriptLeaf("quorum_down", func(b *b) **Script { return &b.QuorumDown },
			"run when the quorum is lost").as(isIdle),
		leaf("omega", "off", boolean(), func(b *b) *bool { return &b.Omega },
			"runs the down scripts at the stop").as(isIdle),
	}
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
		times("delay_loop", time.Millisecond,
			func(t *timing) *time.Duration { return &t.delayLoop }, "from one check to the next"),
		times("connect_timeout", time.Millisecond,
			func(t *timing) *time.Duration { return &t.connectTimeout }, "bounds one attempt"),
		times("delay_before_retry", 0,
			func(t *timing) *time.Duration { return &t.retryDelay },
			"from a failed attempt to the next").
			as(otherwise[T]("1; 3 for HTTP_GET")),
		times("warmup", 0, func(t *timing) *time.Duration { return &t.warmup },
			"upper bound of the random delay of the first check").
			as(otherwise[T]("as delay_loop")),
		leaf("retry", "", number[int](0, 1000), func(t *T) *int { return &at(t).retry },
			"attempts after the first that failed").as(otherwise[T]("1")),
		leaf("alpha", "", boolean(), func(t *T) *bool { return &at(t).alpha },
			"down until the first check that succeeds").as(otherwise[T]("off")),
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

func realTable() *table[realBlock] {
	type b = realBlock
	return newTable("real_server",
		[]keyword[b]{
			leaf("weight", "", number[int](0, 65535), func(b *b) *int { return &b.Weight },
				"its share of the work").as(otherwise[b]("as in virtual_server")),
			leaf("inhibit_on_failure", "", boolean(),
				func(b *b) *bool { return &b.InhibitOnFailure },
				"weight 0 instead of taking it out when it fails").
				as(otherwise[b]("as in virtual_server")),
			scriptLeaf("notify_up", func(b *b) **Script { return &b.NotifyUp },
				"run when it comes up").as(isIdle),
			scriptLeaf("notify_down", func(b *b) **Script { return &b.NotifyDown },
				"run when it goes down").as(isIdle),
		},
		timingKeywords(nil, func(b *b) *timing { return &b.timing }),
		checkerBlocks(),
		idleWords[b](realIdle))
}

// addReal settles what does not need the virtual server: its header may not be read yet.
func addReal(d *decoder, s *serverBlock, r *realBlock, n *Node) {
	a, ok := arguments(d, n, addressPort())
	if !ok {
		return
	}
	r.Pos, r.Address, r.Alpha = n.Pos(), a, r.timing.alpha
	s.reals = append(s.reals, *r)
}
