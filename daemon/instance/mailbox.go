package instance

import "sync"

// mailbox passes items from any goroutine to one without ever making the sender wait.
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T
	// wake has room for one: it says that there may be items.
	wake chan struct{}
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{wake: make(chan struct{}, 1)} }

// put adds an item.
func (m *mailbox[T]) put(item T) { m.offer(item, 0) }

// offer adds an item unless limit others wait already; zero is no limit. It reports whether it did.
func (m *mailbox[T]) offer(item T, limit int) bool {
	m.mu.Lock()
	if limit > 0 && len(m.items) >= limit {
		m.mu.Unlock()
		return false
	}
	m.items = append(m.items, item)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take removes and returns all items, the oldest first.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}
