package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// farm is a number of virtual services with equally many real servers each, as far as it goes, and
// how these are checked.
type farm struct {
	services, servers int
	// loop is the time between two checks of a real server.
	loop time.Duration
	// timeout is that of a check.
	timeout time.Duration
}

// service is the address of the i-th virtual service, server that of the i-th real server.
func (f farm) service(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(16 + i/250), byte(i%250 + 1)}), 80)
}

func (f farm) server(i int) netip.AddrPort {
	return netip.AddrPortFrom(
		netip.AddrFrom4([4]byte{10, byte(16 + i>>16), byte(i >> 8), byte(i)}), 80)
}

// of returns the first real server of the i-th virtual service, and that after its last.
func (f farm) of(i int) (first, end int) {
	return i * f.servers / f.services, (i + 1) * f.servers / f.services
}

// serviceOf returns which virtual service the i-th real server is of.
func (f farm) serviceOf(i int) int {
	for n := range f.services {
		if _, end := f.of(n); i < end {
			return n
		}
	}
	return f.services - 1
}

// config is the keepalived.conf, without one real server; -1 leaves none out.
func (f farm) config(without int) string {
	var b strings.Builder
	b.WriteString("global_defs {\n    router_id lb1\n}\n")
	for i := range f.services {
		s := f.service(i)
		fmt.Fprintf(&b, "virtual_server %s %d {\n    delay_loop %g\n    lb_algo rr\n    lb_kind NAT\n"+
			"    protocol TCP\n", s.Addr(), s.Port(), f.loop.Seconds())
		first, end := f.of(i)
		for j := first; j < end; j++ {
			if j == without {
				continue
			}
			r := f.server(j)
			fmt.Fprintf(&b, "    real_server %s %d {\n        weight 1\n        TCP_CHECK {\n"+
				"            connect_timeout %g\n            retry 0\n        }\n    }\n",
				r.Addr(), r.Port(), f.timeout.Seconds())
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// stand is one director in a lab of its own, and one host that is all of its real servers.
//
//	lb1 10.1.0.2 ──── lan 10.1.0.0/16 ──── 10.1.0.3 web1, which has all of 10.16.0.0/12
type stand struct {
	director scenarios.Director
	farm     farm
	dir      string // for the configuration and the program
	lab      *lab.Lab
	lb, web  *lab.Node
	table    *kernelTable
	servers  *acceptor
}

// serverPrefix are the addresses of real servers, all of them web1's own.
var serverPrefix = netip.MustParsePrefix("10.16.0.0/12")

// newStand builds the lab, and starts the real servers; no director runs yet. The caller closes it.
func newStand(ctx context.Context, d scenarios.Director, f farm) (s *stand, err error) {
	s = &stand{director: d, farm: f}
	// What the guest keeps in memory is not read from the host while the director starts.
	if s.dir, err = os.MkdirTemp("/dev/shm", "bench-"); err != nil {
		return nil, fmt.Errorf("make stand: %w", err)
	}
	defer func() {
		if err != nil {
			s, err = nil, errors.Join(err, s.close())
		}
	}()
	if s.lab, err = lab.Up(ctx, standTopology(), lab.Options{}); err != nil {
		return s, fmt.Errorf("make stand: %w", err)
	}
	s.lb, _ = s.lab.Node("lb1")
	s.web, _ = s.lab.Node("web1")
	if err = s.route(); err != nil {
		return s, err
	}
	if s.table, err = openTable(ctx, s.lb); err != nil {
		return s, err
	}
	if s.servers, err = startAcceptor(ctx, s.web, f.server(0).Port()); err != nil {
		return s, err
	}
	if err = s.configure(-1); err != nil {
		return s, err
	}
	return s, copyProgram(d.Path, s.program())
}

// standTopology is the network of a stand.
func standTopology() topology.Topology {
	node := func(name string, role topology.Role, addr string) topology.Node {
		return topology.Node{Name: name, Role: role, Links: []topology.Link{
			{Interface: "eth0", Network: "lan", Addr: netip.MustParsePrefix(addr)}}}
	}
	lb, web := node("lb1", topology.Director, "10.1.0.2/16"),
		node("web1", topology.RealServer, "10.1.0.3/16")
	web.Gateway = lb.Links[0].Addr.Addr()
	return topology.Topology{
		Name:     "stand",
		Networks: []topology.Network{{Name: "lan", Prefix: netip.MustParsePrefix("10.1.0.0/16")}},
		Nodes:    []topology.Node{lb, web},
	}
}

// route gives web1 the addresses of all real servers, and lb1 the way to them.
//
// Equivalent to: `ip route add local 10.16.0.0/12 dev lo` on web1, and on lb1
// `ip route add 10.16.0.0/12 via 10.1.0.3`.
func (s *stand) route() error {
	to := s.web.Spec().Links[0].Addr.Addr()
	err := s.lb.Handle().RouteAdd(&netlink.Route{Dst: prefixNet(serverPrefix), Gw: to.AsSlice()})
	if err != nil {
		return fmt.Errorf("add route to %s: %w", serverPrefix, err)
	}
	lo, err := s.web.Handle().LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find link lo: %w", err)
	}
	err = s.web.Handle().RouteAdd(&netlink.Route{Dst: prefixNet(serverPrefix),
		LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
		Scope: netlink.SCOPE_HOST})
	if err != nil {
		return fmt.Errorf("add local route %s: %w", serverPrefix, err)
	}
	return nil
}

// silence has a real server answer nothing any more.
//
// Equivalent to: `ip route add blackhole 10.16.0.7 table local` on web1.
func (s *stand) silence(server netip.AddrPort) error {
	err := s.web.Handle().RouteAdd(&netlink.Route{
		Dst:  prefixNet(netip.PrefixFrom(server.Addr(), server.Addr().BitLen())),
		Type: unix.RTN_BLACKHOLE, Table: unix.RT_TABLE_LOCAL})
	if err != nil {
		return fmt.Errorf("silence %s: %w", server, err)
	}
	return nil
}

func prefixNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// close ends what runs and takes the lab down.
func (s *stand) close() error {
	var errs []error
	if s.servers != nil {
		s.servers.close()
	}
	if s.table != nil {
		errs = append(errs, s.table.close())
	}
	if s.lab != nil {
		errs = append(errs, s.lab.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *stand) file() string    { return filepath.Join(s.dir, "lb1.conf") }
func (s *stand) program() string { return filepath.Join(s.dir, filepath.Base(s.director.Path)) }

// configure writes the configuration, without one real server.
func (s *stand) configure(without int) error {
	if err := os.WriteFile(s.file(), []byte(s.farm.config(without)), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// start starts the director, its IPVS half alone and without a log, and returns when its exec was.
func (s *stand) start(ctx context.Context) (*lab.Process, time.Time, error) {
	args := slices.DeleteFunc(slices.Clone(s.director.Args), func(word string) bool {
		return word == "-l" || word == "-D"
	})
	args = append(args, "-C", "-G", "-f", s.file())
	p, err := startStamped(ctx, s.lb, s.director.Name, s.program(), args)
	if err != nil {
		return nil, time.Time{}, err
	}
	at, err := stampOf(ctx, p)
	return p, at, err
}

// awaitTable waits until the kernel's table has so many real servers, and returns when it had.
func (s *stand) awaitTable(
	ctx context.Context, running *lab.Process, servers int,
) (time.Time, error) {
	have := 0
	at, err := s.table.await(ctx, running, func() (_ bool, err error) {
		have, err = s.table.realServers(s.farm.services)
		return have == servers, err
	})
	if err != nil {
		return at, fmt.Errorf("await %d real servers, have %d: %w", servers, have, err)
	}
	return at, nil
}

// awaitOut waits until a real server is not in its service, or gets no new connection any more.
func (s *stand) awaitOut(ctx context.Context, running *lab.Process, server int) (time.Time, error) {
	service := s.farm.serviceOf(server)
	first, end := s.farm.of(service)
	at, err := s.table.await(ctx, running, func() (bool, error) {
		w, there, err := s.table.weight(s.farm.service(service), s.farm.server(server), end-first)
		return !there || w == 0, err
	})
	if err != nil {
		return at, fmt.Errorf("await the end of %s: %w", s.farm.server(server), err)
	}
	return at, nil
}
