package netif_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestLost has nobody read until a socket is full: what it has lost and what it has not is all.
func TestLost(t *testing.T) {
	a, b := netiftest.Pair(t)
	from, to := listen(t, a), listen(t, b)
	var heard atomic.Uint64
	full := make(chan struct{})
	to.Hear(func(netif.Packet) {
		<-full
		heard.Add(1)
	}, nil)
	const many = 20_000
	for range many {
		ok(t, from.Send([]byte("lost?"), addrA, group))
	}
	close(full)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for begin := time.Now(); ; <-look.C {
		lost, err := to.Lost()
		ok(t, err)
		if lost > 0 && heard.Load() > 0 && heard.Load()+uint64(lost) == many {
			return
		}
		if time.Since(begin) > limit {
			t.Fatalf("heard %d and lost %d of %d", heard.Load(), lost, many)
		}
	}
}
