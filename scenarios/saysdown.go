package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// SaysDown holds when the status of a director says that a real server is down. One that has no
// status never says anything.
type SaysDown struct {
	Node   string
	Server netip.AddrPort
}

func (c SaysDown) String() string {
	return fmt.Sprintf("%s to say that %s is down", c.Node, c.Server)
}

func (c SaysDown) wait(ctx context.Context, r *run) error {
	n, ok := r.lab.Node(c.Node)
	if !ok {
		return fmt.Errorf("await status: there is no node %s", c.Node)
	}
	note := func(detail string) {
		r.event(reports.Event{Kind: reports.Note, Node: c.Node, Subject: c.note(), Detail: detail})
	}
	if r.director.Status == nil {
		note(noStatus)
		return errNoStatus
	}
	poll := time.NewTicker(statusPoll)
	defer poll.Stop()
	for {
		server, err := r.director.server(ctx, n, c.Server)
		if err == nil && server.Health == down {
			note(server.Reason)
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%w (it says: %s %s)", context.Cause(ctx), server.Health,
				server.Reason), err)
		}
	}
}

// note is the subject of the note of the reason that a status gives.
func (c SaysDown) note() string { return downNote + c.Server.String() }

const (
	// downNote begins the subject of a note of why a real server is down.
	downNote = "down: "
	// down is the word of a status for a real server that is out of service.
	down = "DOWN"
)

// realServerState is what a director's status says of a real server.
type realServerState struct {
	Name   string `json:"name"`
	Health string `json:"health"`
	Reason string `json:"reason"`
}

// server asks the director on a node how a real server is.
func (d Director) server(
	ctx context.Context, n *lab.Node, addr netip.AddrPort,
) (realServerState, error) {
	result, err := n.Exec(ctx, d.Path, d.Status...)
	if err != nil {
		return realServerState{}, err
	}
	var status struct {
		Services []struct {
			Servers []realServerState `json:"servers"`
		} `json:"services"`
	}
	if err := json.Unmarshal(result.Output, &status); err != nil {
		return realServerState{}, fmt.Errorf("read status of %s: %w: %.100q", n, err, result.Output)
	}
	for _, service := range status.Services {
		for _, server := range service.Servers {
			if server.Name == addr.String() {
				return server, nil
			}
		}
	}
	return realServerState{}, fmt.Errorf("read status of %s: it has no real server %s", n, addr)
}

// saysWhy demands that a director's status says so long after the fault that a real server is down,
// and why, in these words. A director that has no status leaves it open.
func saysWhy(server netip.AddrPort, words string, limit time.Duration) Bound {
	subject := SaysDown{Server: server}.note()
	doc := fmt.Sprintf("The status says within %%s of the fault that %s is down: %s.", server, words)
	return timed("says why", doc, limit, during,
		func(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
			for _, ev := range rec.Events {
				if ev.Kind != reports.Note || ev.Subject != subject || !w.Contains(ev.At) {
					continue
				}
				f := atMost(ev.At-w.From, limit)
				switch {
				case ev.Detail == noStatus:
					f.Verdict, f.Observed = reports.Inconclusive, "no status"
					f.Detail = errNoStatus.Error()
				case !strings.Contains(ev.Detail, words):
					f.Verdict, f.Detail = reports.Fail, "it says: "+ev.Detail
				default:
					f.Detail = ev.Detail
				}
				return f
			}
			return reports.Finding{Verdict: reports.Fail, Observed: "never", Limit: round(limit),
				Detail: "the status did not say that it is down"}
		})
}
