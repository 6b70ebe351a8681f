package daemon

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/pool"
)

// failures counts the attempts of a real server's checks that failed, by reason. Its zero value has
// counted none.
type failures struct {
	mu      sync.Mutex
	servers map[pool.ID]map[check.Reason]uint64
}

// counted returns tasks whose failures are counted from now on; index knows whose they are. What is
// known of other real servers is forgotten.
func (f *failures) counted(tasks []check.Task, index pool.Index) []check.Task {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.servers
	f.servers = make(map[pool.ID]map[check.Reason]uint64, len(before))
	all := make([]check.Task, len(tasks))
	for i, t := range tasks {
		id, _ := index.Server(t.ID)
		if f.servers[id] == nil {
			f.servers[id] = before[id]
		}
		if f.servers[id] == nil {
			f.servers[id] = map[check.Reason]uint64{}
		}
		c := countedChecker{t.Checker, id, f}
		if w, weighs := t.Checker.(check.Weigher); weighs {
			t.Checker = countedWeigher{c, w}
		} else {
			t.Checker = c
		}
		all[i] = t
	}
	return all
}

// note counts a failure of a real server that is still there; what the end cut short is none.
func (f *failures) note(ctx context.Context, id pool.ID, err error) {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if counts := f.servers[id]; counts != nil {
		counts[check.ReasonOf(err)]++
	}
}

// of returns the counts of one real server.
func (f *failures) of(id pool.ID) map[check.Reason]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.servers[id])
}

// countedChecker is a checker whose failures are counted.
type countedChecker struct {
	check.Checker
	id       pool.ID
	failures *failures
}

// Check implements check.Checker.
func (c countedChecker) Check(ctx context.Context) error {
	err := c.Checker.Check(ctx)
	c.failures.note(ctx, c.id, err)
	return err
}

// countedWeigher is one that says a weight as well.
type countedWeigher struct {
	countedChecker
	weigher check.Weigher
}

// Weigh implements check.Weigher.
func (c countedWeigher) Weigh(ctx context.Context) (check.Weight, error) {
	w, err := c.weigher.Weigh(ctx)
	c.failures.note(ctx, c.id, err)
	return w, err
}
