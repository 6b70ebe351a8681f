// Package netif is the Linux edge of the daemon: the sockets of VRRP, the addresses of interfaces and
// their announcement, routes and rules, macvlans, settings, and the news of links. It decides
// nothing.
//
// Everything belongs to the network namespace of the Host that it was got from, whatever thread
// calls it.
package netif

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// requestTimeout bounds a request to the kernel that is never answered.
const requestTimeout = 5 * time.Second

// Host is one network namespace. It is safe for concurrent use; requests to the kernel wait for
// each other.
type Host struct {
	ns netns.NsHandle
	// nl changes, eyes only looks: neither waits for the other.
	nl, eyes *netlink.Handle
	links    *hub
	leases   *renewer
	epoch    time.Time // when it was opened

	hearing sync.Mutex // changes of ears
	ears    map[earKey]*ear
	gate    *gate // reads them; nil: there are none

	shielding sync.Mutex // changes of nftables

	setting  sync.Mutex
	settings map[string]*held // by path

	mu     sync.Mutex
	frames *os.File // the packet socket that announces; nil until it is needed
}

// Open returns the Host of the network namespace that the calling thread is in. A goroutine that
// has changed its namespace must be locked to its thread. Close it.
func Open() (*Host, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	h := &Host{ns: ns, settings: map[string]*held{}, ears: map[earKey]*ear{}, epoch: time.Now()}
	h.links = newHub(h)
	if h.leases, err = openRenewer(h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	for _, at := range []**netlink.Handle{&h.nl, &h.eyes} {
		if *at, err = openRoute(); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

func openRoute() (*netlink.Handle, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if err := nl.SetSocketTimeout(requestTimeout); err != nil {
		nl.Close()
		return nil, fmt.Errorf("set netlink timeout: %w", err)
	}
	return nl, nil
}

// Close releases the namespace, which nobody may watch any more. Sockets for adverts stay open.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, nl := range []*netlink.Handle{h.nl, h.eyes} {
		if nl != nil {
			nl.Close()
		}
	}
	err := h.ns.Close()
	if h.leases != nil {
		err = errors.Join(err, h.leases.sock.Close())
	}
	if h.frames != nil {
		err = errors.Join(err, h.frames.Close())
	}
	return err
}

// Interface returns the interface of that name, which need not exist yet. It is not checked.
func (h *Host) Interface(name string) *Interface { return &Interface{host: h, name: name} }

// inside runs open in h's namespace, where the sockets it makes then belong.
func (h *Host) inside(open func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread, whose namespace has changed, ends with the goroutine.
		runtime.LockOSThread()
		here, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("get network namespace: %w", err)
			return
		}
		defer here.Close()
		if !here.Equal(h.ns) {
			if err := netns.Set(h.ns); err != nil {
				done <- fmt.Errorf("enter network namespace: %w", err)
				return
			}
		}
		done <- open()
	}()
	return <-done
}

// Interface is a network interface by its name: it may come, go and come back with another index.
type Interface struct {
	host *Host
	name string
}

// Name returns the name it was asked for by.
func (i *Interface) Name() string { return i.name }

// String returns the name.
func (i *Interface) String() string { return i.name }
