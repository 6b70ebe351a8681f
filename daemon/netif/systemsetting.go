package netif

import "fmt"

// SystemSetting is one of the settings of the namespace's IPv4 that is of no interface, by its name
// as in /proc/sys/net/ipv4.
type SystemSetting string

// LocalReports says with 1 that the kernel reports members of multicast groups of the link as well,
// 224.0.0.0/24, by IGMP (Documentation/networking/ip-sysctl.rst: igmp_link_local_mcast_reports).
const LocalReports SystemSetting = "igmp_link_local_mcast_reports"

// System returns a setting.
//
// Equivalent to: `sysctl net.ipv4.NAME`.
func (h *Host) System(s SystemSetting) (string, error) {
	value, err := h.readSetting("/proc/sys/net/ipv4/" + string(s))
	if err != nil {
		return "", fmt.Errorf("read net.ipv4.%s: %w", s, err)
	}
	return value, nil
}

// SetSystem changes one, for all of the namespace.
//
// Equivalent to: `sysctl net.ipv4.NAME=VALUE`.
func (h *Host) SetSystem(s SystemSetting, value string) error {
	if err := h.writeSetting("/proc/sys/net/ipv4/"+string(s), value); err != nil {
		return fmt.Errorf("set net.ipv4.%s = %s: %w", s, value, err)
	}
	return nil
}
