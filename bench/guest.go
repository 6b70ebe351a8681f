package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

const (
	// steadyLimit is how long the lab may take until its master has every VIP and clients are served.
	steadyLimit = 45 * time.Second
	// steadyTime is how long the lab then goes on undisturbed: every health check has been made, and
	// every gratuitous ARP sent.
	steadyTime = 6 * time.Second
	// answerLimit is how long a request may take before it counts as lost: undisturbed it takes 1 ms.
	// With more patience the client would not see the shorter outages, in which the network keeps
	// packets for a while.
	answerLimit = 25 * time.Millisecond
	// steadyAnswers is how many requests in a row must be answered before the fault.
	steadyAnswers = 25
	// httpPort is where the real servers listen.
	httpPort = 80
	// phaseShare is when the fault comes, in tenths of an interval after the master's advert.
	phaseShare = 7
)

// requestRate is how many requests a second the client sends: an outage is known to 10 ms, with
// adverts of less than that order to 5 ms.
func requestRate(advert time.Duration) int {
	if advert < 100*time.Millisecond {
		return 200
	}
	return 100
}

// watchTime is how long an outage is watched: longer than addresses that nobody renews may last,
// which are whole seconds of four adverts, and the kernel's 2 s beside.
func watchTime(advert time.Duration) time.Duration {
	return (4*advert + time.Second - 1).Truncate(time.Second) + 3*time.Second
}

// CarryOut measures one outage in the kernel that it runs in, which must be on virtual time. What
// it writes goes to a directory of its own, which is removed.
func CarryOut(ctx context.Context, o OutageOrder) (out Outage, err error) {
	t, err := outageTopology(o.Advert)
	if err != nil {
		return Outage{}, err
	}
	dir, err := os.MkdirTemp("/dev/shm", "bench-")
	if err != nil {
		return Outage{}, fmt.Errorf("measure outage: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := lab.Up(ctx, t, lab.Options{})
	if err != nil {
		return Outage{}, fmt.Errorf("measure outage: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	r := &outageRun{order: o, topology: t, lab: l, dir: dir}
	return r.measure(ctx)
}

// outageTopology is figure 7 with another interval of adverts.
func outageTopology(advert time.Duration) (topology.Topology, error) {
	t, err := topology.Preset("fig7")
	if err != nil {
		return t, err
	}
	t.VRRP.Advert = advert
	if advert < time.Second {
		t.VRRP.Version = 3
	}
	return t, t.Validate()
}

// outageRun is one outage being measured.
type outageRun struct {
	order    OutageOrder
	topology topology.Topology
	lab      *lab.Lab
	dir      string
	recorder probe.Recorder
}

// measure reaches the steady state, breaks it and watches.
func (r *outageRun) measure(ctx context.Context) (Outage, error) {
	observing, stop := context.WithCancel(ctx)
	defer stop()
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	vips := vipsOf(r.topology)
	w := probe.NewWatcher(r.lab.NodesOf(topology.Director), vips, r.recorder.Event)
	if err := startTask(observing, &tasks, w); err != nil {
		return Outage{}, err
	}
	if err := r.startUnits(ctx); err != nil {
		return Outage{}, err
	}
	if err := r.awaitMaster(ctx); err != nil {
		return Outage{}, err
	}
	if err := wait(ctx, steadyTime); err != nil {
		return Outage{}, err
	}
	h, err := r.newClient()
	if err != nil {
		return Outage{}, err
	}
	asking, end := context.WithCancel(ctx)
	defer end()
	var clients sync.WaitGroup
	if err := startTask(asking, &clients, h); err != nil {
		return Outage{}, err
	}
	limited, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	if err := h.AwaitAnswered(limited, steadyAnswers); err != nil {
		return Outage{}, fmt.Errorf("reach the steady state: %w", err)
	}
	window, phase, err := r.inject(ctx)
	end()
	clients.Wait() // for the outcome of what is under way
	if err != nil {
		return Outage{}, err
	}
	out := judgeOutage(r.recording(vips), window, "lb2")
	out.Phase = phase
	return out, nil
}

// observer is something that measures until its context ends.
type observer interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}
}

// startTask starts an observer and waits until it is ready.
func startTask(ctx context.Context, tasks *sync.WaitGroup, o observer) error {
	failed := make(chan error, 1)
	tasks.Go(func() { failed <- o.Run(ctx) })
	select {
	case <-o.Ready():
		return nil
	case err := <-failed:
		return fmt.Errorf("start %v: %w", o, err)
	}
}

// startUnits starts the real servers and then the directors.
func (r *outageRun) startUnits(ctx context.Context) error {
	for _, n := range r.lab.NodesOf(topology.RealServer) {
		u := n.AddUnit(faults.ServerUnit, func(ctx context.Context) (*lab.Process, error) {
			return n.StartRealServer(ctx, httpPort)
		})
		if err := u.Start(ctx); err != nil {
			return err
		}
	}
	for _, n := range r.lab.NodesOf(topology.Director) {
		file := filepath.Join(r.dir, n.Name()+".conf")
		text := withStatement(scenarios.Config(r.topology, n.Spec()), r.order.Case.Statement)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		u := n.AddUnit(faults.DirectorUnit, func(ctx context.Context) (*lab.Process, error) {
			d := r.order.Director
			return n.Start(ctx, lab.Command{
				Name: d.Path, Args: append(d.Args[:len(d.Args):len(d.Args)], "-f", file), Init: true,
			})
		})
		if err := u.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withStatement adds a statement to each instance of a configuration; an empty one adds nothing.
func withStatement(config, statement string) string {
	if statement == "" {
		return config
	}
	return regexp.MustCompile(`(?m)^vrrp_instance .*\{$`).ReplaceAllString(config, "$0\n    "+statement)
}

// awaitMaster waits until lb1 has every VIP, and lb2 none.
func (r *outageRun) awaitMaster(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, steadyLimit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		held := holders(r.recorder.Events())
		alone := true
		for _, vip := range vipsOf(r.topology) {
			alone = alone && held[vip]["lb1"] && !held[vip]["lb2"]
		}
		if alone {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("await the VIPs on lb1: %w (%v)", context.Cause(ctx), held)
		}
	}
}

// holders says which nodes have each VIP after some events.
func holders(events []reports.Event) map[netip.Addr]map[string]bool {
	held := map[netip.Addr]map[string]bool{}
	for _, ev := range events {
		if ev.Kind != reports.VIPAdd && ev.Kind != reports.VIPRemove {
			continue
		}
		vip, err := netip.ParseAddr(ev.Subject)
		if err != nil {
			continue
		}
		if held[vip] == nil {
			held[vip] = map[string]bool{}
		}
		held[vip][ev.Node] = ev.Kind == reports.VIPAdd
	}
	return held
}

func (r *outageRun) newClient() (*probe.HTTP, error) {
	client, ok := r.lab.Node("client1")
	if !ok {
		return nil, errors.New("measure outage: there is no client1")
	}
	return probe.NewHTTP(client, probe.HTTPConfig{Target: r.topology.Services[0].Addr,
		Rate: requestRate(r.order.Advert), Limit: answerLimit}, r.recorder.Request)
}

// inject breaks the master at the fixed phase and watches. It returns the window that was watched,
// and how long before it the master's last advert was.
func (r *outageRun) inject(ctx context.Context) (reports.Window, time.Duration, error) {
	var none reports.Window
	backup, _ := r.lab.Node("lb2")
	s, err := newSniffer(ctx, backup)
	if err != nil {
		return none, 0, err
	}
	defer s.close()
	if err := wait(ctx, 3*r.order.Advert); err != nil {
		return none, 0, err
	}
	outer := r.topology.VIPs[0].RouterID
	fromMaster := func(h heard) bool { return !h.sent && h.router == outer }
	due, err := r.awaitPhase(ctx, s, fromMaster)
	if err != nil {
		return none, 0, err
	}
	fault, err := faults.New(r.order.Case.Kind, r.order.Case.Target, nil)
	if err != nil {
		return none, 0, err
	}
	if err := wait(ctx, time.Until(due)); err != nil {
		return none, 0, err
	}
	at, began := time.Now(), r.lab.Now()
	if _, err := fault.Inject(ctx, r.lab); err != nil {
		return none, 0, err
	}
	w := reports.Window{Name: "fault", From: began, To: began + watchTime(r.order.Advert)}
	if err := wait(ctx, w.To-r.lab.Now()); err != nil {
		return none, 0, err
	}
	last, _ := s.before(at, fromMaster)
	return w, at.Sub(last), nil
}

// awaitPhase waits for an advert and returns when the fault is due after it: adverts come a little later
// than their interval, so that none before the last tells.
func (r *outageRun) awaitPhase(
	ctx context.Context, s *sniffer, fromMaster func(heard) bool,
) (time.Time, error) {
	first, ok := s.before(time.Now(), fromMaster)
	if !ok {
		return time.Time{}, errors.New("measure outage: the backup hears no advert")
	}
	last := first
	for range 30 { // three adverts
		due := last.Add(r.order.Advert * phaseShare / 10)
		if last.After(first) && due.After(time.Now()) {
			return due, nil
		}
		if err := wait(ctx, r.order.Advert/10); err != nil {
			return time.Time{}, err
		}
		last, _ = s.before(time.Now(), fromMaster)
	}
	return time.Time{}, errors.New("measure outage: the backup hears no advert any more")
}
