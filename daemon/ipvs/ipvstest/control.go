package ipvstest

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
)

// Flush does what ipvs.Kernel's method of that name does.
func (m *Memory) Flush(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	m.services = nil
	return nil
}

// Timeouts does what ipvs.Kernel's method of that name does.
func (m *Memory) Timeouts(ctx context.Context) (ipvs.Timeouts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ipvs.Timeouts{
		TCP:    cmp.Or(m.timeouts.TCP, 15*time.Minute),
		TCPFin: cmp.Or(m.timeouts.TCPFin, 2*time.Minute),
		UDP:    cmp.Or(m.timeouts.UDP, 5*time.Minute),
	}, ctx.Err()
}

// SetTimeouts does what ipvs.Kernel's method of that name does.
func (m *Memory) SetTimeouts(ctx context.Context, t ipvs.Timeouts) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := cmp.Or(ctx.Err(), t.Validate()); err != nil {
		return fmt.Errorf("set timeouts: %w", err)
	}
	m.timeouts = ipvs.Timeouts{
		TCP:    cmp.Or(t.TCP, m.timeouts.TCP),
		TCPFin: cmp.Or(t.TCPFin, m.timeouts.TCPFin),
		UDP:    cmp.Or(t.UDP, m.timeouts.UDP),
	}
	return nil
}

// Stats does what ipvs.Kernel's method of that name does, in a table that carries nothing.
func (m *Memory) Stats(
	ctx context.Context, k ipvs.Key,
) (ipvs.Stats, map[netip.AddrPort]ipvs.Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.index(k)
	if i < 0 {
		return ipvs.Stats{}, nil, fmt.Errorf("get service %s: %w", k, unix.ESRCH)
	}
	destinations := make(map[netip.AddrPort]ipvs.Stats)
	for _, d := range m.services[i].Destinations {
		destinations[d.Addr] = ipvs.Stats{}
	}
	return ipvs.Stats{}, destinations, ctx.Err()
}

// StartSync does what ipvs.Kernel's method of that name does, on interfaces with an MTU of 1,500;
// every interface is there.
func (m *Memory) StartSync(ctx context.Context, d ipvs.SyncDaemon) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := cmp.Or(ctx.Err(), d.Validate())
	if err == nil && m.daemon(d.Role) >= 0 {
		err = unix.EEXIST
	}
	if err != nil {
		return fmt.Errorf("start sync daemon %s on %s: %w", d.Role, d.Interface, err)
	}
	if !d.Group.IsValid() {
		d.Group = netip.MustParseAddr("224.0.0.81")
	}
	headers := uint16(28)
	if d.Group.Is6() {
		headers = 48
	}
	d.MaxLen = cmp.Or(d.MaxLen, 1500-headers)
	d.Port, d.TTL = cmp.Or(d.Port, 8848), cmp.Or(d.TTL, 1)
	m.daemons = append(m.daemons, d)
	slices.SortFunc(m.daemons, func(a, b ipvs.SyncDaemon) int { return cmp.Compare(a.Role, b.Role) })
	return nil
}

// StopSync does what ipvs.Kernel's method of that name does.
func (m *Memory) StopSync(ctx context.Context, r ipvs.SyncRole) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.daemon(r)
	err := ctx.Err()
	if err == nil && i < 0 {
		err = unix.ESRCH
	}
	if err != nil {
		return fmt.Errorf("stop sync daemon %s: %w", r, err)
	}
	m.daemons = slices.Delete(m.daemons, i, i+1)
	return nil
}

// SyncDaemons does what ipvs.Kernel's method of that name does.
func (m *Memory) SyncDaemons(ctx context.Context) ([]ipvs.SyncDaemon, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.daemons), ctx.Err()
}

// daemon returns the place of the daemon of that role; -1 if none runs.
func (m *Memory) daemon(r ipvs.SyncRole) int {
	return slices.IndexFunc(m.daemons, func(d ipvs.SyncDaemon) bool { return d.Role == r })
}
