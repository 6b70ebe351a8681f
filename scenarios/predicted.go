package scenarios

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scheduler"
	"github.com/tandemlb/tandem/topology"
)

// modelEpoch is the time of a model that stands for the start of a run.
var modelEpoch = time.Unix(0, 0)

// Predicted demands that each call of the run went to the real server that the model of the
// service's scheduler predicts, and that none was answered where the model has none. What became of
// the director's table meanwhile, the model is told.
func Predicted(t topology.Topology) Bound {
	service := t.Services[0]
	return Bound{
		Name: "predicted",
		Doc: fmt.Sprintf("Each connection goes to the real server that the kernel's %s must choose.",
			service.Scheduler),
		Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
			f := reports.Finding{Verdict: reports.Fail, Limit: "all as predicted"}
			wrong, first, err := mismatches(t, rec)
			if err != nil {
				f.Detail = err.Error()
				return f
			}
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
	m, err := scheduler.New(scheduler.Name(s.Scheduler),
		scheduler.Options{HashPort: s.HashPort, Fallback: s.Fallback})
	if err != nil {
		return nil, err
	}
	for _, d := range s.RealServers {
		if err := m.Add(modelServer(t, d)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// modelServer is a real server as a model has it.
func modelServer(t topology.Topology, d topology.Destination) scheduler.Server {
	return scheduler.Server{Addr: addressOf(t, d), Weight: d.Weight, Upper: d.Upper, Lower: d.Lower}
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
func predict(t topology.Topology, rec *reports.Recording) {
	if len(rec.Calls) == 0 || len(t.Services) == 0 {
		return
	}
	// What has no model, or does not follow, the bound says.
	_ = replay(t, rec, func(i int, want, _ string) { rec.Calls[i].Predicted = want })
}

// mismatches replays the calls of a recording, and returns how many did not go where the model has
// them, and what is to be said of the first of these. After it the model follows the kernel no more,
// and what it counts is no measure.
func mismatches(t topology.Topology, rec *reports.Recording) (wrong int, first string, err error) {
	err = replay(t, rec, func(i int, want, state string) {
		call := rec.Calls[i]
		if call.Server == want {
			return
		}
		if wrong++; wrong == 1 {
			first = fmt.Sprintf("connection %d, from %s: %s, predicted %s; before it %s", i+1, call.From,
				nameOrNone(call.Server), nameOrNone(want),
				strings.ReplaceAll(strings.TrimSpace(state), "\n ", ";"))
		}
	})
	return wrong, first, err
}

// replay makes the model take the calls of a recording, and tells of each where it went, and the
// model's state before.
func replay(
	t topology.Topology, rec *reports.Recording, tell func(i int, want, state string),
) error {
	m, err := modelOf(t, t.Services[0])
	if err != nil {
		return err
	}
	names := map[netip.AddrPort]string{}
	for _, d := range t.Services[0].RealServers {
		names[addressOf(t, d)] = d.Node
	}
	have := serversOf(t)
	changes := changesOf(t, rec.Events)
	var open []held
	for i, call := range rec.Calls {
		for len(changes) > 0 && changes[0].at <= call.Opened {
			open = closed(m, open, changes[0].at)
			if err := follow(m, t, have, changes[0].servers); err != nil {
				return fmt.Errorf("follow the table at %s: %w", round(changes[0].at), err)
			}
			have, changes = changes[0].servers, changes[1:]
		}
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
	return nil
}

// change is what a service had for real servers from a time on.
type change struct {
	at      time.Duration
	servers []reports.TableServer
}

// changesOf are the changes of the best director's table after it first was as configured.
func changesOf(t topology.Topology, events []reports.Event) []change {
	var all []change
	first, full, want := Best(t), false, serversOf(t)
	for _, ev := range events {
		if ev.Kind != reports.TableSet || ev.Node != first {
			continue
		}
		table, err := reports.ParseTable(ev.Detail)
		if err != nil {
			continue // the recording is of another program
		}
		service, _ := table.Service(serviceName(t, t.Services[0]))
		if full {
			all = append(all, change{ev.At, service.Servers})
		}
		full = full || slices.Equal(service.Servers, want)
	}
	return all
}

// follow brings a model from the real servers that it has to others: some leave, some get another
// weight, some come.
func follow(m *scheduler.Model, t topology.Topology, from, to []reports.TableServer) error {
	weight := func(all []reports.TableServer, addr netip.AddrPort) (int, bool) {
		for _, s := range all {
			if s.Addr == addr {
				return s.Weight, true
			}
		}
		return 0, false
	}
	for _, s := range from {
		if _, stays := weight(to, s.Addr); stays {
			continue
		}
		if err := m.Remove(s.Addr); err != nil {
			return err
		}
	}
	for _, s := range to {
		server := scheduler.Server{Addr: s.Addr}
		for _, d := range t.Services[0].RealServers {
			if addressOf(t, d) == s.Addr {
				server = modelServer(t, d)
			}
		}
		server.Weight = s.Weight
		before, had := weight(from, s.Addr)
		var err error
		if !had {
			err = m.Add(server)
		} else if before != s.Weight {
			err = m.Edit(server)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
