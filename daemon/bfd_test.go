package daemon

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestTrackBFD has an instance depend on a session: it has its VIP while the neighbour answers.
func TestTrackBFD(t *testing.T) {
	node, far := netiftest.Pair(t)
	r := direct(t, node, `bfd_instance far {
    neighbor_ip 192.168.1.3
    min_tx 50
    min_rx 50
    idle_tx 1000
}
`+strings.Replace(oneInstance, "priority 150", "priority 150\n    track_bfd {\n        far\n    }", 1))
	held := func() bool { return r.on("192.168.1.1/24") != "" }
	until(t, "the session is down", func() bool { return r.log.has("tracker=\"bfd far\" state=down") })
	if held() {
		t.Error("without a neighbour: expected no VIP")
	}
	stop := answer(t, far)
	until(t, "VIP with a neighbour", held)
	stop()
	until(t, "no VIP without the neighbour", func() bool { return !held() })
}

// answer runs the other end of the session of TestTrackBFD until the returned function is called.
func answer(t *testing.T, n *netiftest.Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := bfd.NewSpeaker(nil, nil)
	const often = 50 * time.Millisecond
	err := s.Set([]bfd.Config{{
		Name: "near", Neighbor: netip.MustParseAddr("192.168.1.2"),
		Params: bfd.Params{MinTx: often, MinRx: often, IdleTx: time.Second, Multiplier: 5},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go n.Do(func() { ended <- s.Run(ctx) })
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}
