package config

import (
	"net/netip"
	"strings"
	"time"
)

const (
	// longest is the longest time that a keyword without a narrower range takes.
	longest = 24 * time.Hour
	// unset marks numbers and times that are worked out after their block was read.
	unset = -1
)

func globalTable() *table[Global] {
	return newTable("global_defs",
		identityKeywords(),
		mailKeywords(),
		pendingBut([]string{"smtp_alert", "smtp_alert_vrrp", "smtp_alert_checker",
			"no_email_faults", "rs_init_notifies",
			"checker_log_all_failures"}, alertKeywords()...),
		needless("there is no mail about single checks",
			leaf("no_checker_emails", "off", boolean(),
				func(g *global) *bool { return &g.Alerts.NoCheckers },
				"no mail about single checks")),
		scriptKeywords(),
		needless("scripts are always run by their paths as written",
			leaf("use_symlink_paths", "off", boolean(),
				func(g *global) *bool { return &g.Start.SymlinkPaths },
				"runs scripts by their paths as written, links and all")),
		pendingBut([]string{"vrrp_skip_check_adv_addr", "vrrp_mcast_group4", "vrrp_mcast_group6",
			"vrrp_down_timer_adverts", "vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert",
			"vrrp_owner_ignore_adverts", "vrrp_check_unicast_src", "v3_checksum_as_v2", "vmac_prefix",
			"vrrp_notify_priority_changes", "vrrp_strict", "vmac_addr_prefix",
			"log_unknown_vrids", "disable_local_igmp"},
			advertDefaults()...),
		garpDefaults(),
		pendingBut([]string{"startup_script", "startup_script_timeout", "shutdown_script",
			"shutdown_script_timeout", "umask", "vrrp_startup_delay", "vrrp_delay_after_boot"}, startKeywords()...),
		schedulingKeywords(),
		firewallKeywords(),
		lvsKeywords(),
		fifoKeywords(),
		snmpKeywords(),
		busKeywords(),
		needless("adverts and messages are read as they come, from the kernel's buffers",
			bufferKeywords()...),
		fileKeywords(),
		reloadKeywords(),
		languageKeywords(),
		linkKeywords())
}

// global shortens the tables of global_defs.
type global = Global

func identityKeywords() []keyword[global] {
	return []keyword[global]{
		leaf("router_id", "", text("one name"),
			func(g *global) *string { return &g.RouterID }, "names this director").
			as(otherwise[global]("the host's name")),
		leaf("vrrp_version", "2", number[int](2, 3),
			func(g *global) *int { return &g.Version },
			"VRRP version of instances that name none"),
	}
}

func mailKeywords() []keyword[global] {
	return []keyword[global]{
		mailList(),
		leaf("notification_email_from", "", text("one address of mail"),
			func(g *global) *string { return &g.Mail.From }, "sender of mail").
			as(otherwise[global]("the user at the host's name")),
		leaf("smtp_server", "", hostPort(),
			func(g *global) *HostPort { return &g.Mail.Server }, "takes the mail").
			as(otherwise[global]("none: no mail is sent")),
		leaf("smtp_helo_name", "", text("one name"),
			func(g *global) *string { return &g.Mail.Helo }, "name in HELO").
			as(otherwise[global]("the host's name")),
		leaf("smtp_connect_timeout", "30", seconds(time.Millisecond, longest),
			func(g *global) *time.Duration { return &g.Mail.ConnectTimeout },
			"bounds the connection to smtp_server"),
		leaf("smtp_starttls", "", choice("off", "offered", "required"),
			func(g *global) *string { return &g.Mail.StartTLS },
			"encrypts mail, if smtp_server offers it or always; not in keepalived").
			as(otherwise[global]("off")),
		leaf("smtp_user", "", text("one name"), func(g *global) *string { return &g.Mail.User },
			"logs in to smtp_server, through TLS or on this machine; not in keepalived").
			as(otherwise[global]("nobody")),
		leaf("smtp_password", "", text("a password"),
			func(g *global) *string { return &g.Mail.Password },
			"password of smtp_user; not in keepalived"),
		leaf("smtp_password_file", "", file(),
			func(g *global) *string { return &g.Mail.PasswordFile },
			"its first line is the password of smtp_user; not in keepalived"),
	}
}

// checkMail checks what the keywords of mail say together; n is a block of them.
func (d *decoder) checkMail(m *Mail, n *Node) {
	at := func(keyword string) Pos { return n.placeOf(keyword) }
	switch {
	case m.Password != "" && m.PasswordFile != "":
		d.warn(at("smtp_password"), "smtp_password: expected no smtp_password_file beside it; the "+
			"file counts")
	case m.User == "" && m.Password+m.PasswordFile != "":
		d.warn(at("smtp_password"), "smtp_password: expected smtp_user beside it; nobody logs in")
	case m.User != "" && m.Password+m.PasswordFile == "":
		d.fail(at("smtp_user"), "smtp_user %q: expected smtp_password or smtp_password_file beside it",
			m.User)
	}
}

// mailList is the one list with several values on a line.
func mailList() keyword[global] {
	k := list("notification_email", "addresses of mail", nil,
		func(s *string) []string { return []string{*s} },
		func(g *global) *[]string { return &g.Mail.To }, "who gets mail")
	k.set = func(d *decoder, g *global, n *Node) {
		d.noArguments(n)
		for _, c := range n.Children {
			for _, w := range c.Words {
				g.Mail.To = append(g.Mail.To, w.kept())
			}
		}
	}
	return k
}

func alertKeywords() []keyword[global] {
	return []keyword[global]{
		leaf("smtp_alert", "", switched(), func(g *global) *Switch { return &g.Alerts.All },
			"default of smtp_alert everywhere").as(otherwise[global]("off")),
		leaf("smtp_alert_vrrp", "", switched(), func(g *global) *Switch { return &g.Alerts.VRRP },
			"default of smtp_alert of instances and groups").as(otherwise[global]("smtp_alert")),
		leaf("smtp_alert_checker", "", switched(),
			func(g *global) *Switch { return &g.Alerts.Checkers },
			"default of smtp_alert of servers").as(otherwise[global]("smtp_alert")),
		leaf("checker_log_all_failures", "off", boolean(),
			func(g *global) *bool { return &g.Alerts.LogAllFailures },
			"logs each failed attempt of a check"),
		leaf("no_email_faults", "off", boolean(),
			func(g *global) *bool { return &g.Alerts.NoFaults }, "no mail about fault"),
		leaf("rs_init_notifies", "off", boolean(),
			func(g *global) *bool { return &g.Alerts.FirstUp },
			"notify_up also for the first time that a real server comes up"),
	}
}

func scriptKeywords() []keyword[global] {
	return []keyword[global]{
		leaf("script_user", "", account(),
			func(g *global) *Account { return &g.ScriptAccount },
			"runs scripts as user and group").
			as(otherwise[global]("keepalived_script if there is such a user, else root")),
		leaf("enable_script_security", "off", boolean(),
			func(g *global) *bool { return &g.ScriptSecurity },
			"refuses scripts of root that others could change"),
		leaf("set_supplementary_groups", "off", boolean(),
			func(g *global) *bool { return &g.Start.SupplementaryGroups },
			"gives scripts all the groups of their user"),
	}
}

func advertDefaults() []keyword[global] {
	flag := func(name string, at func(*Adverts) *bool, doc string) keyword[global] {
		return leaf(name, "off", boolean(), func(g *global) *bool { return at(&g.Adverts) }, doc)
	}
	return []keyword[global]{
		leaf("vrrp_skip_check_adv_addr", "off", boolean(),
			func(g *global) *bool { return &g.SkipCheckAdvertAddresses },
			"checks the addresses of a master's adverts only once"),
		leaf("vrrp_strict", "off", boolean(), func(g *global) *bool { return &g.Strict },
			"refuses what the RFC does not have"),
		leaf("vrrp_mcast_group4", "224.0.0.18", multicast(false),
			func(g *global) *netip.Addr { return &g.Adverts.Group4 },
			"destination of IPv4 adverts"),
		leaf("vrrp_mcast_group6", "ff02::12", multicast(true),
			func(g *global) *netip.Addr { return &g.Adverts.Group6 },
			"destination of IPv6 adverts"),
		leaf("vrrp_down_timer_adverts", "3", number[int](1, 100),
			func(g *global) *int { return &g.Adverts.DownTimer },
			"intervals without an advert after which the master counts as down"),
		flag("vrrp_lower_prio_no_advert",
			func(a *Adverts) *bool { return &a.LowerPriorityNoAdvert },
			"a master does not answer an advert of lower priority"),
		flag("vrrp_higher_prio_send_advert",
			func(a *Adverts) *bool { return &a.HigherPrioritySendAdvert },
			"a master that hears a higher priority sends a last advert"),
		flag("vrrp_owner_ignore_adverts", func(a *Adverts) *bool { return &a.OwnerIgnore },
			"an owner of the addresses ignores adverts"),
		flag("vrrp_check_unicast_src", func(a *Adverts) *bool { return &a.CheckUnicastSource },
			"drops unicast adverts of others than the peers"),
		flag("v3_checksum_as_v2", func(a *Adverts) *bool { return &a.ChecksumAsV2 },
			"checksum of IPv4 adverts of version 3 without pseudo header"),
		flag("vrrp_notify_priority_changes", func(a *Adverts) *bool { return &a.PriorityChanges },
			"tells scripts and FIFOs of changes of the priority"),
		flag("log_unknown_vrids", func(a *Adverts) *bool { return &a.LogUnknownVRIDs },
			"logs adverts of virtual routers that are not configured"),
		flag("disable_local_igmp", func(a *Adverts) *bool { return &a.DisableLocalIGMP },
			"turns off IGMP reports of link-local groups, for the whole network namespace"),
		leaf("vmac_prefix", "vrrp", deviceName(),
			func(g *global) *string { return &g.Adverts.VMACPrefix }, "start of names of macvlans"),
		leaf("vmac_addr_prefix", "", deviceName(),
			func(g *global) *string { return &g.Adverts.VMACAddressPrefix },
			"start of names of macvlans of VIPs on other interfaces").
			as(otherwise[global]("vmac_prefix")),
	}
}

// garpDefaults are the announcements that instances inherit.
func garpDefaults() []keyword[global] {
	at := func(g *global) *GARP { return &g.GARP }
	interval := func(name string, at func(*GARP) *time.Duration, doc string) keyword[global] {
		return leaf(name, "0", seconds(0, longest),
			func(g *global) *time.Duration { return at(&g.GARP) }, doc)
	}
	ks := garpKeywords("vrrp_", map[string]string{
		"garp_master_delay": "5", "garp_master_repeat": "5", "garp_master_refresh": "0",
		"garp_master_refresh_repeat": "1",
	}, at)
	extra := leaf("vrrp_garp_extra_if", "", extraGARP(),
		func(g *global) *ExtraGARP { return &g.GARP.Extra },
		"announces VIPs again and again: those on macvlans, or all")
	ks = append(ks,
		interval("vrrp_garp_interval", func(g *GARP) *time.Duration { return &g.ARPInterval },
			"least time between two gratuitous ARP"),
		interval("vrrp_gna_interval", func(g *GARP) *time.Duration { return &g.NAInterval },
			"least time between two unsolicited NA"),
		leaf("vrrp_min_garp", "off", boolean(), func(g *global) *bool { return &g.GARP.Least },
			"a single gratuitous ARP, and no second announcement"))
	return append(ks, extra, extra.alias("vrrp_vmac_garp_intvl"))
}

// garpKeywords are the keywords that global_defs and instances share, but for a prefix.
func garpKeywords[T any](
	prefix string, defaults map[string]string, at func(*T) *GARP,
) []keyword[T] {
	times := func(name string, field func(*GARP) *time.Duration, doc string) keyword[T] {
		return leaf(prefix+name, defaults[name], seconds(0, longest),
			func(t *T) *time.Duration { return field(at(t)) }, doc)
	}
	counts := func(name string, field func(*GARP) *int, doc string) keyword[T] {
		return leaf(prefix+name, defaults[name], number[int](1, 1000),
			func(t *T) *int { return field(at(t)) }, doc)
	}
	ks := []keyword[T]{
		times("garp_master_delay", func(g *GARP) *time.Duration { return &g.Delay },
			"from becoming master to the second announcement"),
		counts("garp_master_repeat", func(g *GARP) *int { return &g.Repeat },
			"packets of one announcement for each VIP"),
		times("garp_master_refresh", func(g *GARP) *time.Duration { return &g.Refresh },
			"interval of further announcements"),
		counts("garp_master_refresh_repeat", func(g *GARP) *int { return &g.RefreshRepeat },
			"packets of one further announcement"),
		times("garp_lower_prio_delay",
			func(g *GARP) *time.Duration { return &g.LowerPriorityDelay },
			"from hearing a lower priority to the second announcement"),
		counts("garp_lower_prio_repeat", func(g *GARP) *int { return &g.LowerPriorityRepeat },
			"packets of an announcement when a lower priority is heard"),
	}
	for i := range ks {
		how := "as vrrp_" + ks[i].name
		switch {
		case strings.HasSuffix(ks[i].name, "lower_prio_delay"):
			how = "as " + prefix + "garp_master_delay"
		case strings.HasSuffix(ks[i].name, "lower_prio_repeat"):
			how = "as " + prefix + "garp_master_repeat"
		}
		if ks[i].def == "" {
			inherits[T](how)(&ks[i])
		}
	}
	return ks
}

// extraGARP is an interval, and perhaps "all" before it.
func extraGARP() form[ExtraGARP] {
	interval := seconds(time.Millisecond, longest)
	return form[ExtraGARP]{
		usage: "perhaps all, and " + interval.usage,
		parse: func(args []Word) (ExtraGARP, int) {
			var e ExtraGARP
			skip := 0
			if len(args) > 0 && args[0].Text == "all" {
				e.All, skip = true, 1
			}
			var bad int
			if e.Interval, bad = interval.parse(args[skip:]); bad != fits {
				return e, bad + skip
			}
			return e, fits
		},
		words: func(e ExtraGARP) []string {
			ws := interval.words(e.Interval)
			if e.All {
				ws = append([]string{"all"}, ws...)
			}
			return ws
		},
	}
}

// settle works out what was not set from what was.
func (g *GARP) settle() {
	if g.LowerPriorityDelay == unset {
		g.LowerPriorityDelay = g.Delay
	}
	if g.LowerPriorityRepeat == unset {
		g.LowerPriorityRepeat = g.Repeat
	}
}
