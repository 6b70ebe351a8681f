package metrics

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tandemlb/tandem/daemon/status"
)

// single is the value of a metric without labels.
func single(value func(*status.Snapshot) float64) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, put put) { put(value(s)) }
}

// daemonFamilies concern no instance.
func daemonFamilies() []family {
	return []family{
		gauge("build_info", "The daemon's version; always 1.",
			func(s *status.Snapshot, put put) { put(1, s.Daemon.Version) }, "version"),
		gauge("start_time_seconds", "When the daemon was started.",
			single(func(s *status.Snapshot) float64 { return seconds(s.Daemon.Started) })),
		counter("reloads", "Attempts to take over a configuration.",
			func(s *status.Snapshot, put put) {
				put(float64(s.Daemon.Reloads.Applied), "applied")
				put(float64(s.Daemon.Reloads.Refused), "refused")
			}, "outcome"),
		// They say whether what is in the file is what runs.
		gauge("last_reload_time_seconds", "When the last reload was; 0 is never.",
			single(func(s *status.Snapshot) float64 { return seconds(s.Daemon.Reloads.Last) })),
		gauge("last_reload_successful", "Whether the last reload, if any, was applied.",
			single(func(s *status.Snapshot) float64 { return truth(s.Daemon.Reloads.Error == "") })),
		gauge("condition", "Conditions that hold now: what is wrong.", conditions,
			"condition", "subject"),
		gauge("condition_since_seconds", "Since when a condition holds that holds now.",
			conditionsSince, "condition", "subject"),
	}
}

// subject is what a condition is told about.
type subject struct{ condition, name string }

func (a subject) compare(b subject) int {
	return cmp.Or(cmp.Compare(a.condition, b.condition), cmp.Compare(a.name, b.name))
}

// conditions has those that do not hold with value 0 and no subject, so that an alert can tell a
// healthy director from one that is silent.
func conditions(s *status.Snapshot, put put) {
	holding := make(map[subject]float64)
	for _, name := range status.Conditions() {
		holding[subject{name, ""}] = 0
	}
	for _, c := range s.Conditions {
		holding[subject{c.Name, c.Subject}]++
	}
	putSubjects(holding, put)
}

func conditionsSince(s *status.Snapshot, put put) {
	sinces := make(map[subject]float64)
	for _, c := range s.Conditions {
		k, at := subject{c.Name, c.Subject}, seconds(c.Since)
		if first, known := sinces[k]; !known || at < first {
			sinces[k] = at
		}
	}
	putSubjects(sinces, put)
}

func putSubjects(values map[subject]float64, put put) {
	for _, k := range slices.SortedFunc(maps.Keys(values), subject.compare) {
		put(values[k], k.condition, k.name)
	}
}

// ofInstances is the value that each instance has.
func ofInstances(value func(*status.Instance) float64) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, put put) {
		for i := range s.Instances {
			put(value(&s.Instances[i]), s.Instances[i].Name)
		}
	}
}

// byReason is what each instance counts by reason.
func byReason(counts func(*status.Traffic) map[string]uint64) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, put put) {
		for i := range s.Instances {
			n := counts(&s.Instances[i].Traffic)
			for _, reason := range slices.Sorted(maps.Keys(n)) {
				put(float64(n[reason]), s.Instances[i].Name, reason)
			}
		}
	}
}

func instanceFamilies() []family {
	return slices.Concat(instanceGauges(), instanceCounters())
}

func instanceGauges() []family {
	of := func(name, help string, value func(*status.Instance) float64) family {
		return gauge("vrrp_"+name, help, ofInstances(value), "instance")
	}
	return []family{
		of("state", "State of the instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT.",
			func(i *status.Instance) float64 { return float64(i.State.Code()) }),
		of("state_since_seconds", "When the instance came into its state; 0 is not known.",
			func(i *status.Instance) float64 { return seconds(i.Since) }),
		of("priority", "Priority of the instance as trackers have made it.",
			func(i *status.Instance) float64 { return float64(i.Priority) }),
		of("base_priority", "Configured priority of the instance.",
			func(i *status.Instance) float64 { return float64(i.BasePriority) }),
		of("faults", "Reasons why the instance cannot take part.",
			func(i *status.Instance) float64 { return float64(len(i.Faults)) }),
		of("vips", "Configured virtual addresses.",
			func(i *status.Instance) float64 { return float64(len(i.VIPs)) }),
		of("vips_held", "Virtual addresses on this machine.", vipsHeld),
		of("longest_stall_seconds", "How late it was at worst.",
			func(i *status.Instance) float64 { return i.LongestStall.Seconds() }),
	}
}

func vipsHeld(i *status.Instance) float64 {
	held := 0
	for _, v := range i.VIPs {
		if v.Held {
			held++
		}
	}
	return float64(held)
}

func instanceCounters() []family {
	of := func(name, help string, value func(*status.Instance) uint64) family {
		each := ofInstances(func(i *status.Instance) float64 { return float64(value(i)) })
		return counter("vrrp_"+name, help, each, "instance")
	}
	return []family{
		of("adverts_sent", "Adverts sent.",
			func(i *status.Instance) uint64 { return i.Traffic.Sent }),
		of("adverts_received", "Adverts received and believed.",
			func(i *status.Instance) uint64 { return i.Traffic.Received }),
		of("zero_priority_sent", "Adverts of priority 0 sent.",
			func(i *status.Instance) uint64 { return i.Traffic.ZeroSent }),
		of("zero_priority_received", "Adverts of priority 0 received.",
			func(i *status.Instance) uint64 { return i.Traffic.ZeroReceived }),
		counter("vrrp_adverts_dropped", "Adverts received and not believed.",
			byReason(func(t *status.Traffic) map[string]uint64 { return t.Dropped }),
			"instance", "reason"),
		counter("vrrp_adverts_mismatched", "Adverts believed that differ from the configuration.",
			byReason(func(t *status.Traffic) map[string]uint64 { return t.Mismatched }),
			"instance", "reason"),
		of("became_master", "Transitions to master.",
			func(i *status.Instance) uint64 { return i.BecameMaster }),
		of("released_master", "Transitions from master.",
			func(i *status.Instance) uint64 { return i.ReleasedMaster }),
		of("contested", "Adverts of other masters heard as master.",
			func(i *status.Instance) uint64 { return i.Contested }),
		of("vips_restored", "Virtual addresses put back that others had deleted.",
			func(i *status.Instance) uint64 { return i.Restored }),
		of("stalls", "Times that the daemon was late.",
			func(i *status.Instance) uint64 { return i.Stalls }),
		of("kernel_errors", "Refusals of the kernel.",
			func(i *status.Instance) uint64 { return i.Errors }),
	}
}

func trackerFamilies() []family {
	return []family{
		gauge("tracker_up",
			"Whether what is tracked is up: 1, 0, or -1 if it is not known yet.",
			func(s *status.Snapshot, put put) {
				for _, t := range s.Trackers {
					put(known(t.Health), t.Kind, t.Name)
				}
			}, "kind", "tracker"),
		counter("tracker_runs", "Runs of a tracked script, by what came of them.",
			func(s *status.Snapshot, put put) {
				for _, t := range s.Trackers {
					if t.Kind == "script" {
						put(float64(t.Runs-t.Failures), t.Name, "good")
						put(float64(t.Failures), t.Name, "failed")
						put(float64(t.Skipped), t.Name, "skipped")
					}
				}
			}, "tracker", "outcome"),
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

// notifyFamilies have as destination scripts, mail or the path of a FIFO.
func notifyFamilies() []family {
	return []family{
		counter("notify_events", "Events told.",
			single(func(s *status.Snapshot) float64 { return float64(s.Notify.Events) })),
		counter("notify_lost_log_lines", "Lines about notifications that a slow log has cost.",
			single(func(s *status.Snapshot) float64 { return float64(s.Notify.LostLogs) })),
		counter("notify_messages", "Messages by what became of them.",
			ofDeliveries(func(to string, d *status.Delivery, put put) {
				put(float64(d.Done), to, "done")
				put(float64(d.Failed), to, "failed")
				put(float64(d.Dropped), to, "dropped")
			}), "destination", "outcome"),
		gauge("notify_waiting", "Messages that wait.",
			ofDeliveries(func(to string, d *status.Delivery, put put) {
				put(float64(d.Waiting), to)
			}), "destination"),
		counter("notify_retries", "Attempts to deliver that failed and were made again.",
			ofDeliveries(func(to string, d *status.Delivery, put put) {
				put(float64(d.Retries), to)
			}), "destination"),
	}
}

// ofDeliveries has each called for each destination.
func ofDeliveries(each func(string, *status.Delivery, put)) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, put put) {
		n := &s.Notify
		each("scripts", &n.Scripts, put)
		each("mail", &n.Mail, put)
		for i := range n.FIFOs {
			each(n.FIFOs[i].Path, &n.FIFOs[i].Delivery, put)
		}
	}
}
