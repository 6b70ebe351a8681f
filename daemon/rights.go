package daemon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// checkRights says which capability is missing: CAP_NET_ADMIN changes addresses and virtual
// services, CAP_NET_RAW opens the sockets of VRRP and ARP.
func checkRights(instances, services bool) error {
	var has [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &has[0]); err != nil {
		return fmt.Errorf("get capabilities: %w", err)
	}
	for _, c := range []struct {
		needed bool
		bit    uint
		name   string
	}{
		{instances || services, unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{instances, unix.CAP_NET_RAW, "CAP_NET_RAW"},
	} {
		if c.needed && has[0].Effective&(1<<c.bit) == 0 {
			return fmt.Errorf("%w: needs %s; run as root or grant it", ErrPermission, c.name)
		}
	}
	return nil
}
