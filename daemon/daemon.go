// Package daemon is the director: it reads a configuration, runs its VRRP instances and its virtual
// services, and leaves the network as it found it. It only wires the packages below it together.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
)

// Options are what Run is told. Only File is needed.
type Options struct {
	// File is the configuration. It is read at the start and at each Reload.
	File string
	// WithoutVRRP runs no instance, WithoutServices no virtual service and no health check.
	WithoutVRRP, WithoutServices bool
	// KeepServices leaves the virtual services in the kernel at the end.
	KeepServices bool
	// Reload asks to read File again. Nil means never.
	Reload <-chan struct{}
	// Ready is called once, when every instance takes part in its election or knows why it cannot.
	// Nil means nobody is told.
	Ready func()
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
	cfg, err := load(o)
	if err != nil {
		return err
	}
	if o.Dump != nil {
		if _, err := io.WriteString(o.Dump, cfg.String()); err != nil {
			return fmt.Errorf("dump configuration: %w", err)
		}
	}
	d := director{options: o, log: o.Log, config: cfg}
	defer d.close()
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.run(ctx)
}

// router is an instance, or a sync group of them, at work; instance.Runner is the real one.
type router interface {
	// Run works until ctx ends, and until the VIPs are where they belong.
	Run(ctx context.Context) error
	// Ready is closed when the router takes part in its election, or knows why it cannot.
	Ready() <-chan struct{}
}

// director is a daemon with its configuration.
type director struct {
	options Options
	log     *slog.Logger
	config  *config.Config
	host    *netif.Host
	routers []router
	// table and services are nil if there is no virtual service.
	table    *ipvs.Kernel
	services *services
}

// open makes everything ready that can fail, and changes nothing.
func (d *director) open(ctx context.Context) error {
	instances := len(d.config.Instances) > 0
	servers := len(d.config.VirtualServers) > 0
	if err := checkRights(instances, servers); err != nil {
		return err
	}
	if instances {
		var err error
		if d.host, err = netif.Open(); err != nil {
			return err
		}
		if d.routers, err = routers(d.config, d.host, d.log); err != nil {
			return err
		}
	}
	if !servers {
		return nil
	}
	var err error
	if d.table, err = ipvs.OpenKernel(ctx); err != nil {
		return fmt.Errorf("open table of virtual services: %w", err)
	}
	d.services, err = newServices(d.config.VirtualServers, d.table, d.options.KeepServices, d.log)
	return err
}

// close gives back what open took. It can only fail for handles that nobody uses any more.
func (d *director) close() {
	if d.host != nil {
		_ = d.host.Close()
	}
	if d.table != nil {
		_ = d.table.Close()
	}
}

// run keeps the virtual services until the last router has given its VIPs back: while an instance
// waits for its successor, connections go on.
func (d *director) run(ctx context.Context) error {
	d.log.Info("start", "router", d.config.Global.RouterID, "config", d.options.File,
		"instances", len(d.config.Instances), "services", len(d.config.VirtualServers))
	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	errs := make([]error, len(d.routers)+1)
	var front, rear sync.WaitGroup
	if d.services != nil {
		rear.Go(func() { errs[len(d.routers)] = d.services.run(behind) })
	}
	for i, r := range d.routers {
		front.Go(func() { errs[i] = r.Run(ctx) })
	}
	d.serve(ctx)
	front.Wait()
	stop()
	rear.Wait()
	d.log.Info("stop")
	return errors.Join(errs...)
}

// serve tells when all is ready, and answers to requests until ctx ends.
func (d *director) serve(ctx context.Context) {
	for _, r := range d.routers {
		select {
		case <-ctx.Done():
			return
		case <-r.Ready():
		}
	}
	if d.options.Ready != nil {
		d.options.Ready()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.options.Reload:
			d.reload()
		}
	}
}

// reload reads the file again. A file with errors changes nothing; of a good one the virtual
// services are taken over at once, while other changes wait for the next start.
func (d *director) reload() {
	cfg, err := load(d.options)
	if err != nil {
		d.log.Error("reload refused; the old configuration stays", "err", err)
		return
	}
	if differs(rest(cfg), rest(d.config)) {
		d.log.Warn("reload: changes outside of virtual_server need a restart to take effect")
	}
	switch {
	case !differs(servers(cfg), servers(d.config)):
		d.log.Info("reloaded; virtual services unchanged")
		return
	case d.services == nil:
		d.log.Warn("reload: the first virtual_server needs a restart to take effect")
		return
	}
	if err := d.services.set(cfg.VirtualServers); err != nil {
		d.log.Error("reload refused; the old configuration stays", "err", err)
		return
	}
	d.config.VirtualServers = cfg.VirtualServers
	d.log.Info("reloaded", "services", len(cfg.VirtualServers))
}

// rest is the part of a configuration that is not virtual services.
func rest(c *config.Config) *config.Config {
	part := *c
	part.VirtualServers = nil
	return &part
}

// servers is the other part.
func servers(c *config.Config) *config.Config {
	return &config.Config{VirtualServers: c.VirtualServers}
}

// differs compares what configurations say, not where they say it.
func differs(a, b *config.Config) bool { return a.String() != b.String() }
