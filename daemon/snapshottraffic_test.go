package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/status"
)

// metered is a table in memory in which each service carries as much as its port, and each
// destination as much as its port too.
type metered struct{ ipvstest.Memory }

// carriedBy is what is carried at that port.
func carriedBy(a netip.AddrPort) ipvs.Stats {
	n := uint64(a.Port())
	return ipvs.Stats{Connections: n, PacketsIn: n + 1, PacketsOut: n + 2, BytesIn: n + 3,
		BytesOut: n + 4, ConnectionRate: n + 5, PacketRateIn: n + 6, PacketRateOut: n + 7,
		ByteRateIn: n + 8, ByteRateOut: n + 9}
}

func (m *metered) Stats(
	ctx context.Context, k ipvs.Key,
) (ipvs.Stats, map[netip.AddrPort]ipvs.Stats, error) {
	if k.Addr.Port() == 8000 {
		return ipvs.Stats{}, nil, errors.New("not there yet")
	}
	each := map[netip.AddrPort]ipvs.Stats{}
	all, err := m.Get(ctx, k)
	for _, s := range all {
		for _, d := range s.Destinations {
			each[d.Addr] = carriedBy(d.Addr)
		}
	}
	return carriedBy(k.Addr), each, err
}

// flow is that of so many services or destinations of all ports together.
func flow(sum, of uint64) *status.Flow {
	return &status.Flow{Connections: sum, PacketsIn: sum + of, PacketsOut: sum + 2*of,
		BytesIn: sum + 3*of, BytesOut: sum + 4*of, ConnectionRate: sum + 5*of,
		PacketRateIn: sum + 6*of, PacketRateOut: sum + 7*of, ByteRateIn: sum + 8*of,
		ByteRateOut: sum + 9*of}
}

// TestTraffic adds up what the services of a group carry, one of which is not there yet; and says
// what checks failed of and what an operator has said, where it belongs.
func TestTraffic(t *testing.T) {
	const text = `virtual_server_group web {
    192.168.1.1 80
    192.168.1.1 443
    192.168.1.1 8000
}
virtual_server group web {
    protocol TCP
    lb_kind DR
    real_server 192.168.2.11 80 { TCP_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
}
virtual_server 192.168.1.1 90 {
    protocol TCP
    real_server 192.168.2.11 80 { TCP_CHECK { } }
}
`
	synctest.Test(t, func(t *testing.T) {
		var table metered
		vss := parse(t, text)
		s, err := newServices(vss, &table, true, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.reconciler.Run(ctx) }()
		synctest.Wait()
		first := vss[0].RealServers[0].Address
		said := []override{{Service: "tcp/group:web", Server: first, Since: time.Unix(1, 0)},
			{Service: "tcp/192.168.1.1:9", Server: first}}
		got := s.snapshot(ctx, vss)
		s.addTraffic(ctx, vss, said, got)
		for _, want := range []struct {
			name    string
			is      any
			want    any
			comment string
		}{
			{"group", got[0].Flow, flow(80+443, 2), "without that which is not there"},
			{"server of the group", got[0].Servers[0].Flow, flow(80+443, 2), "at both ports"},
			{"other service", got[1].Flow, flow(90, 1), ""},
			{"its server", got[1].Servers[0].Flow, flow(80, 1), "at its own port"},
			{"override", got[0].Servers[0].Override, &status.Override{Since: time.Unix(1, 0)}, ""},
			{"no override", got[0].Servers[1].Override, (*status.Override)(nil), ""},
			{"nor here", got[1].Servers[0].Override, (*status.Override)(nil), ""},
			{"table", s.tableStatus(), &status.Table{Changes: s.reconciler.Status().Changes,
				Synced: true}, ""},
		} {
			if diff := cmp.Diff(want.want, want.is); diff != "" {
				t.Errorf("%s: %s (-want +got)\n%s", want.name, want.comment, diff)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestCheckedAdds(t *testing.T) {
	var c checked
	for _, s := range []check.State{
		{},
		{Attempts: 5, Failures: map[check.Reason]uint64{check.Refused: 2, check.Timeout: 1}},
		{Attempts: 1, Err: errors.New("no"), Failures: map[check.Reason]uint64{check.Refused: 1}},
	} {
		c.add(s)
	}
	want := checked{all: 3, done: 2, failures: []string{"no"},
		counts: map[string]uint64{"refused": 3, "timeout": 1}}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(checked{})); diff != "" {
		t.Errorf("of three checks (-want +got)\n%s", diff)
	}
}
