package check

import (
	"context"
	"fmt"
	"math"
)

// Known finds a server healthy of which another part of this daemon knows that it is. It asks
// nobody and never waits. The Runner's Recheck has it look at once when what is known changes; its
// Task has no Retries and no Warmup.
type Known struct {
	// Source knows it; never nil.
	Source Source
	// Reason is that of a failure: File or Session.
	Reason Reason
}

// Source knows whether a server is healthy. It may be used by several goroutines.
type Source interface {
	// State returns what is known now, without waiting: whether the server is up, with what weight
	// if so, and in words why not if not.
	State() (up bool, weight Weight, why string)
}

// Check implements Checker.
func (c Known) Check(ctx context.Context) error {
	_, err := c.Weigh(ctx)
	return err
}

// Weigh implements Weigher. Its error is a *Failure.
func (c Known) Weigh(context.Context) (Weight, error) {
	up, weight, why := c.Source.State()
	if !up {
		return Weight{}, &Failure{Reason: c.Reason, Detail: why}
	}
	return weight, nil
}

// FileState is the state of a FILE_CHECK, for a Source: of value, the number in the file, and of
// weight and reverse, what is configured. With weight 0 the server is up while value is 0, or with
// reverse while it is not. Else value times weight, negated with reverse, is added to the server's
// weight. A product below -65534 takes it down, and one above 65534 counts as that.
func FileState(value, weight int, reverse bool) (up bool, w Weight, why string) {
	if weight == 0 {
		if up := (value == 0) != reverse; up {
			return true, Weight{}, ""
		}
		return false, Weight{}, fmt.Sprintf("file has the number %d", value)
	}
	const limit = maxWeight - 1
	product := float64(value) * float64(weight) // cannot overflow
	if reverse {
		product = -product
	}
	if product < -limit {
		return false, Weight{}, fmt.Sprintf("file has the number %d: %.0f for the weight",
			value, product)
	}
	return true, Weight{Kind: Added, Value: int32(math.Min(product, limit))}, ""
}
