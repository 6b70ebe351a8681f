package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif"
)

// marking is the firewall mark of the addresses of one family that a virtual server has by its
// group.
type marking struct {
	server int // in Config.VirtualServers
	mark   uint32
	family config.Family
	ranges []config.ServiceRange
}

// markings gives marks, one after the other, to the virtual servers of groups with addresses, if
// cfg wants them to have any. A mark that the file uses itself is left out. Those whose checks wait
// for an address keep their addresses.
func markings(cfg *config.Config) []marking {
	if cfg.Global.Firewall.MarkTable == "" {
		return nil
	}
	groups, used := map[string]*config.ServerGroup{}, map[uint32]bool{}
	for i := range cfg.ServerGroups {
		g := &cfg.ServerGroups[i]
		groups[g.Name] = g
		for _, m := range g.Members {
			used[m.Mark] = true
		}
	}
	for i := range cfg.VirtualServers {
		used[cfg.VirtualServers[i].Mark] = true
	}
	next := cfg.Global.Firewall.FirstMark
	var all []marking
	for i := range cfg.VirtualServers {
		vs := &cfg.VirtualServers[i]
		g := groups[vs.Group]
		if vs.Group == "" || g == nil || vs.SuspendOnBackup {
			continue
		}
		for _, f := range []config.Family{config.IPv4, config.IPv6} {
			m := marking{server: i, family: f}
			for _, r := range g.Members {
				if r.Mark == 0 && r.First.Is6() == (f == config.IPv6) {
					m.ranges = append(m.ranges, r)
				}
			}
			if len(m.ranges) == 0 {
				continue
			}
			for used[next] {
				next++
			}
			m.mark = next
			next++
			all = append(all, m)
		}
	}
	return all
}

// markGroups has the virtual servers that markings gives marks have these for their addresses.
func markGroups(cfg *config.Config) {
	for _, m := range markings(cfg) {
		vs := &cfg.VirtualServers[m.server]
		members := []config.ServiceRange{{Pos: m.ranges[0].Pos, Mark: m.mark, Family: m.family}}
		for _, r := range vs.Members {
			if r.Mark != 0 || r.First.Is6() != (m.family == config.IPv6) {
				members = append(members, r)
			}
		}
		vs.Members = members
	}
}

// marksOf returns the table that marks packets as markings says; without any it is zero.
func marksOf(cfg *config.Config) netif.MarkTable {
	f := &cfg.Global.Firewall
	t := netif.MarkTable{Name: f.MarkTable, Priority: int32(f.MarkPriority)}
	if t.Name == shieldTable(cfg) {
		t.Name += "_ipvs" // no_accept has that one
	}
	for _, m := range markings(cfg) {
		for _, r := range m.ranges {
			t.Marks = append(t.Marks, netif.Mark{First: r.First, Last: lastOf(r), Port: r.Port,
				Protocol: transport(cfg.VirtualServers[m.server].Protocol), Mark: m.mark})
		}
	}
	if len(t.Marks) == 0 {
		return netif.MarkTable{}
	}
	return t
}

func lastOf(r config.ServiceRange) netip.Addr {
	if r.Last.IsValid() {
		return r.Last
	}
	return r.First
}

// transport is the number of a protocol.
func transport(p config.Protocol) uint8 {
	switch p {
	case config.UDP:
		return unix.IPPROTO_UDP
	case config.SCTP:
		return unix.IPPROTO_SCTP
	case config.TCP:
	}
	return unix.IPPROTO_TCP
}

// setMarks has packets marked as cfg wants. After an error they are as before. What undo does is
// have them so again.
func (d *director) setMarks(cfg *config.Config) (undo func(), err error) {
	want, before := marksOf(cfg), d.marks
	if reflect.DeepEqual(want, before) {
		return func() {}, nil
	}
	if err := d.changeMarks(before, want); err != nil {
		return nil, err
	}
	return func() {
		if err := d.changeMarks(want, before); err != nil {
			d.log.Error("marks are not as before", "err", err)
		}
	}, nil
}

// changeMarks puts a table in the place of another; both may be zero.
func (d *director) changeMarks(from, to netif.MarkTable) (err error) {
	if d.host == nil {
		return nil
	}
	host, leave, err := hostAt(d.place, d.host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	if to.Name != "" {
		if err := host.PutMarks(to); err != nil {
			return fmt.Errorf("nftables_ipvs: %w", err)
		}
	}
	d.marks = to
	if from.Name != "" && from.Name != to.Name {
		return host.DropMarks(from.Name)
	}
	return nil
}

// dropMarks takes the marks away at the end, unless the services stay that need them.
func (d *director) dropMarks() {
	if d.marks.Name == "" || d.options.KeepServices {
		return
	}
	if err := d.changeMarks(d.marks, netif.MarkTable{}); err != nil {
		d.log.Warn("marks were left behind", "err", err)
	}
}

// cleanMarks takes the marks of a configuration away.
func cleanMarks(host *netif.Host, cfg *config.Config) (err error) {
	t := marksOf(cfg)
	if t.Name == "" {
		return nil
	}
	host, leave, err := hostAt(cfg.Global.Namespace, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	return host.DropMarks(t.Name)
}
