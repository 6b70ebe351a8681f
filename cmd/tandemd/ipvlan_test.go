package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestIPVLANAllDieKernel kills the worker of a master with use_ipvlan, whose successor goes on with
// the ipvlan as it is, and then all, who leave it behind: --cleanup takes it away, and gives the
// interface beneath its setting back.
func TestIPVLANAllDieKernel(t *testing.T) {
	node, _ := netiftest.Pair(t)
	node.NeedIPVLAN()
	text := string(readFile(t, "testdata/good.conf"))
	g := startIn(t, node, strings.Replace(text, "interface eth0", "interface eth0\nuse_ipvlan iv51", 1))
	// index is 0 without the ipvlan.
	index := func() int {
		t.Helper()
		s, err := node.Host.Interface("iv51").State()
		if err != nil {
			t.Fatal(err)
		}
		return s.Index
	}
	has := func() bool {
		s, err := node.Host.Interface("iv51").State()
		return err == nil && slices.Contains(s.Addrs, netip.MustParsePrefix("192.168.1.1/24"))
	}
	asks := func(want string) {
		t.Helper()
		if got := node.ARPAnnounce(); got != want {
			t.Errorf("arp_announce of the interface beneath: got %s, expected %s", got, want)
		}
	}
	waitFor(t, "VIP on the ipvlan", has)
	asks("2")
	first := index()
	g.kill(g.worker())
	g.said("reason=resumed")
	if !has() || index() != first {
		t.Error("after the worker's death: expected the same ipvlan, with the VIP")
	}
	g.killAll()
	if index() != first {
		t.Error("killed: expected the ipvlan to be left behind")
	}
	g.cleanUp()
	if index() != 0 {
		t.Error("after --cleanup: expected no ipvlan")
	}
	asks("0")
}
