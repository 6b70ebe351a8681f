package lab

import (
	"errors"
	"fmt"

	"github.com/tandemlb/tandem/topology"
	"golang.org/x/sys/unix"
)

// sysctl is one kernel setting of a node's namespace. A new namespace copies IPv4's per-interface
// settings from the host's, not from the kernel's defaults, so each one that matters is written.
type sysctl struct {
	// path is below /proc/sys.
	path string
	// value is what every node gets, director what a director gets instead; empty: the same.
	value, director string
	// optional settings are left out where the kernel has no such file.
	optional bool
	// why says what the setting is for.
	why string
}

// sysctls are written in this order before any interface is made, so that each interface starts
// with them: "default" is copied to new interfaces, "all" is combined with theirs.
var sysctls = []sysctl{
	{"net/ipv4/ip_forward", "0", "1", false,
		"directors route; first, as a change rewrites other settings"},
	{"net/ipv4/conf/all/rp_filter", "0", "", false, "asymmetric paths are not dropped"},
	{"net/ipv4/conf/default/rp_filter", "0", "", false, "the same"},
	{"net/ipv4/conf/lo/rp_filter", "0", "", false, "the same; lo is older than this table"},
	{"net/ipv4/conf/all/arp_ignore", "0", "1", false,
		"a director answers for a VIP only on the VIP's own network"},
	{"net/ipv4/conf/default/arp_ignore", "0", "1", false, "the same"},
	{"net/ipv4/conf/all/arp_announce", "0", "2", false, "a VIP is not the sender of ARP requests"},
	{"net/ipv4/conf/default/arp_announce", "0", "2", false, "the same"},
	{"net/ipv4/conf/all/arp_accept", "0", "", false, "strangers' ARP makes no neighbour"},
	{"net/ipv4/conf/default/arp_accept", "0", "", false, "the same"},
	{"net/ipv4/conf/all/arp_notify", "0", "", false, "gratuitous ARP is the daemon's to send"},
	{"net/ipv4/conf/default/arp_notify", "0", "", false, "the same"},
	{"net/ipv4/conf/all/proxy_arp", "0", "", false, "nobody answers for others"},
	{"net/ipv4/conf/default/proxy_arp", "0", "", false, "the same"},
	{"net/ipv4/conf/all/send_redirects", "0", "", false, "the kernel ORs all and the interface's"},
	{"net/ipv4/conf/default/send_redirects", "0", "", false, "the same"},
	{"net/ipv4/conf/all/accept_redirects", "0", "", false, "routes are the topology's"},
	{"net/ipv4/conf/default/accept_redirects", "0", "", false, "the same"},
	{"net/ipv4/conf/all/promote_secondaries", "1", "", false,
		"deleting a primary address leaves the others of its network"},
	{"net/ipv4/conf/default/promote_secondaries", "1", "", false, "the same"},
	{"net/ipv4/ip_nonlocal_bind", "0", "", false, "a VIP is bound only where it is"},
	{"net/ipv4/ip_local_port_range", "1024 65535", "", false,
		"fresh connections do not run into old ones of the same port"},
	{"net/ipv4/tcp_syn_retries", "6", "", false, "the kernel's default"},
	{"net/ipv4/tcp_synack_retries", "5", "", false, "the kernel's default"},
	{"net/core/somaxconn", "4096", "", false, "bursts of connections are not dropped by listeners"},
}

// ipvsSysctls are the kernel's documented defaults of IPVS, written on directors where it is
// present. Source: Documentation/networking/ipvs-sysctl.rst.
var ipvsSysctls = []sysctl{
	{"net/ipv4/vs/conntrack", "0", "", true, "NAT without connection tracking"},
	{"net/ipv4/vs/conn_reuse_mode", "1", "", true, "a reused client port is scheduled anew"},
	{"net/ipv4/vs/expire_nodest_conn", "0", "", true, "a lost destination is silence"},
	{"net/ipv4/vs/expire_quiescent_template", "0", "", true, "persistence survives weight 0"},
	{"net/ipv4/vs/sloppy_tcp", "0", "", true, "only SYN makes a connection"},
	{"net/ipv4/vs/sync_threshold", "3 50", "", true, "packets before and between synchronisations"},
	{"net/ipv4/vs/sync_refresh_period", "0", "", true, "synchronisation by packets, not time"},
	{"net/ipv4/vs/sync_retries", "0", "", true, "no retries"},
	{"net/ipv4/vs/backup_only", "0", "", true, "a backup may schedule"},
	{"net/ipv4/vs/snat_reroute", "1", "", true, "replies are routed by their new source"},
	{"net/ipv4/vs/nat_icmp_send", "0", "", true, "no ICMP about unreachable real servers"},
	{"net/ipv4/vs/drop_entry", "0", "", true, "no connection is dropped for memory"},
	{"net/ipv4/vs/drop_packet", "0", "", true, "no packet is dropped for memory"},
	{"net/ipv4/vs/secure_tcp", "0", "", true, "the ordinary TCP state table"},
}

// applySysctls writes the settings of a role, in a lab of IPv6 or not, in the calling thread's network
// namespace.
//
// Equivalent to: `sysctl -w net.ipv4.ip_forward=1 …`.
func applySysctls(role topology.Role, six bool) error {
	director := role == topology.Director
	tables := [][]sysctl{sysctlsOf(six)}
	if director {
		tables = append(tables, ipvsSysctls)
	}
	for _, table := range tables {
		for _, s := range table {
			value := s.value
			if director && s.director != "" {
				value = s.director
			}
			err := writeSysctl(s.path, value)
			if err != nil && !(s.optional && errors.Is(err, unix.ENOENT)) {
				return err
			}
		}
	}
	return nil
}

// writeSysctl writes one setting. It makes three system calls, as each costs 20 µs in a slow guest.
func writeSysctl(path, value string) error {
	fd, err := unix.Open("/proc/sys/"+path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open sysctl %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return fmt.Errorf("set sysctl %s to %s: %w", path, value, err)
	}
	return nil
}
