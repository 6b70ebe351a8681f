package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tandemlb/tandem/lab"
)

const (
	// starvedRun is how long a starved director runs at a time.
	starvedRun = 20 * time.Millisecond
	// starvedAdverts is the longest pause between, in intervals of its adverts: some pauses are
	// shorter than the other directors' patience, and some longer.
	starvedAdverts = 6
	// starvedSalt seeds the pauses.
	starvedSalt = 0x68756e6772 // "hungr"
)

// starvedFault lets a director's programs run now and then only.
type starvedFault struct{ node string }

func (f starvedFault) String() string { return Starved.String() + " " + f.node }

func (f starvedFault) Needs() []lab.Capability { return nil }

func (f starvedFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	u, ok := n.Unit(DirectorUnit)
	if !ok || !u.Alive() {
		return nil, fmt.Errorf("inject %s: no %s runs on node %s", f, DirectorUnit, f.node)
	}
	longest := starvedAdverts * max(l.Topology().VRRP.Advert, 10*time.Millisecond)
	random := rand.New(rand.NewPCG(starvedSalt, starvedSalt))
	p := u.Process()
	feed, err := p.Throttle(ctx, starvedRun, func() time.Duration {
		return time.Duration(random.Int64N(int64(longest)))
	})
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	return once(func(ctx context.Context) error {
		if err := feed(ctx); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		if !p.Alive() {
			return u.Start(ctx)
		}
		return nil
	}), nil
}
