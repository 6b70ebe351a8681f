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

// web returns the virtual server 192.168.1.1:80 with a real server 192.168.2.11:80, .12 and so on
// for each weight, each with a check.
func web(weights ...int) config.VirtualServer {
	vs := config.VirtualServer{
		Address:   netip.MustParseAddrPort("192.168.1.1:80"),
		Protocol:  config.TCP,
		Scheduler: "wlc",
		Forward:   config.NAT,
		Quorum:    1,
	}
	for i, w := range weights {
		vs.RealServers = append(vs.RealServers, config.RealServer{
			Address: server(i),
			Weight:  w,
			Checks: []config.Check{{Target: server(i), CheckSettings: &config.CheckSettings{
				Kind: config.CheckTCP, ConnectTimeout: 5 * time.Second, DelayLoop: time.Minute,
				Retry: 1,
			}}},
			RealServerSettings: &config.RealServerSettings{},
		})
	}
	return vs
}

// server returns the address of the i-th real server, from 0.
func server(i int) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf("192.168.2.%d:80", 11+i))
}

var sorry = netip.MustParseAddrPort("192.168.2.99:80")

// health returns words like "up down up", one for each real server, as Health; "?" is not known.
func health(words string) pool.Health {
	h := make(pool.Health)
	for i, w := range strings.Fields(words) {
		if w != "?" {
			h[server(i)] = w == "up"
		}
	}
	return h
}

// show returns destinations as "last octet=weight".
func show(ds []ipvs.Destination) string {
	var words []string
	for _, d := range ds {
		octets := d.Addr.Addr().As4()
		words = append(words, fmt.Sprintf("%d=%d", octets[3], d.Weight))
	}
	return strings.Join(words, " ")
}

// with returns vs after change.
func with(vs config.VirtualServer, change func(*config.VirtualServer)) config.VirtualServer {
	change(&vs)
	return vs
}

// Changes of a virtual server.

func withSorry(vs *config.VirtualServer) { vs.SorryServer = sorry }

func sorryInhibit(vs *config.VirtualServer) { vs.SorryServer, vs.SorryInhibit = sorry, true }

func inhibit(vs *config.VirtualServer) {
	withSorry(vs)
	for i := range vs.RealServers {
		vs.RealServers[i].InhibitOnFailure = true
	}
}

func alpha(vs *config.VirtualServer) {
	vs.Alpha = true
	for i := range vs.RealServers {
		vs.RealServers[i].Alpha = true
	}
}

// desire is a virtual server with a health and what comes of it.
type desire struct {
	name   string
	vs     config.VirtualServer
	health string
	want   string
	quorum bool
}

func (d desire) judge(t *testing.T) {
	ds, quorum := pool.Desired(&d.vs, &pool.State{Health: health(d.health)})
	if diff := cmp.Diff(d.want, show(ds)); diff != "" {
		t.Errorf("destinations (-want +got):\n%s", diff)
	}
	if kept := quorum == pool.Kept; kept != d.quorum {
		t.Errorf("quorum %s, want %t", quorum, d.quorum)
	}
}

func TestDesiredDestinations(t *testing.T) {
	for _, d := range []desire{
		{"nothing known yet", web(1, 2), "", "11=1 12=2", true},
		{"all up", web(1, 2), "up up", "11=1 12=2", true},
		{"one down", web(1, 2, 3), "up down up", "11=1 13=3", true},
		{"all down", web(1, 2), "down down", "", false},
		{"weight 0 stays", web(0, 2), "up up", "11=0 12=2", true},
		{"only weight 0", web(0, 0), "up up", "11=0 12=0", false},
		{"inhibit", with(web(1, 2), inhibit), "up down", "11=1 12=0", true},
		{"inhibit and sorry", with(web(1, 2), inhibit), "down down", "11=0 12=0 99=1", false},
		{"sorry waits", with(web(1, 2), withSorry), "up down", "11=1", true},
		{"sorry serves", with(web(1, 2), withSorry), "down down", "99=1", false},
		{"sorry with inhibit waits with weight 0", with(web(1, 2), sorryInhibit),
			"up up", "11=1 12=2 99=0", true},
		{"sorry with inhibit serves", with(web(1, 2), sorryInhibit), "down down", "99=1", false},
		{"sorry is a real server too", with(web(1, 2),
			func(vs *config.VirtualServer) { vs.SorryServer = server(0); vs.SorryInhibit = true }),
			"up down", "11=1", true},
		{"sorry is a real server too and serves", with(web(1, 2),
			func(vs *config.VirtualServer) { inhibit(vs); vs.SorryServer = server(0) }),
			"down down", "12=0 11=1", false},
		{"quorum of weights lost without sorry", with(web(1, 2, 3),
			func(vs *config.VirtualServer) { vs.Quorum = 4 }), "up up down", "11=1 12=2", false},
		{"quorum of weights lost with sorry", with(web(1, 2, 3),
			func(vs *config.VirtualServer) { withSorry(vs); vs.Quorum = 4 }),
			"up up down", "99=1", false},
		{"quorum above all weights is all of them", with(web(1, 2),
			func(vs *config.VirtualServer) { withSorry(vs); vs.Quorum = 9 }),
			"up up", "11=1 12=2", true},
		{"only a sorry server", with(web(), withSorry), "", "99=1", false},
	} {
		t.Run(d.name, d.judge)
	}
}

// TestDesiredOverrides has an operator give weights.
func TestDesiredOverrides(t *testing.T) {
	for _, tt := range []struct {
		name      string
		vs        config.VirtualServer
		health    string
		overrides pool.Overrides
		want      string
		quorum    bool
	}{
		{"none", web(1, 2), "up up", nil, "11=1 12=2", true},
		{"another weight", web(1, 2), "up up", pool.Overrides{server(0): 5}, "11=5 12=2", true},
		{"beats checks", web(1, 1), "up up", pool.Overrides{server(1): 4}, "11=1 12=4", true},
		{"drained", web(1, 2), "up up", pool.Overrides{server(0): 0}, "11=0 12=2", true},
		{"beats nothing that is down", web(1, 2), "down up", pool.Overrides{server(0): 5}, "12=2",
			true},
		{"counts for the quorum", with(web(1, 2), quorum4), "up up", pool.Overrides{server(0): 2},
			"11=2 12=2", true},
		{"all drained", web(1, 2), "up up", pool.Overrides{server(0): 0, server(1): 0},
			"11=0 12=0", false},
		{"all drained, and a sorry server", with(web(1, 2), withSorry), "up up",
			pool.Overrides{server(0): 0, server(1): 0}, "11=0 12=0 99=1", false},
		{"one drained, one down, and a sorry server", with(web(1, 2), withSorry), "up down",
			pool.Overrides{server(0): 0}, "11=0 99=1", false},
		{"of another", web(1), "up", pool.Overrides{server(7): 3}, "11=1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := pool.State{Health: health(tt.health), Overrides: tt.overrides,
				Weights: pool.Weights{server(1): 2}}
			ds, quorum := pool.Desired(&tt.vs, &state)
			if got := show(ds); got != tt.want || quorum == pool.Kept != tt.quorum {
				t.Errorf("%s, quorum %s; want %s, kept %t", got, quorum, tt.want, tt.quorum)
			}
		})
	}
}

func TestDesiredWithAlpha(t *testing.T) {
	for _, d := range []desire{
		{"alpha not heard of", with(web(1, 2), alpha), "", "", false},
		{"alpha half heard of", with(web(1, 2), alpha), "? up", "12=2", true},
		{"alpha with sorry", with(with(web(1), alpha), withSorry), "", "99=1", false},
		{"alpha of one check", with(web(1, 2), func(vs *config.VirtualServer) {
			vs.RealServers[0].Checks[0].Alpha = true
		}), "", "12=2", true},
		{"alpha without checks", with(web(1), func(vs *config.VirtualServer) {
			alpha(vs)
			vs.RealServers[0].Checks = nil
		}), "", "11=1", true},
	} {
		t.Run(d.name, d.judge)
	}
}

// TestQuorumHysteresis walks one service through healths and looks at its quorum after each.
func TestQuorumHysteresis(t *testing.T) {
	type step struct {
		health string
		quorum bool
	}
	for _, tt := range []struct {
		name               string
		quorum, hysteresis int
		steps              []step
	}{
		{"none", 3, 0, []step{
			{"up up up up up", true}, {"up up up down down", true}, {"up up down down down", false},
			{"up up up down down", true},
		}},
		{"one", 3, 1, []step{
			{"up up up down down", true}, {"up up down down down", true},
			{"up down down down down", false}, {"up up down down down", false},
			{"up up up down down", false}, {"up up up up down", true},
		}},
		{"as large as the quorum: not below one", 3, 3, []step{
			{"up up up up up", true}, {"up down down down down", true},
			{"down down down down down", false}, {"up up up up down", false},
			{"up up up up up", true},
		}},
		{"all of them can always gain it", 5, 2, []step{
			{"up up up down down", true}, {"up up down down down", false},
			{"up up up up down", false}, {"up up up up up", true},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vs := web(1, 1, 1, 1, 1)
			vs.Quorum, vs.Hysteresis = tt.quorum, tt.hysteresis
			var quorum pool.Quorum
			for i, s := range tt.steps {
				_, quorum = pool.Desired(&vs, &pool.State{Health: health(s.health), Quorum: quorum})
				if kept := quorum == pool.Kept; kept != s.quorum {
					t.Fatalf("step %d, %s: quorum %s, want %t", i, s.health, quorum, s.quorum)
				}
			}
		})
	}
}

func TestQuorumString(t *testing.T) {
	got := []string{pool.Quorum(0).String(), pool.Kept.String(), pool.Lost.String()}
	if diff := cmp.Diff([]string{"new", "kept", "lost"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// drawn is a random virtual server with a random health and past.
type drawn struct {
	vs config.VirtualServer
	pool.State
}

func draw(t *rapid.T) drawn {
	vs := web(rapid.SliceOfN(rapid.IntRange(0, 3), 1, 5).Draw(t, "weights")...)
	vs.Quorum = rapid.IntRange(1, 8).Draw(t, "quorum")
	vs.Hysteresis = rapid.IntRange(0, 8).Draw(t, "hysteresis")
	vs.Alpha = rapid.Bool().Draw(t, "alpha")
	vs.SorryInhibit = rapid.Bool().Draw(t, "sorry inhibit")
	if rapid.Bool().Draw(t, "has sorry") {
		vs.SorryServer = rapid.SampledFrom([]netip.AddrPort{sorry, server(0)}).Draw(t, "sorry")
	}
	drawKeys(t, &vs)
	d := drawn{State: pool.State{Health: pool.Health{}, Overrides: pool.Overrides{}}}
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		rs.InhibitOnFailure = rapid.Bool().Draw(t, "inhibit")
		rs.Alpha = rapid.Bool().Draw(t, "real alpha")
		if rapid.Bool().Draw(t, "known") {
			d.Health[rs.Address] = rapid.Bool().Draw(t, "up")
		}
		if rapid.Bool().Draw(t, "overridden") {
			d.Overrides[rs.Address] = rapid.IntRange(0, 3).Draw(t, "override")
		}
		if rapid.Bool().Draw(t, "own method") {
			rs.Forward = drawForward(t)
		}
	}
	d.Quorum = rapid.SampledFrom([]pool.Quorum{0, pool.Kept, pool.Lost}).Draw(t, "was")
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 0, 3, rapid.ID[int]).
		Draw(t, "drains") {
		d.Drains = append(d.Drains, draining(i))
	}
	d.vs = vs
	return d
}

// drawKeys makes it a virtual server by address, mark or group, and draws the way to its servers.
func drawKeys(t *rapid.T, vs *config.VirtualServer) {
	vs.Forward = drawForward(t)
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 1:
		vs.Address, vs.Mark, vs.Family = netip.AddrPort{}, 7, config.IPv4
	case 2:
		vs.Address, vs.Group = netip.AddrPort{}, "web"
		vs.Members = []config.ServiceRange{
			{Mark: 7, Family: config.IPv4},
			{First: address("192.168.1.1"), Last: address("192.168.1.3"), Port: 80},
			{First: address("192.168.1.2"), Last: address("192.168.1.2"), Port: 443},
		}
	}
}

func drawForward(t *rapid.T) config.Forward {
	return rapid.SampledFrom([]config.Forward{config.NAT, config.DR, config.TUN}).Draw(t, "method")
}

// weights are those of the destinations by address, each of which must be in once.
func weights(t *rapid.T, ds []ipvs.Destination) map[netip.AddrPort]int {
	weights := make(map[netip.AddrPort]int)
	for _, dst := range ds {
		if _, twice := weights[dst.Addr]; twice {
			t.Fatalf("%s is in twice", dst.Addr)
		}
		weights[dst.Addr] = dst.Weight
	}
	return weights
}

func TestDesiredProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		vs := &d.vs
		ds, quorum := pool.Desired(vs, &d.State)
		weights := weights(t, ds)
		serves := vs.SorryServer.IsValid() && quorum == pool.Lost
		if serves && weights[vs.SorryServer] != 1 {
			t.Fatalf("no quorum, but no sorry server: %s", show(ds))
		}
		healthy, serving := 0, 0
		for i := range vs.RealServers {
			rs := &vs.RealServers[i]
			if d.Health.Up(rs) && d.Weight(rs) > 0 {
				healthy++
			}
			if serves && rs.Address == vs.SorryServer {
				continue
			}
			want := d.Weight(rs)
			if serves || !d.Health.Up(rs) {
				want = 0
			}
			if got := weights[rs.Address]; got != want {
				t.Fatalf("%s has weight %d, want %d", rs.Address, got, want)
			}
		}
		for _, weight := range weights {
			if weight > 0 {
				serving++
			}
		}
		if healthy > 0 && serving == 0 {
			t.Fatalf("%d are healthy and none serves: %s", healthy, show(ds))
		}
		for _, drain := range d.Drains {
			if _, there := weights[drain.Destination.Addr]; !there {
				t.Fatalf("%s drains, and is not there", drain.Destination.Addr)
			}
		}
	})
}

func TestDesiredIsSettledAfterOneCall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		ds, quorum := pool.Desired(&d.vs, &d.State)
		d.Quorum = quorum
		again, quorumAgain := pool.Desired(&d.vs, &d.State)
		if quorum != quorumAgain {
			t.Fatalf("quorum flaps: %s, then %s", quorum, quorumAgain)
		}
		if diff := cmp.Diff(ds, again, sameAddrs); diff != "" {
			t.Fatalf("the services flap: %s", diff)
		}
	})
}

func TestRecoveryNeverCostsTheQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		_, before := pool.Desired(&d.vs, &d.State)
		i := rapid.IntRange(0, len(d.vs.RealServers)-1).Draw(t, "recovers")
		d.Health[server(i)] = true
		_, after := pool.Desired(&d.vs, &d.State)
		if before == pool.Kept && after == pool.Lost {
			t.Fatalf("%s came up and the quorum was lost", server(i))
		}
	})
}
