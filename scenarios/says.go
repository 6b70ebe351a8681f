package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// The conditions that a director's status may name.
const (
	// splitBrain: another director is master too.
	splitBrain = "split_brain"
	// advertRejected: another director's adverts are refused.
	advertRejected = "advert_rejected"
	// addressConflict: another station has a VIP of this director.
	addressConflict = "address_conflict"
	// peerMismatch: another director's adverts are believed, but its configuration differs.
	peerMismatch = "peer_mismatch"
)

// Says holds when the status of a director names a condition. One that has no status never says
// anything.
type Says struct{ Node, Condition string }

func (c Says) String() string { return c.Node + " to say " + c.Condition }

// statusPoll is how often a status is asked for: each time a program is started for it.
const statusPoll = 250 * time.Millisecond

// errNoStatus is why a director says nothing.
var errNoStatus = errors.New("the director has no status that can be asked for")

func (c Says) wait(ctx context.Context, r *run) error {
	n, ok := r.lab.Node(c.Node)
	if !ok {
		return fmt.Errorf("await status: there is no node %s", c.Node)
	}
	if r.director.Status == nil {
		r.event(reports.Event{Kind: reports.Note, Node: c.Node, Subject: saysNote,
			Detail: noStatus})
		return errNoStatus
	}
	poll := time.NewTicker(statusPoll)
	defer poll.Stop()
	for {
		said, err := r.director.conditions(ctx, n)
		i := slices.IndexFunc(said, func(s saying) bool { return s.Name == c.Condition })
		if i >= 0 {
			r.event(reports.Event{Kind: reports.Note, Node: c.Node, Subject: saysNote,
				Detail: said[i].String()})
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%w (it says: %v)", context.Cause(ctx), said), err)
		}
	}
}

const (
	// saysNote is the subject of the note of what a director's status names.
	saysNote = "status"
	// noStatus is the note's detail where there is no status.
	noStatus = "none"
)

// saying is a condition in a director's status.
type saying struct {
	Name     string `json:"name"`
	Subject  string `json:"subject"`
	Evidence string `json:"evidence"`
}

// String begins with the condition's name.
func (s saying) String() string {
	return strings.TrimSpace(s.Name + " " + strings.TrimSpace(s.Subject+": "+s.Evidence))
}

// conditions asks the director on a node how it is.
func (d Director) conditions(ctx context.Context, n *lab.Node) ([]saying, error) {
	result, err := n.Exec(ctx, d.Path, d.Status...)
	if err != nil {
		return nil, err
	}
	var status struct {
		Conditions []saying `json:"conditions"`
	}
	if err := json.Unmarshal(result.Output, &status); err != nil {
		return nil, fmt.Errorf("read status of %s: %w: %.100q", n, err, result.Output)
	}
	return status.Conditions, nil
}

// saysWithin demands that a director's status names a condition so long after the first advert of
// another director that it can have heard since the fault.
func saysWithin(node, condition string, limit time.Duration) Bound {
	return Bound{
		Name: node + " says " + condition, Timing: true,
		Doc: fmt.Sprintf("The status of %s names %s within %s of when it can know.", node, condition,
			round(limit)),
		Judge: func(rec *reports.Recording, slack time.Duration) reports.Finding {
			w, ok := during(rec)
			if !ok {
				return noWindow()
			}
			w.To = rec.Length
			since, ok := knowable(rec, w, node)
			f := reports.Finding{Verdict: reports.Inconclusive, Observed: "nothing", Limit: round(limit),
				Detail: "no other director advertised"}
			if !ok {
				return f
			}
			for _, ev := range rec.Events {
				if ev.Kind != reports.Note || ev.Node != node || ev.Subject != saysNote || ev.At < w.From {
					continue
				}
				name, _, _ := strings.Cut(ev.Detail, " ")
				switch name {
				case condition:
					return atMost(ev.At-since, limit+slack)
				case noStatus:
					f.Verdict, f.Observed, f.Detail = reports.Fail, "no status", errNoStatus.Error()
					return f
				}
			}
			f.Verdict, f.Observed, f.Detail = reports.Fail, "never", "the status did not name it"
			return f
		},
	}
}

// knowable is when a director may first hear an advert of another one in a window: at once where
// one advertises already.
func knowable(rec *reports.Recording, w reports.Window, node string) (time.Duration, bool) {
	advertises := map[string]bool{}
	for _, ev := range rec.Events {
		if ev.Kind != reports.State || ev.Node == node {
			continue
		}
		if ev.At >= w.From && anyTrue(advertises) {
			break
		}
		advertises[ev.Node] = ev.Subject == advertising
		if w.Contains(ev.At) && advertises[ev.Node] {
			return ev.At, true
		}
	}
	return w.From, anyTrue(advertises)
}

// advertising is the subject of the event of a director that begins to advertise.
const advertising = "master"

func anyTrue(of map[string]bool) bool {
	for _, yes := range of {
		if yes {
			return true
		}
	}
	return false
}
