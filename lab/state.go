package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State is what a kernel keeps for a node, or for the fabric: a line for each thing, sorted,
// without what counts and what expires. Two States of one place can be compared.
type State []string

// Diff returns what a later State lacks, each line with "-" before it, then what it has besides,
// with "+"; nil: nothing.
func (s State) Diff(later State) []string {
	var lines []string
	for _, l := range s {
		if !slices.Contains(later, l) {
			lines = append(lines, "-"+l)
		}
	}
	for _, l := range later {
		if !slices.Contains(s, l) {
			lines = append(lines, "+"+l)
		}
	}
	return lines
}

// State returns the State of every node and of the fabric, each line with the name of the place.
func (l *Lab) State(ctx context.Context) (State, error) {
	all, err := l.fabric.State(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i] = "fabric: " + all[i]
	}
	for _, n := range l.nodes {
		lines, err := n.State(ctx)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			all = append(all, n.spec.Name+": "+line)
		}
	}
	slices.Sort(all)
	return all, nil
}

// State returns the node's links, addresses, routes, rules, queues, packet filters, IPVS services
// and their destinations, settings and mounts, and of its neighbours those that somebody set by
// hand and those that have a hardware address which is not their own: others come and go.
func (n *Node) State(ctx context.Context) (State, error) {
	s := stateReader{handle: n.handle, family: n.lab.family()}
	err := n.Do(ctx, func() error {
		s.network()
		s.neighbours(n.lab.knownNeighbours())
		s.virtualServices()
		s.settings()
		s.mounts()
		return s.err
	})
	if err != nil {
		return nil, fmt.Errorf("read state of %s: %w", n, err)
	}
	return s.sorted(), nil
}

// State returns the fabric's links, queues and packet filters.
func (f *Fabric) State(ctx context.Context) (State, error) {
	s := stateReader{handle: f.handle}
	err := f.Do(ctx, func() error {
		s.network()
		return s.err
	})
	if err != nil {
		return nil, fmt.Errorf("read state of the fabric: %w", err)
	}
	return s.sorted(), nil
}

// stateReader gathers lines, until the first error.
type stateReader struct {
	handle *netlink.Handle
	family int            // of a node's neighbours and settings
	names  map[int]string // of links
	lines  State
	err    error
}

func (s *stateReader) add(format string, args ...any) {
	s.lines = append(s.lines, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (s *stateReader) fail(what string, err error) {
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("list %s: %w", what, err)
	}
}

func (s *stateReader) sorted() State {
	slices.Sort(s.lines)
	return slices.Compact(s.lines)
}

// network adds what rtnetlink and nftables tell.
func (s *stateReader) network() {
	links, err := s.handle.LinkList()
	s.fail("links", err)
	s.names = make(map[int]string, len(links))
	for _, l := range links {
		a := l.Attrs()
		s.names[a.Index] = a.Name
		var flags []string
		for flag, name := range map[uint32]string{unix.IFF_UP: "up", unix.IFF_LOWER_UP: "carrier",
			unix.IFF_NOARP: "noarp"} {
			if a.RawFlags&flag != 0 {
				flags = append(flags, name)
			}
		}
		slices.Sort(flags)
		s.add("link %s %s %s mtu %d %s", a.Name, l.Type(), a.HardwareAddr, a.MTU,
			strings.Join(flags, " "))
		s.filters(l)
	}
	addrs, err := s.handle.AddrList(nil, netlink.FAMILY_ALL)
	s.fail("addresses", err)
	for _, a := range addrs {
		s.add("address %s %s", s.names[a.LinkIndex], a.IPNet)
	}
	s.routes()
	qdiscs, err := s.handle.QdiscList(nil)
	s.fail("queues", err)
	for _, q := range qdiscs {
		if q.Attrs().Handle != 0 { // which the kernel's own default has
			s.add("queue %s %s %s", s.names[q.Attrs().LinkIndex], q.Type(), shape(q))
		}
	}
	s.tables()
}

// shape is what a queueing discipline does, as far as a lab uses such.
func shape(q netlink.Qdisc) string {
	n, ok := q.(*netlink.Netem)
	if !ok {
		return ""
	}
	return fmt.Sprintf("delay %d jitter %d loss %d duplicate %d corrupt %d reorder %d rate %d",
		n.Latency, n.Jitter, n.Loss, n.Duplicate, n.CorruptProb, n.ReorderProb, n.Rate64)
}

func (s *stateReader) filters(l netlink.Link) {
	filters, err := s.handle.FilterList(l, netlink.MakeHandle(0xffff, 0))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return // without a queue there is none
	}
	s.fail("filters", err)
	for _, f := range filters {
		s.add("filter %s %s priority %d", l.Attrs().Name, f.Type(), f.Attrs().Priority)
	}
}

func (s *stateReader) routes() {
	routes, err := s.handle.RouteListFiltered(netlink.FAMILY_ALL,
		&netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	s.fail("routes", err)
	for _, r := range routes {
		if r.Table == unix.RT_TABLE_LOCAL {
			continue // they follow from the addresses
		}
		s.add("route table %d %v via %v dev %s src %v metric %d type %d",
			r.Table, r.Dst, r.Gw, s.names[r.LinkIndex], r.Src, r.Priority, r.Type)
	}
	rules, err := s.handle.RuleList(netlink.FAMILY_ALL)
	s.fail("rules", err)
	for _, r := range rules {
		s.add("rule %s", r)
	}
}

// tables adds the tables of nftables of the calling thread's namespace; a kernel without has none.
func (s *stateReader) tables() {
	c, err := nftables.New()
	if err != nil {
		s.fail("nftables", err)
		return
	}
	tables, err := c.ListTables()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) ||
		errors.Is(err, unix.EINVAL) {
		return
	}
	s.fail("nftables", err)
	for _, t := range tables {
		s.add("nftables family %d %s", t.Family, t.Name)
	}
}

// knownNeighbours are the hardware addresses that may answer for an address.
func (l *Lab) knownNeighbours() map[netip.Addr][]string {
	known := make(map[netip.Addr][]string)
	for _, n := range l.topology.Nodes {
		for _, link := range n.Links {
			addr := link.Addr.Addr()
			known[addr] = append(known[addr], HardwareAddr(addr).String())
		}
	}
	for _, v := range l.topology.VIPs {
		router := net.HardwareAddr{0, 0, 0x5e, 0, 1, v.RouterID} // RFC 9568, Section 7.3
		if v.Addr.Is6() {
			router[4] = 2
		}
		known[v.Addr] = append(known[v.Addr], router.String())
		for _, d := range l.Directors() {
			if link, ok := d.spec.LinkOn(v.Network); ok {
				known[v.Addr] = append(known[v.Addr], HardwareAddr(link.Addr.Addr()).String())
			}
		}
	}
	return known
}

func (s *stateReader) neighbours(known map[netip.Addr][]string) {
	list, err := s.handle.NeighList(0, s.family)
	s.fail("neighbours", err)
	for _, n := range list {
		addr, _ := netip.AddrFromSlice(n.IP)
		addr = addr.Unmap()
		where := fmt.Sprintf("%s %s at %s", s.names[n.LinkIndex], addr, n.HardwareAddr)
		right, ok := known[addr]
		switch {
		case n.State == netlink.NUD_PERMANENT:
			s.add("neighbour %s permanent", where)
		case ok && len(n.HardwareAddr) == 6 && !slices.Contains(right, n.HardwareAddr.String()) &&
			n.State&(netlink.NUD_FAILED|netlink.NUD_INCOMPLETE|netlink.NUD_NOARP) == 0:
			s.add("neighbour %s, which is wrong", where)
		}
	}
}

// virtualServices adds the table of IPVS; a kernel without has none.
func (s *stateReader) virtualServices() {
	text, err := os.ReadFile(ipvsState)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	s.fail("virtual services", err)
	s.lines = append(s.lines, parseVirtualServices(string(text))...)
}

// parseVirtualServices reads /proc/net/ip_vs without its counters.
//
// Source: net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show.
func parseVirtualServices(text string) []string {
	var lines []string
	service := ""
	for row := range strings.Lines(text) {
		words := strings.Fields(row)
		if len(words) < 2 {
			continue
		}
		if words[0] != "->" {
			service = strings.Join(words, " ")
			if words[0] != "IP" && words[0] != "Prot" {
				lines = append(lines, "virtual service "+service)
			}
			continue
		}
		if len(words) == 6 && words[1] != "RemoteAddress:Port" {
			lines = append(lines, "virtual service "+service+" "+strings.Join(words[:4], " "))
		}
	}
	return lines
}

// stateSettings are below /proc/sys, beside those that a lab sets.
var stateSettings = []string{"net/ipv4/icmp_echo_ignore_all", "net/ipv6/icmp/echo_ignore_all",
	"net/netfilter/nf_conntrack_max"}

func (s *stateReader) settings() {
	paths := slices.Clone(stateSettings)
	for _, c := range sysctlsOf(s.family == netlink.FAMILY_V6) {
		paths = append(paths, c.path)
	}
	for _, c := range ipvsSysctls {
		paths = append(paths, c.path)
	}
	for _, path := range paths {
		value, err := os.ReadFile("/proc/sys/" + path)
		if !errors.Is(err, os.ErrNotExist) {
			s.fail("settings", err)
			s.add("setting %s %s", path, strings.Join(strings.Fields(string(value)), " "))
		}
	}
}

// mounts adds the file systems of the node's own, with what they were mounted with.
func (s *stateReader) mounts() {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	s.fail("mounts", err)
	for row := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(row, " - ")
		words, source := strings.Fields(before), strings.Fields(after)
		if len(words) > 4 && len(source) == 3 && (source[0] == "tmpfs" || words[4] == "/run") {
			s.add("mount %s %s %s", words[4], source[0], source[2])
		}
	}
}
