package daemon

import (
	"context"
	"net/netip"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
	"github.com/tandemlb/tandem/daemon/status"
)

// meter is a table that counts what it carries.
type meter interface {
	// Stats returns that of a service and of each of its destinations.
	Stats(ctx context.Context, k ipvs.Key) (ipvs.Stats, map[netip.AddrPort]ipvs.Stats, error)
}

// addTraffic adds to services, which are those of servers, what the table has carried for them, and the
// weights by operators. What the table does not say by the end of ctx is left out.
func (s *services) addTraffic(
	ctx context.Context, servers []config.VirtualServer, overrides []override, to []status.Service,
) {
	type name struct{ name, protocol string }
	places := make(map[name]*status.Service, len(to))
	for i := range to {
		places[name{to[i].Name, to[i].Protocol}] = &to[i]
	}
	for i := range servers {
		vs := &servers[i]
		n, protocol := statusName(pool.NameOf(vs))
		v := places[name{n, protocol}]
		if v == nil {
			continue
		}
		rows := make(map[string]*status.Server, len(v.Servers))
		for j := range v.Servers {
			rows[v.Servers[j].Name] = &v.Servers[j]
		}
		s.addFlows(ctx, vs, v, rows)
		for _, o := range overrides {
			if row := rows[o.Server.String()]; row != nil && o.Service == nameOf(vs) {
				row.Override = &status.Override{Weight: o.Weight, Since: o.Since}
			}
		}
	}
}

// addFlows adds up what the kernel's services of a virtual server have carried.
func (s *services) addFlows(
	ctx context.Context, vs *config.VirtualServer, v *status.Service, rows map[string]*status.Server,
) {
	table, counts := s.table.(meter)
	if !counts {
		return
	}
	ds := s.wanted(vs)
	for _, k := range pool.Keys(vs) {
		all, each, err := table.Stats(ctx, k)
		if err != nil {
			continue // it is not there yet, or that it cannot be read has been said already
		}
		addFlow(&v.Flow, all)
		for _, d := range ds {
			one, there := each[pool.At(k, d)]
			if row := rows[d.Addr.String()]; there && row != nil {
				addFlow(&row.Flow, one)
			}
		}
	}
}

// addFlow adds what was carried; to is nil before the first.
func addFlow(to **status.Flow, s ipvs.Stats) {
	if *to == nil {
		*to = &status.Flow{}
	}
	f := *to
	f.Connections += s.Connections
	f.PacketsIn += s.PacketsIn
	f.PacketsOut += s.PacketsOut
	f.BytesIn += s.BytesIn
	f.BytesOut += s.BytesOut
	f.ConnectionRate += s.ConnectionRate
	f.PacketRateIn += s.PacketRateIn
	f.PacketRateOut += s.PacketRateOut
	f.ByteRateIn += s.ByteRateIn
	f.ByteRateOut += s.ByteRateOut
}

// tableStatus is what was done to the kernel's table.
func (s *services) tableStatus() *status.Table {
	t := s.reconciler.Status()
	return &status.Table{Changes: t.Changes, Repairs: t.Repairs, Failures: t.Failures,
		Synced: t.Synced}
}
