package check

import (
	"container/heap"
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// tick is the least time between two turns of a queue, and what a server has to accept a
	// connection before its attempt takes a goroutine to wait. It is part of how late an attempt may
	// be.
	tick = 10 * time.Millisecond
	// mostBegun is how many attempts one turn begins, so that others have theirs.
	mostBegun = 64
)

// queue has tasks wait for their next attempts, and begins each when it is due. It goes on to the
// next one when that attempt has done what it can do at once: where there is more to do than the
// processor can, attempts come late, and nothing else does. A timer for each task would begin all
// that are late at once, and everything else in the process would wait for all of them.
//
// Turns that have something to do are at least a tick apart, so that one is for several attempts
// where there are many; what is put before all others has one at once.
type queue struct {
	clock  clock
	wake   chan struct{} // has room for one: the first one is another
	knocks knocks

	mu      sync.Mutex
	waiting byDue
}

func newQueue(c clock) *queue { return &queue{clock: c, wake: make(chan struct{}, 1)} }

// put has w wait for w.due, which must not change meanwhile.
func (q *queue) put(w *watch) {
	q.mu.Lock()
	heap.Push(&q.waiting, w)
	first := w.place == 1
	q.mu.Unlock()
	if first {
		q.rouse()
	}
}

// remove reports whether w was waiting; it is not any more.
func (q *queue) remove(w *watch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.place == 0 {
		return false
	}
	heap.Remove(&q.waiting, int(w.place)-1)
	return true
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run begins attempts until ctx ends.
func (q *queue) run(ctx context.Context) {
	defer q.knocks.abandon()
	timer := time.NewTimer(never)
	defer timer.Stop()
	var worked time.Time // when something was begun last
	for ctx.Err() == nil {
		now := time.Now()
		q.knocks.look(now)
		begun := q.begin(now)
		if begun > 0 {
			worked = now
		}
		if begun == mostBegun {
			runtime.Gosched()
			continue
		}
		select {
		case <-q.wake: // whatever that was is seen now
		default:
		}
		wait := q.wait(now, worked)
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
	}
}

// begin begins those that are due, up to mostBegun, and returns how many.
func (q *queue) begin(now time.Time) int {
	for n := range mostBegun {
		w := q.next(now)
		if w == nil {
			return n
		}
		if !q.knocks.begin(w, now) {
			go w.attempt()
			runtime.Gosched()
		}
	}
	return mostBegun
}

// next takes out the first one if it is due; nil if it is not.
func (q *queue) next(now time.Time) *watch {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.waiting[0].due > q.clock.instant(now) {
		return nil
	}
	w, _ := heap.Pop(&q.waiting).(*watch)
	return w
}

// wait returns how long there is nothing to do; 0 if there is already.
func (q *queue) wait(now, worked time.Time) time.Duration {
	q.mu.Lock()
	first := never
	if len(q.waiting) > 0 {
		first = time.Duration(q.waiting[0].due - q.clock.instant(now))
	}
	q.mu.Unlock()
	if first <= 0 {
		return 0
	}
	return max(min(first, q.knocks.next(now)), tick-now.Sub(worked))
}

// byDue is a heap of watches, the first one due at its top.
type byDue []*watch

func (b byDue) Len() int           { return len(b) }
func (b byDue) Less(i, j int) bool { return b[i].due < b[j].due }
func (b byDue) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = int32(i+1), int32(j+1)
}

// Push is heap.Interface's.
func (b *byDue) Push(x any) {
	w, ok := x.(*watch)
	if !ok {
		panic("check: what is to wait is no watch")
	}
	*b = append(*b, w)
	w.place = int32(len(*b))
}

// Pop is heap.Interface's.
func (b *byDue) Pop() any {
	last := len(*b) - 1
	w := (*b)[last]
	(*b)[last] = nil
	*b = (*b)[:last]
	w.place = 0
	return w
}
