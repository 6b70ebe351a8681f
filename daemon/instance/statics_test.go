package instance_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

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

// TestStaticGroups tells of a group whose route the kernel has removed and takes back only with its
// link, and of no other.
func TestStaticGroups(t *testing.T) {
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	route := netif.Route{Dest: netip.MustParsePrefix("10.1.0.0/16"),
		Hops: []netif.Hop{{Via: netip.MustParseAddr("192.168.1.254")}}}
	address := instance.VIP{Prefix: vip, Device: netiftest.Device}
	s := instance.Static{Addresses: []instance.VIP{address}, Routes: []netif.Route{route},
		Groups: map[string]instance.Static{
			"routes": {Routes: []netif.Route{route}}, "addresses": {Addresses: []instance.VIP{address}},
		}}
	k, err := instance.NewStatics(s, b.links[0], slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	k.Told = func(group string, missing error) { told <- fmt.Sprint(group, " ", missing == nil) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	b.await("the address", func() bool { return b.has(0) })
	for _, up := range []bool{false, true} {
		a.SetUp(up)
		want := fmt.Sprint("routes ", up)
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		case <-time.After(b.limit):
			t.Fatalf("not told %q in %s", want, b.limit)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(told) > 0 {
		t.Errorf("told %q too", <-told)
	}
}
