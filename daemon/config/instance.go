package config

import (
	"net/netip"
	"time"
)

// instanceIdle are the keywords of a vrrp_instance that are known and change nothing yet.
const instanceIdle = `
	no_virtual_ipaddress promote_secondaries virtual_routes{} virtual_rules{}
	track_script{} track_file{} track_process{} track_bfd{} track_src_ip unicast_ttl
	unicast_fault_no_peer check_unicast_src old_unicast_checksum v3_checksum_as_v2
	kernel_rx_buf_size owner_ignore_adverts use_vmac_addr use_ipvlan vrf garp_extra_if
	vmac_garp_intvl down_timer_adverts lower_prio_no_advert higher_prio_send_advert
	timer_expired_backup thread_timer_expired notify_deleted() notify_master_rx_lower_pri()
	notify_priority_changes debug native_ipv6 linkbeat_use_polling lvs_sync_daemon_interface`

// instanceBlock is an Instance while it is read, with what has to be known of how it was written.
type instanceBlock struct {
	Instance
	node *Node
	// source is mcast_src_ip, which Source takes where the adverts are multicast.
	source netip.Addr
	// xmitBase is vmac_xmit_base, which stands beside use_vmac.
	xmitBase bool
}

func newInstance(r *root) instanceBlock {
	return instanceBlock{Instance: Instance{
		Preempt: true, Accept: true, GARP: r.global.GARP, Strict: r.global.Strict,
		SkipCheckAdvertAddresses: r.global.SkipCheckAdvertAddresses,
	}}
}

func instanceTable() *table[instanceBlock] {
	return newTable("vrrp_instance",
		electionKeywords(),
		transportKeywords(),
		addressKeywords(),
		garpKeywords("", nil, func(b *instanceBlock) *GARP { return &b.GARP }),
		notifyKeywords(func(b *instanceBlock) *Notify { return &b.Notify }),
		[]keyword[instanceBlock]{idleBlock[instanceBlock]("auth_hmac", hmacTable())},
		idleWords[instanceBlock](instanceIdle))
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
		leaf("advert_int", "1", seconds(10*time.Millisecond, 255*time.Second),
			func(b *b) *time.Duration { return &b.AdvertInterval }, "from one advert to the next"),
		leaf("version", "", number[int](2, 3), func(b *b) *int { return &b.Version },
			"VRRP version").as(otherwise[b]("as vrrp_version; 3 for IPv6")),
		leaf("preempt", "", noValue(true), func(b *b) *bool { return &b.Preempt },
			"takes over from a master of lower priority").as(otherwise[b]("preempt")),
		leaf("nopreempt", "", noValue(false), func(b *b) *bool { return &b.Preempt },
			"leaves a live master of lower priority alone").as(otherwise[b]("preempt")),
		leaf("preempt_delay", "0", seconds(0, 1000*time.Second),
			func(b *b) *time.Duration { return &b.PreemptDelay }, "waits before it preempts"),
		nested("authentication", authTable(), func(*b) Auth { return Auth{} }, setAuth,
			"version 2 authentication"),
		leaf("strict_mode", "", boolean(), func(b *b) *bool { return &b.Strict },
			"refuses what the RFC does not have").as(otherwise[b]("as vrrp_strict")).as(isIdle),
		leaf("skip_check_adv_addr", "", boolean(),
			func(b *b) *bool { return &b.SkipCheckAdvertAddresses },
			"checks the addresses of a master's adverts only once").
			as(otherwise[b]("as vrrp_skip_check_adv_addr")).as(isIdle),
	}
}

// otherwise describes a default that code works out.
func otherwise[T any](how string) func(*keyword[T]) {
	return func(k *keyword[T]) { k.otherwise = how }
}

func authTable() *table[Auth] {
	return newTable("authentication", []keyword[Auth]{
		leaf("auth_type", "", oneOf(authTypes), func(a *Auth) *AuthType { return &a.Type },
			"kind of authentication"),
		leaf("auth_pass", "", text("a password of up to 8 characters"),
			func(a *Auth) *string { return &a.Password }, "the password"),
	})
}

func hmacTable() *table[skipped] {
	return newTable("auth_hmac",
		quietWords[skipped]("key active_key anti_replay time_window mode"))
}

func setAuth(d *decoder, b *instanceBlock, a *Auth, n *Node) {
	d.noArguments(n)
	if len(a.Password) > 8 {
		d.warn(n.Pos(), "auth_pass: expected up to 8 characters; the rest is cut off")
		a.Password = a.Password[:8]
	}
	switch {
	case a.Type == AuthNone:
		d.fail(n.Pos(), "authentication: expected auth_type PASS or AH in it")
	case a.Type == AuthHeader:
		d.warn(n.Pos(), "auth_type \"AH\": has no effect yet in this version")
		*a = Auth{}
	case a.Password == "":
		d.fail(n.Pos(), "authentication: expected auth_pass in it")
	}
	b.Auth = *a
}

func transportKeywords() []keyword[instanceBlock] {
	type b = instanceBlock
	return []keyword[b]{
		leaf("interface", "", deviceName(), func(b *b) *string { return &b.Interface },
			"carries the adverts").as(otherwise[b]("none: it must be given")),
		leaf("unicast_src_ip", "", address(), func(b *b) *netip.Addr { return &b.Source },
			"source of unicast adverts").as(otherwise[b]("the first address of the interface")),
		leaf("mcast_src_ip", "", address(), func(b *b) *netip.Addr { return &b.source },
			"source of multicast adverts").as(otherwise[b]("the first address of the interface")),
		leaf("mcast_dst_ip", "", address(), func(b *b) *netip.Addr { return &b.Group },
			"destination of multicast adverts").
			as(otherwise[b]("224.0.0.18 or ff02::12")).as(isIdle),
		list("unicast_peer", "IP [min_ttl N] [max_ttl N]", addPeer,
			"sends adverts to these by unicast"),
		list("track_interface", "INTERFACE [weight N [reverse]]", addTrackInterface,
			"depends on these interfaces as well").as(isIdle),
		leaf("dont_track_primary", "off", boolean(),
			func(b *b) *bool { return &b.DontTrackPrimary },
			"does not depend on its own interface").as(isIdle),
		{
			name: "use_vmac", usage: "perhaps a name",
			doc:  "VIPs on a macvlan with the virtual MAC",
			idle: true, set: setVMAC,
		},
		leaf("vmac_xmit_base", "off", boolean(), func(b *b) *bool { return &b.xmitBase },
			"sends adverts from the interface under the macvlan").as(isIdle),
		leaf("accept", "", noValue(true), func(b *b) *bool { return &b.Accept },
			"lets the master answer on the VIPs").as(otherwise[b]("accept")),
		leaf("no_accept", "", noValue(false), func(b *b) *bool { return &b.Accept },
			"drops what goes to the VIPs").as(otherwise[b]("accept")).as(isIdle),
	}
}

func addPeer(d *decoder, b *instanceBlock, ws []Word) {
	a, ok := parseAddr(ws[0].Text)
	if !ok {
		d.fail(ws[0].Pos, "unicast_peer %q: expected an IP address", ws[0].Text)
		return
	}
	p := Peer{Addr: a, MaxTTL: 255}
	ok = d.options("unicast_peer", ws[1:], options{
		"min_ttl": {takes: 1, set: func(w Word) bool { return ttl(w, &p.MinTTL) }},
		"max_ttl": {takes: 1, set: func(w Word) bool { return ttl(w, &p.MaxTTL) }},
	})
	if ok && p.MinTTL > p.MaxTTL {
		d.fail(ws[0].Pos, "unicast_peer %q: expected min_ttl of at most max_ttl", ws[0].Text)
	}
	b.Peers = append(b.Peers, p)
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

func addTrackInterface(d *decoder, b *instanceBlock, ws []Word) {
	if !isDevice(ws[0].Text) {
		d.fail(ws[0].Pos, "track_interface %q: expected the name of an interface", ws[0].Text)
		return
	}
	t := TrackInterface{Name: ws[0].Text}
	d.options("track_interface", ws[1:], options{
		"weight": {takes: 1, set: func(w Word) bool {
			return into(number[int](-253, 253), w, &t.Weight)
		}},
		"reverse": {set: func(Word) bool { t.Reverse = true; return true }},
	})
	b.TrackInterfaces = append(b.TrackInterfaces, t)
}

func setVMAC(d *decoder, b *instanceBlock, n *Node) {
	b.VMAC = &VMAC{}
	if len(n.Args()) == 0 {
		return
	}
	if w := n.Args()[0]; isDevice(w.Text) {
		b.VMAC.Name = w.Text
	} else {
		d.misfit(n, 0, "the name of an interface", nil)
	}
	for _, w := range n.Args()[1:] {
		d.warn(w.Pos, "use_vmac %q: has no effect yet in this version", w.Text)
	}
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
		ks = append(ks, scriptLeaf(s.name, func(t *T) **Script { return s.at(at(t)) }, s.doc).
			as(isIdle))
	}
	return append(ks, idleWords[T]("smtp_alert")...)
}
