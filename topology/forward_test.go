package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseForward(t *testing.T) {
	for f := Masq; f <= GRE; f++ {
		if got, err := ParseForward(f.String()); err != nil || got != f {
			t.Errorf("%s: %s, %v", f, got, err)
		}
		if got, want := f.Tunnel(), f > Route; got != want {
			t.Errorf("%s is a tunnel: %t, want %t", f, got, want)
		}
	}
	_, err := ParseForward("rout")
	want := `"rout": expected masq, route, ipip, gue or gre (did you mean "route"?)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestForwards(t *testing.T) {
	for _, tt := range []struct {
		preset         string
		ways           []Forward
		alone, tunnels bool
	}{
		{"fig7", []Forward{Masq}, false, false},
		{"fig7-dr", []Forward{Route}, true, false},
		{"fig7-tun", []Forward{IPIP}, true, true},
	} {
		p := mustPreset(t, tt.preset)
		if got := p.Forwards("web2"); !slices.Equal(got, tt.ways) {
			t.Errorf("%s: web2 gets connections by %v, want %v", tt.preset, got, tt.ways)
		}
		if got := p.AnswersAlone("web2"); got != tt.alone || p.AnswersAlone("lb1") {
			t.Errorf("%s: web2 answers alone: %t, want %t; lb1 never does", tt.preset, got, tt.alone)
		}
		if got := p.Tunnels(); got != tt.tunnels {
			t.Errorf("%s: tunnels: %t, want %t", tt.preset, got, tt.tunnels)
		}
	}
}

// TestForwardRefused names each way that could not work.
func TestForwardRefused(t *testing.T) {
	const web1 = "services[192.168.1.1:80].real_servers.web1.forward: "
	for _, tt := range []struct {
		name, preset string
		change       func(*Topology)
		want         string
	}{
		{"none", "fig7-dr", func(t *Topology) { t.Services[0].RealServers[0].Forward = 9 },
			web1 + "forward 9: expected masq, route, ipip, gue or gre"},
		{"another port", "fig7-dr", func(t *Topology) { t.Services[0].RealServers[0].Port = 81 },
			web1 + "route: expected port 80, the service's, for packets are handed on as they are"},
		{"a director's own address", "fig6",
			func(t *Topology) { t.Services[0].RealServers[0].Forward = IPIP },
			web1 + "ipip: expected masq, or a service on a VIP: the real servers have its address too, " +
				"and would take a director's own for theirs\n" +
				"nodes.web1.links: no way to client client1 but through a director: expected a link to its " +
				"network\nnodes.web1.links: no way to client client2 but through a director: expected a " +
				"link to its network"},
		{"a mark", "fig7-dr",
			func(t *Topology) { t.Services[0].Marked = netip.MustParsePrefix("10.0.0.0/24") },
			web1 + "route: expected masq, for the service is by firewall mark"},
		{"two ways back", "fig7-dr", func(t *Topology) {
			t.Nodes[4].Gateway = t.VIPs[0].Addr
			second := webService()
			second.Addr = netip.MustParseAddrPort("192.168.1.1:81")
			second.RealServers = second.RealServers[:1]
			t.Services = append(t.Services, second)
		}, web1 + "route: expected masq, by which web1 serves too: its answers take one way"},
		{"out of reach", "fig7-tun", func(t *Topology) {
			for i := range t.Services[0].RealServers {
				t.Services[0].RealServers[i].Forward = Route
			}
			t.Nodes[3].Links = t.Nodes[3].Links[:1]
		}, web1 + `route: director lb2 has no link to network "server", expected one on every director`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPreset(t, tt.preset)
			tt.change(&p)
			err := p.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			for _, line := range strings.Split(tt.want, "\n") {
				if !strings.Contains(err.Error(), line) {
					t.Errorf("got\n%v\nwant\n%s", err, line)
				}
			}
		})
	}
}
