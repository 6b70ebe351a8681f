package netif

import (
	"context"
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Watch calls changed with the State of the interface, at first and whenever it has changed, until
// ctx ends; then it returns nil. The kernel's messages only say that it is time to look again, so
// that one lost by an overflow costs nothing. changed is called by the goroutine that called
// Watch.
func (i *Interface) Watch(ctx context.Context, changed func(State)) error {
	w := &watcher{name: i.name, wake: make(chan struct{}, 1)}
	if err := i.host.links.join(w); err != nil {
		return err
	}
	defer i.host.links.leave(w)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		states, err := w.take()
		for _, s := range states {
			changed(s)
		}
		if err != nil {
			return err
		}
	}
}

// Follow is Watch, but does not wait: it calls changed with the present state, and another goroutine
// calls it with later ones, until stop is called or, once, failed. Neither may block, nor call
// anything of the Host's. After stop there are no more calls.
func (i *Interface) Follow(changed func(State), failed func(error)) (stop func(), err error) {
	w := &watcher{name: i.name, changed: changed, failed: failed}
	if err := i.host.links.join(w); err != nil {
		return nil, err
	}
	return i.host.links.stopOf(w), nil
}

// addrNews is what a message about an address says.
type addrNews struct {
	local, address netip.Addr // of a peer they differ
	flags          uint32
}

func (a *addrNews) read(attr syscall.NetlinkRouteAttr) {
	switch attr.Attr.Type {
	case unix.IFA_LOCAL:
		a.local, _ = netip.AddrFromSlice(attr.Value)
	case unix.IFA_ADDRESS:
		a.address, _ = netip.AddrFromSlice(attr.Value)
	case unix.IFA_FLAGS:
		if len(attr.Value) >= 4 {
			a.flags = binary.NativeEndian.Uint32(attr.Value)
		}
	}
}

// prefix is how State lists the address: one that has a peer has no network.
func (a *addrNews) prefix(body []byte) netip.Prefix {
	bits := int(body[1]) // ifa_prefixlen
	switch {
	case !a.local.IsValid():
		return netip.PrefixFrom(a.address, bits)
	case a.local != a.address:
		return netip.PrefixFrom(a.local, a.local.BitLen())
	}
	return netip.PrefixFrom(a.local, bits)
}
