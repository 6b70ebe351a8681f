// Package instance drives VRRP on the network: one Runner for each sync group, or for each
// instance that is in none. It carries out what vrrp decides and decides nothing itself.
//
// One goroutine owns the group, its timers and its sockets; nothing that it does waits for anybody.
// Addresses and announcements are changed by a second goroutine, the keeper, which also renews the
// leases of the VIPs, but only as often as the first one turns: a stuck daemon loses its VIPs to
// the kernel's clock. Logs and callbacks have a third. See Runner.
package instance

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Defaults of Config's fields.
const (
	// DefaultAnnounceRepeat is how many gratuitous ARPs each announcement sends for each VIP.
	DefaultAnnounceRepeat = 5
	// MinLease is the shortest lease that the kernel, which counts in seconds, can keep without
	// losing addresses to a slow second.
	MinLease = 3 * time.Second
)

// VIP is an address that the master has.
type VIP struct {
	// Prefix is the address and its prefix length, /32 by custom.
	Prefix netip.Prefix
	// Device is the interface that gets it; empty is the instance's own.
	Device string
}

// Config is one VRRP instance.
type Config struct {
	// Name is for logs, callbacks and status; unique among all instances.
	Name string
	// Interface is where adverts are sent and received. It need not exist yet.
	Interface string
	// Router is the protocol's part. Its Addrs are taken from VIPs when it has none. A Source
	// that is set must be an address of the interface; else the first one that is no VIP is used.
	Router vrrp.Config
	// VIPs are advertised, Excluded are not; the master has both.
	VIPs, Excluded []VIP
	// Lease is how long the kernel keeps the addresses of a daemon that does not renew them.
	// Zero is DefaultLease; negative is for ever, as keepalived's.
	Lease time.Duration
	// AnnounceRepeat is how many gratuitous ARPs an announcement sends for each VIP; zero is 5.
	AnnounceRepeat int
}

// DefaultLease returns four intervals, rounded up to seconds, but at least MinLease: longer than any
// peer waits before it takes over, so that the kernel goes on forwarding for a dead daemon until the
// peer does.
func DefaultLease(interval time.Duration) time.Duration {
	lease := (4*interval + time.Second - 1).Truncate(time.Second)
	return max(lease, MinLease)
}

// Group is the instances of one Runner: a sync group, or a single instance.
type Group struct {
	// Name is the sync group's; empty for a single instance.
	Name string
	// Members are at least one. More than one are master together or not at all.
	Members []Config
	// OnTransition is called for every change of state, one call at a time and in order, from a
	// goroutine that nothing else waits for. It may be nil. Run returns after the last call.
	OnTransition func(Transition)
	// Log gets one line a transition. Nil is slog.Default.
	Log *slog.Logger
}

// Transition is a change of state of one instance.
type Transition struct {
	// Instance is the name of the instance, Group that of its sync group, if any.
	Instance, Group string
	From, To        vrrp.State
	Reason          vrrp.Reason
	// Priority is what the instance advertises.
	Priority uint8
	// Time is when it was decided.
	Time time.Time
}

// validate returns everything that is wrong with g.
func (g Group) validate() error {
	var errs []error
	if len(g.Members) == 0 {
		errs = append(errs, errors.New("no member"))
	}
	names := map[string]bool{}
	for _, c := range g.Members {
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("instance %q: named twice", c.Name))
		}
		names[c.Name] = true
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("instance %q: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validate() error {
	var errs []error
	if c.Interface == "" {
		errs = append(errs, errors.New("no interface"))
	}
	for _, v := range c.addresses() {
		if !v.Prefix.IsValid() {
			errs = append(errs, fmt.Errorf("VIP %s: not an address", v.Prefix))
		}
	}
	if src := c.Router.Source; src.IsValid() && !src.Is4() {
		errs = append(errs, fmt.Errorf("source %s: only IPv4 is carried", src))
	}
	if c.AnnounceRepeat < 0 {
		errs = append(errs, fmt.Errorf("announce repeat %d: want 0 or more", c.AnnounceRepeat))
	}
	if err := c.withDefaults().Router.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// withDefaults returns c with its zero fields set.
func (c Config) withDefaults() Config {
	if len(c.Router.Addrs) == 0 {
		for _, v := range c.VIPs {
			c.Router.Addrs = append(c.Router.Addrs, v.Prefix.Addr())
		}
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease(c.Router.Interval)
	}
	if c.AnnounceRepeat == 0 {
		c.AnnounceRepeat = DefaultAnnounceRepeat
	}
	return c
}

// addresses returns all that the master has.
func (c Config) addresses() []VIP { return slices.Concat(c.VIPs, c.Excluded) }
