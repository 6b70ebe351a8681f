package ipvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	moby "github.com/moby/ipvs"
	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrNoIPVS says that the kernel has no IPVS and could not load it.
var ErrNoIPVS = errors.New("the kernel has no IPVS")

// requestTimeout bounds one request to the kernel, which answers in well under a second even when
// a table has 10,000 destinations.
const requestTimeout = 5 * time.Second

// Kernel is the table of one network namespace. It may be used by several goroutines, from any
// namespace; requests are made one after the other.
type Kernel struct {
	// free holds the handle while no request is under way: nil inside after a request that had to
	// be given up. Empty for good after Close.
	free   chan *moby.Handle
	closed chan struct{}
	ns     netns.NsHandle
}

// OpenKernel opens the table of the calling thread's network namespace. The error is ErrNoIPVS,
// with the remedy, if there is none, and EPERM, with the capability that is missing, if it may not
// be read. Close it after use.
func OpenKernel(ctx context.Context) (*Kernel, error) {
	// The library's own search for IPVS only logs that it found none, and remembers that for the
	// life of the process: it is not asked before there is one. The lookup loads the module.
	if _, err := netlink.GenlFamilyGet("IPVS"); err != nil {
		return nil, fmt.Errorf("find IPVS: %w (%w): run modprobe ip_vs, "+
			"or boot a kernel built with CONFIG_IP_VS", ErrNoIPVS, err)
	}
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	k := &Kernel{free: make(chan *moby.Handle, 1), closed: make(chan struct{}), ns: ns}
	k.free <- nil
	if _, err := k.services(ctx); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Close gives back the sockets. It waits for a request under way. A second call is harmless.
func (k *Kernel) Close() error {
	select {
	case h := <-k.free:
		if h != nil {
			h.Close()
		}
		close(k.closed)
		return k.ns.Close()
	case <-k.closed:
		return nil
	}
}

// List implements Table. Equivalent to: ipvsadm -S -n --nosort.
func (k *Kernel) List(ctx context.Context) (Services, error) {
	found, err := k.services(ctx)
	if err != nil {
		return nil, err
	}
	var out Services
	for _, m := range found {
		s, err := k.complete(ctx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, s...)
	}
	return out, nil
}

// Get implements Table. Equivalent to: ipvsadm -L -n --nosort -t ADDRESS.
func (k *Kernel) Get(ctx context.Context, key Key) (Services, error) {
	var m *moby.Service
	err := k.do(ctx, func(h *moby.Handle) (err error) {
		m, err = h.GetService(toMoby(key, Settings{}))
		return err
	})
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get service %s: %w", key, err)
	}
	return k.complete(ctx, m)
}

// Loads implements Table. Equivalent to: ipvsadm -L -n -t ADDRESS.
func (k *Kernel) Loads(ctx context.Context, key Key) (map[netip.AddrPort]Load, error) {
	ds, err := k.destinations(ctx, key, toMoby(key, Settings{}))
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return nil, err
	}
	loads := make(map[netip.AddrPort]Load, len(ds))
	for _, d := range ds {
		loads[addrPort(d.Address, d.Port)] = Load{Weight: d.Weight,
			Active: d.ActiveConnections, Inactive: d.InactiveConnections}
	}
	return loads, nil
}

// complete returns a service with its destinations; nil if it has gone in the meantime.
func (k *Kernel) complete(ctx context.Context, m *moby.Service) (Services, error) {
	s := fromMoby(m)
	ds, err := k.destinations(ctx, s.Key, m)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, nil
	case err != nil:
		return nil, err
	}
	for _, d := range ds {
		s.Destinations = append(s.Destinations, fromMobyDestination(d))
	}
	slices.Reverse(s.Destinations)
	return Services{s}, nil
}

// destinations are those of a service, the newest first.
func (k *Kernel) destinations(
	ctx context.Context, key Key, m *moby.Service,
) ([]*moby.Destination, error) {
	var ds []*moby.Destination
	err := k.do(ctx, func(h *moby.Handle) (err error) {
		ds, err = h.GetDestinations(m)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list destinations of %s: %w", key, err)
	}
	return ds, nil
}

func (k *Kernel) services(ctx context.Context) ([]*moby.Service, error) {
	var found []*moby.Service
	err := k.do(ctx, func(h *moby.Handle) (err error) {
		found, err = h.GetServices()
		return err
	})
	switch {
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("list services: %w "+
			"(needs CAP_NET_ADMIN in the initial user namespace)", err)
	case err != nil:
		return nil, fmt.Errorf("list services: %w", err)
	}
	return found, nil
}

// Apply implements Table. Equivalent to: the commands that the ops print.
func (k *Kernel) Apply(ctx context.Context, ops []Op) error {
	return ApplyEach(ctx, ops, func(op Op) error {
		return k.do(ctx, func(h *moby.Handle) error { return request(h, op) })
	})
}

func request(h *moby.Handle, op Op) error {
	s, d := toMoby(op.Key, op.Settings), toMobyDestination(op.Destination)
	switch op.Kind {
	case AddService:
		return h.NewService(s)
	case SetService:
		return h.UpdateService(s)
	case DeleteService:
		return h.DelService(s)
	case AddDestination:
		return h.NewDestination(s, d)
	case SetDestination:
		return h.UpdateDestination(s, d)
	case DeleteDestination:
		return h.DelDestination(s, d)
	}
	return fmt.Errorf("unknown operation %d", op.Kind)
}

// do runs one request alone. The library waits for ever for an answer that was lost; do closes its
// socket after requestTimeout, which ends that wait, and the next request opens another.
func (k *Kernel) do(ctx context.Context, f func(*moby.Handle) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var h *moby.Handle
	select {
	case h = <-k.free:
	case <-k.closed:
		return errors.New("table is closed")
	case <-ctx.Done():
		return fmt.Errorf("wait for the request before: %w", ctx.Err())
	}
	defer func() { k.free <- h }()
	if h == nil {
		opened, err := k.open()
		if err != nil {
			return err
		}
		h = opened
	}
	done := make(chan error, 1)
	go func(h *moby.Handle) { done <- f(h) }(h)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		h.Close()
		h = nil
		return fmt.Errorf("wait for the kernel's answer: %w", ctx.Err())
	}
}

// open makes a handle in the namespace of k.
func (k *Kernel) open() (*moby.Handle, error) {
	path := fmt.Sprintf("/proc/self/fd/%d", int(k.ns))
	if here, err := netns.Get(); err == nil {
		if here.Equal(k.ns) {
			path = "" // entering it would need CAP_SYS_ADMIN
		}
		if err := here.Close(); err != nil {
			return nil, fmt.Errorf("close network namespace: %w", err)
		}
	}
	// The library logs a warning when modprobe cannot run, also where IPVS is built in.
	out := logrus.StandardLogger().Out
	logrus.SetOutput(io.Discard)
	h, err := moby.New(path)
	logrus.SetOutput(out)
	if err != nil {
		return nil, fmt.Errorf("open IPVS socket: %w", err)
	}
	return h, nil
}
