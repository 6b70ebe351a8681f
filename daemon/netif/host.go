// Package netif is the Linux edge of the daemon: the sockets of VRRP, the addresses of interfaces,
// gratuitous ARP and the news of links. It decides nothing.
//
// Everything belongs to the network namespace of the Host that it was got from, whatever thread
// calls it.
package netif

import (
	"errors"
	"fmt"
	"runtime"
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
	nl *netlink.Handle
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
	nl, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open route netlink: %w", err), ns.Close())
	}
	if err := nl.SetSocketTimeout(requestTimeout); err != nil {
		nl.Close()
		return nil, errors.Join(fmt.Errorf("set netlink timeout: %w", err), ns.Close())
	}
	return &Host{ns: ns, nl: nl}, nil
}

// Close releases the namespace. Sockets opened before stay open.
func (h *Host) Close() error {
	h.nl.Close()
	return h.ns.Close()
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
