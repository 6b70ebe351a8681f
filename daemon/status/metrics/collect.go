package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tandemlb/tandem/daemon/status"
)

func runtimeCollector() prometheus.Collector { return collectors.NewGoCollector() }

func processCollector() prometheus.Collector {
	return collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
}

// The metrics of the daemon.
var (
	build   = gauge("build_info", "The daemon's version; always 1.", "version")
	started = gauge("start_time_seconds", "When the daemon was started.")
	reloads = counter("reloads", "Attempts to take over a configuration.", "outcome")
	// lastReload and reloadOK say whether what is in the file is what runs.
	lastReload = gauge("last_reload_time_seconds", "When the last reload was; 0 is never.")
	reloadOK   = gauge("last_reload_successful", "Whether the last reload, if any, was applied.")
	condition  = gauge("condition",
		"Conditions that hold now: what is wrong.", "condition", "subject")
	conditionSince = gauge("condition_since_seconds",
		"Since when a condition holds that holds now.", "condition", "subject")
)

// daemon sends what concerns no instance. Conditions that do not hold have their name with value 0
// and no subject, so that an alert can tell a healthy director from one that is silent.
func (s *sink) daemon(snap *status.Snapshot) {
	d := &snap.Daemon
	s.put(build, 1, d.Version)
	s.put(started, seconds(d.Started))
	s.put(reloads, float64(d.Reloads.Applied), "applied")
	s.put(reloads, float64(d.Reloads.Refused), "refused")
	s.put(lastReload, seconds(d.Reloads.Last))
	s.put(reloadOK, truth(d.Reloads.Error == ""))
	type key struct{ name, subject string }
	holding, sinces := make(map[key]float64), make(map[key]float64)
	for _, name := range status.Conditions() {
		holding[key{name, ""}] = 0
	}
	for _, c := range snap.Conditions {
		k := key{c.Name, c.Subject}
		holding[k]++
		if first, known := sinces[k]; !known || seconds(c.Since) < first {
			sinces[k] = seconds(c.Since)
		}
	}
	for k, at := range sinces {
		s.put(conditionSince, at, k.name, k.subject)
	}
	for k, n := range holding {
		s.put(condition, n, k.name, k.subject)
	}
}

// The metrics of an instance.
var (
	state = gauge("vrrp_state",
		"State of the instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT.", "instance")
	since = gauge("vrrp_state_since_seconds",
		"When the instance came into its state; 0 is not known.", "instance")
	priority = gauge("vrrp_priority",
		"Priority of the instance as trackers have made it.", "instance")
	basePriority = gauge("vrrp_base_priority", "Configured priority of the instance.", "instance")
	faults       = gauge("vrrp_faults", "Reasons why the instance cannot take part.", "instance")
	vips         = gauge("vrrp_vips", "Configured virtual addresses.", "instance")
	vipsHeld     = gauge("vrrp_vips_held", "Virtual addresses on this machine.", "instance")
	sent         = counter("vrrp_adverts_sent", "Adverts sent.", "instance")
	received     = counter("vrrp_adverts_received", "Adverts received and believed.", "instance")
	zeroSent     = counter("vrrp_zero_priority_sent", "Adverts of priority 0 sent.", "instance")
	zeroReceived = counter("vrrp_zero_priority_received",
		"Adverts of priority 0 received.", "instance")
	dropped = counter("vrrp_adverts_dropped",
		"Adverts received and not believed.", "instance", "reason")
	mismatched = counter("vrrp_adverts_mismatched",
		"Adverts believed that differ from the configuration.", "instance", "reason")
	becameMaster   = counter("vrrp_became_master", "Transitions to master.", "instance")
	releasedMaster = counter("vrrp_released_master", "Transitions from master.", "instance")
	contested      = counter("vrrp_contested",
		"Adverts of other masters heard as master.", "instance")
	restored = counter("vrrp_vips_restored",
		"Virtual addresses put back that others had deleted.", "instance")
	stalls       = counter("vrrp_stalls", "Times that the daemon was late.", "instance")
	longestStall = gauge("vrrp_longest_stall_seconds", "How late it was at worst.", "instance")
	refusals     = counter("vrrp_kernel_errors", "Refusals of the kernel.", "instance")
)

// instance sends what concerns one instance.
func (s *sink) instance(i *status.Instance) {
	held := 0
	for _, v := range i.VIPs {
		if v.Held {
			held++
		}
	}
	t := &i.Traffic
	for _, m := range []struct {
		metric
		value float64
	}{
		{state, float64(i.State.Code())},
		{since, seconds(i.Since)},
		{priority, float64(i.Priority)},
		{basePriority, float64(i.BasePriority)},
		{faults, float64(len(i.Faults))},
		{vips, float64(len(i.VIPs))},
		{vipsHeld, float64(held)},
		{sent, float64(t.Sent)},
		{received, float64(t.Received)},
		{zeroSent, float64(t.ZeroSent)},
		{zeroReceived, float64(t.ZeroReceived)},
		{becameMaster, float64(i.BecameMaster)},
		{releasedMaster, float64(i.ReleasedMaster)},
		{contested, float64(i.Contested)},
		{restored, float64(i.Restored)},
		{stalls, float64(i.Stalls)},
		{longestStall, i.LongestStall.Seconds()},
		{refusals, float64(i.Errors)},
	} {
		s.put(m.metric, m.value, i.Name)
	}
	for reason, n := range t.Dropped {
		s.put(dropped, float64(n), i.Name, reason)
	}
	for reason, n := range t.Mismatched {
		s.put(mismatched, float64(n), i.Name, reason)
	}
}

// The metrics of trackers, services and servers.
var (
	trackerUp = gauge("tracker_up",
		"Whether what is tracked is up: 1, 0, or -1 if it is not known yet.", "kind", "tracker")
	trackerRuns = counter("tracker_runs",
		"Runs of a tracked script, by what came of them.", "tracker", "outcome")
	quorum = gauge("service_quorum", "Whether the service has its quorum.", "protocol", "service")
	sorry  = gauge("service_sorry", "Whether the sorry server serves.", "protocol", "service")
	synced = gauge("service_synced",
		"Whether the kernel's table is as wanted.", "protocol", "service")
	healthy = gauge("server_up",
		"Whether the server is healthy: 1, 0, or -1 if it is not known yet.",
		"protocol", "service", "server")
	weight = gauge("server_weight",
		"Weight of the server in the kernel's table; no value if it is not in there.",
		"protocol", "service", "server")
	connections = gauge("server_connections",
		"The kernel's connections to the server.", "protocol", "service", "server", "state")
)

func (s *sink) trackers(all []status.Tracker) {
	for i := range all {
		t := &all[i]
		s.put(trackerUp, known(t.Health), t.Kind, t.Name)
		if t.Kind == "script" {
			s.put(trackerRuns, float64(t.Runs-t.Failures), t.Name, "good")
			s.put(trackerRuns, float64(t.Failures), t.Name, "failed")
			s.put(trackerRuns, float64(t.Skipped), t.Name, "skipped")
		}
	}
}

// known is 1, 0, or -1 if h is not known.
func known(h status.Health) float64 {
	switch h {
	case status.Up:
		return 1
	case status.Down:
		return 0
	case status.Unknown:
	}
	return -1
}

// The metrics of what the kernel carries.
var (
	wanted = gauge("server_weight_wanted",
		"Weight that the server should have; no value if it should not be in the table.",
		"protocol", "service", "server")
	overridden = gauge("server_weight_by_operator",
		"Weight that an operator has given the server; no value if none has.",
		"protocol", "service", "server")
	persistent = gauge("server_persistent_clients",
		"Clients that the kernel will bring to the server again.", "protocol", "service", "server")
	checkFailures = counter("check_failures", "Attempts of checks that failed, by reason.",
		"protocol", "service", "server", "reason")
	serverFlow = flowMetrics("server", "protocol", "service", "server")
	// serviceFlow is more than the sum of the servers that are left, whose flows end with them.
	serviceFlow   = flowMetrics("service", "protocol", "service")
	tableChanges  = counter("table_changes", "Operations on the kernel's table that were wanted.")
	tableRepairs  = counter("table_repairs", "Operations that undid what others had done to it.")
	tableFailures = counter("table_failures", "Operations that failed.")
	tableSynced   = gauge("table_synced",
		"Whether the kernel's table was as wanted at the last look.")
)

// flows are the metrics of a Flow.
type flows struct{ connections, packets, bytes metric }

func flowMetrics(what string, labels ...string) flows {
	way := append(slices.Clone(labels), "direction")
	return flows{
		counter(what+"_new_connections", "Connections that the kernel has brought to the "+what+".",
			labels...),
		counter(what+"_packets", "Packets of the "+what+": in from clients, out to them.", way...),
		counter(what+"_bytes", "Bytes of the "+what+": in from clients, out to them.", way...),
	}
}

// flow sends a Flow; none if f is nil.
func (s *sink) flow(m flows, f *status.Flow, labels ...string) {
	if f == nil {
		return
	}
	with := func(way string) []string { return append(slices.Clone(labels), way) }
	s.put(m.connections, float64(f.Connections), labels...)
	s.put(m.packets, float64(f.PacketsIn), with("in")...)
	s.put(m.packets, float64(f.PacketsOut), with("out")...)
	s.put(m.bytes, float64(f.BytesIn), with("in")...)
	s.put(m.bytes, float64(f.BytesOut), with("out")...)
}

// table sends what was done to the kernel's table.
func (s *sink) table(t *status.Table) {
	if t == nil {
		return
	}
	s.put(tableChanges, float64(t.Changes))
	s.put(tableRepairs, float64(t.Repairs))
	s.put(tableFailures, float64(t.Failures))
	s.put(tableSynced, truth(t.Synced))
}

// service sends what concerns one virtual service.
func (s *sink) service(v *status.Service) {
	s.put(quorum, truth(v.Health != status.Down), v.Protocol, v.Name)
	s.put(sorry, truth(v.Sorry), v.Protocol, v.Name)
	s.put(synced, truth(v.Error == ""), v.Protocol, v.Name)
	s.flow(serviceFlow, v.Flow, v.Protocol, v.Name)
	for i := range v.Servers {
		s.server(v, &v.Servers[i])
	}
}

// server sends what concerns one real server.
func (s *sink) server(v *status.Service, r *status.Server) {
	s.put(healthy, known(r.Health), v.Protocol, v.Name, r.Name)
	if r.Weight != nil {
		s.put(weight, float64(*r.Weight), v.Protocol, v.Name, r.Name)
	}
	if r.Wanted != nil {
		s.put(wanted, float64(*r.Wanted), v.Protocol, v.Name, r.Name)
	}
	if r.Override != nil {
		s.put(overridden, float64(r.Override.Weight), v.Protocol, v.Name, r.Name)
	}
	s.put(connections, float64(r.Active), v.Protocol, v.Name, r.Name, "active")
	s.put(connections, float64(r.Inactive), v.Protocol, v.Name, r.Name, "inactive")
	s.put(persistent, float64(r.Persistent), v.Protocol, v.Name, r.Name)
	s.flow(serverFlow, r.Flow, v.Protocol, v.Name, r.Name)
	for reason, n := range r.Failures {
		s.put(checkFailures, float64(n), v.Protocol, v.Name, r.Name, reason)
	}
}

// The metrics of notifications; destination is scripts, mail or the path of a FIFO.
var (
	events   = counter("notify_events", "Events told.")
	lostLogs = counter("notify_lost_log_lines",
		"Lines about notifications that a slow log has cost.")
	told = counter("notify_messages",
		"Messages by what became of them.", "destination", "outcome")
	waiting = gauge("notify_waiting", "Messages that wait.", "destination")
	retries = counter("notify_retries",
		"Attempts to deliver that failed and were made again.", "destination")
)

func (s *sink) notify(n *status.Notify) {
	s.put(events, float64(n.Events))
	s.put(lostLogs, float64(n.LostLogs))
	s.delivery("scripts", &n.Scripts)
	s.delivery("mail", &n.Mail)
	for i := range n.FIFOs {
		s.delivery(n.FIFOs[i].Path, &n.FIFOs[i].Delivery)
	}
}

func (s *sink) delivery(to string, d *status.Delivery) {
	s.put(told, float64(d.Done), to, "done")
	s.put(told, float64(d.Failed), to, "failed")
	s.put(told, float64(d.Dropped), to, "dropped")
	s.put(waiting, float64(d.Waiting), to)
	s.put(retries, float64(d.Retries), to)
}
