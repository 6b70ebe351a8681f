package ipvs

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
)

// SyncRole says what a sync daemon does, with the kernel's values (IP_VS_STATE_ in linux/ip_vs.h).
// Zero is unset. A namespace may have one of each at once.
type SyncRole uint32

// The roles: a master tells other directors of its connections, a backup listens to them.
const (
	SyncMaster SyncRole = 1
	SyncBackup SyncRole = 2
)

// String returns ipvsadm's word for r.
func (r SyncRole) String() string {
	switch r {
	case SyncMaster:
		return "master"
	case SyncBackup:
		return "backup"
	}
	return fmt.Sprintf("SyncRole(%d)", uint32(r))
}

// SyncDaemon is a thread of the kernel that sends or receives the connections of a table by UDP
// multicast. It has no authentication. Zero fields but Role, Interface and ID are left to the
// kernel; SyncDaemons returns what it took.
type SyncDaemon struct {
	Role SyncRole
	// Interface must have an address of the group's family; its primary one is the source.
	Interface string
	// ID is 0 to 255. A backup with another one than 0 listens to masters of that ID only.
	ID int
	// MaxLen is the largest payload of a packet in bytes; 0 follows from the interface's MTU. A
	// backup makes 1,024 of less.
	MaxLen uint16
	// Group is the multicast address, 224.0.0.81 by default; of IPv6 if it is one.
	Group netip.Addr
	// Port is the first UDP port, 8848 by default.
	Port uint16
	// TTL is that of the packets, 1 by default.
	TTL uint8
}

// Validate returns an error if the kernel would refuse the daemon whatever interfaces there are.
func (d SyncDaemon) Validate() error {
	switch {
	case d.Role != SyncMaster && d.Role != SyncBackup:
		return fmt.Errorf("unknown role %d", uint32(d.Role))
	case d.Interface == "" || len(d.Interface) > maxName:
		return fmt.Errorf("interface %q is not 1 to %d bytes", d.Interface, maxName)
	case d.ID < 0 || d.ID > 255:
		return fmt.Errorf("sync id %d is not 0 to 255", d.ID)
	case d.Group.IsValid() && !d.Group.IsMulticast():
		return fmt.Errorf("group %s is not multicast", d.Group)
	}
	return nil
}

// String returns the command that starts the daemon.
func (d SyncDaemon) String() string {
	s := fmt.Sprintf("ipvsadm --start-daemon %s --mcast-interface %s --syncid %d",
		d.Role, d.Interface, d.ID)
	if d.MaxLen > 0 {
		s += fmt.Sprintf(" --sync-maxlen %d", d.MaxLen)
	}
	if d.Group.IsValid() {
		s += fmt.Sprintf(" --mcast-group %s", d.Group)
	}
	if d.Port > 0 {
		s += fmt.Sprintf(" --mcast-port %d", d.Port)
	}
	if d.TTL > 0 {
		s += fmt.Sprintf(" --mcast-ttl %d", d.TTL)
	}
	return s
}

// Attributes of a sync daemon (IPVS_DAEMON_ATTR_).
const (
	daemonState     = 1
	daemonInterface = 2
	daemonID        = 3
	daemonMaxLen    = 4
	daemonGroup     = 5
	daemonGroup6    = 6
	daemonPort      = 7
	daemonTTL       = 8
)

// StartSync starts a daemon. The error is EEXIST if one of that role runs, ENODEV if the interface
// is not there, EINVAL if a destination is of another family than its service. Equivalent to: what
// d prints.
func (k *Kernel) StartSync(ctx context.Context, d SyncDaemon) error {
	err := d.Validate()
	if err == nil {
		err = k.command(ctx, startMessage(d))
	}
	if err != nil {
		return fmt.Errorf("start sync daemon %s on %s: %w", d.Role, d.Interface, err)
	}
	return nil
}

// StopSync stops the daemon of that role; ESRCH if none runs. Equivalent to: ipvsadm --stop-daemon
// ROLE.
func (k *Kernel) StopSync(ctx context.Context, r SyncRole) error {
	m := message{command: cmdDelDaemon, fill: func(a *attributes) {
		at := a.begin(attrDaemon)
		a.uint32(daemonState, uint32(r))
		a.end(at)
	}}
	if err := k.command(ctx, m); err != nil {
		return fmt.Errorf("stop sync daemon %s: %w", r, err)
	}
	return nil
}

// SyncDaemons returns those that run, the master first. Equivalent to: ipvsadm -L --daemon.
func (k *Kernel) SyncDaemons(ctx context.Context) ([]SyncDaemon, error) {
	var out []SyncDaemon
	err := k.do(ctx, func(w *wire) error {
		return w.dump(message{command: cmdGetDaemon}, func() { out = nil }, func(b []byte) error {
			d, err := decodeSyncDaemon(b)
			out = append(out, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list sync daemons: %w", err)
	}
	return out, nil
}

// startMessage leaves out what the kernel is to choose (ip_vs_genl_new_daemon in
// net/netfilter/ipvs/ip_vs_ctl.c).
func startMessage(d SyncDaemon) message {
	return message{command: cmdNewDaemon, fill: func(a *attributes) {
		at := a.begin(attrDaemon)
		a.uint32(daemonState, uint32(d.Role))
		a.string(daemonInterface, d.Interface)
		a.uint32(daemonID, uint32(d.ID))
		if d.MaxLen > 0 {
			a.uint16(daemonMaxLen, d.MaxLen)
		}
		if d.Group.Is4() {
			a.addr(daemonGroup, d.Group)
		} else if d.Group.IsValid() {
			a.addr(daemonGroup6, d.Group)
		}
		if d.Port > 0 {
			a.uint16(daemonPort, d.Port)
		}
		if d.TTL > 0 {
			a.uint8(daemonTTL, d.TTL)
		}
		a.end(at)
	}}
}

// decodeSyncDaemon reads an answer of cmdGetDaemon (ip_vs_genl_fill_daemon).
func decodeSyncDaemon(b []byte) (SyncDaemon, error) {
	var d SyncDaemon
	r, err := nestedIn(b, attrDaemon)
	for err == nil && r.next() {
		switch r.typ {
		case daemonState:
			d.Role = SyncRole(r.uint32())
		case daemonInterface:
			d.Interface = r.string()
		case daemonID:
			d.ID = int(r.uint32())
		case daemonMaxLen:
			d.MaxLen = r.uint16()
		case daemonGroup, daemonGroup6:
			d.Group, _ = netip.AddrFromSlice(r.data)
		case daemonPort:
			d.Port = r.uint16()
		case daemonTTL:
			d.TTL = r.uint8()
		}
	}
	if err = cmp.Or(err, r.err); err != nil {
		return SyncDaemon{}, fmt.Errorf("decode sync daemon: %w", err)
	}
	return d, nil
}
