package config

import (
	"maps"
	"strings"
	"time"
)

const (
	// longest is the longest time that a keyword without a narrower range takes.
	longest = 24 * time.Hour
	// unset marks numbers and times that are worked out after their block was read.
	unset = -1
)

// globalIdle are the keywords of global_defs that are known and change nothing yet.
const globalIdle = `
	smtp_alert smtp_alert_vrrp smtp_alert_checker checker_log_all_failures no_email_faults
	no_checker_emails rs_init_notifies startup_script() startup_script_timeout shutdown_script()
	shutdown_script_timeout process_names process_name vrrp_process_name checker_process_name
	lvs_process_name bfd_process_name use_symlink_paths set_supplementary_groups umask random_seed
	vrrp_min_garp vrrp_garp_extra_if vrrp_vmac_garp_intvl vrrp_mcast_group4 vrrp_mcast_group6
	vrrp_down_timer_adverts vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert
	vrrp_owner_ignore_adverts vrrp_check_unicast_src v3_checksum_as_v2 vrrp_startup_delay
	vrrp_delay_after_boot dynamic_interfaces default_interface disable_local_igmp
	log_unknown_vrids max_auto_priority min_auto_priority_delay
	vrrp_priority vrrp_no_swap vrrp_rt_priority vrrp_cpu_affinity vrrp_rlimit_rttime
	vrrp_rlimit_rtime checker_priority checker_no_swap checker_rt_priority checker_cpu_affinity
	checker_rlimit_rttime checker_rlimit_rtime bfd_priority bfd_no_swap bfd_rt_priority
	bfd_cpu_affinity bfd_rlimit_rttime bfd_rlimit_rtime
	vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_ifindex nftables_counters
	nftables_ipvs nftables_ipvs_priority nftables_ipvs_start_fwmark
	lvs_sync_daemon lvs_timeouts lvs_flush lvs_flush_on_stop lvs_flush_onstop
	notify_fifo notify_fifo_script() vrrp_notify_fifo vrrp_notify_fifo_script() lvs_notify_fifo
	lvs_notify_fifo_script() vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload
	enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3
	enable_snmp_keepalived snmp_socket enable_traps snmp_vs_stats_update_interval
	snmp_rs_stats_update_interval enable_dbus dbus_service_name dbus_no_interface_name
	vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs
	vrrp_netlink_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs lvs_netlink_cmd_rcv_bufs_force
	lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs
	process_monitor_rcv_bufs_force vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vmac_prefix
	vmac_addr_prefix reload_check_config reload_time_file reload_repeat reload_file
	config_save_dir tmp_config_directory data_use_instance json_version state_dump_file
	stats_dump_file json_dump_file iproute_usr_dir iproute_etc_dir include_check`

func globalTable() *table[Global] {
	return newTable("global_defs",
		[]keyword[Global]{
			leaf("router_id", "", text("one name"),
				func(g *Global) *string { return &g.RouterID }, "names this director"),
			leaf("vrrp_version", "2", number[int](2, 3),
				func(g *Global) *int { return &g.Version },
				"VRRP version of instances that name none"),
			leaf("vrrp_skip_check_adv_addr", "off", boolean(),
				func(g *Global) *bool { return &g.SkipCheckAdvertAddresses },
				"checks the addresses of a master's adverts only once").as(isIdle),
			leaf("vrrp_strict", "off", boolean(),
				func(g *Global) *bool { return &g.Strict },
				"refuses what the RFC does not have").as(isIdle),
			leaf("script_user", "", account(),
				func(g *Global) *Account { return &g.ScriptAccount },
				"runs scripts as user and group").as(isIdle),
			leaf("enable_script_security", "off", boolean(),
				func(g *Global) *bool { return &g.ScriptSecurity },
				"refuses scripts of root that others could change").as(isIdle),
			leaf("vrrp_garp_interval", "0", seconds(0, longest),
				func(g *Global) *time.Duration { return &g.GARP.ARPInterval },
				"least time between two gratuitous ARP").as(isIdle),
			leaf("vrrp_gna_interval", "0", seconds(0, longest),
				func(g *Global) *time.Duration { return &g.GARP.NAInterval },
				"least time between two unsolicited NA").as(isIdle),
		},
		mailKeywords(),
		garpKeywords("vrrp_", map[string]string{
			"garp_master_delay": "5", "garp_master_repeat": "5", "garp_master_refresh": "0",
			"garp_master_refresh_repeat": "1",
		}, func(g *Global) *GARP { return &g.GARP }),
		idleWords[Global](globalIdle))
}

func mailKeywords() []keyword[Global] {
	ks := []keyword[Global]{
		list("notification_email", "addresses of mail", func(_ *decoder, g *Global, ws []Word) {
			for _, w := range ws {
				g.Mail.To = append(g.Mail.To, w.Text)
			}
		}, "who gets mail"),
		leaf("notification_email_from", "", text("one address of mail"),
			func(g *Global) *string { return &g.Mail.From }, "sender of mail"),
		leaf("smtp_server", "", hostPort(),
			func(g *Global) *HostPort { return &g.Mail.Server }, "takes the mail"),
		leaf("smtp_helo_name", "", text("one name"),
			func(g *Global) *string { return &g.Mail.Helo }, "name in HELO"),
		leaf("smtp_connect_timeout", "30", seconds(time.Millisecond, longest),
			func(g *Global) *time.Duration { return &g.Mail.ConnectTimeout },
			"bounds the connection to smtp_server"),
	}
	for i := range ks {
		ks[i].idle = true
	}
	return ks
}

// garpKeywords are the keywords that global_defs and instances share, but for a prefix.
func garpKeywords[T any](
	prefix string, defaults map[string]string, at func(*T) *GARP,
) []keyword[T] {
	defaults = maps.Clone(defaults)
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
			"interval of further announcements").as(isIdle),
		counts("garp_master_refresh_repeat", func(g *GARP) *int { return &g.RefreshRepeat },
			"packets of one further announcement").as(isIdle),
		times("garp_lower_prio_delay",
			func(g *GARP) *time.Duration { return &g.LowerPriorityDelay },
			"from hearing a lower priority to the second announcement").as(isIdle),
		counts("garp_lower_prio_repeat", func(g *GARP) *int { return &g.LowerPriorityRepeat },
			"packets of an announcement when a lower priority is heard").as(isIdle),
	}
	for i := range ks {
		switch {
		case strings.HasSuffix(ks[i].name, "lower_prio_delay"):
			ks[i].otherwise = "as " + prefix + "garp_master_delay"
		case strings.HasSuffix(ks[i].name, "lower_prio_repeat"):
			ks[i].otherwise = "as " + prefix + "garp_master_repeat"
		case ks[i].def == "":
			ks[i].otherwise = "as vrrp_" + ks[i].name
		}
	}
	return ks
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
