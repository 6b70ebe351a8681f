package live

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// Status implements Lab.
func (h *Here) Status(ctx context.Context) (Status, error) {
	s := Status{Name: h.options.Name, Topology: h.options.Topology.Name, Kernel: h.options.Kernel,
		Director: h.options.Director.Name, Since: h.since, Folder: h.folder, Faults: h.active()}
	for _, n := range h.lab.Nodes() {
		status, err := nodeStatus(n)
		if err != nil {
			return s, fmt.Errorf("look at node %s: %w", n, err)
		}
		s.Nodes = append(s.Nodes, status)
	}
	var err error
	if s.VIPs, err = h.vips(); err != nil {
		return s, err
	}
	s.Tables, err = h.tables(ctx)
	return s, err
}

func nodeStatus(n *lab.Node) (NodeStatus, error) {
	s := NodeStatus{Name: n.Name(), Role: n.Role().String(), Powered: n.Powered(),
		Links: []LinkStatus{}, Units: []UnitStatus{}}
	links, err := n.Handle().LinkList()
	if err != nil {
		return s, fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		a := link.Attrs()
		if a.RawFlags&unix.IFF_LOOPBACK != 0 {
			continue
		}
		l := LinkStatus{Name: a.Name, Up: a.RawFlags&unix.IFF_LOWER_UP != 0,
			Addresses: []netip.Prefix{}}
		addrs, err := n.Handle().AddrList(link, netlink.FAMILY_ALL)
		if err != nil {
			return s, fmt.Errorf("list addresses of %s: %w", a.Name, err)
		}
		for _, addr := range addrs {
			ip, _ := netip.AddrFromSlice(addr.IP)
			ones, _ := addr.Mask.Size()
			if !ip.IsLinkLocalUnicast() {
				l.Addresses = append(l.Addresses, netip.PrefixFrom(ip.Unmap(), ones))
			}
		}
		s.Links = append(s.Links, l)
	}
	for _, u := range n.Units() {
		_, name, _ := strings.Cut(u.String(), ":")
		s.Units = append(s.Units, UnitStatus{Name: name, State: unitState(u)})
	}
	return s, nil
}

func unitState(u *lab.Unit) string {
	if !u.Alive() {
		return "stopped"
	}
	// One that ends meanwhile is not frozen.
	if frozen, err := u.Process().Frozen(); err == nil && frozen {
		return "frozen"
	}
	return "running"
}

// vips says who has each VIP, by what the nodes' kernels say.
func (h *Here) vips() ([]VIPStatus, error) {
	all := []VIPStatus{}
	for _, v := range h.lab.Topology().VIPs {
		s := VIPStatus{Name: v.Name, Address: v.Addr, Holders: []string{}}
		for _, n := range h.lab.Directors() {
			holds, err := n.Holds(v.Addr)
			if err != nil {
				return nil, err
			}
			if holds {
				s.Holders = append(s.Holders, n.Name())
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// tables are those of the directors; none where the topology has no service.
func (h *Here) tables(ctx context.Context) ([]Table, error) {
	all := []Table{}
	t := h.lab.Topology()
	if len(t.Services) == 0 {
		return all, nil
	}
	owners := map[netip.Addr]string{}
	for _, n := range t.Nodes {
		for _, l := range n.Links {
			owners[l.Addr.Addr()] = n.Name
		}
	}
	for _, n := range h.lab.Directors() {
		var text []byte
		err := n.Do(ctx, func() (err error) {
			text, err = os.ReadFile("/proc/thread-self/net/ip_vs")
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue // nothing has used IPVS there yet
		}
		if err != nil {
			return nil, fmt.Errorf("read IPVS table of %s: %w", n, err)
		}
		services, err := parseTable(strings.NewReader(string(text)), owners)
		if err != nil {
			return nil, fmt.Errorf("read IPVS table of %s: %w", n, err)
		}
		all = append(all, Table{Node: n.Name(), Services: services})
	}
	return all, nil
}

// parseTable reads a table as /proc/net/ip_vs shows it, with the nodes that have its addresses:
//
//	TCP  C0A80101:0050 rr
//	  -> C0A8020B:0050      Masq    1      0          0
//
// Source: net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show.
func parseTable(r io.Reader, owners map[netip.Addr]string) ([]TableService, error) {
	services := []TableService{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 3 && (f[0] == "TCP" || f[0] == "UDP" || f[0] == "FWM"):
			s, err := parseService(f)
			if err != nil {
				return nil, err
			}
			services = append(services, s)
		case len(f) == 6 && f[0] == "->" && len(services) > 0:
			d, err := parseServer(f)
			if err != nil {
				return nil, err
			}
			d.Node = owners[d.Address.Addr()]
			s := &services[len(services)-1]
			s.Servers = append(s.Servers, d)
		}
	}
	for _, s := range services { // the kernel shows the last one first
		slices.SortFunc(s.Servers, func(a, b TableServer) int { return a.Address.Compare(b.Address) })
	}
	return services, nil
}

func parseService(f []string) (TableService, error) {
	s := TableService{Protocol: strings.ToLower(f[0]), Scheduler: f[2], Servers: []TableServer{}}
	if f[0] == "FWM" {
		mark, err := strconv.ParseUint(f[1], 16, 32)
		s.Protocol, s.Address = "fwmark", strconv.FormatUint(mark, 10)
		return s, err
	}
	addr, err := parseHexAddr(f[1])
	s.Address = addr.String()
	return s, err
}

func parseServer(f []string) (TableServer, error) {
	addr, err := parseHexAddr(f[1])
	d := TableServer{Address: addr}
	for i, to := range []*int{&d.Weight, &d.Active, &d.Inactive} {
		n, failed := strconv.Atoi(f[3+i])
		*to, err = n, errors.Join(err, failed)
	}
	return d, err
}

// parseHexAddr reads "C0A80101:0050", and "[2001:0db8:…]:0050" as IPv6 is shown.
func parseHexAddr(text string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return netip.AddrPort{}, fmt.Errorf("parse address %q: no port", text)
	}
	port, err := strconv.ParseUint(text[i+1:], 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse address %q: %w", text, err)
	}
	if v6, ok := strings.CutPrefix(text[:i], "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(v6, "]"))
		return netip.AddrPortFrom(addr, uint16(port)), err
	}
	b, err := hex.DecodeString(text[:i])
	addr, ok := netip.AddrFromSlice(b)
	if err != nil || !ok {
		return netip.AddrPort{}, fmt.Errorf("parse address %q: want 8 hexadecimal digits", text)
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
