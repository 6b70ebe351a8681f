package netif

import (
	"fmt"
	"strings"
)

// ipvsSettings is where the kernel has its settings of IPVS, those of the reader's network
// namespace. They are there once ip_vs is.
const ipvsSettings = "/proc/sys/net/ipv4/vs/"

// IPVSSetting returns a setting of the namespace's IPVS, its fields parted by single blanks. The
// error is fs.ErrNotExist for one that this kernel does not have.
//
// Equivalent to: `sysctl net.ipv4.vs.NAME`.
func (h *Host) IPVSSetting(name string) (string, error) {
	value, err := h.readSetting(ipvsSettings + name)
	if err != nil {
		return "", fmt.Errorf("read net.ipv4.vs.%s: %w", name, err)
	}
	return strings.Join(strings.Fields(value), " "), nil
}

// SetIPVSSetting changes one; the same errors.
//
// Equivalent to: `sysctl net.ipv4.vs.NAME=VALUE`.
func (h *Host) SetIPVSSetting(name, value string) error {
	if err := h.writeSetting(ipvsSettings+name, value); err != nil {
		return fmt.Errorf("set net.ipv4.vs.%s = %s: %w", name, value, err)
	}
	return nil
}
