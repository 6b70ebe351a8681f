package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
)

// lvsWant is what a configuration wants of the kernel's IPVS beside virtual services. The zero
// value wants nothing.
type lvsWant struct {
	// Sync are the daemons that synchronise connections: both of them, or none.
	Sync []ipvs.SyncDaemon
	// Timeouts are those of connections; zero ones are left as they are.
	Timeouts ipvs.Timeouts
	// Flush empties the table at the start, FlushAtStop at the end.
	Flush, FlushAtStop bool
	// Guard are the replies that are not forwarded as they are, in order.
	Guard []netif.Reply
}

// empty says that nothing is wanted.
func (w *lvsWant) empty() bool {
	return len(w.Sync) == 0 && w.Timeouts == ipvs.Timeouts{} && !w.Flush && !w.FlushAtStop &&
		len(w.Guard) == 0
}

// lvsOf returns what a configuration wants. Services of the configuration itself go at the end in
// any case, so that FlushOwn wants nothing more.
func lvsOf(cfg *config.Config) lvsWant {
	l := &cfg.Global.LVS
	return lvsWant{
		Sync: syncDaemons(cfg),
		Timeouts: ipvs.Timeouts{
			TCP: l.Timeouts.TCP, TCPFin: l.Timeouts.TCPFin, UDP: l.Timeouts.UDP,
		},
		Flush: l.Flush, FlushAtStop: l.FlushOnStop == config.FlushAll,
		Guard: guardOf(cfg),
	}
}

// guardOf returns the replies of all real servers behind NAT, if they are to be guarded. Who has a
// firewall mark may have any protocol.
func guardOf(cfg *config.Config) []netif.Reply {
	if !cfg.Global.LVS.ForwardGuard {
		return nil
	}
	numbers := map[config.Protocol]uint8{config.TCP: unix.IPPROTO_TCP, config.UDP: unix.IPPROTO_UDP,
		config.SCTP: unix.IPPROTO_SCTP}
	var all []netif.Reply
	for i := range cfg.VirtualServers {
		v := &cfg.VirtualServers[i]
		protocols := []config.Protocol{v.Protocol}
		marked := func(m config.ServiceRange) bool { return m.Mark != 0 }
		if v.Mark != 0 || slices.ContainsFunc(v.Members, marked) {
			protocols = []config.Protocol{config.TCP, config.UDP, config.SCTP}
		}
		for _, source := range translated(v) {
			for _, p := range protocols {
				all = append(all, netif.Reply{Protocol: numbers[p], Source: source})
			}
		}
	}
	slices.SortFunc(all, netif.Reply.Compare)
	return slices.Compact(all)
}

// translated are the real servers of a virtual server that are behind NAT.
func translated(v *config.VirtualServer) []netip.AddrPort {
	var all []netip.AddrPort
	if v.SorryServer.IsValid() && v.Forward == config.NAT {
		all = append(all, v.SorryServer)
	}
	for i := range v.RealServers {
		if rs := &v.RealServers[i]; cmp.Or(rs.Forward, v.Forward) == config.NAT {
			all = append(all, rs.Address)
		}
	}
	return all
}

// syncDaemons returns a master and a backup: a director sends and hears at once, whatever its
// instances are. So nothing starts or ends in the moment of a takeover, and one that comes back is
// told of connections while it is still a backup. The kernel loops no message back to its sender.
func syncDaemons(cfg *config.Config) []ipvs.SyncDaemon {
	s := syncOf(cfg)
	if s == nil {
		return nil
	}
	d := ipvs.SyncDaemon{
		Interface: s.Interface, ID: int(s.ID), MaxLen: uint16(s.MaxLength), Group: s.Group,
		Port: s.Port, TTL: s.TTL,
	}
	if i := cfg.Instance(s.Instance); i != nil && !s.HasID {
		d.ID = int(i.VRID)
	}
	master, backup := d, d
	master.Role, backup.Role = ipvs.SyncMaster, ipvs.SyncBackup
	// What a backup can take must not be less than what another kind of director sends.
	master.MaxLen = cmp.Or(master.MaxLen, syncLength)
	return []ipvs.SyncDaemon{master, backup}
}

// syncOf is lvs_sync_daemon, or the first lvs_sync_daemon_interface as if it were that; nil is
// neither.
func syncOf(cfg *config.Config) *config.Sync {
	if s := cfg.Global.LVS.Sync; s != nil {
		return s
	}
	for i := range cfg.Instances {
		if in := &cfg.Instances[i]; in.SyncInterface != "" {
			return &config.Sync{Interface: in.SyncInterface, Instance: in.Name}
		}
	}
	return nil
}

// settleSync has the synchronisation need no instance any more.
func settleSync(cfg *config.Config) {
	s := syncOf(cfg)
	if s == nil {
		return
	}
	settled := *s
	if i := cfg.Instance(s.Instance); i != nil && !s.HasID {
		settled.ID, settled.HasID = i.VRID, true
	}
	settled.Instance = ""
	cfg.Global.LVS.Sync = &settled
}

// checkLVS tells of interfaces for synchronisation that are not used: the kernel has one master and
// one backup.
func checkLVS(cfg *config.Config) config.Diagnostics {
	s := syncOf(cfg)
	var ds config.Diagnostics
	for i := range cfg.Instances {
		in := &cfg.Instances[i]
		if in.SyncInterface == "" || in.SyncInterface == s.Interface {
			continue
		}
		ds = append(ds, config.Diagnostic{Pos: in.Pos, Severity: config.Warning,
			Text: fmt.Sprintf("lvs_sync_daemon_interface %s: expected one interface for the whole "+
				"file; connections are synchronised over %s", in.SyncInterface, s.Interface)})
	}
	return ds
}

// lvsParts are what reports of a reload say of it.
func lvsParts(cfg *config.Config) map[string]any {
	w := lvsOf(cfg)
	parts := map[string]any{}
	for _, d := range w.Sync {
		parts["sync daemon "+d.Role.String()] = d.String()
	}
	for name, t := range map[string]time.Duration{
		"TCP": w.Timeouts.TCP, "TCP FIN": w.Timeouts.TCPFin, "UDP": w.Timeouts.UDP,
	} {
		if t != 0 {
			parts["timeout "+name] = t
		}
	}
	if cfg.Global.LVS.ForwardGuard {
		parts["forward guard"] = true
	}
	return parts
}

// The kernel sends what it knows of a connection when a packet of it passes, and keeps it back until
// its message is full, for up to 3 s (net/netfilter/ipvs/ip_vs_sync.c).
const (
	// syncLength is the length of a message, where the file does not say another: room for a head of
	// 8 bytes and four connections of IPv4, or two of IPv6. So on a director that has anything to do
	// none waits long; the kernel's own, which follows from the MTU, is room for 40.
	syncLength = 8 + 4*36
	// syncRefresh is after how long it sends it again.
	syncRefresh = 10 * time.Second
	// warmUp is how long a director that has come back lets a lower master be: by then it knows
	// every connection that had a packet in the meantime.
	warmUp = syncRefresh + 5*time.Second
)

// preemptDelay is that of an instance: warmUp if connections are synchronised and the file does not
// say another. An owner of its addresses is master at once.
func preemptDelay(cfg *config.Config, i *config.Instance) time.Duration {
	const owner = 255
	if syncOf(cfg) == nil || i.Priority == owner {
		return i.PreemptDelay
	}
	return cmp.Or(i.PreemptDelay, warmUp)
}

// syncSetting is a setting of the kernel's that synchronisation has otherwise than the kernel. One
// that is neither is somebody's choice, and stays.
type syncSetting struct{ name, normal, ours string }

// syncSettings have every connection sent when it is established, not with its third packet; again
// one refresh/8 later, for messages are not acknowledged; and from then on whenever it has a packet
// and has not been sent for the refresh time: so the peer's entry lasts as long as the connection,
// and one that has come back gets to know it.
func syncSettings() []syncSetting {
	return []syncSetting{
		// First the refresh: without it a threshold of 0 means the packet of that number.
		{"sync_refresh_period", "0", fmt.Sprint(int(syncRefresh / time.Second))},
		{"sync_threshold", "3 50", "0 0"},
		{"sync_retries", "0", "1"},
	}
}

// setLVS has the kernel's IPVS be as cfg wants it.
func (d *director) setLVS(ctx context.Context, cfg *config.Config) {
	want := lvsOf(cfg)
	table, ok := d.table.(lvsTable)
	switch {
	case d.lvs != nil:
		d.lvs.set(want)
	case want.empty() || !ok || d.host == nil:
	default:
		host, leave, err := hostAt(d.place, d.host)
		if err != nil {
			d.log.Error("no timeouts and no synchronisation of connections", "err", err)
			return
		}
		d.lvs = newLVS(table, onHost{host}, d.log)
		d.lvs.leave = leave
		d.lvs.keep, d.lvs.note = d.options.KeepServices, d.noteLVS
		d.inheritLVS()
		d.lvs.set(want)
		// Its end is not that of ctx: it outlasts the virtual services.
		d.syncer = begin(context.WithoutCancel(ctx), "lvs", d.lvs.run)
	}
}

// flushAtStart empties the table before anything else is done to it, unless this director takes the
// place of one that died, whose services are there.
func (d *director) flushAtStart(ctx context.Context, cfg *config.Config) error {
	table, ok := d.table.(lvsTable)
	if !cfg.Global.LVS.Flush || !ok || d.options.Ledger.Inherited().Resume {
		return nil
	}
	d.log.Info("empty table of virtual services", "reason", "lvs_flush")
	return table.Flush(ctx)
}
