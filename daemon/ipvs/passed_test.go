package ipvs_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// TestReconcilerHasPassed says of each thing that is wanted when it has been seen to.
func TestReconcilerHasPassed(t *testing.T) {
	for _, tt := range []struct {
		name string
		want func(r *reconciled)
	}{
		{"all", func(r *reconciled) { r.Set(webWith(realServer("192.168.2.11:80", 1))) }},
		{"all anew", func(r *reconciled) { r.Set(webWith(realServer("192.168.2.11:80", 2))) }},
		{"one service", func(r *reconciled) {
			r.SetService(webWith(realServer("192.168.2.11:80", 3))[0])
		}},
		{"what is refused", func(r *reconciled) {
			r.Fail(nil, unix.ENOBUFS)
			r.Set(webWith())
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := &held{Memory: &ipvstest.Memory{}}
				r := reconcile(t, table, table.Memory, ipvs.Options{Keep: true})
				synctest.Wait()
				other := func(r *reconciled) { r.Set(webWith(realServer("192.168.2.19:80", 9))) }
				for _, step := range []struct {
					name string
					want func(r *reconciled)
					asks bool // the table
				}{{"at first", tt.want, true}, {"again", tt.want, false}, {"other", other, true}} {
					table.mu.Lock()
					step.want(r)
					passed := r.Passed()
					if step.asks && isClosed(passed) {
						t.Errorf("%s: passed at once, want after the pass", step.name)
					}
					table.mu.Unlock()
					synctest.Wait()
					if !isClosed(passed) || !isClosed(r.Passed()) {
						t.Errorf("%s: not passed, want after the pass", step.name)
					}
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// held is a table that nobody reads or changes while the test holds it.
type held struct {
	*ipvstest.Memory
	mu sync.Mutex
}

func (h *held) List(ctx context.Context) (ipvs.Services, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Memory.List(ctx)
}

func (h *held) Get(ctx context.Context, k ipvs.Key) (ipvs.Services, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Memory.Get(ctx, k)
}

func (h *held) Apply(ctx context.Context, ops []ipvs.Op) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Memory.Apply(ctx, ops)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
