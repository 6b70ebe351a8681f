package config

import (
	"strconv"
	"strings"
	"time"
)

func startKeywords() []keyword[global] {
	timeout := func(name string, at func(*Start) *time.Duration, doc string) keyword[global] {
		return leaf(name, "10", seconds(time.Second, 1000*time.Second),
			func(g *global) *time.Duration { return at(&g.Start) }, doc)
	}
	return []keyword[global]{
		scriptLeaf("startup_script", func(g *global) **Script { return &g.Start.Startup },
			"run before everything else"),
		timeout("startup_script_timeout",
			func(s *Start) *time.Duration { return &s.StartupTimeout }, "bounds startup_script"),
		scriptLeaf("shutdown_script", func(g *global) **Script { return &g.Start.Shutdown },
			"run after everything else"),
		timeout("shutdown_script_timeout",
			func(s *Start) *time.Duration { return &s.ShutdownTimeout }, "bounds shutdown_script"),
		leaf("vrrp_startup_delay", "0", seconds(0, longest),
			func(g *global) *time.Duration { return &g.Start.Delay },
			"from the start of the daemon to that of its instances"),
		leaf("vrrp_delay_after_boot", "0", seconds(0, longest),
			func(g *global) *time.Duration { return &g.Start.AfterBoot },
			"from the start of the machine to that of the instances"),
		leaf("umask", "022", modeMask(), func(g *global) *uint16 { return &g.Start.Umask },
			"mode bits that files it writes do not get"),
	}
}

// languageKeywords change how the rest is read: package source does what they say as it comes to
// them.
func languageKeywords() []keyword[global] {
	return []keyword[global]{
		{
			name: "random_seed", usage: "a whole number from 0 to 4294967295",
			doc: "makes each ${_RANDOM} after it the same each time", otherwise: "the time",
			set: setRandomSeed, write: writeRandomSeed,
		},
		leaf("include_check", "", includeChecks(),
			func(g *global) *[]string { return &g.Reload.IncludeChecks },
			"which failures of the includes after it are errors, up to the end of its file").
			as(otherwise[global]("none")),
	}
}

func setRandomSeed(d *decoder, g *global, n *Node) {
	seed, ok := arguments(d, n, number[uint32](0, 1<<32-1))
	if ok {
		g.Start.RandomSeed, g.Start.HasRandomSeed = seed, true
	}
}

func writeRandomSeed(p *printer, _ *keyword[global], g, _ *global) {
	if g.Start.HasRandomSeed {
		seed := strconv.FormatUint(uint64(g.Start.RandomSeed), 10)
		p.statement(false, "random_seed", []string{seed})
	}
}

func schedulingKeywords() []keyword[global] {
	checker := processName("checker_process_name",
		func(s *Scheduling) *string { return &s.Checker.Name })
	names := needless("there is one process, tandemd",
		leaf("process_names", "off", boolean(),
			func(g *global) *bool { return &g.Scheduling.DefaultNames },
			"names processes after what they do"),
		processName("process_name", func(s *Scheduling) *string { return &s.Name }),
		processName("vrrp_process_name", func(s *Scheduling) *string { return &s.VRRP.Name }),
		checker, checker.alias("lvs_process_name"),
		processName("bfd_process_name", func(s *Scheduling) *string { return &s.BFD.Name }))
	ks := append(names, maxAutoPriority(), leaf("min_auto_priority_delay", "1000000",
		decimal(time.Microsecond, 10*time.Second, time.Microsecond, "microseconds"),
		func(g *global) *time.Duration { return &g.Scheduling.MinAutoDelay },
		"how late a process is before its priority is raised"))
	for _, p := range []struct {
		prefix string
		at     func(*Scheduling) *Process
	}{
		{"vrrp", func(s *Scheduling) *Process { return &s.VRRP }},
		{"checker", func(s *Scheduling) *Process { return &s.Checker }},
		{"bfd", func(s *Scheduling) *Process { return &s.BFD }},
	} {
		ks = append(ks, processKeywords(p.prefix, p.at)...)
	}
	return ks
}

func processName(name string, at func(*Scheduling) *string) keyword[global] {
	return leaf(name, "", text("one name"),
		func(g *global) *string { return at(&g.Scheduling) }, "name that ps(1) shows").
		as(otherwise[global]("the program's"))
}

func maxAutoPriority() keyword[global] {
	f := orNothing(number[int](-1, 99), 99, " for 99")
	return leaf("max_auto_priority", "0", f,
		func(g *global) *int { return &g.Scheduling.MaxAutoPriority },
		"how far a late process may raise its priority")
}

// processKeywords are those of one process of keepalived. This program is one process, which has
// the most of what is asked for any.
func processKeywords(prefix string, at func(*Scheduling) *Process) []keyword[global] {
	of := func(g *global) *Process { return at(&g.Scheduling) }
	limit := leaf(prefix+"_rlimit_rttime", "10000",
		decimal(2*time.Microsecond, 1000*time.Second, time.Microsecond, "microseconds"),
		func(g *global) *time.Duration { return &of(g).RTLimit },
		"processor time without a pause that costs the real-time priority; below 1 s it counts as 1 s")
	return []keyword[global]{
		leaf(prefix+"_priority", "0", number[int](-20, 19),
			func(g *global) *int { return &of(g).Nice }, "nice value of the process"),
		leaf(prefix+"_no_swap", "off", boolean(),
			func(g *global) *bool { return &of(g).NoSwap }, "locks its memory"),
		leaf(prefix+"_rt_priority", "", number[int](1, 99),
			func(g *global) *int { return &of(g).RTPriority }, "real-time priority").
			as(otherwise[global]("the normal scheduler")),
		leaf(prefix+"_cpu_affinity", "", processors(),
			func(g *global) *[]int { return &of(g).Processors }, "processors it may run on").
			as(otherwise[global]("all")),
		limit, limit.alias(prefix + "_rlimit_rtime"),
	}
}

func firewallKeywords() []keyword[global] {
	table := func(name, none string, at func(*Firewall) *string, doc string) keyword[global] {
		return leaf(name, "", orNothing(text("the name of a table"), "keepalived",
			" for keepalived"), func(g *global) *string { return at(&g.Firewall) }, doc).
			as(otherwise[global](none))
	}
	return append(needless("no_accept is kept by nftables", []keyword[global]{
		leaf("vrrp_iptables", "", words("names of chains for packets in and out", 0, 2),
			func(g *global) *[]string { return &g.Firewall.Chains },
			"keeps packets from VIPs by iptables").as(otherwise[global]("INPUT")),
		leaf("vrrp_ipsets", "", words("up to 5 names of sets", 0, 5),
			func(g *global) *[]string { return &g.Firewall.Sets }, "ipsets that iptables use"),
	}...), pendingBut([]string{"nftables", "nftables_priority", "nftables_counters",
		"nftables_ifindex", "nftables_ipvs", "nftables_ipvs_priority", "nftables_ipvs_start_fwmark"},
		table("nftables", "keepalived", func(f *Firewall) *string { return &f.Table },
			"keeps packets from VIPs by nftables"),
		leaf("nftables_priority", "-1", number[int](-1<<31, 1<<31-1),
			func(g *global) *int { return &g.Firewall.Priority }, "priority of the chains"),
		needless("the sets hold addresses alone", leaf("nftables_ifindex", "off", boolean(),
			func(g *global) *bool { return &g.Firewall.ByIndex },
			"names interfaces by number in sets"))[0],
		leaf("nftables_counters", "off", boolean(),
			func(g *global) *bool { return &g.Firewall.Counters }, "counts packets"),
		table("nftables_ipvs", "none", func(f *Firewall) *string { return &f.MarkTable },
			"has one service by firewall mark, and not one for each address, for each "+
				"virtual_server of a virtual_server_group and family, but with ha_suspend"),
		leaf("nftables_ipvs_priority", "-1", number[int](-1<<31, 1<<31-1),
			func(g *global) *int { return &g.Firewall.MarkPriority },
			"priority of the chain that marks what comes from the network"),
		leaf("nftables_ipvs_start_fwmark", "1000", number[uint32](1, 1<<32-1),
			func(g *global) *uint32 { return &g.Firewall.FirstMark }, "the first mark"))...)
}

func lvsKeywords() []keyword[global] {
	flush := leaf("lvs_flush_on_stop", "", flushing(),
		func(g *global) *Flush { return &g.LVS.FlushOnStop },
		"empties the table at the stop, or of the services of the file")
	return []keyword[global]{
		{
			name: "lvs_sync_daemon", usage: syncUsage, doc: "synchronises connections",
			set: setSync, write: writeSync,
		},
		{
			name: "lvs_timeouts", usage: timeoutsUsage, doc: "timeouts of idle connections",
			otherwise: "the kernel's", set: setTimeouts, write: writeTimeouts,
		},
		leaf("lvs_flush", "off", boolean(), func(g *global) *bool { return &g.LVS.Flush },
			"empties the table at the start"),
		leaf("lvs_forward_guard", "off", boolean(), func(g *global) *bool { return &g.LVS.ForwardGuard },
			"does not forward replies of real servers whose connection is not known; not in keepalived"),
		flush, flush.alias("lvs_flush_onstop"),
	}
}

// flushing is nothing for all, or VS.
func flushing() form[Flush] {
	return form[Flush]{
		usage: "VS, or nothing", choices: []string{"VS"},
		parse: func(args []Word) (Flush, int) {
			switch {
			case len(args) == 0:
				return FlushAll, fits
			case args[0].Text != "VS":
				return 0, 0
			case len(args) > 1:
				return 0, 1
			}
			return FlushOwn, fits
		},
		words: func(f Flush) []string {
			switch f {
			case FlushAll:
				return []string{}
			case FlushOwn:
				return []string{"VS"}
			}
			return nil
		},
	}
}

func fifoKeywords() []keyword[global] {
	var ks []keyword[global]
	for _, f := range []struct {
		prefix, of string
		pipe       func(*FIFOs) *FIFO
		script     func(*FIFOs) **Script
	}{
		{"", "every event", func(f *FIFOs) *FIFO { return &f.All },
			func(f *FIFOs) **Script { return &f.AllScript }},
		{"vrrp_", "events of instances and groups", func(f *FIFOs) *FIFO { return &f.VRRP },
			func(f *FIFOs) **Script { return &f.VRRPScript }},
		{"lvs_", "events of servers", func(f *FIFOs) *FIFO { return &f.LVS },
			func(f *FIFOs) **Script { return &f.LVSScript }},
	} {
		ks = append(ks,
			leaf(f.prefix+"notify_fifo", "", pipe(),
				func(g *global) *FIFO { return f.pipe(&g.FIFOs) }, "gets a line for "+f.of),
			scriptLeaf(f.prefix+"notify_fifo_script",
				func(g *global) **Script { return f.script(&g.FIFOs) },
				"reads "+f.prefix+"notify_fifo"))
	}
	return append(ks, leaf("fifo_write_vrrp_states_on_reload", "off", boolean(),
		func(g *global) *bool { return &g.FIFOs.StatesOnReload },
		"writes all states to the FIFOs after a reload"))
}

func snmpKeywords() []keyword[global] {
	flag := func(name string, at func(*SNMP) *bool, doc string) keyword[global] {
		return leaf(name, "off", boolean(), func(g *global) *bool { return at(&g.SNMP) }, doc)
	}
	interval := func(name, def string, at func(*SNMP) *time.Duration, doc string) keyword[global] {
		return leaf(name, def, seconds(0, longest),
			func(g *global) *time.Duration { return at(&g.SNMP) }, doc)
	}
	vrrp := flag("enable_snmp_vrrp", func(s *SNMP) *bool { return &s.VRRP },
		"serves VRRP by AgentX")
	return []keyword[global]{
		vrrp, vrrp.alias("enable_snmp_keepalived"),
		flag("enable_snmp_checker", func(s *SNMP) *bool { return &s.Checker },
			"serves virtual services by AgentX"),
		flag("enable_snmp_rfc", func(s *SNMP) *bool { return &s.RFC },
			"serves the MIBs of RFC 2787 and RFC 6527 by AgentX"),
		flag("enable_snmp_rfcv2", func(s *SNMP) *bool { return &s.RFCv2 },
			"serves the MIB of RFC 2787, of VRRP version 2, by AgentX"),
		flag("enable_snmp_rfcv3", func(s *SNMP) *bool { return &s.RFCv3 },
			"serves the MIB of RFC 6527, of VRRP version 3, by AgentX"),
		flag("enable_traps", func(s *SNMP) *bool { return &s.Traps },
			"tells managers of SNMP of transitions and refused adverts"),
		leaf("snmp_socket", "", text("unix:PATH, a PATH or tcp:HOST:PORT"),
			func(g *global) *string { return &g.SNMP.Socket }, "socket of the master agent").
			as(otherwise[global]("unix:/var/agentx/master")),
		interval("snmp_vs_stats_update_interval", "5",
			func(s *SNMP) *time.Duration { return &s.ServiceInterval },
			"how old what SNMP says of the traffic of virtual servers may be"),
		interval("snmp_rs_stats_update_interval", "0",
			func(s *SNMP) *time.Duration { return &s.ServerInterval },
			"the same of real servers, if it is less; 0 is as of virtual servers"),
	}
}

func busKeywords() []keyword[global] {
	return []keyword[global]{
		leaf("enable_dbus", "off", boolean(), func(g *global) *bool { return &g.DBus.Enable },
			"serves the message bus, D-Bus"),
		leaf("dbus_service_name", "", text("one name"),
			func(g *global) *string { return &g.DBus.Service }, "name on the message bus").
			as(otherwise[global]("org.keepalived.Vrrp1")),
		leaf("dbus_no_interface_name", "off", boolean(),
			func(g *global) *bool { return &g.DBus.NoInterface },
			"leaves interfaces out of names of objects"),
	}
}

func bufferKeywords() []keyword[global] {
	var ks []keyword[global]
	for _, b := range []struct {
		name string
		at   func(*Buffers) *Buffer
	}{
		{"vrrp_netlink_cmd", func(b *Buffers) *Buffer { return &b.VRRPCommand }},
		{"vrrp_netlink_monitor", func(b *Buffers) *Buffer { return &b.VRRPMonitor }},
		{"lvs_netlink_cmd", func(b *Buffers) *Buffer { return &b.LVSCommand }},
		{"lvs_netlink_monitor", func(b *Buffers) *Buffer { return &b.LVSMonitor }},
		{"process_monitor", func(b *Buffers) *Buffer { return &b.ProcessMonitor }},
	} {
		ks = append(ks,
			leaf(b.name+"_rcv_bufs", "", number[int](1, 1<<30),
				func(g *global) *int { return &b.at(&g.Buffers).Size },
				"bytes of a receive buffer").as(otherwise[global]("the kernel's")),
			leaf(b.name+"_rcv_bufs_force", "off", boolean(),
				func(g *global) *bool { return &b.at(&g.Buffers).Force },
				"goes beyond the system's limit"))
	}
	return append(ks,
		leaf("vrrp_rx_bufs_policy", "", bufferPolicy(),
			func(g *global) *string { return &g.Buffers.ReceivePolicy },
			"size of the buffer for adverts").as(otherwise[global]("the kernel's")),
		leaf("vrrp_rx_bufs_multiplier", "3", number[int](1, 1000),
			func(g *global) *int { return &g.Buffers.ReceiveMultiplier },
			"adverts that there is room for"))
}

func bufferPolicy() form[string] {
	bytes := number[int](1, 1<<30)
	return single("MTU, ADVERT, NO_SEND_RX or "+bytes.usage, func(s string) (string, bool) {
		_, bad := bytes.parse([]Word{{Text: s}})
		return s, bad == fits || s == "MTU" || s == "ADVERT" || s == "NO_SEND_RX"
	}, itself)
}

func fileKeywords() []keyword[global] {
	path := func(name, none string, at func(*Files) *string, doc string) keyword[global] {
		return leaf(name, "", file(), func(g *global) *string { return at(&g.Files) }, doc).
			as(otherwise[global](none))
	}
	working := []string{"iproute_usr_dir", "iproute_etc_dir", "state_dump_file", "stats_dump_file",
		"json_dump_file", "json_version", "data_use_instance"}
	ks := pendingBut(working,
		path("state_dump_file", "/tmp/keepalived.data", func(f *Files) *string { return &f.State },
			"where USR1 writes the state"),
		path("stats_dump_file", "/tmp/keepalived.stats",
			func(f *Files) *string { return &f.Stats }, "where USR2 writes counters"),
		path("json_dump_file", "/tmp/keepalived.json", func(f *Files) *string { return &f.JSON },
			"where the state is written as JSON"),
		leaf("json_version", "1", number[int](1, 2),
			func(g *global) *int { return &g.Files.JSONVersion }, "version of that JSON"),
		leaf("data_use_instance", "off", boolean(),
			func(g *global) *bool { return &g.Files.UseInstance },
			"puts the instance's name into names of dumps"),
		path("iproute_usr_dir", "iproute2's", func(f *Files) *string { return &f.RouteUser },
			"names of routing tables as installed"),
		path("iproute_etc_dir", "iproute2's", func(f *Files) *string { return &f.RouteSystem },
			"names of routing tables of this machine"))
	return append(ks, needless("the file is read once, into memory",
		path("config_save_dir", "none", func(f *Files) *string { return &f.SaveDir },
			"gets copies of the configuration"),
		path("tmp_config_directory", "/tmp", func(f *Files) *string { return &f.TempDir },
			"for the configuration while it is read"))...)
}

func reloadKeywords() []keyword[global] {
	ks := needless("a file is always checked before it is taken over", keyword[global]{
		name: "reload_check_config", usage: "perhaps the path of a log",
		doc: "checks a file before it is taken over", otherwise: "off",
		set: setReloadCheck, write: writeReloadCheck,
	})
	return append(ks,
		leaf("reload_time_file", "", file(),
			func(g *global) *string { return &g.Reload.TimeFile },
			"holds the time of the next reload: [[YY]YY-MM-DD ]HH:MM:SS[Z]"),
		leaf("reload_repeat", "off", boolean(), func(g *global) *bool { return &g.Reload.Repeat },
			"keeps reload_time_file after the reload"),
		keyword[global]{
			name: "reload_file", usage: "perhaps an absolute path",
			doc:       "is there, and empty, while a reload reads the configuration",
			otherwise: "none; without a path, /run/keepalived.reload",
			set:       setReloadFile, write: writeReloadFile,
		})
}

func setReloadCheck(d *decoder, g *global, n *Node) {
	log, ok := arguments(d, n, orNothing(file(), "", ""))
	if ok {
		g.Reload.Check, g.Reload.CheckLog = true, log
	}
}

func writeReloadCheck(p *printer, _ *keyword[global], g, _ *global) {
	if g.Reload.Check {
		p.statement(false, "reload_check_config", wordIfAny(g.Reload.CheckLog))
	}
}

func setReloadFile(d *decoder, g *global, n *Node) {
	if path, ok := arguments(d, n, orNothing(file(), "", "")); ok {
		g.Reload.Lock, g.Reload.LockDefault = path, path == ""
	}
}

func writeReloadFile(p *printer, _ *keyword[global], g, _ *global) {
	if g.Reload.LockDefault || g.Reload.Lock != "" {
		p.statement(false, "reload_file", wordIfAny(g.Reload.Lock))
	}
}

// includeChecks are words of include_check, each perhaps with a sign.
func includeChecks() form[[]string] {
	known := []string{"read", "readable", "match", "wildcard_match", "brace_match"}
	f := words("one of read, match, wildcard_match, brace_match, or any with + or - before them, "+
		"or nothing for all", 0, 100)
	parse := f.parse
	f.choices = known
	f.parse = func(args []Word) ([]string, int) {
		for i, w := range args {
			name := strings.TrimLeft(w.Text, "+-")
			if !contains(known, name) || len(w.Text)-len(name) > 1 {
				return nil, i
			}
		}
		return parse(args)
	}
	return f
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

func linkKeywords() []keyword[global] {
	return append(needless("interfaces may come, go and change at any time", keyword[global]{
		name: "dynamic_interfaces", usage: "allow_if_changes, or nothing",
		doc: "allows interfaces that are not there yet", otherwise: "off",
		set: setDynamic, write: writeDynamic,
	}), leaf("default_interface", "eth0", deviceName(),
		func(g *global) *string { return &g.Links.Default },
		"interface of static entries that name none"))
}

func setDynamic(d *decoder, g *global, n *Node) {
	if w, ok := arguments(d, n, orNothing(choice("allow_if_changes"), "", "")); ok {
		g.Links.Dynamic, g.Links.DynamicChanges = true, w != ""
	}
}

func writeDynamic(p *printer, _ *keyword[global], g, _ *global) {
	if g.Links.Dynamic {
		var ws []string
		if g.Links.DynamicChanges {
			ws = []string{"allow_if_changes"}
		}
		p.statement(false, "dynamic_interfaces", ws)
	}
}
