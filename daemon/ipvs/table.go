package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// Table is a table of virtual services: the kernel's, or one like it.
type Table interface {
	// List returns the whole table.
	List(ctx context.Context) (Services, error)
	// Get returns the service of that key alone; nil if it is not there.
	Get(ctx context.Context, k Key) (Services, error)
	// Loads returns what each destination of a service has to do at the moment; an empty map if
	// the service is not there.
	Loads(ctx context.Context, k Key) (map[netip.AddrPort]Load, error)
	// Apply carries out ops in their order and goes on after one that fails, so that a bad
	// destination does not keep its neighbours out. Its error joins an *OpError for each that
	// failed. What follows on a service that could not be added is left out, for it could only
	// fail; and when ctx ends, or an answer does not come in time, so is the rest.
	Apply(ctx context.Context, ops []Op) error
}

// Load is what a destination has to do.
type Load struct {
	// Weight is that of the moment.
	Weight int
	// Active are connections that are being made or are established, Inactive the others that the
	// kernel still remembers: for TCP those of which either side has said that it will send no
	// more, 10 to 120 s after their last packet. A UDP flow is never active, and remembered for
	// 300 s (tcp_state_active_table and the timeouts in net/netfilter/ipvs/ip_vs_proto_*.c).
	Active, Inactive int
}

// OpError is an operation that failed, and why: the kernel's answer is ESRCH for a service that is
// not there, EEXIST for an entry that is, ENOENT for a destination that is not or an unknown
// scheduler.
type OpError struct {
	Op  Op
	Err error
}

// Error returns the operation as a command, and the cause.
func (e *OpError) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// ApplyEach is Apply for a Table that does one operation at a time with do. The end of ctx and an
// answer that does not come are known by their errors, those of context.
func ApplyEach(ctx context.Context, ops []Op, do func(Op) error) error {
	var errs []error
	missing := make(map[Key]bool)
	for _, op := range ops {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, &OpError{Op: op, Err: err})...)
		}
		if missing[op.Key] {
			continue
		}
		err := op.Validate()
		if err == nil {
			err = do(op)
		}
		if err == nil {
			continue
		}
		errs = append(errs, &OpError{Op: op, Err: err})
		if outOfTime(err) {
			break
		}
		missing[op.Key] = op.Kind == AddService
	}
	return errors.Join(errs...)
}

func outOfTime(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// outcome returns the ops that were carried out by an Apply that returned err, and the number of
// those that failed or were left out.
func outcome(ops []Op, err error) (done []Op, failed int) {
	errs := make(map[Op]error)
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			var oe *OpError
			if errors.As(e, &oe) {
				errs[oe.Op] = oe.Err
			}
		}
	}
	for i, op := range ops {
		switch e := errs[op]; {
		case e == nil:
			done = append(done, op)
		case outOfTime(e) || op.Kind == AddService:
			return done, failed + len(ops) - i
		default:
			failed++
		}
	}
	return done, failed
}
