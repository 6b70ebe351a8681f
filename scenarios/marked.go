package scenarios

import (
	"context"
	"net/netip"
	"slices"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// markOf is the firewall mark of a service: its place among those of the topology, from 1.
func markOf(t topology.Topology, s topology.Service) uint32 {
	return uint32(1 + slices.IndexFunc(t.Services,
		func(o topology.Service) bool { return o.Addr == s.Addr }))
}

// markTraffic has the directors mark what comes for services by firewall mark, and the clients send it
// there.
func markTraffic(ctx context.Context, l *lab.Lab) error {
	t := l.Topology()
	for _, s := range t.Services {
		if !s.Marked.IsValid() {
			continue
		}
		for _, n := range l.NodesOf(topology.Director) {
			for _, link := range n.Spec().Links {
				if !link.Addr.Contains(s.Addr.Addr()) {
					continue
				}
				if err := n.MarkTraffic(ctx, link.Interface, s.Marked, markOf(t, s)); err != nil {
					return err
				}
			}
		}
		for _, n := range l.NodesOf(topology.Client) {
			if err := n.RouteTo(ctx, s.Marked, s.Addr.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}

// targetsOf are up to n places where a service is to be called; at least one.
func targetsOf(s topology.Service, n int) []netip.AddrPort {
	if !s.Marked.IsValid() {
		return []netip.AddrPort{s.Addr}
	}
	var all []netip.AddrPort
	for a := s.Marked.Addr().Next(); s.Marked.Contains(a) && len(all) < max(n, 1); a = a.Next() {
		all = append(all, netip.AddrPortFrom(a, s.Addr.Port()))
	}
	return all
}
