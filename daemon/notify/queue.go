package notify

import "time"

// queue is a bounded queue with its Counts, which its owner locks.
type queue[T any] struct {
	limit int
	items []T
	c     Counts
	// dropping counts drops since the queue was last empty.
	dropping uint64
	wake     chan struct{} // has room for one: there may be items
}

func newQueue[T any](limit int) queue[T] {
	return queue[T]{limit: limit, wake: make(chan struct{}, 1)}
}

// put adds an item, and returns the oldest one if that had to make room.
func (q *queue[T]) put(now time.Time, item T) (dropped T, full bool) {
	q.c.Told++
	if len(q.items) >= q.limit {
		dropped, full = q.items[0], true
		q.items = q.items[1:]
		q.c.Dropped++
		q.dropping++
		q.c.note(now, "queue full")
	}
	q.items = append(q.items, item)
	wake(q.wake)
	return dropped, full
}

// take removes and returns the oldest item.
func (q *queue[T]) take() (T, bool) {
	if len(q.items) == 0 {
		var none T
		return none, false
	}
	item := q.items[0]
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items, q.dropping = nil, 0
	}
	return item, true
}

// back puts an item that was taken to where it came from, unless newer ones have filled its place.
func (q *queue[T]) back(now time.Time, item T) {
	if len(q.items) >= q.limit {
		q.c.Dropped++
		q.c.note(now, "queue full")
		return
	}
	q.items = append([]T{item}, q.items...)
}

// drain drops everything, and returns how much that was.
func (q *queue[T]) drain(now time.Time) int {
	left := len(q.items)
	q.c.leave(now, left)
	q.items, q.limit = nil, 0
	return left
}

// counts returns the counts with what waits.
func (q *queue[T]) counts() Counts {
	c := q.c
	c.Waiting = len(q.items)
	return c
}
