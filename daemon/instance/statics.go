package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// Static is what a host has whatever its instances do. Every VIP has its device.
type Static struct {
	Addresses []VIP
	Routes    []netif.Route
	Rules     []netif.Rule
	// Groups are parts of it, by name, that others depend on; without groups of their own.
	Groups map[string]Static
}

// Statics keeps a Static in the kernel.
type Statics struct {
	// Told, if not nil, is called by Run when a part of a group cannot be kept, with why, and with nil
	// when all of it is there again. A group of which nothing is told is there. Set it before Run.
	Told func(group string, missing error)

	log   *slog.Logger
	links Links
	wake  chan struct{} // has room for one

	mu   sync.Mutex
	next *Static // what it is to keep from now on; nil: nothing new

	// All below belongs to Run.
	devices []string
	things  []thing
	groups  map[string][]string // of each thing
	missing map[string]error    // as told
	added   []thing             // those of things, and of earlier ones, that were not there before
}

// NewStatics returns the keeper of s, which may be empty. It touches nothing; the error names
// everything that is wrong with s. A nil log is slog.Default.
func NewStatics(s Static, links Links, log *slog.Logger) (*Statics, error) {
	if log == nil {
		log = slog.Default()
	}
	k := &Statics{log: log, links: links, wake: make(chan struct{}, 1)}
	if err := k.Change(s); err != nil {
		return nil, err
	}
	return k, nil
}

// Change gives it another Static, while it runs too: what both have stays as it is. It does not
// wait. The error names everything that is wrong with s, and then nothing changes.
func (k *Statics) Change(s Static) error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("keep statics: %w", err)
	}
	k.mu.Lock()
	k.next = &s
	k.mu.Unlock()
	k.look()
	return nil
}

// Run adds everything, and puts back what goes, at the latest a second later, until ctx ends. Then
// it removes what had not been there before and returns what could not be removed. It may be called
// once.
func (k *Statics) Run(ctx context.Context) error {
	var watches sync.WaitGroup
	watched := map[string]bool{}
	again := time.NewTicker(repairEvery)
	defer again.Stop()
	for failures := uint64(0); ctx.Err() == nil; {
		err := errors.Join(k.succeed(), k.restore())
		if err != nil {
			if failures++; loud(failures) {
				k.log.Warn("kernel refused what is static", "err", err, "count", failures)
			}
		}
		for _, device := range k.devices {
			if !watched[device] {
				watched[device] = true
				watches.Go(func() { k.watch(ctx, device) })
			}
		}
		select {
		case <-k.wake:
		case <-again.C:
		case <-ctx.Done():
		}
	}
	watches.Wait()
	k.things = nil
	return k.clear()
}

// watch has everything looked at when there is news of the device, until ctx ends.
func (k *Statics) watch(ctx context.Context, device string) {
	for ctx.Err() == nil {
		err := k.links(device).Watch(ctx, func(netif.State) { k.look() })
		if err == nil {
			return
		}
		k.log.Warn("watch of a link failed", "device", device, "err", err)
		select {
		case <-time.After(reopenAfter):
		case <-ctx.Done():
		}
	}
}

// look has Run look at everything.
func (k *Statics) look() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// succeed takes over what Change has brought, and removes what is not wanted any more.
func (k *Statics) succeed() error {
	k.mu.Lock()
	next := k.next
	k.next = nil
	k.mu.Unlock()
	if next == nil {
		return nil
	}
	c := Config{Excluded: next.Addresses, Routes: next.Routes, Rules: next.Rules}
	k.things = c.things(k.links)
	k.groups = map[string][]string{}
	for name, g := range next.Groups {
		c := Config{Excluded: g.Addresses, Routes: g.Routes, Rules: g.Rules}
		for _, t := range c.things(k.links) {
			k.groups[t.String()] = append(k.groups[t.String()], name)
		}
	}
	k.devices = nil
	for _, d := range viewOf(&c).devices {
		k.devices = append(k.devices, d.name)
	}
	return k.clear()
}

// restore adds what is not there.
func (k *Statics) restore() error {
	var errs []error
	missing := map[string]error{}
	for _, t := range k.things {
		missed, err := t.restore(0)
		if missed && err == nil && !contains(k.added, t) {
			k.added = append(k.added, t)
		}
		errs = append(errs, err)
		for _, group := range k.groups[t.String()] {
			if err != nil {
				missing[group] = err
			}
		}
	}
	k.tell(missing)
	return errors.Join(errs...)
}

// tell tells of groups that have lost a part, or have got all parts back.
func (k *Statics) tell(missing map[string]error) {
	was := k.missing
	k.missing = missing
	if k.Told == nil {
		return
	}
	for group, err := range missing {
		if was[group] == nil {
			k.Told(group, err)
		}
	}
	for group := range was {
		if missing[group] == nil {
			k.Told(group, nil)
		}
	}
}

// clear removes what it has added and is not to keep, the last first. What fails is tried again.
func (k *Statics) clear() error {
	var errs []error
	for i, t := range slices.Backward(slices.Clone(k.added)) {
		if contains(k.things, t) {
			continue
		}
		err := t.drop()
		errs = append(errs, err)
		if err == nil {
			k.added = slices.Delete(k.added, i, i+1)
		}
	}
	return errors.Join(errs...)
}

func (s Static) validate() error {
	c := Config{Routes: s.Routes, Rules: s.Rules}
	var errs []error
	for _, v := range s.Addresses {
		if !v.Prefix.IsValid() || v.Device == "" {
			errs = append(errs, fmt.Errorf("address %s on %q: want both", v.Prefix, v.Device))
		}
	}
	return errors.Join(append(errs, c.validateRouting())...)
}
