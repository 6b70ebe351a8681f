package faults

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tandemlb/tandem/lab"
)

const (
	// starvedAdverts is the longest pause of a starved director by default, in intervals of its
	// adverts: some pauses are shorter than the other directors' patience, and some longer.
	starvedAdverts = "6"
	// starvedSalt seeds the pauses.
	starvedSalt = 0x68756e6772 // "hungr"
)

// starved lets a director's programs run now and then only.
func starved(_ request, v *values) injector {
	run, adverts := v.duration("run"), v.number("adverts", 1, 1000)
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		u, err := runs(n, DirectorUnit)
		if err != nil {
			return nil, err
		}
		longest := time.Duration(adverts) * max(n.Lab().Topology().VRRP.Advert, 10*time.Millisecond)
		random := rand.New(rand.NewPCG(starvedSalt, starvedSalt))
		feed, err := u.Process().Throttle(ctx, run, func() time.Duration {
			return time.Duration(random.Int64N(int64(longest)))
		})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if err := feed(ctx); err != nil {
				return err
			}
			return start(ctx, u)
		}, nil
	}
}
