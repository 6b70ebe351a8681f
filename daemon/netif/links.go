package netif

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Link is an interface of the host.
type Link struct {
	Name  string
	Index int
	// MAC is empty where there is none.
	MAC string
}

// Links returns the interfaces of the host, in the kernel's order.
//
// Equivalent to: `ip link`.
func (h *Host) Links() (all []Link, err error) {
	apart(func() {
		var links []netlink.Link
		links, err = h.eyes.LinkList()
		for _, l := range links {
			a := l.Attrs()
			all = append(all, Link{Name: a.Name, Index: a.Index, MAC: string(a.HardwareAddr)})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return all, nil
}
