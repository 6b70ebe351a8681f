package check

import (
	"context"
	"fmt"
)

// maxWeight is the greatest weight of a real server.
const maxWeight = 65535

// Weight is what a check that succeeded says of the weight of its server. It is comparable; zero is
// nothing: as configured.
type Weight struct {
	Kind  WeightKind
	Value int32
}

// WeightKind is how a Weight counts. Zero is not at all.
type WeightKind uint8

// Exactly is in place of the configured weight, Added on top of it.
const (
	Exactly WeightKind = iota + 1
	Added
)

// String returns "10", "+10" or "-10"; "as configured" for zero.
func (w Weight) String() string {
	switch w.Kind {
	case Exactly:
		return fmt.Sprint(w.Value)
	case Added:
		return fmt.Sprintf("%+d", w.Value)
	}
	return "as configured"
}

// EffectiveWeight returns the weight of a server from the configured one and what its checks say, 0
// to 65535. Each changes it by its difference from the configured one (keepalived.conf(5),
// MISC_CHECK), so that the order does not matter.
func EffectiveWeight(configured int, said ...Weight) int {
	weight := int64(configured)
	for _, w := range said {
		switch w.Kind {
		case Exactly:
			weight += int64(w.Value) - int64(configured)
		case Added:
			weight += int64(w.Value)
		}
	}
	return int(min(max(weight, 0), maxWeight))
}

// Weigher is a Checker whose success may come with a weight. A Runner calls Weigh only, and
// disregards the weight of a failure.
type Weigher interface {
	Checker
	Weigh(ctx context.Context) (Weight, error)
}

// weigh asks a checker once.
func weigh(ctx context.Context, c Checker) (Weight, error) {
	if w, ok := c.(Weigher); ok {
		return w.Weigh(ctx)
	}
	return Weight{}, c.Check(ctx)
}
