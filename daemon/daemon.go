// Package daemon is the director: it reads a configuration, runs its VRRP instances and its virtual
// services, and leaves the network as it found it. It only wires the packages below it together.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
)

// Options are what Run is told. Only File is needed.
type Options struct {
	// File is the configuration. It is read at the start and at each Reload.
	File string
	// ID is the config id: it chooses the lines of File that begin with @ID.
	ID string
	// CheckIncludes makes whatever is wrong with an include of File an error.
	CheckIncludes bool
	// WithoutVRRP runs no instance, WithoutServices no virtual service and no health check.
	WithoutVRRP, WithoutServices bool
	// KeepServices leaves the virtual services in the kernel at the end.
	KeepServices bool
	// Reload asks to read File again. Nil means never.
	Reload <-chan struct{}
	// Ledger is where the director writes down what it claims, and where it finds what the one
	// before it has: it goes on where that was. Nil is a director without a guard.
	Ledger *guard.Ledger
	// Control is the path of the socket that answers to Ask; empty means none. A director that
	// cannot have it says so in its log, and goes on.
	Control string
	// Overrides is the file that keeps the weights which operators have given real servers, for the
	// next process; empty means that none does.
	Overrides string
	// Ready is called once, when every instance takes part in its election or knows why it cannot.
	// Nil means nobody is told.
	Ready func()
	// Reloading is called with true when a reload begins, and with false when it is over, whatever
	// came of it. Nil means nobody is told.
	Reloading func(under bool)
	// Dumps asks to write files as keepalived does, where File says, or else to /tmp. Nil means
	// never.
	Dumps <-chan Dump
	// Metrics is where Prometheus is answered, as in 127.0.0.1:9650; empty means nowhere. An address
	// that cannot be had is tried again until it can.
	Metrics string
	// SNMP serves managers of SNMP what -x has keepalived serve, and SNMPSocket is the socket of the
	// master agent, whatever File says of them. Empty is as File says.
	SNMP       bool
	SNMPSocket string
	// Version is that of the program, for who asks.
	Version string
	// Diagnostics gets what there is to say about File; nil means nobody does.
	Diagnostics io.Writer
	// Dump gets the effective configuration at the start; nil means nobody does.
	Dump io.Writer
	// Log gets one line for each change; nil means slog.Default.
	Log *slog.Logger
}

// The errors of Run that a caller may want to tell apart.
var (
	// ErrNoConfig is that File cannot be read.
	ErrNoConfig = errors.New("no configuration")
	// ErrConfig is that File has errors; they have gone to Options.Diagnostics.
	ErrConfig = errors.New("configuration is not valid")
	// ErrPermission is that a right is missing which the configuration needs.
	ErrPermission = errors.New("missing permission")
)

// Run runs the director in the network namespace of the calling thread until ctx ends. Then the
// instances resign and give their VIPs back, the virtual services follow, and Run returns nil. An
// error says why the director could not start, or what it had to leave behind.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := director{options: o, log: o.Log, config: &config.Config{}, questions: make(chan question),
		born:  time.Now(),
		pulse: pulse{ledger: o.Ledger}}
	d.overrides = openOverrides(o.Overrides, o.Log)
	defer d.pulse.begin()()
	cfg, err := d.first()
	if err != nil {
		return err
	}
	if o.Dump != nil {
		if err := cfg.Write(o.Dump); err != nil {
			return fmt.Errorf("dump configuration: %w", err)
		}
	}
	defer d.close()
	d.atStart(ctx, cfg)
	defer d.schedule(cfg)()
	next, err := d.prepare(ctx, cfg)
	if err != nil {
		return err
	}
	if err := d.flushAtStart(ctx, cfg); err != nil {
		return err
	}
	return d.run(ctx, next)
}

// first returns the configuration to start with: that of the director whose place this one takes,
// or the file's.
func (d *director) first() (*config.Config, error) {
	cfg, err := inherited(d.options.Ledger)
	if err != nil {
		d.log.Warn("reading the file instead", "err", err)
	}
	if cfg == nil {
		cfg, _, err = load(d.options)
		return cfg, err
	}
	return cfg, nil
}

// director is a daemon with its configuration.
type director struct {
	options Options
	log     *slog.Logger
	pulse   pulse
	// born is when it was started.
	born time.Time
	// began is that the first configuration has been carried out.
	began bool
	// config is what runs.
	config *config.Config
	host   *netif.Host
	// delays hold back changes of the links of host.
	delays instance.LinkDelays
	// links are those of host, or a test's; nil before the first instance.
	links   instance.Links
	routers []*worker
	// statics, and still, who runs them, are nil before the first of them.
	statics *instance.Statics
	still   *worker
	// table, services and rear, who runs them, are nil before the first virtual service.
	table    ipvs.Table
	kernel   *ipvs.Kernel
	services *services
	rear     *worker
	// lvs, and syncer, who runs it, are nil until something beside virtual services is wanted.
	lvs    *lvs
	syncer *worker
	// tracking and telling, and watcher and teller, who run them, are nil before equip and the first
	// configuration.
	tracking        *tracking
	telling         *telling
	watcher, teller *worker
	// bfd, and speaker, who runs it, are nil before the first session.
	bfd     *sessionWatch
	speaker *worker
	// managers are served by SNMP; nil if nobody is. trapping are the same, for any goroutine, if they
	// are to be told of things.
	managers *managers
	trapping atomic.Pointer[managers]
	// onBus is its life on the message bus; nil if there is none.
	onBus *onBus
	// reports is what netif.LocalReports was before it was turned off; empty: it was not.
	reports string
	// marks is the table that marks packets to groups; zero without.
	marks netif.MarkTable
	// place is where the first configuration has put it.
	place config.Namespace
	// overrides are what operators have said of real servers.
	overrides *overrides
	// questions are those of the control socket.
	questions chan question
	// public is what snapshots tell.
	public public
}

// equip makes what watches trackers and what tells of events, unless they are there. Neither works
// yet.
func (d *director) equip() {
	if d.tracking == nil {
		d.tracking = newTracking(d.options.Ledger, d.log)
		d.telling = newTelling(d.options.Ledger, d.log)
		d.tracking.told, d.telling.why = d.telling.priority, d.tracking.faults
	}
}

// close gives back what was opened. It can only fail for handles that nobody uses any more.
func (d *director) close() {
	if d.host != nil {
		_ = d.host.Close()
	}
	if d.kernel != nil {
		_ = d.kernel.Close()
	}
}

// run keeps the virtual services until the last router has given its VIPs back: while an instance
// waits for its successor, connections go on.
func (d *director) run(ctx context.Context, first *transition) error {
	d.log.Info("start", "router", first.config.Global.RouterID, "config", d.options.File,
		"instances", len(first.config.Instances), "services", len(first.config.VirtualServers))
	d.equip()
	views := d.beginViews(ctx)
	err := d.carryOut(ctx, first)
	if err == nil {
		d.serve(ctx)
	}
	var errs []error
	for _, r := range d.routers {
		errs = append(errs, r.wait())
	}
	d.tracking.unwatch()
	for _, w := range []*worker{d.speaker, d.watcher, d.still, d.rear, d.syncer, d.teller} {
		if w != nil {
			errs = append(errs, w.end())
		}
	}
	d.dropMarks()
	d.restoreReports()
	d.letManagersGo()
	d.leaveBus()
	for _, v := range views {
		errs = append(errs, v.end())
	}
	d.atStop()
	d.log.Info("stop")
	return errors.Join(append(errs, err)...)
}

// serve tells when all is ready, and answers to requests, one at a time, until ctx ends.
func (d *director) serve(ctx context.Context) {
	for _, r := range d.routers {
		select {
		case <-ctx.Done():
			return
		case <-r.ready():
		}
	}
	d.options.Ledger.Ready()
	if d.options.Ready != nil {
		d.options.Ready()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.options.Reload:
			d.reload(ctx)
		case q := <-d.questions:
			q.answer <- d.answer(ctx, q.Question)
		}
	}
}
