package instance

import (
	"sync"
	"time"
)

// helper is a goroutine that is there only while there is something to do: of those of a thousand
// instances hardly any has.
type helper struct {
	// work does what there is to do and returns when there will be more without a call; zero: never.
	work func() time.Time

	mu    sync.Mutex
	busy  bool // the goroutine is there
	again bool // it is called while it works
	over  bool
	wake  chan struct{} // has room for one; nil while the goroutine is not there
	idle  sync.WaitGroup
}

func newHelper(work func() time.Time) *helper {
	return &helper{work: work}
}

// call has the work done soon. It does not wait. After finish it does nothing.
func (h *helper) call() {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
	case h.busy:
		h.again = true
		h.rouse()
	default:
		h.busy = true
		h.wake = make(chan struct{}, 1)
		h.idle.Go(h.run)
	}
}

func (h *helper) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// finish returns when what there is to do now has been done; what would come later is not.
func (h *helper) finish() {
	h.call()
	h.mu.Lock()
	h.over = true
	h.rouse()
	h.mu.Unlock()
	h.idle.Wait()
}

func (h *helper) run() {
	for {
		h.begin()
		next := h.work()
		if !h.goesOn(next) {
			return
		}
		if next.IsZero() {
			continue
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-h.wake:
			timer.Stop()
		}
	}
}

// begin forgets the calls that are about to be answered.
func (h *helper) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.again = false
	select {
	case <-h.wake:
	default:
	}
}

// goesOn reports whether there is more to do, or will be.
func (h *helper) goesOn(next time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy = h.again || !h.over && !next.IsZero(); !h.busy {
		h.wake = nil
	}
	return h.busy
}
