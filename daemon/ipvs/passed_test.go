package ipvs_test

import (
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
				r := reconcileMemory(t, &ipvstest.Memory{}, ipvs.Options{Keep: true})
				synctest.Wait()
				for _, again := range []string{"at first", "again"} {
					tt.want(r)
					passed := r.Passed()
					if isClosed(passed) {
						t.Errorf("%s: passed at once, want after the pass", again)
					}
					synctest.Wait()
					if !isClosed(passed) || !isClosed(r.Passed()) {
						t.Errorf("%s: not passed, want after the pass", again)
					}
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
