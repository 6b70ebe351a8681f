package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrNoIPVS says that the kernel has no IPVS and could not load it.
var ErrNoIPVS = errors.New("the kernel has no IPVS")

// errClosed is the error of a Kernel after Close.
var errClosed = errors.New("table is closed")

// requestTimeout bounds one exchange with the kernel, which answers in well under a second even
// when a table has 10,000 destinations.
const requestTimeout = 5 * time.Second

// perExchange is how many services and destinations are read in one exchange: to begin and end one
// takes longer than to read a few, and others wait for its end.
const perExchange = 5000

// Kernel is the table of one network namespace. It may be used by several goroutines, from any
// namespace; exchanges with the kernel are made one after the other.
type Kernel struct {
	// free holds the wire while no exchange is under way: nil inside after one that had to be
	// given up. Empty for good after Close.
	free   chan *wire
	closed chan struct{}
	// open makes a new wire in the table's namespace.
	open func() (*wire, error)
	ns   netns.NsHandle

	seeing sync.Mutex
	eye    *eye // nil is none
}

// OpenKernel opens the table of the calling thread's network namespace. The error is ErrNoIPVS,
// with the remedy, if there is none, and EPERM, with the capability that is missing, if it may not
// be read. Close it after use.
func OpenKernel(ctx context.Context) (*Kernel, error) {
	family, err := netlink.GenlFamilyGet("IPVS") // loads the module
	if err != nil {
		return nil, fmt.Errorf("find IPVS: %w (%w): run modprobe ip_vs, "+
			"or boot a kernel built with CONFIG_IP_VS", ErrNoIPVS, err)
	}
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	k := newKernel(ns, func() (*wire, error) { return openWire(ns, family.ID) })
	k.eye = openEye()
	if _, err := k.Info(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func newKernel(ns netns.NsHandle, open func() (*wire, error)) *Kernel {
	k := &Kernel{
		free: make(chan *wire, 1), closed: make(chan struct{}), open: open, ns: ns,
	}
	k.free <- nil
	return k
}

// openWire opens a wire in a namespace.
func openWire(ns netns.NsHandle, family uint16) (*wire, error) {
	enter := int(ns)
	if here, err := netns.Get(); err == nil {
		if here.Equal(ns) {
			enter = 0 // entering it would need CAP_SYS_ADMIN
		}
		if err := here.Close(); err != nil {
			return nil, fmt.Errorf("close network namespace: %w", err)
		}
	}
	s, err := openSocket(enter)
	if err != nil {
		return nil, fmt.Errorf("open IPVS socket: %w", err)
	}
	return &wire{transport: s, family: family}, nil
}

// Close gives back the socket. It waits for an exchange under way. A second call is harmless.
func (k *Kernel) Close() error {
	select {
	case w := <-k.free:
		close(k.closed)
		k.seeing.Lock()
		defer k.seeing.Unlock()
		err := errors.Join(k.eye.close(), k.ns.Close())
		if w != nil {
			err = errors.Join(err, w.close())
		}
		return err
	case <-k.closed:
		return nil
	}
}

// List implements Table. Equivalent to: ipvsadm -S -n --nosort.
func (k *Kernel) List(ctx context.Context) (Services, error) {
	var found Services
	err := k.do(ctx, func(w *wire) error {
		return w.dump(message{command: cmdGetService}, func() { found = found[:0] },
			func(b []byte) error {
				a, err := decodeService(b)
				found = append(found, a.service)
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("list services: %w", err)
	}
	out := make(Services, 0, len(found))
	for len(found) > 0 {
		if out, found, err = k.complete(ctx, out, found); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Get implements Table. Equivalent to: ipvsadm -L -n --nosort -t ADDRESS.
func (k *Kernel) Get(ctx context.Context, key Key) (Services, error) {
	a, err := k.service(ctx, key)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, nil
	case err != nil:
		return nil, err
	}
	found, _, err := k.complete(ctx, nil, Services{a.service})
	return found, err
}

// service is that of the key, without its destinations.
func (k *Kernel) service(ctx context.Context, key Key) (serviceAnswer, error) {
	var a serviceAnswer
	err := k.do(ctx, func(w *wire) error {
		count := 0
		err := w.get(keyMessage(cmdGetService, key), func(b []byte) (err error) {
			count++
			a, err = decodeService(b)
			return err
		})
		if err == nil && count != 1 {
			return fmt.Errorf("%d answers, want 1", count)
		}
		return err
	})
	if err != nil {
		return a, fmt.Errorf("get service %s: %w", key, err)
	}
	return a, nil
}

// Loads implements Table. Equivalent to: ipvsadm -L -n -t ADDRESS, and --persistent-conn.
func (k *Kernel) Loads(ctx context.Context, key Key) (map[netip.AddrPort]Load, error) {
	loads := make(map[netip.AddrPort]Load)
	err := k.destinations(ctx, key, func() { clear(loads) }, func(d *destinationAnswer) {
		loads[d.destination.Addr] = d.load
	})
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	return loads, nil
}

// complete appends services with their destinations to out, as many as one exchange is for, and
// returns those that are left; those that have gone in the meantime are in neither.
func (k *Kernel) complete(ctx context.Context, out, some Services) (all, left Services, err error) {
	var at Key
	var ds []Destination // of one after another
	again := func() { ds = ds[:0] }
	each := func(d *destinationAnswer) { ds = append(ds, d.destination) }
	err = k.do(ctx, func(w *wire) error {
		for read := 0; len(some) > 0 && read < perExchange; some = some[1:] {
			s := some[0]
			at = s.Key
			err := w.destinations(at, again, each)
			if errors.Is(err, unix.ESRCH) {
				continue
			}
			if err != nil {
				return err
			}
			slices.Reverse(ds)
			s.Destinations = append([]Destination(nil), ds...)
			out = append(out, s)
			read += 1 + len(ds)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list destinations of %s: %w", at, err)
	}
	return out, some, nil
}

// destinations hands those of a service to each, the newest first; from the first on if again was
// called.
func (k *Kernel) destinations(
	ctx context.Context, key Key, again func(), each func(*destinationAnswer),
) error {
	err := k.do(ctx, func(w *wire) error { return w.destinations(key, again, each) })
	if err != nil {
		return fmt.Errorf("list destinations of %s: %w", key, err)
	}
	return nil
}

// destinations is the same for who has the wire.
func (w *wire) destinations(key Key, again func(), each func(*destinationAnswer)) error {
	var d destinationAnswer
	return w.dump(keyMessage(cmdGetDest, key), again, func(b []byte) (err error) {
		if d, err = decodeDestination(b, key); err == nil {
			each(&d)
		}
		return err
	})
}

// Apply implements Table, in batches of 250 operations that need one system call each and one for
// the answer. Equivalent to: the commands that the ops print.
func (k *Kernel) Apply(ctx context.Context, ops []Op) error {
	return applyBatches(ctx, ops, maxBatch, func(batch []Op) ([]error, error) {
		ms := make([]message, len(batch))
		for i := range batch {
			ms[i] = opMessage(&batch[i])
		}
		var results []error
		err := k.do(ctx, func(w *wire) (err error) {
			results, err = w.batch(ms)
			return err
		})
		return results, err
	})
}

// do makes one exchange alone. One that is not answered by the end of ctx or of requestTimeout is
// given up with its socket, so that a late answer is never taken for another's; the next exchange
// opens a new one. f must not use its wire afterwards.
func (k *Kernel) do(ctx context.Context, f func(*wire) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var w *wire
	select {
	case w = <-k.free:
	case <-k.closed:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for the request before: %w", ctx.Err())
	}
	defer func() { k.free <- w }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if w == nil {
		opened, err := k.open()
		if err != nil {
			return err
		}
		w = opened
	}
	err := exchange(ctx, w, f)
	var unanswered *unansweredError
	if errors.As(err, &unanswered) {
		err = errors.Join(err, w.close())
		w = nil
	}
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (needs CAP_NET_ADMIN in the initial user namespace)", err)
	}
	return err
}

// exchange runs f so that it ends with ctx.
func exchange(ctx context.Context, w *wire, f func(*wire) error) error {
	if err := w.setDeadline(time.Time{}); err != nil {
		return &unansweredError{err}
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = w.setDeadline(time.Unix(1, 0)) // fails on a closed socket only
	})
	err := f(w)
	if !stop() {
		<-ended
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &unansweredError{ctx.Err()}
		}
	}
	return err
}
