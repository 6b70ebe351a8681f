package netif_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestLocal hears of addresses and carriers that come and go, and of nothing else.
func TestLocal(t *testing.T) {
	node, _ := netiftest.Pair(t)
	var local *netif.Local
	var err error
	node.Do(func() { local, err = netif.OpenLocal() })
	if err != nil {
		t.Fatal(err)
	}
	own, vip := netip.MustParseAddr("192.168.1.2"), netip.MustParsePrefix("192.168.1.1/32")
	before := local.Now()
	if !before.Addrs[own] || len(before.Up) == 0 || before.Addrs[vip.Addr()] {
		t.Fatalf("at first: %+v", before)
	}
	ctx, cancel := context.WithCancel(t.Context())
	news, ended := make(chan netif.Here, 10), make(chan error, 1)
	go func() { ended <- local.Watch(ctx, func(h netif.Here) { news <- h }) }()
	eth0 := node.Host.Interface(netiftest.Device)
	for _, step := range []struct {
		name string
		do   func()
		has  bool // of the VIP
		up   int  // change of how many interfaces are up
		more bool
	}{
		{"an address comes", func() { err = eth0.AddAddr(vip, time.Hour) }, true, 0, true},
		{"it is renewed, and the cable is pulled out", func() {
			err = eth0.AddAddr(vip, 2*time.Hour)
			node.Plug(false)
		}, true, -1, false},
		{"the cable is in", func() { node.Plug(true) }, true, 1, true},
		{"the address goes", func() { err = eth0.RemoveAddr(vip) }, false, 0, false},
	} {
		if step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		last := before
		select {
		case last = <-news:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: no news", step.name)
		}
		up := len(last.Up) - len(before.Up)
		if last.Addrs[vip.Addr()] != step.has || up != step.up || last.More(before) != step.more {
			t.Errorf("%s: %+v, more %t", step.name, last, last.More(before))
		}
		before = last
	}
	cancel()
	if err := <-ended; err != nil || len(news) > 0 {
		t.Errorf("Watch: %v, %d more news", err, len(news))
	}
}
