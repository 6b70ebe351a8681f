package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// noIPv6 is the setting that keeps IPv6 out of the labs of IPv4.
const noIPv6 = "net/ipv6/conf/all/disable_ipv6"

// ipv4Sysctls are what labs of IPv4 set beside sysctls.
var ipv4Sysctls = []sysctl{
	{noIPv6, "1", "", true, "no router solicitation or DAD on IPv4 labs"},
	{"net/ipv6/conf/default/disable_ipv6", "1", "", true, "the same"},
}

// ipv6Sysctls are what labs of IPv6 set beside sysctls. A new namespace begins with the kernel's
// defaults, unless the host has it otherwise.
var ipv6Sysctls = []sysctl{
	{noIPv6, "0", "", false, "the lab is of IPv6"},
	{"net/ipv6/conf/default/disable_ipv6", "0", "", false, "the same"},
	{"net/ipv6/conf/all/forwarding", "0", "1", false, "directors route; sets default as well"},
	{"net/ipv6/conf/all/accept_dad", "0", "", false,
		"interfaces can be used at once: what they get is unique; for directors see detectDuplicates"},
	{"net/ipv6/conf/default/accept_dad", "0", "", false, "the same"},
	{"net/ipv6/conf/default/router_solicitations", "0", "", false, "nobody advertises routes"},
	{"net/ipv6/conf/all/accept_ra", "0", "", false, "routes are the topology's"},
	{"net/ipv6/conf/default/accept_ra", "0", "", false, "the same"},
	{"net/ipv6/conf/all/accept_redirects", "0", "", false, "the same"},
	{"net/ipv6/conf/default/accept_redirects", "0", "", false, "the same"},
	{"net/ipv6/conf/all/keep_addr_on_down", "1", "", false,
		"an interface that is switched off keeps its addresses, as of IPv4"},
	{"net/ipv6/conf/all/ndisc_notify", "0", "", false,
		"unasked neighbour advertisements are the daemon's to send"},
	{"net/ipv6/conf/default/ndisc_notify", "0", "", false, "the same"},
	{"net/ipv6/conf/all/proxy_ndp", "0", "", false, "nobody answers for others"},
	{"net/ipv6/conf/default/proxy_ndp", "0", "", false, "the same"},
	{"net/ipv6/ip_nonlocal_bind", "0", "", false, "a VIP is bound only where it is"},
}

// sysctlsOf are the settings of the nodes of a lab, in the order in which they are written.
func sysctlsOf(six bool) []sysctl {
	own := ipv4Sysctls
	if six {
		own = ipv6Sysctls
	}
	return append(sysctls[:len(sysctls):len(sysctls)], own...)
}

// family is that of the lab's addresses and routes, for netlink.
func (l *Lab) family() int {
	if l.topology.IPv6() {
		return netlink.FAMILY_V6
	}
	return netlink.FAMILY_V4
}

// everywhere is the destination of a default route in the lab.
func (l *Lab) everywhere() netip.Prefix {
	if l.topology.IPv6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// networkOf is the name by which package net listens and dials on nodes of the calling program's
// lab: a transport such as "tcp" or "udp" with the version of IP.
func networkOf(transport string) string {
	off, err := os.ReadFile("/proc/sys/" + noIPv6)
	if err == nil && bytes.Equal(bytes.TrimSpace(off), []byte("0")) {
		return transport + "6"
	}
	return transport + "4"
}

// everyAddress is all of this machine's addresses for a network of networkOf.
func everyAddress(network string) string {
	if network[len(network)-1] == '6' {
		return "[::]"
	}
	return "0.0.0.0"
}

// loopback is this machine's own address for a network of networkOf, as it is dialled.
func loopback(network string) string {
	if network[len(network)-1] == '6' {
		return "[::1]"
	}
	return "127.0.0.1"
}

// LinkLocal returns the link-local address that the kernel gives the interface with an IPv6 address
// of a topology, by HardwareAddr: it is the source of the interface's adverts. The zero Addr for
// any other address.
//
// Source: RFC 4291, Appendix A; net/ipv6/addrconf.c, addrconf_ifid_eui48.
func LinkLocal(addr netip.Addr) netip.Addr {
	if !addr.Is6() || addr.Is4In6() {
		return netip.Addr{}
	}
	m := HardwareAddr(addr)
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff,
		12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// detectDuplicates has directors of a lab of IPv6 that is up look for duplicates of addresses, as
// hosts do unless told otherwise: what they add, VIPs for example, cannot be used for a second or two
// unless they say that it needs no such look.
//
// Equivalent to: `sysctl -w net.ipv6.conf.all.accept_dad=1`. Source: net/ipv6/addrconf.c,
// addrconf_dad_begin.
func (l *Lab) detectDuplicates(ctx context.Context) error {
	if !l.topology.IPv6() {
		return nil
	}
	for _, n := range l.Directors() {
		err := n.Do(ctx, func() error { return writeSysctl("net/ipv6/conf/all/accept_dad", "1") })
		if err != nil {
			return fmt.Errorf("node %s: %w", n, err)
		}
	}
	return nil
}

// addressed reports whether an interface of the node has the link-local address of a lab of IPv6,
// and may use all that it has.
func (n *Node) addressed(p *port) (bool, error) {
	if n.lab.family() != netlink.FAMILY_V6 {
		return true, nil
	}
	addrs, err := n.handle.AddrList(device(p.index), netlink.FAMILY_V6)
	if err != nil {
		return false, fmt.Errorf("list addresses of %s:%s: %w", n.spec.Name, p.link.Interface, err)
	}
	local := false
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return false, nil
		}
		local = local || prefix(a.IPNet).Addr() == LinkLocal(p.link.Addr.Addr())
	}
	return local, nil
}
