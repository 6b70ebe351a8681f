package netif

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// watchBuffer holds the news of some thousand addresses that change at once.
const watchBuffer = 1 << 20

// Watch calls changed with the State of the interface, at first and whenever it has changed, until
// ctx ends; then it returns nil. The kernel's messages only say that it is time to look again, so
// that one lost by an overflow costs nothing. changed is called by the goroutine that called
// Watch and must not block for long.
func (i *Interface) Watch(ctx context.Context, changed func(State)) error {
	sock, err := nl.SubscribeAt(i.host.ns, netns.None(), unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR)
	if err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	defer context.AfterFunc(ctx, sock.Close)()
	defer sock.Close()
	// Without the right to a larger buffer the default one serves.
	_ = sock.SetReceiveBufferSize(watchBuffer, true)

	last, err := i.State()
	if err != nil {
		return err
	}
	changed(last)
	for {
		messages, _, err := sock.Receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("receive news of links: %w", err)
		}
		if err == nil && !last.outdated(messages) {
			continue
		}
		now, err := i.State()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue // what interrupted the list is the next message
		}
		if err != nil {
			return err
		}
		if !now.equal(last) {
			last = now
			changed(now)
		}
	}
}

// outdated reports whether any of the messages may have changed s. The renewal of an address that
// is known does not: with many VIPs that is nearly all there is to hear.
func (s State) outdated(messages []syscall.NetlinkMessage) bool {
	return slices.ContainsFunc(messages, func(m syscall.NetlinkMessage) bool {
		// Both ifinfomsg and ifaddrmsg have the index in bytes 4 to 7.
		if s.Index == 0 || len(m.Data) < 8 {
			return true
		}
		if int(binary.NativeEndian.Uint32(m.Data[4:])) != s.Index {
			return false
		}
		return m.Header.Type != unix.RTM_NEWADDR || !s.renewed(m.Data)
	})
}

// renewed reports whether the body of a NEWADDR message is about an address that s has.
func (s State) renewed(body []byte) bool {
	if len(body) < unix.SizeofIfAddrmsg {
		return false
	}
	attrs, err := nl.ParseRouteAttr(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return false
	}
	bits := int(body[1]) // ifa_prefixlen
	for _, a := range attrs {
		if a.Attr.Type != unix.IFA_LOCAL {
			continue
		}
		ip, ok := netip.AddrFromSlice(a.Value)
		return ok && slices.Contains(s.Addrs, netip.PrefixFrom(ip, bits))
	}
	return false
}

func (s State) equal(t State) bool {
	return s.Index == t.Index && s.Up == t.Up && slices.Equal(s.Addrs, t.Addrs)
}
