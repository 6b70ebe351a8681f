package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
)

// Start is how long a director takes from its exec to its first adverts on the wire.
type Start struct {
	// First is to the advert of the first instance, Last to that of the last one.
	First time.Duration `json:"first_ns"`
	Last  time.Duration `json:"last_ns"`
}

// startLimit is how long a start may take before it counts as none.
const startLimit = 30 * time.Second

// measureStart starts one director whose instances have priority 255: they need not wait for
// anybody.
func measureStart(
	ctx context.Context, d scenarios.Director, instances int,
) (start Start, err error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	p, err := newPair(ctx, d, instances, ownerPriority)
	if err != nil {
		return Start{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s, err := newSniffer(ctx, p.backup)
	if err != nil {
		return Start{}, err
	}
	defer s.close()
	process, err := p.startStamped(ctx, p.master)
	if err != nil {
		return Start{}, err
	}
	execed, err := stampOf(ctx, process) // the node keeps its last lines only
	if err != nil {
		return Start{}, err
	}
	first, err := s.await(ctx, p.instances, func(h heard) bool { return h.priority != 0 })
	if err != nil {
		return Start{}, fmt.Errorf("await start: %w: %s", err, strings.Join(process.Tail(3), "; "))
	}
	took := spread(first, execed)
	return Start{First: took.First, Last: took.Last}, nil
}

// stampMark begins the line that a stamped program's shell writes.
const stampMark = "exec at "

// startStamped starts the director as start does, by a shell that says the time just before the
// exec.
func (p *pair) startStamped(ctx context.Context, n *lab.Node) (*lab.Process, error) {
	return startStamped(ctx, n, p.director.Name, p.program(n), p.args(n))
}

func startStamped(
	ctx context.Context, n *lab.Node, label, program string, args []string,
) (*lab.Process, error) {
	script := `date "+` + stampMark + `%s%N"; exec "$0" "$@"`
	return n.Start(ctx, lab.Command{
		Name: "sh", Args: append([]string{"-c", script, program}, args...), Init: true,
		Label: label,
	})
}

// stampOf returns when the exec of a stamped program was.
func stampOf(ctx context.Context, p *lab.Process) (time.Time, error) {
	var at time.Time
	err := p.AwaitLine(ctx, func(text string) bool {
		stamp, ok := strings.CutPrefix(text, stampMark)
		nanoseconds, err := strconv.ParseInt(stamp, 10, 64)
		if !ok || err != nil {
			return false
		}
		at = time.Unix(0, nanoseconds)
		return true
	})
	return at, err
}
