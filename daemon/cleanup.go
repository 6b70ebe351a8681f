package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/pool"
)

// Cleanup takes off the network, in the namespace of the calling thread, what a run that was killed
// has left: what the claims file names, and the VIPs and virtual services of the configuration.
// What is not there is no error; a run that goes on is, and then nothing is touched.
func Cleanup(ctx context.Context, o Options, claims string) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	host, err := netif.Open()
	if err != nil {
		return err
	}
	defer host.Close()
	links := instance.OnHost(host)
	cleaned := claimsFile{claims}.clean(&claimNetwork{links}, o.Log)
	if errors.Is(cleaned, errRuns) {
		return cleaned
	}
	o.Diagnostics = io.Discard // they have been told to who started it
	cfg, _, err := load(o)
	if err != nil {
		return errors.Join(cleaned, err)
	}
	errs := []error{cleaned}
	for _, g := range groups(cfg) {
		for _, m := range g.Members {
			errs = append(errs, instance.ClaimOf(m).Withdraw(links))
		}
	}
	if withoutReports(cfg) {
		errs = append(errs, restoreReports(host, reportsUsual))
	}
	if len(cfg.VirtualServers) > 0 && !o.KeepServices {
		errs = append(errs, removeServices(ctx, cfg))
	}
	if !o.KeepServices {
		errs = append(errs, cleanLVS(ctx, host, cfg), cleanMarks(host, cfg))
	}
	return errors.Join(errs...)
}

// removeServices takes the virtual services of a configuration out of the kernel.
func removeServices(ctx context.Context, cfg *config.Config) (err error) {
	table, err := openTable(ctx, cfg.Global.Namespace)
	if err != nil {
		return fmt.Errorf("open table of virtual services: %w", err)
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	all, err := table.List(ctx)
	if err != nil {
		return err
	}
	configured := map[ipvs.Key]bool{}
	for i := range cfg.VirtualServers {
		for _, k := range pool.Keys(&cfg.VirtualServers[i]) {
			configured[k] = true
		}
	}
	var ours ipvs.Services
	for _, s := range all {
		if configured[s.Key] {
			ours = append(ours, s)
		}
	}
	return table.Apply(ctx, ipvs.Diff(ours, nil))
}
