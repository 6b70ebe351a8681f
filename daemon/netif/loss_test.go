package netif_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestFollowRouting removes routes and rules, and says whose losses they are.
func TestFollowRouting(t *testing.T) {
	node, _ := netiftest.Pair(t)
	h := node.Host
	via := []netif.Hop{{Via: netip.MustParseAddr("192.168.1.254")}}
	dev := []netif.Hop{{Device: netiftest.Device}}
	routes := []netif.Route{
		{Dest: netip.MustParsePrefix("10.1.0.0/16"), Hops: via},
		{Dest: netip.MustParsePrefix("10.2.0.0/16"), Table: 1000, Hops: via},
		{Hops: via},
		{Dest: netip.MustParsePrefix("10.3.0.1/32"), Type: "blackhole"},
		{Dest: netip.MustParsePrefix("2001:db8:1::/48"), Table: 300, Hops: dev},
		{IPv6: true, Hops: dev},
	}
	rules := []netif.Rule{
		{From: netip.MustParsePrefix("10.2.0.0/16"), Table: 1000, Preference: 100},
		{IPv6: true, Mark: 1, Mask: 1, Preference: 70000},
	}
	got := make(chan netif.Loss, 100)
	stop, err := h.FollowRouting(func(l netif.Loss) { got <- l }, refused(t))
	ok(t, err)
	defer stop()
	next := func(what string) netif.Loss {
		t.Helper()
		select {
		case l := <-got:
			return l
		case <-time.After(limit):
			t.Fatalf("loss of %s: not heard in %s", what, limit)
		}
		return netif.Loss{}
	}
	for i, r := range routes {
		ok(t, h.PutRoute(r))
		foreign := r
		foreign.Protocol, foreign.Metric = 99, 7
		ok(t, h.PutRoute(foreign))
		ok(t, h.DropRoute(foreign)) // which is nobody's business
		ok(t, h.DropRoute(r))
		l := next(r.String())
		for j, o := range routes {
			if l.OfRoute(o) != (i == j) {
				t.Errorf("%+v is the loss of %s: %t, want %t", l, o, l.OfRoute(o), i == j)
			}
		}
	}
	for i, r := range rules {
		ok(t, h.PutRule(r))
		ok(t, h.DropRule(r))
		l := next(r.String())
		for j, o := range rules {
			if l.OfRule(o) != (i == j) || l.OfRoute(routes[0]) {
				t.Errorf("%+v is the loss of %s: %t, want %t", l, o, l.OfRule(o), i == j)
			}
		}
	}
	if diff := cmp.Diff(0, len(got)); diff != "" {
		t.Errorf("further losses (-want +got):\n%s", diff)
	}
}
