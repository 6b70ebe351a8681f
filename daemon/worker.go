package daemon

import (
	"context"

	"github.com/tandemlb/tandem/daemon/instance"
)

// router is an instance, or a sync group of them; instance.Runner is the real one.
type router interface {
	// Begin has it work until ctx ends, and until the VIPs are where they belong; then it calls ended.
	Begin(ctx context.Context, ended func(error))
	// Ready is closed when the router takes part in its election, or knows why it cannot.
	Ready() <-chan struct{}
	// Ping returns nil when it turns, and the error of ctx if it does not before that ends.
	Ping(ctx context.Context) error
	// Change makes it another group, without waiting, while it works.
	Change(g instance.Group) error
	steered
	witness
}

// steered is what trackers tell of a member of a router; see instance.Runner.
type steered interface {
	SetPriority(name string, to uint8) error
	SetTracked(name string, well bool) error
}

// worker is something that runs until it is told to end.
type worker struct {
	// key is the router's in a plan.
	key    string
	router router
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of run; set before ended is closed
}

// begin has run work in a goroutine of its own until ctx ends, or end is called.
func begin(ctx context.Context, key string, run func(context.Context) error) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{key: key, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		w.err = run(ctx)
	}()
	return w
}

// beginRouter is begin for a router.
func beginRouter(ctx context.Context, key string, r router) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{key: key, router: r, cancel: cancel, ended: make(chan struct{})}
	r.Begin(ctx, func(err error) {
		w.err = err
		close(w.ended)
	})
	return w
}

func (w *worker) ready() <-chan struct{} { return w.router.Ready() }

// end has w end, and waits for it.
func (w *worker) end() error {
	w.cancel()
	return w.wait()
}

// wait waits for the end of w, and returns its error.
func (w *worker) wait() error {
	<-w.ended
	w.cancel()
	return w.err
}
