package metrics

import (
	"maps"
	"slices"

	"github.com/tandemlb/tandem/daemon/status"
)

// ofServices is the value that each virtual service has.
func ofServices(value func(*status.Service) float64) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, put put) {
		for i := range s.Services {
			v := &s.Services[i]
			put(value(v), v.Protocol, v.Name)
		}
	}
}

func serviceFamilies() []family {
	of := func(name, help string, value func(*status.Service) float64) family {
		return gauge("service_"+name, help, ofServices(value), "protocol", "service")
	}
	return append([]family{
		of("quorum", "Whether the service has its quorum.",
			func(v *status.Service) float64 { return truth(v.Health != status.Down) }),
		of("sorry", "Whether the sorry server serves.",
			func(v *status.Service) float64 { return truth(v.Sorry) }),
		of("synced", "Whether the kernel's table is as wanted.",
			func(v *status.Service) float64 { return truth(v.Error == "") }),
		// They are more than the sums of the servers that are left, whose flows end with them.
	}, flowFamilies("service", func(s *status.Snapshot, each flowing) {
		for i := range s.Services {
			v := &s.Services[i]
			each(v.Flow, v.Protocol, v.Name)
		}
	}, "protocol", "service")...)
}

// ofServers has each called for each real server, with a put that adds its labels.
func ofServers(each func(*status.Server, put)) func(*status.Snapshot, put) {
	return func(s *status.Snapshot, out put) {
		for i := range s.Services {
			v := &s.Services[i]
			for j := range v.Servers {
				r := &v.Servers[j]
				each(r, func(value float64, more ...string) {
					out(value, append([]string{v.Protocol, v.Name, r.Name}, more...)...)
				})
			}
		}
	}
}

func serverFamilies() []family {
	of := func(kind func(string, string, func(*status.Snapshot, put), ...string) family,
		name, help string, each func(*status.Server, put), more ...string,
	) family {
		labels := append([]string{"protocol", "service", "server"}, more...)
		return kind(name, help, ofServers(each), labels...)
	}
	return append([]family{
		of(gauge, "server_up",
			"Whether the server is healthy: 1, 0, or -1 if it is not known yet.",
			func(r *status.Server, put put) { put(known(r.Health)) }),
		of(gauge, "server_weight",
			"Weight of the server in the kernel's table; no value if it is not in there.",
			func(r *status.Server, put put) { putSome(r.Weight, put) }),
		of(gauge, "server_weight_wanted",
			"Weight that the server should have; no value if it should not be in the table.",
			func(r *status.Server, put put) { putSome(r.Wanted, put) }),
		of(gauge, "server_weight_by_operator",
			"Weight that an operator has given the server; no value if none has.",
			func(r *status.Server, put put) {
				if r.Override != nil {
					put(float64(r.Override.Weight))
				}
			}),
		of(gauge, "server_connections", "The kernel's connections to the server.",
			func(r *status.Server, put put) {
				put(float64(r.Active), "active")
				put(float64(r.Inactive), "inactive")
			}, "state"),
		of(gauge, "server_persistent_clients",
			"Clients that the kernel will bring to the server again.",
			func(r *status.Server, put put) { put(float64(r.Persistent)) }),
		of(counter, "check_failures", "Attempts of checks that failed, by reason.",
			func(r *status.Server, put put) {
				for _, reason := range slices.Sorted(maps.Keys(r.Failures)) {
					put(float64(r.Failures[reason]), reason)
				}
			}, "reason"),
	}, flowFamilies("server", func(s *status.Snapshot, each flowing) {
		for i := range s.Services {
			v := &s.Services[i]
			for j := range v.Servers {
				each(v.Servers[j].Flow, v.Protocol, v.Name, v.Servers[j].Name)
			}
		}
	}, "protocol", "service", "server")...)
}

// putSome puts a number, if there is one.
func putSome(n *int, put put) {
	if n != nil {
		put(float64(*n))
	}
}

// flowing takes a Flow, which may be nil, and its labels.
type flowing func(f *status.Flow, labels ...string)

// flowFamilies are the metrics of Flows, which each calls a function with.
func flowFamilies(
	what string, each func(*status.Snapshot, flowing), labels ...string,
) []family {
	// values has a metric made of those flows that there are.
	values := func(one func(*status.Flow, []string, put)) func(*status.Snapshot, put) {
		return func(s *status.Snapshot, put put) {
			each(s, func(f *status.Flow, labels ...string) {
				if f != nil {
					one(f, labels, put)
				}
			})
		}
	}
	ways := append(slices.Clone(labels), "direction")
	return []family{
		counter(what+"_new_connections", "Connections that the kernel has brought to the "+what+".",
			values(func(f *status.Flow, labels []string, put put) {
				put(float64(f.Connections), labels...)
			}), labels...),
		counter(what+"_packets", "Packets of the "+what+": in from clients, out to them.",
			values(func(f *status.Flow, labels []string, put put) {
				put(float64(f.PacketsIn), append(labels, "in")...)
				put(float64(f.PacketsOut), append(labels, "out")...)
			}), ways...),
		counter(what+"_bytes", "Bytes of the "+what+": in from clients, out to them.",
			values(func(f *status.Flow, labels []string, put put) {
				put(float64(f.BytesIn), append(labels, "in")...)
				put(float64(f.BytesOut), append(labels, "out")...)
			}), ways...),
	}
}

// tableFamilies are about what was done to the kernel's table; they have no value without one.
func tableFamilies() []family {
	of := func(value func(*status.Table) float64) func(*status.Snapshot, put) {
		return func(s *status.Snapshot, put put) {
			if s.Table != nil {
				put(value(s.Table))
			}
		}
	}
	return []family{
		counter("table_changes", "Operations on the kernel's table that were wanted.",
			of(func(t *status.Table) float64 { return float64(t.Changes) })),
		counter("table_repairs", "Operations that undid what others had done to it.",
			of(func(t *status.Table) float64 { return float64(t.Repairs) })),
		counter("table_failures", "Operations that failed.",
			of(func(t *status.Table) float64 { return float64(t.Failures) })),
		gauge("table_synced", "Whether the kernel's table was as wanted at the last look.",
			of(func(t *status.Table) float64 { return truth(t.Synced) })),
	}
}
