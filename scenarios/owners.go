package scenarios

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// owners is who holds each VIP now, by what the kernels said.
type owners struct {
	vips []topology.VIP

	mu      sync.Mutex
	holders map[netip.Addr]map[string]bool
	changed chan struct{} // closed at the next change
}

func newOwners(t topology.Topology) *owners {
	o := &owners{vips: t.VIPs, holders: map[netip.Addr]map[string]bool{},
		changed: make(chan struct{})}
	for _, v := range t.VIPs {
		o.holders[v.Addr] = map[string]bool{}
	}
	return o
}

// see takes an event in and reports whether it changed who holds what.
func (o *owners) see(ev reports.Event) bool {
	if ev.Kind != reports.VIPAdd && ev.Kind != reports.VIPRemove {
		return false
	}
	addr, err := netip.ParseAddr(ev.Subject)
	o.mu.Lock()
	defer o.mu.Unlock()
	nodes, ok := o.holders[addr]
	if err != nil || !ok || nodes[ev.Node] == (ev.Kind == reports.VIPAdd) {
		return false
	}
	if ev.Kind == reports.VIPAdd {
		nodes[ev.Node] = true
	} else {
		delete(nodes, ev.Node)
	}
	close(o.changed)
	o.changed = make(chan struct{})
	return true
}

// sole returns the one node that alone holds every VIP; false: there is none.
func (o *owners) sole() (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.soleLocked()
}

func (o *owners) soleLocked() (string, bool) {
	sole := ""
	for _, nodes := range o.holders {
		if len(nodes) != 1 {
			return "", false
		}
		for n := range nodes {
			if sole != "" && sole != n {
				return "", false
			}
			sole = n
		}
	}
	return sole, sole != ""
}

// await waits until one node alone holds every VIP and is wanted.
func (o *owners) await(ctx context.Context, wanted func(node string) bool) error {
	return o.awaitThat(ctx, func(o *owners) bool {
		sole, ok := o.soleLocked()
		return ok && wanted(sole)
	})
}

// contestedLocked reports whether some VIP is on more than one node.
func (o *owners) contestedLocked() bool {
	for _, nodes := range o.holders {
		if len(nodes) > 1 {
			return true
		}
	}
	return false
}

// awaitThat waits until something holds, which is asked with the lock held.
func (o *owners) awaitThat(ctx context.Context, holds func(*owners) bool) error {
	for {
		o.mu.Lock()
		reached := holds(o)
		changed := o.changed
		o.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w (%s)", context.Cause(ctx), o)
		}
	}
}

// String names the holders of each VIP, for example "outer lb1, inner nobody".
func (o *owners) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var parts []string
	for _, v := range o.vips {
		nodes := slices.Sorted(maps.Keys(o.holders[v.Addr]))
		who := strings.Join(nodes, " and ")
		if who == "" {
			who = "nobody"
		}
		parts = append(parts, v.Name+" "+who)
	}
	return strings.Join(parts, ", ")
}
