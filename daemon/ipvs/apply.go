package ipvs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// OpError is an operation that failed, and why: the kernel's answer is ESRCH for a service that is
// not there, EEXIST for an entry that is, ENOENT for a destination that is not there or a scheduler
// or persistence engine that the kernel does not have.
type OpError struct {
	Op  Op
	Err error
	// Rest says that the ops after Op were left out, or that nothing is known of them.
	Rest bool
}

// Error returns the operation as a command, what the kernel's answer means, and the cause.
func (e *OpError) Error() string {
	if m := e.meaning(); m != "" {
		return fmt.Sprintf("%s: %s: %v", e.Op, m, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// meaning says in words what the errno of an answer means; empty if that says it all.
func (e *OpError) meaning() string {
	ofService := e.Op.Kind == AddService || e.Op.Kind == SetService
	s := e.Op.Settings
	switch {
	case errors.Is(e.Err, unix.ESRCH):
		return "no such service"
	case errors.Is(e.Err, unix.ENOMEM), errors.Is(e.Err, unix.ENOBUFS):
		return "the kernel is short of memory"
	case !errors.Is(e.Err, unix.ENOENT):
		return ""
	case !ofService:
		return "no such destination"
	case s.Engine == "":
		return fmt.Sprintf("scheduler %s: kernel has no module ip_vs_%[1]s", s.Scheduler)
	}
	return fmt.Sprintf("scheduler %s, engine %s: kernel has no module ip_vs_%[1]s or ip_vs_pe_%[2]s",
		s.Scheduler, s.Engine)
}

// ApplyEach is Apply for a Table that does one operation at a time with do. The end of ctx and an
// answer that does not come are known by their errors, those of context.
func ApplyEach(ctx context.Context, ops []Op, do func(Op) error) error {
	return applyBatches(ctx, ops, 1, func(batch []Op) ([]error, error) {
		err := do(batch[0])
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return nil, err
		}
		return []error{err}, nil
	})
}

// applyBatches is Apply for a Table that does up to size operations at a time with do, which
// returns an error for each, or one if it is not known what became of them.
func applyBatches(
	ctx context.Context, ops []Op, size int, do func([]Op) ([]error, error),
) error {
	var errs []error
	missing := make(map[Key]bool)
	for len(ops) > 0 {
		batch, invalid, n := nextBatch(ops, size, missing)
		results := make([]error, len(batch))
		err := ctx.Err()
		if err == nil && len(batch) > 0 {
			results, err = do(batch)
		}
		if err != nil {
			return errors.Join(append(errs, &OpError{Op: ops[0], Err: err, Rest: true})...)
		}
		for i, op := range batch {
			if results[i] == nil || missing[op.Key] {
				continue
			}
			errs = append(errs, &OpError{Op: op, Err: results[i]})
			missing[op.Key] = op.Kind == AddService
		}
		if invalid != nil {
			errs = append(errs, invalid)
			missing[invalid.Op.Key] = missing[invalid.Op.Key] || invalid.Op.Kind == AddService
		}
		ops = ops[n:]
	}
	return errors.Join(errs...)
}

// nextBatch returns up to size of the first ops, without those of missing services; they end before
// one that is not valid, which is returned by itself. n is the number of ops that are dealt with.
// The batch is part of ops where nothing is left out.
func nextBatch(ops []Op, size int, missing map[Key]bool) (batch []Op, invalid *OpError, n int) {
	whole := true
	for n < len(ops) && len(batch) < size {
		op := &ops[n]
		n++
		if missing[op.Key] {
			whole = false
			batch = batch[:len(batch):len(batch)] // what follows is copied
			continue
		}
		if err := op.Validate(); err != nil {
			return batch, &OpError{Op: *op, Err: err}, n
		}
		if whole {
			batch = ops[:n]
			continue
		}
		batch = append(batch, *op)
	}
	return batch, nil, n
}

// errLeftOut is the outcome of what was left out after an operation that failed.
var errLeftOut = errors.New("left out")

// outcome returns what became of each of ops by an Apply that returned err: nil was carried out.
func outcome(ops []Op, err error) []error {
	if err == nil {
		return make([]error, len(ops))
	}
	failed := make(map[Op]*OpError)
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			var oe *OpError
			if errors.As(e, &oe) {
				failed[oe.Op] = oe
			}
		}
	}
	results := make([]error, len(ops))
	missing := make(map[Key]bool)
	for i, op := range ops {
		e := failed[op]
		switch {
		case missing[op.Key]:
			results[i] = errLeftOut
		case e == nil:
		case e.Rest:
			for j := i; j < len(ops); j++ {
				results[j] = e
			}
			return results
		default:
			results[i] = e
			missing[op.Key] = op.Kind == AddService
		}
	}
	return results
}
