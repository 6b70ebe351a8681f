package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/vishvananda/netlink"
)

// Takeover says when the backup of a pair, whose master loses power, takes the instances over.
type Takeover struct {
	// First and Last are from the fault to the backup's first advert of the first and of the last
	// instance.
	First time.Duration `json:"first_ns"`
	Last  time.Duration `json:"last_ns"`
	// VIPs is from the fault to the moment at which its kernel has every VIP.
	VIPs time.Duration `json:"vips_ns"`
	// Late is the greatest time by which the first advert of an instance came later than the
	// protocol's 3 × advert + skew after the last one of the master.
	Late time.Duration `json:"late_ns"`
}

// takeoverLimit is how long a takeover may take before it counts as none.
const takeoverLimit = 30 * time.Second

// measureTakeover runs a pair, takes the master's power and watches the backup.
func measureTakeover(
	ctx context.Context, d scenarios.Director, instances int,
) (took Takeover, err error) {
	p, err := newPair(ctx, d, instances, masterPriority)
	if err != nil {
		return Takeover{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, _, err := p.settle(ctx); err != nil {
		return Takeover{}, err
	}
	return p.takeover(ctx)
}

// takeover takes the power of the master of a pair that is settled.
func (p *pair) takeover(ctx context.Context) (Takeover, error) {
	ctx, cancel := context.WithTimeout(ctx, takeoverLimit)
	defer cancel()
	s, err := newSniffer(ctx, p.backup)
	if err != nil {
		return Takeover{}, err
	}
	defer s.close()
	w, err := watchVIPs(ctx, p.backup, p.instances)
	if err != nil {
		return Takeover{}, err
	}
	defer w.close()
	// Two adverts of each instance, so that the last one of each is known.
	if err := wait(ctx, 2*pairAdvert); err != nil {
		return Takeover{}, err
	}
	fault := time.Now()
	if err := p.master.PowerOff(ctx); err != nil {
		return Takeover{}, err
	}
	sent := func(h heard) bool { return h.sent && h.priority == backupPriority }
	first, err := s.await(ctx, p.instances, sent)
	if err != nil {
		return Takeover{}, fmt.Errorf("await takeover: %w", err)
	}
	took := spread(first, fault)
	took.Late = lateness(s.last(func(h heard) bool { return !h.sent }), first)
	select {
	case at := <-w.all:
		took.VIPs = at.Sub(fault)
		return took, nil
	case <-ctx.Done():
		return Takeover{}, fmt.Errorf("await all VIPs: %w", context.Cause(ctx))
	}
}

// spread returns the first and the last of some times, since another.
func spread(times map[instanceKey]time.Time, since time.Time) Takeover {
	var t Takeover
	begun := false
	for _, at := range times {
		d := at.Sub(since)
		if !begun || d < t.First {
			t.First = d
		}
		t.Last, begun = max(t.Last, d), true
	}
	return t
}

// pairAdvert is the interval of a pair's adverts.
const pairAdvert = time.Second

// lateness is the greatest time by which a first advert came later than master-down after the last
// one of the master. An instance of which the master was not heard says nothing.
func lateness(last, first map[instanceKey]time.Time) time.Duration {
	down := masterDown(pairAdvert, backupPriority)
	worst, begun := time.Duration(0), false
	for key, at := range first {
		before, ok := last[key]
		if late := at.Sub(before) - down; ok && (!begun || late > worst) {
			worst, begun = late, true
		}
	}
	return worst
}

// vipWatch tells when a node's kernel has so many VIPs.
type vipWatch struct {
	all  chan time.Time // of capacity one
	done chan struct{}
	read sync.WaitGroup
}

// watchVIPs begins to count the addresses that a node gets.
func watchVIPs(ctx context.Context, n *lab.Node, want int) (*vipWatch, error) {
	w := &vipWatch{all: make(chan time.Time, 1), done: make(chan struct{})}
	updates := make(chan netlink.AddrUpdate, 64)
	err := n.Do(ctx, func() error {
		return netlink.AddrSubscribeWithOptions(updates, w.done, netlink.AddrSubscribeOptions{
			ReceiveBufferSize: receiveBuffer, ReceiveBufferForceSize: true,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("watch addresses of %s: %w", n, err)
	}
	w.read.Go(func() {
		have := map[string]bool{}
		for u := range updates {
			if !u.NewAddr || u.LinkAddress.IP.To4() == nil {
				continue
			}
			have[u.LinkAddress.IP.String()] = true
			if len(have) == want {
				w.all <- time.Now()
				want = 0 // said once
			}
		}
	})
	return w, nil
}

func (w *vipWatch) close() {
	close(w.done)
	w.read.Wait()
}
