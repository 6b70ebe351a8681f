package ipvs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	moby "github.com/moby/ipvs"
	"github.com/vishvananda/netns"
)

// newStuckKernel returns a table whose handle has no socket.
func newStuckKernel(t *testing.T) *Kernel {
	t.Helper()
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	k := &Kernel{free: make(chan *moby.Handle, 1), closed: make(chan struct{}), ns: ns}
	k.free <- &moby.Handle{}
	return k
}

func TestKernelGivesUpALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStuckKernel(t)
		never := make(chan error)
		start := time.Now()
		err := k.do(t.Context(), func(*moby.Handle) error { return <-never })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took != requestTimeout {
			t.Errorf("gave up after %s, want %s", took, requestTimeout)
		}
		if h := <-k.free; h != nil {
			t.Error("the handle that got no answer would be used again")
		}
		close(never)
	})
}

func TestKernelWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStuckKernel(t)
		never := make(chan error)
		go func() { _ = k.do(t.Context(), func(*moby.Handle) error { return <-never }) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := k.do(ctx, func(*moby.Handle) error {
			t.Error("two requests at once")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
		close(never)
		synctest.Wait()
	})
}

func TestKernelRefusesAfterClose(t *testing.T) {
	k := newStuckKernel(t)
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.List(t.Context()); err == nil {
		t.Error("List works on a closed table")
	}
}

func TestNetmask(t *testing.T) {
	key, key6 := Key{Mark: 1, Family: IPv4}, Key{Mark: 1, Family: IPv6}
	for bits := 1; bits <= 32; bits++ {
		if got := fromNetmask(mobyNetmask(key, bits), false); got != bits {
			t.Errorf("IPv4 prefix %d comes back as %d", bits, got)
		}
	}
	for bits := 1; bits <= 128; bits++ {
		if got := fromNetmask(mobyNetmask(key6, bits), true); got != bits {
			t.Errorf("IPv6 prefix %d comes back as %d", bits, got)
		}
	}
	holes := mobyNetmask(key, 8) | mobyNetmask(key, 32)&^mobyNetmask(key, 24)
	for _, mask := range []uint32{0, holes} {
		if got := fromNetmask(mask, false); got != -1 {
			t.Errorf("mask %#x comes back as %d, want -1", mask, got)
		}
	}
}
