package check

import (
	"container/heap"
	"context"
	"runtime"
	"sync"
	"time"
)

// queue has tasks wait for their next attempts, and begins each when it is due. It goes on to the
// next one when that attempt has done what it can do at once: where there is more to do than the
// processor can, attempts come late, and nothing else does. A timer for each task would begin all
// that are late at once, and everything else in the process would wait for all of them.
type queue struct {
	wake chan struct{} // has room for one: the first one is another

	mu      sync.Mutex
	waiting byDue
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

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
	heap.Remove(&q.waiting, w.place-1)
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
	timer := time.NewTimer(never)
	defer timer.Stop()
	for ctx.Err() == nil {
		w, wait := q.next(time.Now())
		if w != nil {
			go w.attempt()
			runtime.Gosched()
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

// next returns the first one if it is due, and takes it out; else how long there is nothing to do.
func (q *queue) next(now time.Time) (*watch, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil, never
	}
	if wait := q.waiting[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	w, _ := heap.Pop(&q.waiting).(*watch)
	return w, 0
}

// byDue is a heap of watches, the first one due at its top.
type byDue []*watch

func (b byDue) Len() int           { return len(b) }
func (b byDue) Less(i, j int) bool { return b[i].due.Before(b[j].due) }
func (b byDue) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = i+1, j+1
}

// Push is heap.Interface's.
func (b *byDue) Push(x any) {
	w, ok := x.(*watch)
	if !ok {
		panic("check: what is to wait is no watch")
	}
	*b = append(*b, w)
	w.place = len(*b)
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
