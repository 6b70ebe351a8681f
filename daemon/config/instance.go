package config

import (
	"net/netip"
	"strconv"
	"time"
)

// instanceBlock is an Instance while it is read, with what has to be known of how it was written.
type instanceBlock struct {
	Instance
	node *Node
	// source is mcast_src_ip, which Source takes where the adverts are multicast.
	source netip.Addr
	// xmitBase is vmac_xmit_base, which stands beside use_vmac.
	xmitBase bool
	// without is no_virtual_ipaddress.
	without bool
}

func newInstance(r *root) instanceBlock {
	return instanceBlock{Instance: Instance{
		Preempt: true, Accept: true, GARP: r.global.GARP, Strict: r.global.Strict,
		SkipCheckAdvertAddresses: r.global.SkipCheckAdvertAddresses,
		Rules:                    r.global.Adverts.rules(),
	}}
}

// rules are what instances inherit.
func (a *Adverts) rules() AdvertRules {
	return AdvertRules{
		DownTimer: a.DownTimer, LowerPriorityNoAdvert: a.LowerPriorityNoAdvert,
		HigherPrioritySendAdvert: a.HigherPrioritySendAdvert, OwnerIgnore: a.OwnerIgnore,
		CheckUnicastSource: a.CheckUnicastSource, ChecksumAsV2: a.ChecksumAsV2,
		PriorityChanges: a.PriorityChanges,
	}
}

func instanceTable() *table[instanceBlock] {
	type b = instanceBlock
	extra := leaf("garp_extra_if", "", extraGARP(),
		func(b *b) *ExtraGARP { return &b.GARP.Extra },
		"announces VIPs again and again: those on macvlans, or all").
		as(inherits[b]("as vrrp_garp_extra_if"))
	return newTable("vrrp_instance",
		electionKeywords(),
		pendingBut([]string{"skip_check_adv_addr", "down_timer_adverts", "lower_prio_no_advert",
			"higher_prio_send_advert", "owner_ignore_adverts", "check_unicast_src",
			"v3_checksum_as_v2", "notify_priority_changes", "fast_takeover",
			"step_down_if_vip_deleted", "strict_mode"},
			electionRules()...),
		transportKeywords(),
		pendingBut([]string{"use_vmac", "vmac_xmit_base", "use_vmac_addr", "vrf", "use_ipvlan"},
			macvlanKeywords()...),
		addressKeywords(),
		routeKeywords(),
		[]keyword[b]{extra, extra.alias("vmac_garp_intvl")},
		garpKeywords("", nil, func(b *b) *GARP { return &b.GARP }),
		pendingBut([]string{"track_script", "track_file", "track_process", "track_bfd"},
			trackKeywords(func(b *b) *Tracks { return &b.Tracks })...),
		notifyKeywords(func(b *b) *Notify { return &b.Notify }),
		instanceNotify(),
		instanceRest(),
		refused("no auth_hmac: peers that want it would take no advert of this version",
			hmacKeyword()))
}

func electionKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		leaf("state", "", oneOf(states), func(b *b) *State { return &b.State },
			"a hint; an instance starts as backup unless its priority is 255").
			as(otherwise[b]("BACKUP")),
		leaf("virtual_router_id", "", number[uint8](1, 255),
			func(b *b) *uint8 { return &b.VRID }, "names the virtual router on its network").
			as(otherwise[b]("none: it must be given")),
		leaf("priority", "", number[uint8](1, 255),
			func(b *b) *uint8 { return &b.Priority }, "the highest becomes master").
			as(otherwise[b]("100, or 255 with state MASTER")),
		leaf("version", "", number[int](2, 3), func(b *b) *int { return &b.Version },
			"VRRP version").as(otherwise[b]("as vrrp_version; 3 for IPv6")),
		leaf("advert_int", "1", seconds(10*time.Millisecond, 255*time.Second),
			func(b *b) *time.Duration { return &b.AdvertInterval }, "from one advert to the next"),
		leaf("preempt", "", noValue(true), func(b *b) *bool { return &b.Preempt },
			"takes over from a master of lower priority").as(otherwise[b]("preempt")),
		leaf("nopreempt", "", noValue(false), func(b *b) *bool { return &b.Preempt },
			"leaves a live master of lower priority alone").as(inherits[b]("preempt")),
		leaf("preempt_delay", "0", seconds(0, 1000*time.Second),
			func(b *b) *time.Duration { return &b.PreemptDelay }, "waits before it preempts"),
		nested("authentication", authTable(), zero[b, Auth], setAuth,
			"version 2 authentication").as(writes(authTable(), zero[b, Auth], authOf, nil)),
	}
}

func authOf(b *instanceBlock) []Auth {
	if b.Auth.Type == AuthNone {
		return nil
	}
	return []Auth{b.Auth}
}

func electionRules() []keyword[instanceBlock] {
	type b = instanceBlock
	rule := func(name string, at func(*AdvertRules) *bool, doc string) keyword[b] {
		return leaf(name, "", boolean(), func(b *b) *bool { return at(&b.Rules) }, doc).
			as(inherits[b]("as vrrp_" + name))
	}
	checksum := rule("v3_checksum_as_v2", func(r *AdvertRules) *bool { return &r.ChecksumAsV2 },
		"checksum of IPv4 adverts of version 3 without pseudo header").
		as(inherits[b]("as v3_checksum_as_v2 of global_defs"))
	return []keyword[b]{
		leaf("strict_mode", "", boolean(), func(b *b) *bool { return &b.Strict },
			"refuses what the RFC does not have").as(inherits[b]("as vrrp_strict")),
		leaf("skip_check_adv_addr", "", boolean(),
			func(b *b) *bool { return &b.SkipCheckAdvertAddresses },
			"checks the addresses of a master's adverts only once").
			as(inherits[b]("as vrrp_skip_check_adv_addr")),
		leaf("down_timer_adverts", "", number[int](1, 100),
			func(b *b) *int { return &b.Rules.DownTimer },
			"intervals without an advert after which the master counts as down").
			as(inherits[b]("as vrrp_down_timer_adverts")),
		rule("lower_prio_no_advert",
			func(r *AdvertRules) *bool { return &r.LowerPriorityNoAdvert },
			"a master does not answer an advert of lower priority"),
		rule("higher_prio_send_advert",
			func(r *AdvertRules) *bool { return &r.HigherPrioritySendAdvert },
			"a master that hears a higher priority sends a last advert"),
		rule("owner_ignore_adverts", func(r *AdvertRules) *bool { return &r.OwnerIgnore },
			"an owner of the addresses ignores adverts"),
		rule("check_unicast_src", func(r *AdvertRules) *bool { return &r.CheckUnicastSource },
			"drops unicast adverts of others than the peers"),
		checksum,
		rule("notify_priority_changes",
			func(r *AdvertRules) *bool { return &r.PriorityChanges },
			"tells scripts and FIFOs of changes of the priority"),
		leaf("step_down_if_vip_deleted", "", boolean(),
			func(b *b) *bool { return &b.Rules.StepDown },
			"a master resigns whose VIP somebody deletes; otherwise it is only put back; not in "+
				"keepalived").as(otherwise[b]("off")),
		leaf("fast_takeover", "", boolean(), func(b *b) *bool { return &b.Rules.FastTakeover },
			"takes over at once from a master that resigns; for two routers only; not in keepalived").
			as(otherwise[b]("off")),
	}
}

func transportKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	ks := []keyword[b]{
		leaf("interface", "", deviceName(), func(b *b) *string { return &b.Interface },
			"carries the adverts").as(otherwise[b]("none: it must be given")),
	}
	peers := list("unicast_peer", "IP [min_ttl N] [max_ttl N]", parsePeer, (*Peer).words,
		func(b *b) *[]Peer { return &b.Peers }, "sends adverts to these by unicast")
	ks = append(ks, peers,
		leaf("unicast_src_ip", "", address(), func(b *b) *netip.Addr { return &b.Source },
			"source of unicast adverts").as(otherwise[b]("the first address of the interface")).
			as(unless(multicasts)),
		leaf("mcast_src_ip", "", address(), func(b *b) *netip.Addr { return &b.source },
			"source of multicast adverts").as(otherwise[b]("the first address of the interface")))
	working := []string{"mcast_dst_ip", "unicast_ttl", "track_src_ip", "old_unicast_checksum",
		"no_accept", "track_interface", "dont_track_primary", "unicast_fault_no_peer"}
	return append(ks, pendingBut(working,
		leaf("mcast_dst_ip", "", address(), func(b *b) *netip.Addr { return &b.Group },
			"destination of multicast adverts").
			as(otherwise[b]("as vrrp_mcast_group4 or vrrp_mcast_group6")),
		list("track_interface", "INTERFACE [weight N [reverse|noreverse]]", parseTrackInterface,
			(*TrackInterface).words, func(b *b) *[]TrackInterface { return &b.TrackInterfaces },
			"depends on these interfaces as well"),
		leaf("dont_track_primary", "off", boolean(),
			func(b *b) *bool { return &b.DontTrackPrimary },
			"does not depend on its own interface"),
		leaf("unicast_ttl", "255", number[uint8](0, 255), func(b *b) *uint8 { return &b.UnicastTTL },
			"TTL of unicast adverts"),
		leaf("unicast_fault_no_peer", "off", boolean(),
			func(b *b) *bool { return &b.FaultWithoutPeer },
			"adverts are unicast; in fault while there is no unicast_peer"),
		leaf("track_src_ip", "off", boolean(), func(b *b) *bool { return &b.TrackSource },
			"falls into fault when the source address is gone"),
		leaf("old_unicast_checksum", "", orNothing(choice("never", "always"), "always", ""),
			func(b *b) *string { return &b.OldChecksum },
			"checksum of unicast adverts as very old versions have it").
			as(otherwise[b]("found out")),
		leaf("no_accept", "", noValue(false), func(b *b) *bool { return &b.Accept },
			"drops what goes to the VIPs").as(inherits[b]("accept")))...)
}

// multicasts says whether the adverts are multicast, so that Source is written as mcast_src_ip.
func multicasts(b *instanceBlock) bool { return len(b.Peers) == 0 }

// unless leaves a keyword out of what is written.
func unless[T any](without func(*T) bool) func(*keyword[T]) {
	return func(k *keyword[T]) {
		write := k.write
		k.write = func(p *printer, k *keyword[T], t, base *T) {
			if !without(t) {
				write(p, k, t, base)
			}
		}
	}
}

func routeKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		list("virtual_routes", routeUsage, parseRoute, (*Route).words,
			func(b *b) *[]Route { return &b.Routes }, "routes of the master"),
		list("virtual_rules", ruleUsage, parseRule, (*Rule).words,
			func(b *b) *[]Rule { return &b.PolicyRules }, "routing rules of the master"),
		leaf("promote_secondaries", "off", boolean(),
			func(b *b) *bool { return &b.PromoteSecondaries },
			"an address keeps the others of its subnet when it goes"),
	}
}

func instanceNotify() []keyword[instanceBlock] {
	type b = instanceBlock
	prio := orNothing(number[int](1, 254), 0, "")
	late := keyword[b]{
		name: "timer_expired_backup", usage: prio.usage, otherwise: "off",
		doc: "how late a master is before it becomes backup: as late as a backup of this priority " +
			"waits, else as the least patient",
		set: func(d *decoder, b *b, n *Node) {
			b.LatePriority, b.BackupIfLate = arguments(d, n, prio)
		},
		write: func(p *printer, _ *keyword[b], b, _ *b) {
			if b.BackupIfLate {
				p.statement(false, "timer_expired_backup", prio.words(b.LatePriority))
			}
		},
	}
	return []keyword[b]{
		{
			name: "notify_deleted", usage: "perhaps " + command().usage, script: true,
			doc: "run, and DELETED told, when a reload takes it out", otherwise: "off",
			set: setDeleted, write: writeDeleted,
		},
		scriptLeaf("notify_master_rx_lower_pri",
			func(b *b) **Script { return &b.Notify.LowerPriority },
			"run when a master hears a lower priority"),
		late, late.alias("thread_timer_expired"),
	}
}

func setDeleted(d *decoder, b *instanceBlock, n *Node) {
	b.Notify.TellDeleted = true
	if len(n.Args()) > 0 {
		b.Notify.Deleted, _ = arguments(d, n, command())
	}
}

func writeDeleted(p *printer, _ *keyword[instanceBlock], b, _ *instanceBlock) {
	if b.Notify.TellDeleted {
		p.statement(true, "notify_deleted", command().words(b.Notify.Deleted))
	}
}

func instanceRest() []keyword[instanceBlock] {
	type b = instanceBlock
	ks := []keyword[b]{
		leaf("accept", "", noValue(true), func(b *b) *bool { return &b.Accept },
			"lets the master answer on the VIPs").as(otherwise[b]("accept")),
	}
	ks = append(ks, refused("a virtual_ipaddress: this version has no instance without",
		leaf("no_virtual_ipaddress", "off", boolean(), func(b *b) *bool { return &b.without },
			"an instance without VIPs").as(unwritten))...)
	ks = append(ks, needless("adverts are few, and read as they come",
		leaf("kernel_rx_buf_size", "", number[int](1, 1<<30),
			func(b *b) *int { return &b.ReceiveBuffer }, "bytes of the buffer for adverts").
			as(otherwise[b]("the kernel's")))...)
	ks = append(ks, needless("-D says how much is logged",
		leaf("debug", "0", number[int](0, 4), func(b *b) *int { return &b.Debug },
			"how much is logged"))...)
	ks = append(ks, needless("the VIPs say the family",
		leaf("native_ipv6", "off", boolean(), func(b *b) *bool { return &b.NativeIPv6 },
			"an instance of IPv6"))...)
	ks = append(ks, needless("the kernel reports the state of every link",
		leaf("linkbeat_use_polling", "off", boolean(), func(b *b) *bool { return &b.PollLink },
			"asks for the state of the interface"))...)
	return append(ks, leaf("lvs_sync_daemon_interface", "", deviceName(),
		func(b *b) *string { return &b.SyncInterface },
		"synchronises connections over this interface, as lvs_sync_daemon does"))
}

func parsePeer(d *decoder, keyword string, ws []Word) (Peer, bool) {
	a, ok := parseAddr(ws[0].Text)
	if !ok {
		d.fail(ws[0].Pos, "%s %q: expected an IP address", keyword, ws[0].Text)
		return Peer{}, false
	}
	p := Peer{Addr: a, MaxTTL: 255}
	ok = d.options(keyword, ws[1:], options{
		"min_ttl": {takes: 1, set: func(w Word) bool { return ttl(w, &p.MinTTL) }},
		"max_ttl": {takes: 1, set: func(w Word) bool { return ttl(w, &p.MaxTTL) }},
	})
	if ok && p.MinTTL > p.MaxTTL {
		d.fail(ws[0].Pos, "%s %q: expected min_ttl of at most max_ttl", keyword, ws[0].Text)
	}
	return p, true
}

func (p *Peer) words() []string {
	return []string{p.Addr.String(), "min_ttl", strconv.Itoa(int(p.MinTTL)),
		"max_ttl", strconv.Itoa(int(p.MaxTTL))}
}

func ttl(w Word, at *uint8) bool { return into(number[uint8](0, 255), w, at) }

// into reads one word in a form and says whether it fits.
func into[V any](f form[V], w Word, at *V) bool {
	v, bad := f.parse([]Word{w})
	if bad == fits {
		*at = v
	}
	return bad == fits
}

func parseTrackInterface(d *decoder, keyword string, ws []Word) (TrackInterface, bool) {
	t := TrackInterface{Name: ws[0].kept()}
	if !isDevice(t.Name) {
		d.fail(ws[0].Pos, "%s %q: expected the name of an interface", keyword, t.Name)
		return t, false
	}
	d.options(keyword, ws[1:], options{
		"weight": {takes: 1, set: func(w Word) bool {
			return into(number[int](-253, 253), w, &t.Weight)
		}},
		"reverse":    {set: func(Word) bool { t.Reverse = true; return true }},
		"noreverse":  {},
		"no_reverse": {},
	})
	return t, true
}

func (t *TrackInterface) words() []string {
	ws := []string{t.Name, "weight", strconv.Itoa(t.Weight)}
	if t.Reverse {
		ws = append(ws, "reverse")
	}
	return ws
}

// notifyKeywords are the scripts of instances and groups.
func notifyKeywords[T any](at func(*T) *Notify) []keyword[T] {
	var ks []keyword[T]
	for _, s := range []struct {
		name, doc string
		at        func(*Notify) **Script
	}{
		{"notify_master", "run on becoming master", func(n *Notify) **Script { return &n.Master }},
		{"notify_backup", "run on becoming backup", func(n *Notify) **Script { return &n.Backup }},
		{"notify_fault", "run on falling into fault", func(n *Notify) **Script { return &n.Fault }},
		{"notify_stop", "run at the stop", func(n *Notify) **Script { return &n.Stop }},
		{"notify", "run at each transition", func(n *Notify) **Script { return &n.Any }},
	} {
		ks = append(ks, scriptLeaf(s.name, func(t *T) **Script { return s.at(at(t)) }, s.doc))
	}
	return append(ks, leaf("smtp_alert", "", switched(),
		func(t *T) *Switch { return &at(t).Mail }, "mail at each transition").
		as(otherwise[T]("as smtp_alert_vrrp")))
}
