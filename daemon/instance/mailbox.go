package instance

import (
	"sync"
	"sync/atomic"
)

// mailbox passes items from any goroutine to one without ever making the sender wait.
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T
}

// put adds items, between which no other comes.
func (m *mailbox[T]) put(items ...T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = append(m.items, items...)
}

// take removes and returns all items, the oldest first.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}

// mostKept is for how many packets an inbox keeps room.
const mostKept = 16

// inbox is what a Runner's owner is to read. Packets are apart from all else: of them there are
// many.
type inbox struct {
	mu      sync.Mutex
	packets []packet
	taken   []packet // room for what were the packets
	items   []any    // linkState, failure, and the others
	// some is that there are any, slow that what some of the items ask for may have to wait. They
	// change under mu.
	some, slow atomic.Bool
}

// offer adds a packet unless maxUnread others wait already. It reports whether it did.
func (b *inbox) offer(p packet) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.packets) >= maxUnread {
		return false
	}
	b.packets = append(b.packets, p)
	b.some.Store(true)
	return true
}

// put adds anything else.
func (b *inbox) put(item any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, item)
	b.some.Store(true)
	switch item.(type) {
	case linkState, failure, tracked, change, leaving:
		b.slow.Store(true)
	}
}

// waits reports whether what there is may have to wait for the kernel.
func (b *inbox) waits() bool { return b.slow.Load() }

// take removes and returns all, the oldest first; unless apart it leaves the items where one of them
// may have to wait for the kernel. The packets are there until the next call. Only the owner calls it.
func (b *inbox) take(apart bool) ([]packet, []any) {
	if len(b.taken) == 0 && !b.some.Load() {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	packets, items := b.packets, b.items
	left := !apart && b.slow.Load()
	if left {
		items = nil
	}
	clear(b.taken)
	if cap(b.taken) > mostKept { // of a flood
		b.taken = nil
	}
	b.packets, b.taken = b.taken[:0], packets
	if !left {
		b.items = nil
		b.some.Store(false)
		b.slow.Store(false)
	}
	return packets, items
}
