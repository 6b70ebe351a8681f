package ipvs

import (
	"context"
	"errors"
	"os"

	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/vishvananda/netns"
)

var errDeadline = os.ErrDeadlineExceeded

// fakeTransport answers each sendmsg with what answer makes of it: datagrams, then silence.
type fakeTransport struct {
	answer   func([]netlink.Message) [][]netlink.Message
	sent     [][]netlink.Message
	inbox    chan []netlink.Message
	deadline chan struct{} // closed once the deadline is over
	closed   bool
	err      error // of send
}

func newFakeTransport(
	answer func([]netlink.Message) [][]netlink.Message,
) *fakeTransport {
	return &fakeTransport{answer: answer, inbox: make(chan []netlink.Message, 1000)}
}

func (f *fakeTransport) send(ms []netlink.Message) error {
	f.sent = append(f.sent, ms)
	for _, datagram := range f.answer(ms) {
		f.inbox <- datagram
	}
	return f.err
}

func (f *fakeTransport) receive() ([]netlink.Message, error) {
	select {
	case ms := <-f.inbox:
		return ms, nil
	default:
	}
	select {
	case ms := <-f.inbox:
		return ms, nil
	case <-f.deadline:
		return nil, errDeadline
	}
}

func (f *fakeTransport) setDeadline(t time.Time) error {
	if t.IsZero() {
		f.deadline = make(chan struct{})
		return nil
	}
	close(f.deadline)
	return nil
}

func (f *fakeTransport) close() error {
	f.closed = true
	return nil
}

// newFakeKernel returns a table on top of transports that open makes.
func newFakeKernel(t *testing.T, open func() transport) *Kernel {
	t.Helper()
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	return newKernel(ns, func() (*wire, error) { return &wire{transport: open(), family: 26}, nil })
}

// silent never answers.
func silent([]netlink.Message) [][]netlink.Message { return nil }

func TestKernelGivesUpALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []*fakeTransport
		k := newFakeKernel(t, func() transport {
			opened = append(opened, newFakeTransport(silent))
			return opened[len(opened)-1]
		})
		for i := range 2 {
			start := time.Now()
			_, err := k.List(t.Context())
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
			}
			if took := time.Since(start); took != requestTimeout {
				t.Errorf("gave up after %s, want %s", took, requestTimeout)
			}
			if len(opened) != i+1 || !opened[i].closed {
				t.Errorf("socket %d of %d is used again after a lost answer", i+1, len(opened))
			}
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestKernelEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, func() transport { return newFakeTransport(silent) })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := k.List(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("ended after %s, want 1s", took)
		}
		if _, err := k.List(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a second call: error %v, want %v", err, context.Canceled)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestKernelWaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel(t, func() transport { return newFakeTransport(silent) })
		first := make(chan error, 1)
		go func() { first <- k.Flush(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := k.do(ctx, func(*wire) error {
			t.Error("two exchanges at once")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first: error %v, want %v", err, context.DeadlineExceeded)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestKernelRefusesAfterClose(t *testing.T) {
	k := newFakeKernel(t, func() transport { return newFakeTransport(silent) })
	for range 2 {
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.List(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("List on a closed table: %v, want %v", err, errClosed)
	}
}
