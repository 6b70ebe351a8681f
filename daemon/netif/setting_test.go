package netif_test

import (
	"testing"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestSetting holds a setting for two and undoes it with the second.
func TestSetting(t *testing.T) {
	node, _ := netiftest.Pair(t)
	eth := node.Host.Interface(netiftest.Device)
	promote := netif.Setting{Family: "ipv4", Name: "promote_secondaries", Value: "1"}
	was, err := eth.Before(promote)
	ok(t, err)
	if was == promote.Value { // the host's default is the other one
		promote.Value = "0"
	}
	now := func() string {
		t.Helper()
		// Another Host of the namespace knows nothing of who holds what.
		var s string
		node.Do(func() {
			h, err := netif.Open()
			if err == nil {
				s, err = h.Interface(netiftest.Device).Before(promote)
				_ = h.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
		return s
	}
	ok(t, eth.Hold(promote))
	ok(t, eth.Hold(promote))
	ok(t, eth.Release(promote))
	if got := now(); got != promote.Value {
		t.Errorf("held by one: %s, want %s", got, promote.Value)
	}
	if got, err := eth.Before(promote); err != nil || got != was {
		t.Errorf("Before: %s, %v; want %s", got, err, was)
	}
	ok(t, eth.Release(promote))
	if got := now(); got != was {
		t.Errorf("released: %s, want %s", got, was)
	}
	ok(t, eth.Release(promote)) // once too often

	ok(t, eth.Hold(promote))
	ok(t, eth.Restore(promote, was))
	if got := now(); got != was {
		t.Errorf("restored: %s, want %s", got, was)
	}
	absent := node.Host.Interface("nowhere0")
	if err := absent.Hold(promote); err == nil {
		t.Error("Hold of an absent interface: no error")
	}
	ok(t, absent.Restore(promote, was))
}
