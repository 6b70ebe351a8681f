package instance

import (
	"testing"

	"github.com/tandemlb/tandem/daemon/netif"
)

// TestInboxKeepsWhatWaits has something come that the kernel may have to be waited for, after a turn
// has begun that others wait for: it is left, in its order, for a turn of its own. Packets are not.
func TestInboxKeepsWhatWaits(t *testing.T) {
	take := func(b *inbox, apart bool, wantPackets, wantItems int) {
		t.Helper()
		packets, items := b.take(apart)
		if len(packets) != wantPackets || len(items) != wantItems {
			t.Errorf("apart %t: %d packets and %d items, want %d and %d",
				apart, len(packets), len(items), wantPackets, wantItems)
		}
	}
	var b inbox
	b.put(loss{})
	b.offer(packet{Packet: netif.Packet{}})
	take(&b, false, 1, 1)
	if b.waits() {
		t.Error("it waits for a loss")
	}
	b.put(loss{})
	b.put(failure{})
	b.put(loss{})
	b.offer(packet{})
	take(&b, false, 1, 0)
	take(&b, false, 0, 0)
	if !b.waits() {
		t.Error("it does not wait for what is left")
	}
	b.offer(packet{})
	take(&b, true, 1, 3)
	take(&b, true, 0, 0)
	if b.waits() {
		t.Error("it waits for nothing")
	}
}
