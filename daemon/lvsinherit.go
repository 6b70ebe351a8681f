package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
)

// noteLVS is the key of lvsHeld in the guard's ledger.
const noteLVS = "lvs"

// noteLVS writes down what has been done to the kernel.
func (d *director) noteLVS(h lvsHeld) {
	if err := d.options.Ledger.Note(noteLVS, h); err != nil {
		d.log.Warn("sync daemons were not noted", "err", err)
	}
}

// inheritLVS goes on where the director was that this one takes the place of: its sync daemons run,
// and stay.
func (d *director) inheritLVS() {
	in := d.options.Ledger.Inherited()
	raw, ok := in.Notes[noteLVS]
	if !in.Resume || !ok {
		return
	}
	if err := json.Unmarshal(raw, &d.lvs.held); err != nil {
		d.log.Warn("inherited sync daemons are lost", "err", err)
	}
}

// defaultTimeouts are the kernel's (tcp_timeouts in net/netfilter/ipvs/ip_vs_proto_tcp.c, and
// udp_timeouts beside it).
var defaultTimeouts = ipvs.Timeouts{
	TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 5 * time.Minute,
}

// cleanLVS stops the sync daemons of a configuration, and has timeouts and settings that are as it
// wants them be the kernel's: what they were before died with who knew it.
func cleanLVS(ctx context.Context, host *netif.Host, cfg *config.Config) (err error) {
	want := lvsOf(cfg)
	if want.empty() {
		return nil
	}
	host, leave, err := hostAt(cfg.Global.Namespace, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	table, err := openTable(ctx, cfg.Global.Namespace)
	if err != nil {
		return fmt.Errorf("open table of virtual services: %w", err)
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	errs := []error{cleanSync(ctx, table, want.Sync), cleanTimeouts(ctx, table, want.Timeouts)}
	if len(want.Sync) > 0 {
		errs = append(errs, cleanSettings(onHost{host}))
	}
	if len(want.Guard) > 0 {
		errs = append(errs, host.SetForwardGuard(nil))
	}
	return errors.Join(errs...)
}

func cleanSync(ctx context.Context, table lvsTable, want []ipvs.SyncDaemon) error {
	running, err := table.SyncDaemons(ctx)
	errs := []error{err}
	for _, d := range want {
		if has, runs := ofRole(running, d.Role); runs && fits(d, has) {
			errs = append(errs, table.StopSync(ctx, d.Role))
		}
	}
	return errors.Join(errs...)
}

func cleanTimeouts(ctx context.Context, table lvsTable, want ipvs.Timeouts) error {
	now, err := table.Timeouts(ctx)
	if err != nil {
		return err
	}
	to := now
	for _, t := range []struct {
		want, normal time.Duration
		to           *time.Duration
	}{
		{want.TCP, defaultTimeouts.TCP, &to.TCP},
		{want.TCPFin, defaultTimeouts.TCPFin, &to.TCPFin},
		{want.UDP, defaultTimeouts.UDP, &to.UDP},
	} {
		if *t.to == t.want {
			*t.to = t.normal
		}
	}
	if to == now {
		return nil
	}
	return table.SetTimeouts(ctx, to)
}

func cleanSettings(host lvsHost) error {
	var errs []error
	for _, s := range syncSettings() {
		now, err := host.IPVSSetting(s.name)
		if err == nil && now == s.ours {
			err = host.SetIPVSSetting(s.name, s.normal)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// hostAt returns the host of the namespace that openTable finds the table in, whose settings and
// interfaces are those of the table: here, or another one. leave is to be called after use.
func hostAt(
	place config.Namespace, here *netif.Host,
) (h *netif.Host, leave func() error, err error) {
	if place.IPVS == "" && !place.IPVSHere {
		return here, func() error { return nil }, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // as in openTable
		if err = enterNamespace(place.IPVS); err == nil {
			h, err = netif.Open()
		}
	}()
	<-done
	if err != nil {
		return nil, nil, fmt.Errorf("net_namespace_ipvs: %w", err)
	}
	return h, h.Close, nil
}
