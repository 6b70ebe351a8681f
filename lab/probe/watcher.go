package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// eventBuffer is the size in bytes of the kernel's buffer for events not yet read.
const eventBuffer = 1 << 20

// errOverflow is why a subscription to kernel events ended by itself: some were lost.
var errOverflow = errors.New("kernel events were lost")

// Watcher records which nodes' kernels hold which VIPs, and the carrier of their links, as the
// kernel tells it: it never polls. A VIP on two interfaces of a node is held once.
type Watcher struct {
	nodes []*lab.Node
	vips  []netip.Addr
	sink  func(reports.Event)
	ready chan struct{}

	mu sync.Mutex
	// held says on which interface indexes a node has a VIP.
	held map[hold]map[int]bool
}

// hold is a VIP on a node.
type hold struct {
	node *lab.Node
	vip  netip.Addr
}

// NewWatcher returns a watcher of nodes, usually the directors, that hands reports.VIPAdd,
// VIPRemove and Note events to sink, which must be quick, safe for use by several goroutines, and
// not call the watcher. What is already there when it begins is reported as added then.
func NewWatcher(nodes []*lab.Node, vips []netip.Addr, sink func(reports.Event)) *Watcher {
	return &Watcher{
		nodes: nodes,
		vips:  vips,
		sink:  sink,
		ready: make(chan struct{}),
		held:  make(map[hold]map[int]bool),
	}
}

// String returns what the watcher does.
func (w *Watcher) String() string { return fmt.Sprintf("watch %v on %v", w.vips, w.nodes) }

// Ready returns a channel that is closed when all nodes are watched and what was there before has
// been reported.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Run watches until the context ends and returns nil; an error means that a node could not be
// watched. It may be called once.
func (w *Watcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(w.nodes))
	var beginning, watching sync.WaitGroup
	beginning.Add(len(w.nodes))
	for i, node := range w.nodes {
		watching.Go(func() {
			begun := sync.OnceFunc(beginning.Done)
			defer begun()
			if errs[i] = w.watch(ctx, node, begun); errs[i] != nil {
				cancel()
			}
		})
	}
	beginning.Wait()
	if ctx.Err() == nil {
		close(w.ready)
	}
	watching.Wait()
	return errors.Join(errs...)
}

// watch follows one node, and begins anew, from what the kernel then has, when events were lost.
func (w *Watcher) watch(ctx context.Context, node *lab.Node, begun func()) error {
	for {
		err := w.follow(ctx, node, begun)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errOverflow):
			w.note(node, "", "kernel events were lost, state read again")
		default:
			return fmt.Errorf("watch %s: %w", node, err)
		}
	}
}

// follow subscribes to a node's events, takes stock and reports changes. It returns when the
// context ends, or with errOverflow.
func (w *Watcher) follow(ctx context.Context, node *lab.Node, begun func()) error {
	done := make(chan struct{})
	addrs, links := make(chan netlink.AddrUpdate), make(chan netlink.LinkUpdate)
	err := node.Do(ctx, func() error { return subscribe(addrs, links, done) })
	if err != nil {
		close(done)
		return err
	}
	// The library's goroutines end when nothing more can be read and nobody is left to be told.
	defer func() {
		close(done)
		for range addrs {
		}
		for range links {
		}
	}()
	carrier, err := w.takeStock(node)
	if err != nil {
		return err
	}
	begun()
	for {
		select {
		case u, ok := <-addrs:
			if !ok {
				return errOverflow
			}
			addr, _ := netip.AddrFromSlice(u.LinkAddress.IP)
			w.set(hold{node, addr.Unmap()}, u.LinkIndex, u.NewAddr)
		case u, ok := <-links:
			if !ok {
				return errOverflow
			}
			w.setCarrier(node, carrier, u)
		case <-ctx.Done():
			return nil
		}
	}
}

// subscribe asks for the address and link events of the calling thread's namespace. When it fails,
// what has begun ends with done.
func subscribe(
	addrs chan<- netlink.AddrUpdate, links chan<- netlink.LinkUpdate, done <-chan struct{},
) error {
	err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{
		ReceiveBufferSize:      eventBuffer,
		ReceiveBufferForceSize: true,
	})
	if err != nil {
		return fmt.Errorf("subscribe to addresses: %w", err)
	}
	err = netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{
		ReceiveBufferSize:      eventBuffer,
		ReceiveBufferForceSize: true,
	})
	if err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	return nil
}

// takeStock reports how a node's VIPs differ from what is known of them, and returns the carrier of
// its links by index. Events that came since the subscription are read afterwards and change
// nothing that is already so.
func (w *Watcher) takeStock(node *lab.Node) (map[int]bool, error) {
	addrs, err := node.Handle().AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	have := make(map[netip.Addr]map[int]bool)
	for _, a := range addrs {
		addr, _ := netip.AddrFromSlice(a.IP)
		addr = addr.Unmap()
		if have[addr] == nil {
			have[addr] = make(map[int]bool)
		}
		have[addr][a.LinkIndex] = true
	}
	for _, vip := range w.vips {
		for _, index := range w.indexes(hold{node, vip}) {
			if !have[vip][index] {
				w.set(hold{node, vip}, index, false)
			}
		}
		for index := range have[vip] {
			w.set(hold{node, vip}, index, true)
		}
	}
	links, err := node.Handle().LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	carrier := make(map[int]bool, len(links))
	for _, link := range links {
		carrier[link.Attrs().Index] = link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
	}
	return carrier, nil
}

// indexes returns the interfaces on which a node is known to have a VIP.
func (w *Watcher) indexes(h hold) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var indexes []int
	for index := range w.held[h] {
		indexes = append(indexes, index)
	}
	return indexes
}

// set records that a node has or has not an address on an interface, and reports what it means for
// the node as a whole. Addresses that are no VIPs are passed over.
func (w *Watcher) set(h hold, index int, has bool) {
	if !slices.Contains(w.vips, h.vip) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	on := w.held[h]
	if on == nil {
		on = make(map[int]bool)
		w.held[h] = on
	}
	before := len(on) > 0
	if has {
		on[index] = true
	} else {
		delete(on, index)
	}
	after := len(on) > 0
	if before == after {
		return
	}
	kind := reports.VIPRemove
	if after {
		kind = reports.VIPAdd
	}
	w.sink(reports.Event{
		At: h.node.Lab().Now(), Kind: kind, Node: h.node.Name(), Subject: h.vip.String(),
	})
}

// setCarrier reports a link that has lost its carrier or got it back.
func (w *Watcher) setCarrier(node *lab.Node, carrier map[int]bool, u netlink.LinkUpdate) {
	attrs := u.Attrs()
	now := u.Header.Type == unix.RTM_NEWLINK && attrs.RawFlags&unix.IFF_LOWER_UP != 0
	if carrier[attrs.Index] == now {
		return
	}
	carrier[attrs.Index] = now
	detail := "carrier lost"
	if now {
		detail = "carrier up"
	}
	w.note(node, attrs.Name, detail)
}

// note reports something worth reading.
func (w *Watcher) note(node *lab.Node, subject, detail string) {
	w.sink(reports.Event{
		At: node.Lab().Now(), Kind: reports.Note, Node: node.Name(),
		Subject: subject, Detail: detail,
	})
}
