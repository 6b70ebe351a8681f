package ipvs_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

func TestDiff(t *testing.T) {
	a, b := realServer("192.168.2.11:80", 1), realServer("192.168.2.12:80", 1)
	c := realServer("192.168.2.13:80", 1)
	heavy, quiesced := a, a
	heavy.Weight, quiesced.Weight = 3, 0
	table := func(ds ...ipvs.Destination) ipvs.Services {
		return ipvs.Services{{Key: web, Settings: wlc(), Destinations: ds}}
	}
	rr := table(a)
	rr[0].Scheduler = "rr"
	full := table(a)
	full[0].PersistenceBits = 32

	for _, tt := range []struct {
		name       string
		have, want ipvs.Services
		ops        []string
	}{
		{name: "nothing"},
		{name: "equal in another order", have: table(a, b), want: table(b, a)},
		{name: "equal in other words", have: table(a), want: full},
		{"new service, in the order given", nil, table(b, a), []string{
			"ipvsadm -A -t 192.168.1.1:80 -s wlc",
			"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1",
			"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1",
		}},
		{"service not wanted", table(a, b), nil, []string{"ipvsadm -D -t 192.168.1.1:80"}},
		{"other scheduler", table(a), rr, []string{"ipvsadm -E -t 192.168.1.1:80 -s rr"}},
		{"weight in place", table(a, b), table(heavy, b), []string{
			"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 3",
		}},
		{"add before delete", table(a, b), table(b, c), []string{
			"ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.13:80 -m -w 1",
			"ipvsadm -d -t 192.168.1.1:80 -r 192.168.2.11:80",
		}},
		{"raise before lower", table(heavy, realServer("192.168.2.12:80", 0)), table(quiesced, b),
			[]string{
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1",
				"ipvsadm -e -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 0",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, op := range ipvs.Diff(tt.have, tt.want) {
				got = append(got, op.String())
			}
			if diff := cmp.Diff(tt.ops, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// drawServices draws a table with few keys and addresses, so that two tables often share some.
func drawServices(t *rapid.T, name string) ipvs.Services {
	keys := []ipvs.Key{web, dns, web6, mark, mark6}
	var out ipvs.Services
	for _, k := range keys {
		if !rapid.Bool().Draw(t, name+": "+k.String()) {
			continue
		}
		s := ipvs.Service{Key: k, Settings: ipvs.Settings{
			Scheduler:       rapid.SampledFrom(ipvs.Schedulers()).Draw(t, "scheduler"),
			Flags:           ipvs.Flags(rapid.IntRange(0, 15).Draw(t, "flags")) << 2,
			Persistence:     time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second,
			PersistenceBits: rapid.SampledFrom([]int{0, 8, 24, 32}).Draw(t, "bits"),
		}}
		if s.Persistence > 0 {
			s.Engine = rapid.SampledFrom([]ipvs.Engine{"", ipvs.SIP}).Draw(t, "engine")
		}
		octets := rapid.SliceOfNDistinct(rapid.IntRange(11, 15), 0, 4, rapid.ID[int])
		for _, n := range octets.Draw(t, "destinations") {
			s.Destinations = append(s.Destinations, drawDestination(t, k.IsIPv6(), n))
		}
		out = append(out, s)
	}
	return rapid.Permutation(out).Draw(t, "order")
}

func drawDestination(t *rapid.T, ipv6 bool, n int) ipvs.Destination {
	addr := netip.MustParseAddr(fmt.Sprintf("192.168.2.%d", n))
	if ipv6 {
		addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%d", n))
	}
	upper := rapid.Uint32Range(0, 3).Draw(t, "upper")
	d := ipvs.Destination{
		Addr:    netip.AddrPortFrom(addr, 80),
		Forward: rapid.SampledFrom([]ipvs.Forward{ipvs.NAT, ipvs.DR, ipvs.TUN}).Draw(t, "by"),
		Weight:  rapid.SampledFrom([]int{0, 1, 2, 70000, ipvs.MaxWeight}).Draw(t, "weight"),
		Upper:   upper,
		Lower:   rapid.Uint32Range(0, upper).Draw(t, "lower"),
	}
	if d.Forward == ipvs.TUN {
		d.Tunnel = rapid.SampledFrom([]ipvs.Tunnel{
			{}, {Type: ipvs.GUE, Port: 6080}, {Type: ipvs.GRE, Checksum: ipvs.FullChecksum},
		}).Draw(t, "tunnel")
	}
	return d
}

// fill returns a table that holds ss.
func fill(t require, ss ipvs.Services) *ipvstest.Memory {
	m := &ipvstest.Memory{}
	if err := m.Apply(context.Background(), ipvs.Diff(nil, ss)); err != nil {
		t.Fatalf("fill table: %v", err)
	}
	m.Applied()
	return m
}

// require is what testing.T and rapid.T share.
type require interface{ Fatalf(string, ...any) }

func TestDiffLeadsFromHaveToWant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawServices(t, "have"), drawServices(t, "want")
		m := fill(t, have)
		if err := m.Apply(context.Background(), ipvs.Diff(have, want)); err != nil {
			t.Fatalf("apply: %v", err)
		}
		got, err := m.List(context.Background())
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if diff := cmp.Diff(want.Canonical(), got.Canonical()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if !got.Equal(want) {
			t.Fatalf("Equal is false for\n%sand\n%s", got, want)
		}
		if ops := ipvs.Diff(got, want); len(ops) > 0 {
			t.Fatalf("a second Diff is not empty: %v", ops)
		}
	})
}

func TestDiffNeverLeavesAServiceWithoutDestination(t *testing.T) {
	serves := func(ss ipvs.Services, k ipvs.Key) bool {
		s, _ := ss.Get(k)
		for _, d := range s.Destinations {
			if d.Weight > 0 {
				return true
			}
		}
		return false
	}
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawServices(t, "have"), drawServices(t, "want")
		m := fill(t, have)
		for _, op := range ipvs.Diff(have, want) {
			if err := m.Apply(context.Background(), []ipvs.Op{op}); err != nil {
				t.Fatalf("apply: %v", err)
			}
			now, err := m.List(context.Background())
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			for _, s := range want {
				k := s.Key
				if serves(have, k) && serves(want, k) && !serves(now, k) {
					t.Fatalf("nobody serves %s after %s", k, op)
				}
			}
		}
	})
}

func TestDiffKeepsWhatBothHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawServices(t, "have"), drawServices(t, "want")
		for _, op := range ipvs.Diff(have, want) {
			s, _ := want.Get(op.Key)
			for _, d := range s.Destinations {
				if op.Kind == ipvs.DeleteDestination && op.Destination.Addr == d.Addr {
					t.Fatalf("deleted although wanted: %s", op)
				}
			}
			if _, ok := want.Get(op.Key); ok && op.Kind == ipvs.DeleteService {
				t.Fatalf("deleted although wanted: %s", op)
			}
		}
	})
}

func TestServicesString(t *testing.T) {
	ss := ipvs.Services{
		{Key: dns, Settings: ipvs.Settings{Scheduler: "rr"}},
		{Key: web, Settings: wlc(), Destinations: []ipvs.Destination{
			realServer("192.168.2.12:80", 2), realServer("192.168.2.11:80", 1),
		}},
	}
	want := `-A -t 192.168.1.1:80 -s wlc
-a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 2
-a -t 192.168.1.1:80 -r 192.168.2.11:80 -m -w 1
-A -u 192.168.1.1:53 -s rr
`
	if diff := cmp.Diff(want, ss.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, fill(t, ss).String()); diff != "" {
		t.Errorf("the table in memory (-want +got):\n%s", diff)
	}
}
