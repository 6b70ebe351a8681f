package pool_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
)

// began is when the drains of these tests began.
var began = time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC)

// draining returns a drain of the i-th real server, from 0.
func draining(i int) pool.Drain {
	return pool.Drain{Destination: ipvs.Destination{Addr: server(i), Forward: ipvs.NAT},
		Since: began}
}

// without returns vs without its i-th real server.
func without(vs config.VirtualServer, i int) config.VirtualServer {
	all := vs.RealServers
	vs.RealServers = append(all[:i:i], all[i+1:]...)
	return vs
}

// wanted are the destinations of a service that is new.
func wanted(vs config.VirtualServer, h pool.Health, drains ...pool.Drain) []ipvs.Destination {
	ds, _ := pool.Desired(&vs, &pool.State{Health: h, Drains: drains})
	return ds
}

// showDrains returns drains as "last octet=weight, since".
func showDrains(drains []pool.Drain) string {
	var words []string
	for _, d := range drains {
		words = append(words, fmt.Sprintf("%s, %s", show([]ipvs.Destination{d.Destination}),
			d.Since.Sub(began)))
	}
	return strings.Join(words, "; ")
}

func TestLeave(t *testing.T) {
	const later = 5 * time.Second
	tun := without(web(1, 1), 1)
	tun.Forward = config.TUN
	for _, tt := range []struct {
		name          string
		before, after config.VirtualServer
		health        string
		drains        []pool.Drain
		want          string
	}{
		{"nobody leaves", web(1, 2), web(1, 2), "up up", nil, ""},
		{"other weight", web(1, 2), web(1, 0), "up up", nil, ""},
		{"one leaves", web(1, 2), without(web(1, 2), 1), "up up", nil, "12=0, 5s"},
		{"not heard of yet", web(1, 2), without(web(1, 2), 1), "", nil, "12=0, 5s"},
		{"with weight 0", web(1, 0), without(web(1, 0), 1), "up up", nil, "12=0, 5s"},
		{"while it is down", web(1, 2), without(web(1, 2), 1), "up down", nil, ""},
		{"while it is down and inhibited", with(web(1, 2), inhibit),
			without(with(web(1, 2), inhibit), 1), "up down", nil, ""},
		{"while the sorry server has its place", with(web(1, 2), quorum4),
			without(with(web(1, 2), quorum4), 1), "down up", nil, ""},
		{"the sorry server", with(web(1), withSorry), web(1), "down", nil, ""},
		{"another way of forwarding", web(1, 1), tun, "up up", nil, "12=0, 5s"},
		{"one more leaves", without(web(1, 2, 3), 1), without(without(web(1, 2, 3), 1), 1), "up ? up",
			[]pool.Drain{draining(1)}, "12=0, 0s; 13=0, 5s"},
		{"still gone", web(1), web(1), "up", []pool.Drain{draining(1)}, "12=0, 0s"},
		{"came back, and nothing is known of it", web(1), web(1, 2), "up",
			[]pool.Drain{draining(1)}, "12=0, 0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := health(tt.health)
			had := wanted(tt.before, h, tt.drains...)
			got := pool.Leave(&tt.before, &tt.after, h, had, tt.drains, began.Add(later))
			if diff := cmp.Diff(tt.want, showDrains(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, d := range got {
				if d.Destination.Forward != ipvs.NAT {
					t.Errorf("%s is forwarded to by %s, want as before", d.Destination.Addr,
						d.Destination.Forward)
				}
			}
		})
	}
}

// quorum4 leaves a service of two without a quorum when the first is down.
func quorum4(vs *config.VirtualServer) {
	withSorry(vs)
	vs.Quorum = 3
}

func TestResume(t *testing.T) {
	drains := []pool.Drain{draining(1), draining(2)}
	for _, tt := range []struct {
		name, health  string
		vs            config.VirtualServer
		left, resumed string
		want          string
	}{
		{"both are gone still", "up", web(1), "12=0, 0s; 13=0, 0s", "[]", "11=1 12=0 13=0"},
		{"one is back", "up up", web(1, 2), "13=0, 0s", "[192.168.2.12:80]", "11=1 12=2 13=0"},
		{"one is back, but not up yet", "up down", web(1, 2), "12=0, 0s; 13=0, 0s", "[]",
			"11=1 12=0 13=0"},
		{"back with weight 0", "up up", web(1, 0), "12=0, 0s; 13=0, 0s", "[]", "11=1 12=0 13=0"},
		{"as the sorry server at work", "down", with(web(1),
			func(vs *config.VirtualServer) { vs.SorryServer = server(2) }),
			"12=0, 0s", "[192.168.2.13:80]", "13=1 12=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ds := wanted(tt.vs, health(tt.health), drains...)
			if diff := cmp.Diff(tt.want, show(ds)); diff != "" {
				t.Errorf("destinations (-want +got):\n%s", diff)
			}
			left, resumed := pool.Resume(ds, drains)
			if diff := cmp.Diff(tt.left, showDrains(left)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(resumed); got != tt.resumed {
				t.Errorf("resumed %s, want %s", got, tt.resumed)
			}
		})
	}
}

func TestLook(t *testing.T) {
	type loads = map[netip.AddrPort]ipvs.Load
	of := func(weight, active, inactive int) loads {
		return loads{server(1): {Weight: weight, Active: active, Inactive: inactive}}
	}
	for _, tt := range []struct {
		name     string
		protocol config.Protocol
		loads    loads
		after    time.Duration
		want     string // why it is over, and what was left; empty: it goes on
	}{
		{"one connection", config.TCP, of(0, 1, 0), time.Second, ""},
		{"none", config.TCP, of(0, 0, 0), time.Second, "empty 0"},
		{"closed ones", config.TCP, of(0, 0, 7), time.Second, "empty 0"},
		{"closed ones of SCTP", config.SCTP, of(0, 0, 7), time.Second, "empty 0"},
		{"flows", config.UDP, of(0, 0, 7), time.Second, ""},
		{"no flows", config.UDP, of(0, 0, 0), time.Second, "empty 0"},
		{"a moment before the limit", config.TCP, of(0, 1, 0), pool.DrainTime - 1, ""},
		{"at the limit", config.TCP, of(0, 1, 7), pool.DrainTime, "timeout 1"},
		{"flows at the limit", config.UDP, of(0, 0, 7), pool.DrainTime, "timeout 7"},
		{"none, but it may still get one", config.TCP, of(1, 0, 0), time.Second, ""},
		{"it may get one for ever", config.TCP, of(1, 0, 0), pool.DrainTime, "empty 0"},
		{"deleted by another", config.TCP, loads{}, time.Second, "empty 0"},
		{"unreadable table", config.TCP, nil, time.Second, ""},
		{"unreadable table at the limit", config.TCP, nil, pool.DrainTime, "timeout -1"},
		{"none, before it began", config.TCP, of(0, 0, 0), -time.Second, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			left, over := pool.Look(tt.protocol, []pool.Drain{draining(1)}, tt.loads,
				began.Add(tt.after))
			got := ""
			for _, d := range over {
				got = fmt.Sprintf("%s %d", d.Reason(), d.Left)
			}
			if got != tt.want || len(left)+len(over) != 1 {
				t.Errorf("%q and %d left, want %q", got, len(left), tt.want)
			}
		})
	}
}

// TestReloadsNeverDeleteWhatMayHaveConnections walks a virtual server through random
// configurations, healths and looks, and demands of each step: what was up and is not wanted any
// more stays, with weight 0, until a look finds it empty or DrainTime is over; nothing else does.
func TestReloadsNeverDeleteWhatMayHaveConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs, h, now := web(1, 1, 1, 1), pool.Health{}, began
		ds, quorum := pool.Desired(&vs, &pool.State{Health: h})
		var drains []pool.Drain
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			had, over := ds, map[netip.AddrPort]bool{}
			before, was := vs, h
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				vs, h = drawReload(t), pool.Health{}
				for i := range vs.RealServers {
					a := vs.RealServers[i].Address
					if up, known := was[a]; known {
						h[a] = up
					}
				}
				drains = pool.Leave(&before, &vs, was, had, drains, now)
			case 1:
				h = pool.Health{}
				for i := range vs.RealServers {
					h[vs.RealServers[i].Address] = rapid.Bool().Draw(t, "up")
				}
			case 2:
				var ended []pool.Drained
				drains, ended = pool.Look(config.TCP, drains, drawLoads(t, had), now)
				for _, d := range ended {
					over[d.Server] = true
				}
			}
			ds, quorum = pool.Desired(&vs, &pool.State{Health: h, Quorum: quorum, Drains: drains})
			drains, _ = pool.Resume(ds, drains)
			demandDrains(t, before, was, had, over, vs, ds)
		}
	})
}

// drawReload draws some of four real servers.
func drawReload(t *rapid.T) config.VirtualServer {
	vs := web(1, 1, 1, 1)
	for i := 3; i >= 0; i-- {
		if rapid.Bool().Draw(t, "leaves") && len(vs.RealServers) > 1 {
			vs = without(vs, i)
		}
	}
	return vs
}

// drawLoads draws the connections of a table that has been made right.
func drawLoads(t *rapid.T, ds []ipvs.Destination) map[netip.AddrPort]ipvs.Load {
	loads := make(map[netip.AddrPort]ipvs.Load)
	for _, d := range ds {
		loads[d.Addr] = ipvs.Load{Weight: d.Weight, Active: rapid.IntRange(0, 1).Draw(t, "active")}
	}
	return loads
}

// demandDrains compares one step with the one before.
func demandDrains(
	t *rapid.T, before config.VirtualServer, was pool.Health, had []ipvs.Destination,
	over map[netip.AddrPort]bool, vs config.VirtualServer, ds []ipvs.Destination,
) {
	weights := weights(t, ds)
	configured := func(vs config.VirtualServer, a netip.AddrPort) (*config.RealServer, bool) {
		for i := range vs.RealServers {
			if vs.RealServers[i].Address == a {
				return &vs.RealServers[i], true
			}
		}
		return nil, false
	}
	for _, d := range had {
		_, there := weights[d.Addr]
		_, stays := configured(vs, d.Addr)
		rs, known := configured(before, d.Addr)
		lived := !known || was.Up(rs) // it drained, or was up
		switch {
		case stays:
		case over[d.Addr] && there:
			t.Fatalf("%s is drained and there", d.Addr)
		case !over[d.Addr] && lived && !there:
			t.Fatalf("%s was deleted, after %s", d.Addr, show(had))
		case there && weights[d.Addr] > 0:
			t.Fatalf("%s is not configured and has a weight", d.Addr)
		}
	}
}
