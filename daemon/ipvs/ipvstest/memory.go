// Package ipvstest is the kernel's table of virtual services played in memory, for tests. It
// balances no connection.
package ipvstest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
)

// Memory is an ipvs.Table that answers as Linux does. Its zero value is empty and ready; it may be
// used by several goroutines.
type Memory struct {
	mu       sync.Mutex
	services []ipvs.Service // Destinations are in the kernel's order: newest first
	applied  []ipvs.Op
	fail     func(ipvs.Op) error
	failList error
	loads    map[ipvs.Key]map[netip.AddrPort]ipvs.Load
	timeouts ipvs.Timeouts // zero is the default
	daemons  []ipvs.SyncDaemon
}

// Connect says how many connections a destination has until the next call; its weight is that of
// the table.
func (m *Memory) Connect(k ipvs.Key, destination netip.AddrPort, active, inactive int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loads == nil {
		m.loads = make(map[ipvs.Key]map[netip.AddrPort]ipvs.Load)
	}
	if m.loads[k] == nil {
		m.loads[k] = make(map[netip.AddrPort]ipvs.Load)
	}
	m.loads[k][destination] = ipvs.Load{Active: active, Inactive: inactive}
}

// Fail makes each operation for which f returns an error fail with it, without an effect, and List,
// Get and Loads with listErr. Nil stands for no failures.
func (m *Memory) Fail(f func(ipvs.Op) error, listErr error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.failList = f, listErr
}

// List implements ipvs.Table.
func (m *Memory) List(ctx context.Context) (ipvs.Services, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read(ctx, m.services)
}

// Get implements ipvs.Table.
func (m *Memory) Get(ctx context.Context, k ipvs.Key) (ipvs.Services, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read(ctx, m.find(k))
}

// Loads implements ipvs.Table.
func (m *Memory) Loads(ctx context.Context, k ipvs.Key) (map[netip.AddrPort]ipvs.Load, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, err := m.read(ctx, m.find(k))
	if err != nil {
		return nil, err
	}
	loads := make(map[netip.AddrPort]ipvs.Load)
	for _, s := range found {
		for _, d := range s.Destinations {
			load := m.loads[k][d.Addr]
			load.Weight = d.Weight
			loads[d.Addr] = load
		}
	}
	return loads, nil
}

// find returns the service of that key; nil if it is not there.
func (m *Memory) find(k ipvs.Key) []ipvs.Service {
	if i := m.index(k); i >= 0 {
		return m.services[i : i+1]
	}
	return nil
}

// read returns services as a table has them.
func (m *Memory) read(ctx context.Context, services []ipvs.Service) (ipvs.Services, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.failList != nil {
		return nil, m.failList
	}
	var out ipvs.Services
	for _, s := range services {
		s.Destinations = slices.Clone(s.Destinations)
		slices.Reverse(s.Destinations)
		out = append(out, s)
	}
	return out, nil
}

// Apply implements ipvs.Table.
func (m *Memory) Apply(ctx context.Context, ops []ipvs.Op) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ipvs.ApplyEach(ctx, ops, m.apply)
}

// Applied returns all operations that were carried out since the last call of Applied.
func (m *Memory) Applied() []ipvs.Op {
	m.mu.Lock()
	defer m.mu.Unlock()
	ops := m.applied
	m.applied = nil
	return ops
}

// String returns the table as ipvs.Services prints itself, in ipvsadm's words.
func (m *Memory) String() string {
	ss, err := m.List(context.Background())
	if err != nil {
		return fmt.Sprintf("ipvsadm: %v\n", err)
	}
	return ss.String()
}

func (m *Memory) apply(op ipvs.Op) error {
	if m.fail != nil {
		if err := m.fail(op); err != nil {
			return err
		}
	}
	var err error
	switch op.Kind {
	case ipvs.AddService, ipvs.SetService, ipvs.DeleteService:
		err = m.applyService(op)
	default:
		err = m.applyDestination(op)
	}
	if err == nil {
		m.applied = append(m.applied, op)
	}
	return err
}

func (m *Memory) applyService(op ipvs.Op) error {
	i := m.index(op.Key)
	if op.Kind != ipvs.DeleteService && !slices.Contains(ipvs.Schedulers(), op.Settings.Scheduler) {
		return unix.ENOENT
	}
	if e := op.Settings.Engine; e != "" && e != ipvs.SIP {
		return unix.ENOENT
	}
	switch {
	case op.Kind == ipvs.AddService && i >= 0:
		return unix.EEXIST
	case op.Kind == ipvs.AddService:
		m.services = append(m.services, ipvs.Service{Key: op.Key, Settings: op.Settings})
	case i < 0:
		return unix.ESRCH
	case op.Kind == ipvs.SetService:
		m.services[i].Settings = op.Settings
	default:
		m.services = slices.Delete(m.services, i, i+1)
	}
	return nil
}

func (m *Memory) applyDestination(op ipvs.Op) error {
	i := m.index(op.Key)
	if i < 0 {
		return unix.ESRCH
	}
	s := &m.services[i]
	same := func(d ipvs.Destination) bool { return d.Addr == op.Destination.Addr }
	j := slices.IndexFunc(s.Destinations, same)
	switch {
	case op.Kind == ipvs.AddDestination && j >= 0:
		return unix.EEXIST
	case op.Kind == ipvs.AddDestination && op.Destination.Addr.Addr().IsMulticast():
		return unix.EINVAL
	case op.Kind == ipvs.AddDestination:
		s.Destinations = slices.Insert(s.Destinations, 0, op.Destination)
	case j < 0:
		return unix.ENOENT
	case op.Kind == ipvs.SetDestination:
		s.Destinations[j] = op.Destination
	default:
		s.Destinations = slices.Delete(s.Destinations, j, j+1)
	}
	return nil
}

func (m *Memory) index(k ipvs.Key) int {
	return slices.IndexFunc(m.services, func(s ipvs.Service) bool { return s.Key == k })
}
