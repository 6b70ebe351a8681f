package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
)

// GuardOptions are what Guard is told. Only Worker is needed.
type GuardOptions struct {
	// Worker returns a command, not started, that runs the director with the same configuration;
	// see guard.Options.Command.
	Worker func() *exec.Cmd
	// Signals are handed on to the worker; nil means none.
	Signals <-chan os.Signal
	// Claims is the file that says what is claimed while there are claims, for who cleans up after
	// a guard and a worker that have both been killed; empty means none.
	Claims string
	// Supervise is told the states of sd_notify(3); nil means nobody.
	Supervise func(state string)
	// Log gets a line for each thing that the guard does; nil means slog.Default.
	Log *slog.Logger
}

// Guard runs the director in a process of its own, and speaks for it in the network namespace of
// the calling thread when that process dies. It returns the exit status when ctx has ended, or when
// the director cannot start. It is to be called by the main goroutine; see guard.Run.
func Guard(ctx context.Context, o GuardOptions) int {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	host, err := netif.Open()
	if err != nil {
		o.Log.Warn("guard cannot reach the network", "err", err)
		return 1
	}
	defer host.Close()
	n := &claimNetwork{links: instance.OnHost(host)}
	g := guard.Options{
		Command: o.Worker, Network: n, Signals: o.Signals, Supervise: o.Supervise, Log: o.Log,
	}
	if o.Claims != "" {
		file := claimsFile{path: o.Claims}
		if err := file.clean(n, o.Log); err != nil {
			o.Log.Warn("claims of an earlier run", "file", o.Claims, "err", err)
		}
		g.Save = func(claims []guard.Claim) {
			if err := file.save(claims); err != nil {
				o.Log.Warn("claims cannot be saved", "file", o.Claims, "err", err)
			}
		}
	}
	return guard.Run(ctx, g)
}

// claimNetwork is a guard's Network on links.
type claimNetwork struct{ links instance.Links }

// held returns what the worker has claimed.
func held(c guard.Claim) (instance.Claim, error) {
	var h instance.Claim
	if err := json.Unmarshal(c.Held, &h); err != nil {
		return h, fmt.Errorf("read claim %s: %w", c.Name, err)
	}
	return h, nil
}

func (n *claimNetwork) Advertise(c guard.Claim) error {
	h, err := held(c)
	if err == nil {
		err = h.Advertise(n.links)
	}
	return err
}

func (n *claimNetwork) Resign(c guard.Claim) error {
	h, err := held(c)
	if err == nil {
		err = h.Resign(n.links)
	}
	return err
}

func (n *claimNetwork) Withdraw(c guard.Claim) error {
	h, err := held(c)
	if err == nil {
		err = h.Withdraw(n.links)
	}
	return err
}

func (n *claimNetwork) Listen(c guard.Claim, heard func()) (stop func(), err error) {
	h, err := held(c)
	if err != nil {
		return nil, err
	}
	return h.Listen(n.links, heard)
}
