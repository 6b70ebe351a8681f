package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
)

// stay says that a reload cannot move the director elsewhere, and keeps where it is at the first
// configuration.
func (d *director) stay(cfg *config.Config) error {
	to := cfg.Global.Namespace
	if !d.began {
		d.place = to
		return nil
	}
	for _, w := range []struct{ keyword, from, to string }{
		{"net_namespace", d.place.Network, to.Network},
		{"net_namespace_ipvs", d.place.IPVS, to.IPVS},
		{"instance", d.place.Instance, to.Instance},
	} {
		if w.from != w.to {
			return fmt.Errorf("%w: %s %q: expected %q as it was: a reload cannot change it",
				ErrConfig, w.keyword, w.to, w.from)
		}
	}
	if to.IPVSHere != d.place.IPVSHere {
		return fmt.Errorf("%w: net_namespace_ipvs: a reload cannot change it", ErrConfig)
	}
	return nil
}

// openTable opens the kernel's table of virtual services in the namespace that the configuration
// names, or that of the first process of the machine for net_namespace_ipvs without a name, or else
// that of the calling thread.
func openTable(ctx context.Context, place config.Namespace) (*ipvs.Kernel, error) {
	if place.IPVS == "" && !place.IPVSHere {
		return ipvs.OpenKernel(ctx)
	}
	type opened struct {
		table *ipvs.Kernel
		err   error
	}
	done := make(chan opened)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and nothing else ever runs there.
		runtime.LockOSThread()
		err := enterNamespace(place.IPVS)
		var table *ipvs.Kernel
		if err == nil {
			table, err = ipvs.OpenKernel(ctx)
		}
		done <- opened{table, err}
	}()
	o := <-done
	if o.err != nil {
		return nil, fmt.Errorf("net_namespace_ipvs: %w", o.err)
	}
	return o.table, nil
}

// enterNamespace has the calling thread enter a namespace; an empty name is that of the first
// process of the machine.
func enterNamespace(name string) error {
	get := func() (netns.NsHandle, error) { return netns.GetFromName(name) }
	if name == "" {
		get = func() (netns.NsHandle, error) { return netns.GetFromPid(1) }
	}
	ns, err := get()
	if err == nil {
		err = errors.Join(netns.Set(ns), ns.Close())
	}
	if err != nil {
		return fmt.Errorf("enter network namespace %q: %w", name, err)
	}
	return nil
}
