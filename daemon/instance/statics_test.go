package instance_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestStatics keeps an address, a route and a rule, changes them, and leaves what was there before.
func TestStatics(t *testing.T) {
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	route := netif.Route{Dest: netip.MustParsePrefix("10.1.0.0/16"), Table: 1000,
		Hops: []netif.Hop{{Via: netip.MustParseAddr("192.168.1.254")}}}
	rule := netif.Rule{
		From: netip.MustParsePrefix("10.2.0.0/16"), Table: 1000, Preference: 100,
	}
	eth := a.Host.Interface(netiftest.Device)
	if err := eth.AddAddr(second, 0); err != nil { // not ours to remove
		t.Fatal(err)
	}
	before := everything(t, a)
	s := instance.Static{
		Addresses: []instance.VIP{
			{Prefix: vip, Device: netiftest.Device}, {Prefix: second, Device: netiftest.Device},
		},
		Routes: []netif.Route{route}, Rules: []netif.Rule{rule},
	}
	k, err := instance.NewStatics(s, b.links[0], slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	const routed = "10.1.0.0/16 via 192.168.1.254 dev eth0 table 1000 proto keepalived"
	has := func(lines ...string) func() bool {
		return func() bool {
			all := everything(t, a)
			return b.has(0) && !slices.ContainsFunc(lines, func(l string) bool {
				return !slices.Contains(all, l)
			})
		}
	}
	b.await("everything", has(routed, ladenRule))
	if err := eth.RemoveAddr(vip); err != nil {
		t.Fatal(err)
	}
	b.await("address put back", func() bool { return b.has(0) })
	a.SetUp(false) // the kernel removes the route
	a.SetUp(true)
	b.await("route put back", has(routed, ladenRule))

	s.Rules = nil
	s.Addresses = s.Addresses[:1]
	if err := k.Change(s); err != nil {
		t.Fatal(err)
	}
	b.await("rule gone", func() bool { return !slices.Contains(everything(t, a), ladenRule) })
	if !has(routed)() || !slices.Contains(b.addrs(0), second) {
		t.Errorf("after the change: %v", everything(t, a))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if diff := cmp.Diff(before, everything(t, a)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestStaticsRefuse(t *testing.T) {
	s := instance.Static{
		Addresses: []instance.VIP{{Prefix: vip}},
		Rules:     []netif.Rule{{}},
	}
	_, err := instance.NewStatics(s, nil, nil)
	want := "keep statics: address 192.168.1.1/32 on \"\": want both\n" +
		"rule from all preference 0 table 0: preference 0: want 1 or more"
	if err == nil || err.Error() != want {
		t.Errorf("NewStatics = %v, want %s", err, want)
	}
}
