package scenarios

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

// modelEpoch is the time of a model that stands for the start of a run.
var modelEpoch = time.Unix(0, 0)

// Predicted demands that each call of the run went to the real server that the model of the
// service's scheduler predicts, and that none was answered where the model has none.
func Predicted(t topology.Topology) Bound {
	service := t.Services[0]
	return Bound{
		Name: "predicted",
		Doc: fmt.Sprintf("Each connection goes to the real server that the kernel's %s must choose.",
			service.Scheduler),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Fail, Limit: "all as predicted"}
			m, err := modelOf(t, service)
			if err != nil {
				f.Detail = err.Error()
				return f
			}
			wrong, first := mismatches(m, t, rec.Calls)
			f.Observed = fmt.Sprintf("%d of %d as predicted", len(rec.Calls)-wrong, len(rec.Calls))
			f.Detail = first
			if wrong == 0 && len(rec.Calls) > 0 {
				f.Verdict = reports.Pass
			}
			return f
		},
	}
}

// modelOf is the model of a service as a director makes it: the real servers are added in the order
// of the configuration.
func modelOf(t topology.Topology, s topology.Service) (*scheduler.Model, error) {
	m, err := scheduler.New(scheduler.Name(s.Scheduler), scheduler.Options{})
	if err != nil {
		return nil, err
	}
	for _, d := range s.RealServers {
		if err := m.Add(scheduler.Server{Addr: addressOf(t, d), Weight: d.Weight}); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addressOf is where a real server is in a director's table; invalid if its node is not there.
func addressOf(t topology.Topology, d topology.Destination) netip.AddrPort {
	n, ok := t.Node(d.Node)
	if !ok || len(n.Links) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(n.Links[0].Addr.Addr(), d.Port)
}

// predict writes into calls where they should have gone, if there is a model of the scheduler.
func predict(t topology.Topology, calls []reports.Call) {
	if len(calls) == 0 || len(t.Services) == 0 {
		return
	}
	m, err := modelOf(t, t.Services[0])
	if err != nil {
		return // the bound says so
	}
	replay(m, t, calls, func(i int, want, _ string) { calls[i].Predicted = want })
}

// mismatches replays calls, and returns how many did not go where the model has them, and what is to
// be said of the first of these. After it the model follows the kernel no more, and what it counts
// is no measure.
func mismatches(m *scheduler.Model, t topology.Topology, calls []reports.Call) (int, string) {
	wrong, first := 0, ""
	replay(m, t, calls, func(i int, want, state string) {
		call := calls[i]
		if call.Server == want {
			return
		}
		if wrong++; wrong == 1 {
			first = fmt.Sprintf("connection %d, from %s: %s, predicted %s; before it %s", i+1, call.From,
				nameOrNone(call.Server), nameOrNone(want),
				strings.ReplaceAll(strings.TrimSpace(state), "\n ", ";"))
		}
	})
	return wrong, first
}

// replay makes the model take calls, and tells of each where it went, and the model's state before.
func replay(
	m *scheduler.Model, t topology.Topology, calls []reports.Call, tell func(i int, want, state string),
) {
	names := map[netip.AddrPort]string{}
	for _, d := range t.Services[0].RealServers {
		names[addressOf(t, d)] = d.Node
	}
	var open []held
	for i, call := range calls {
		open = closed(m, open, call.Opened)
		state, want := m.String(), ""
		c, ok := m.Connect(scheduler.Flow{From: call.From, To: call.To.Addr()},
			modelEpoch.Add(call.Opened))
		if ok {
			want = names[c.Server]
			open = append(open, held{c, call})
		}
		tell(i, want, state)
	}
}

func nameOrNone(server string) string {
	if server == "" {
		return "no server"
	}
	return server
}

// held is a connection of the model and the call that it stands for.
type held struct {
	connection *scheduler.Connection
	call       reports.Call
}

// closed closes those that were closed before now, and returns the others.
func closed(m *scheduler.Model, open []held, now time.Duration) []held {
	left := open[:0]
	for _, h := range open {
		if h.call.Closed > 0 && h.call.Closed <= now {
			m.Close(h.connection, h.call.Reset, modelEpoch.Add(h.call.Closed))
		} else {
			left = append(left, h)
		}
	}
	return left
}
