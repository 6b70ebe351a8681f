package daemon

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netns"

	"github.com/tandemlb/tandem/daemon/bfd"
	"github.com/tandemlb/tandem/daemon/config"
)

// bfdPatience is how long a session that was never up says nothing: a neighbour needs two of the
// slow packets of RFC 5880, Section 6.8.3, and one may be lost.
const bfdPatience = 4 * time.Second

// sessions are the BFD sessions of a configuration.
func sessions(cfg *config.Config) []bfd.Config {
	var all []bfd.Config
	for i := range cfg.BFDs {
		b := &cfg.BFDs[i]
		all = append(all, bfd.Config{
			Name: b.Name, Neighbor: b.Neighbor, Source: b.Source, Multihop: b.Multihop,
			TTL: b.TTL, MaxHops: b.MaxHops,
			Params: bfd.Params{MinTx: b.MinTX, MinRx: b.MinRX, IdleTx: b.IdleTX,
				Multiplier: uint8(b.Multiplier), Passive: b.Passive},
		})
	}
	return all
}

// sessionWatch brings the states of BFD sessions to the trackers.
type sessionWatch struct {
	*bfd.Speaker
	tracking *tracking
	// services has the checks that are about sessions; nil before the first virtual service.
	services atomic.Pointer[services]
	// changed has room for one: states are asked for, so that none has to be kept.
	changed chan struct{}
	// home is the network namespace of the director.
	home netns.NsHandle
	// known are the sessions that have been up, or have had the time for it.
	known map[string]bool
}

// speak makes the sessions of cfg those that there are, and begins with the first of them.
func (d *director) speak(ctx context.Context, cfg *config.Config) {
	wanted := sessions(cfg)
	if d.bfd == nil {
		if len(wanted) == 0 {
			return
		}
		w := &sessionWatch{tracking: d.tracking, changed: make(chan struct{}, 1),
			known: map[string]bool{}, home: netns.None()}
		w.Speaker = bfd.NewSpeaker(d.log, func(c bfd.Change) {
			d.log.Info("bfd", "bfd", c.Name, "from", c.From.String(), "to", c.To.String(),
				"reason", c.Reason.String())
			w.rouse()
		})
		if ns, err := netns.Get(); err == nil {
			w.home = ns // without it the sockets are where the thread happens to be
		}
		d.bfd = w
		d.speaker = begin(ctx, "bfd", w.run)
	}
	if err := d.bfd.Set(wanted); err != nil {
		d.log.Error("reload: the old BFD sessions stay", "err", err) // they have been validated
	}
	d.bfd.services.Store(d.services)
	d.bfd.rouse()
}

func (w *sessionWatch) rouse() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// run speaks and watches until ctx ends.
func (w *sessionWatch) run(ctx context.Context) error {
	watching := begin(ctx, "bfd sessions", w.watch)
	err := w.speakAtHome(ctx)
	_ = watching.wait() // it has no error
	if w.home.IsOpen() {
		_ = w.home.Close() // nothing was written to it
	}
	return err
}

// speakAtHome runs the Speaker on a thread of the director's namespace: a test has several.
func (w *sessionWatch) speakAtHome(ctx context.Context) error {
	if here, err := netns.Get(); err == nil {
		elsewhere := w.home.IsOpen() && !here.Equal(w.home)
		_ = here.Close() // nothing was written to it
		if elsewhere {
			runtime.LockOSThread() // the thread ends with the goroutine
			if err := netns.Set(w.home); err != nil {
				return err
			}
		}
	}
	return w.Run(ctx)
}

// watch tells the trackers until ctx ends. A session that has never been heard is unknown for
// bfdPatience, so that a director that goes on for a dead one does not give up its instances before
// the neighbour has answered.
func (w *sessionWatch) watch(ctx context.Context) error {
	patience := time.NewTimer(bfdPatience)
	defer patience.Stop()
	patient := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-patience.C:
			patient = false
		case <-w.changed:
		}
		for _, s := range w.States() {
			name := s.Config.Name
			up := s.State == bfd.Up
			w.known[name] = w.known[name] || up || !patient
			if w.known[name] {
				w.tracking.set.SetBFD(name, up, bfdReason(&s))
				if checks := w.services.Load(); checks != nil {
					checks.setSession(name, up, bfdReason(&s))
				}
			}
		}
	}
}

// bfdReason says in words why a session is as it is.
func bfdReason(s *bfd.Status) string {
	switch {
	case s.State == bfd.Up:
		return "session is up"
	case s.Err != "":
		return s.Err
	}
	return "session is " + s.State.String() + ": " + s.Reason.String()
}
