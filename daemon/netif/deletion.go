package netif

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// news is what a hub has heard and not told yet.
type news struct {
	old     map[string]bool        // names of states that may be out of date
	deleted map[int][]netip.Prefix // what somebody else has deleted, by index
}

func newNews() news { return news{map[string]bool{}, map[int][]netip.Prefix{}} }

// drops notes, before it is done, that this process deletes an address. The kernel does not say of
// IPv6 addresses who has deleted them. If nothing comes of it, undo it.
func (h *hub) drops(index int, p netip.Prefix) (undo func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sock == nil {
		return func() {}
	}
	h.dropping[index] = append(h.dropping[index], p)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.dropped(index, p)
	}
}

// dropped forgets one deletion by this process, if there is one. h.mu is held.
func (h *hub) dropped(index int, p netip.Prefix) {
	own := h.dropping[index]
	if i := slices.Index(own, p); i >= 0 {
		h.dropping[index] = slices.Delete(own, i, i+1)
	}
	if len(h.dropping[index]) == 0 {
		delete(h.dropping, index)
	}
}

// forget is for what will never be heard of.
func (h *hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.dropping)
}

// deleted notes what a DELADDR message says, unless this process, or the kernel, has deleted the
// address. With the first address of a network the kernel deletes the others, and tells of them
// before it, so all that goes while this process is at it is taken for its doing.
func (h *hub) deleted(m syscall.NetlinkMessage, n news) {
	d, ok := readDeletion(m)
	if !ok {
		return
	}
	h.mu.Lock()
	own := len(h.dropping[d.index]) > 0
	h.dropped(d.index, d.prefix)
	h.mu.Unlock()
	if !own && !d.byKernel {
		n.deleted[d.index] = append(n.deleted[d.index], d.prefix)
	}
}

// deletion is what a DELADDR message says.
type deletion struct {
	index    int
	prefix   netip.Prefix
	byKernel bool
}

// readDeletion reads a message, and reports whether it could. Of an IPv4 address it says who asked
// for the deletion; what the kernel does by itself nobody did. An IPv6 address that the kernel has
// deleted has outlived its lifetime.
func readDeletion(m syscall.NetlinkMessage) (deletion, bool) {
	if len(m.Data) < unix.SizeofIfAddrmsg {
		return deletion{}, false
	}
	attrs, err := nl.ParseRouteAttr(m.Data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return deletion{}, false
	}
	d := deletion{byKernel: m.Data[0] == unix.AF_INET && m.Header.Pid == 0}
	var a addrNews
	for _, attr := range attrs {
		a.read(attr)
		if attr.Attr.Type == unix.IFA_CACHEINFO && len(attr.Value) >= unix.SizeofIfaCacheinfo {
			const validAt = 4
			over := binary.NativeEndian.Uint32(attr.Value[validAt:]) == 0
			d.byKernel = d.byKernel || over
		}
	}
	d.index, d.prefix = int(binary.NativeEndian.Uint32(m.Data[4:])), a.prefix(m.Data)
	return d, d.prefix.IsValid()
}
