package daemon

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/guard"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
)

// The keys of what a director notes in its guard's ledger for the one that may take its place.
const (
	// noteConfig is the configuration that runs: a file that was changed since, and perhaps is not
	// valid any more, must not be the price of a crash.
	noteConfig = "config"
	// noteDown and the ID of a check that is down.
	noteDown = "down "
)

// inherited returns the configuration that the director runs whose place this one takes; nil if
// there is none.
func inherited(l *guard.Ledger) (*config.Config, error) {
	in := l.Inherited()
	raw, ok := in.Notes[noteConfig]
	if !in.Resume || !ok {
		return nil, nil
	}
	var packed []byte
	if err := json.Unmarshal(raw, &packed); err != nil {
		return nil, fmt.Errorf("read inherited configuration: %w", err)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read inherited configuration: %w", err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("read inherited configuration: %w", err)
	}
	cfg, ds := config.Parse("inherited configuration", text)
	if err := ds.Err(); err != nil {
		return nil, fmt.Errorf("read inherited configuration: %w", err)
	}
	markGroups(cfg)
	return cfg, nil
}

// bequeath notes the configuration for the next one.
func bequeath(l *guard.Ledger, cfg *config.Config) error {
	if l == nil {
		return nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		err = errors.Join(cfg.Write(w), w.Close())
	}
	if err != nil {
		return fmt.Errorf("note configuration: %w", err)
	}
	return l.Note(noteConfig, packed.Bytes())
}

// inheritHealth lets the services begin with the checks down that were, for a server that is down
// must not get requests until the first check of the new process has failed; and has the ledger know
// of their health from now on.
func (d *director) inheritHealth(s *services, cfg *config.Config) error {
	l := d.options.Ledger
	if l == nil {
		return nil
	}
	down := map[string]bool{}
	for key := range l.Inherited().Notes {
		if id, ok := strings.CutPrefix(key, noteDown); ok {
			down[id] = true
		}
	}
	s.note = func(id string, down bool) {
		var value any // strikes it out
		if down {
			value = true
		}
		if err := l.Note(noteDown+id, value); err != nil {
			d.log.Warn("health was not noted", "err", err)
		}
	}
	if len(down) == 0 {
		return nil
	}
	s.firstChecks()
	s.checks.AssumeDown(down)
	return s.set(cfg.VirtualServers)
}

// entrust has the guard know what the group claims, and the group resume if it was claimed.
func (d *director) entrust(g *instance.Group) {
	l := d.options.Ledger
	if l == nil {
		return
	}
	g.Claims = func(c instance.Claim) {
		if claim, err := claimOf(c); err != nil {
			d.log.Error("claim cannot be told", "instance", c.Instance, "err", err)
		} else if c.Held {
			l.Claim(claim)
		} else {
			l.Release(c.Instance)
		}
	}
	in := l.Inherited()
	if !in.Resume || d.began {
		return
	}
	for _, m := range g.Members {
		c, ok := in.Claim(m.Name)
		if !ok {
			continue
		}
		if h, err := held(c); err != nil {
			d.log.Warn("inherited claim is lost", "err", err)
		} else {
			g.Inherited = append(g.Inherited, h)
		}
	}
	g.Resume = len(g.Inherited) == len(g.Members)
}

// claimOf is a claim as the guard wants it.
func claimOf(c instance.Claim) (guard.Claim, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return guard.Claim{}, fmt.Errorf("write claim %s: %w", c.Instance, err)
	}
	return guard.Claim{
		Name: c.Instance, Interval: c.Interval, Down: c.Down(), Patience: c.Patience(), Held: raw,
	}, nil
}

// pulse tells the guard that the director works, until it is ended.
type pulse struct {
	ledger *guard.Ledger
	// routers are those that run.
	routers atomic.Pointer[[]router]
	// every is how often to beat, as a time.Duration.
	every atomic.Int64
	// stuck is that a router has not answered in time.
	stuck atomic.Bool
}

// pingPatience is how long a router may take to answer. It is far more than the busiest takes, and
// one that does not turn has missed adverts by then anyway.
const pingPatience = time.Second

// begin beats from now on; what it returns ends that.
func (p *pulse) begin() (end func()) {
	if p.ledger == nil {
		return func() {}
	}
	// Until it is known how fast the peers are they are as fast as can be.
	p.every.Store(int64(guard.BeatEvery(guard.SilenceFor(1))))
	ctx, cancel := context.WithCancel(context.Background())
	beating := begin(ctx, "beats", p.beat)
	asking := begin(ctx, "pings", p.ask)
	return func() {
		cancel()
		_ = beating.wait() // neither has an error
		_ = asking.wait()
	}
}

// beat beats unless a router is stuck.
func (p *pulse) beat(ctx context.Context) error {
	due := make(chan struct{}, 1)
	alarm := netif.NewAlarm(func() {
		select {
		case due <- struct{}{}:
		default:
		}
	})
	defer alarm.Close()
	for {
		if !p.stuck.Load() {
			p.ledger.Beat()
		}
		alarm.Set(time.Duration(p.every.Load()))
		select {
		case <-ctx.Done():
			return nil
		case <-due:
		}
	}
}

// follow has those routers looked after from now on.
func (p *pulse) follow(workers []*worker, groups []instance.Group) {
	routers := make([]router, 0, len(workers))
	for _, w := range workers {
		routers = append(routers, w.router)
	}
	p.routers.Store(&routers)
	var down time.Duration
	for _, g := range groups {
		for _, m := range g.Members {
			d := instance.ClaimOf(m).Down()
			if down == 0 || d < down {
				down = d
			}
		}
	}
	p.every.Store(int64(guard.BeatEvery(guard.SilenceFor(down))))
}

// ask asks one router after the other whether it turns, one a second: a process that stands still as
// a whole is noticed without. One that does not answer is asked until it does.
func (p *pulse) ask(ctx context.Context) error {
	timer := time.NewTimer(untilNext(time.Now(), pingPatience))
	defer timer.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(untilNext(time.Now(), pingPatience))
		routers := p.routers.Load()
		if routers == nil || len(*routers) == 0 {
			continue
		}
		r := (*routers)[i%len(*routers)]
		select {
		case <-r.Ready():
		default:
			i++
			continue
		}
		own, cancel := context.WithTimeout(ctx, pingPatience)
		err := r.Ping(own)
		cancel()
		hangs := errors.Is(err, context.DeadlineExceeded)
		if p.stuck.Store(hangs); !hangs {
			i++
		}
	}
}
