package kernel

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// raiseLoopback sets lo up. Equivalent to: `ip link set lo up`.
func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}
