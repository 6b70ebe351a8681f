package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
)

// rarely is the time between two checks of a real server where checks are not what is measured.
const rarely = 10 * time.Minute

// tableFarm is what TablePart measures, largestFarm what LargestPart does: the largest
// configuration that users of keepalived have told of. checksFarm makes 500 checks a second.
var (
	tableFarm   = farm{services: 20, servers: 5000, loop: rarely, timeout: 5 * time.Second}
	largestFarm = farm{services: 2300, servers: 37300, loop: rarely, timeout: 5 * time.Second}
	checksFarm  = farm{services: 20, servers: 10000, loop: 20 * time.Second, timeout: 5 * time.Second}
	failureFarm = farm{services: 1, servers: 20, loop: time.Second, timeout: time.Second}
)

// How often each part is measured with each director. What counts is the median.
const (
	tableTimes   = 5
	largestTimes = 1
	checksTimes  = 3
	failureTimes = 3
)

const (
	// tableLimit is how long a director may take until the table is as configured, reloadLimit how long
	// until it is so after a reload.
	tableLimit, reloadLimit = time.Minute, time.Minute
	// calmTime is how long one that has filled the table is left alone before it is measured on.
	calmTime = 2 * time.Second
	// settledTime is the same before its memory is measured: a daemon runs for months, and what only
	// its start needs it has given back by then.
	settledTime = 15 * time.Second
	// spreadBin is the time of which the busiest is looked for.
	spreadBin = 100 * time.Millisecond
)

// CarryOutIPVS measures a part in the kernel that it runs in. Its results have figures and problems
// only.
func CarryOutIPVS(ctx context.Context, o IPVSOrder, progress func(string)) (IPVSResults, error) {
	r := &ipvsRunner{directors: o.Directors, progress: progress, virtual: o.Virtual}
	r.results.Kernel = release()
	switch o.Part {
	case TablePart:
		inTurn(ctx, r, o.Part, tableFarm, tableTimes, measureTable, r.addTable)
	case LargestPart:
		inTurn(ctx, r, o.Part, largestFarm, largestTimes, measureTable, r.addTable)
	case ChecksPart:
		inTurn(ctx, r, o.Part, checksFarm, checksTimes, measureChecks, r.addChecks)
	case FailurePart:
		inTurn(ctx, r, o.Part, failureFarm, failureTimes, measureFailure, r.addFailure)
	default:
		return IPVSResults{}, fmt.Errorf("measure %s: want one of %v", o.Part, IPVSParts())
	}
	if ctx.Err() != nil {
		return r.results, fmt.Errorf("bench: %w", context.Cause(ctx))
	}
	return r.results, nil
}

// ipvsRunner is one CarryOutIPVS.
type ipvsRunner struct {
	directors []scenarios.Director
	progress  func(string)
	// virtual says that time is.
	virtual bool
	results IPVSResults
}

// inTurn measures a farm so many times with every director in turn, and hands on what was measured
// for each.
func inTurn[T any](
	ctx context.Context, r *ipvsRunner, part IPVSPart, f farm, times int,
	measure func(context.Context, *stand) (T, error), done func(string, farm, []T),
) {
	all := make([][]T, len(r.directors))
	for i := range times {
		for j, d := range r.directors {
			if ctx.Err() != nil {
				return
			}
			what := fmt.Sprintf("%s of %s, %d real servers", part, d.Name, f.servers)
			r.progress(fmt.Sprintf("[%d/%d] %s", i+1, times, what))
			one, err := onStand(ctx, d, f, measure)
			if err != nil && ctx.Err() == nil {
				r.results.Problems = append(r.results.Problems, fmt.Sprintf("%s: %v", what, err))
				r.progress(r.results.Problems[len(r.results.Problems)-1])
			}
			if err == nil {
				all[j] = append(all[j], one)
			}
		}
	}
	for j, d := range r.directors {
		if len(all[j]) > 0 {
			done(d.Name, f, all[j])
		}
	}
}

// onStand measures once on a stand of its own.
func onStand[T any](
	ctx context.Context, d scenarios.Director, f farm,
	measure func(context.Context, *stand) (T, error),
) (one T, err error) {
	s, err := newStand(ctx, d, f)
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return measure(ctx, s)
}

// Table is what a start and a reload of one director take.
type Table struct {
	// Start is from the exec to the moment at which the kernel has every real server, StartCPU the
	// processors' time until then, and what was read of the table after it.
	Start    time.Duration `json:"start_ns"`
	StartCPU time.Duration `json:"start_cpu_ns"`
	// Memory is the proportional set size of all processes in bytes, settledTime after the start.
	Memory int64 `json:"pss_bytes"`
	// Reload is from the signal to the moment at which a real server that was taken out of the
	// configuration gets no new connection, ReloadCPU the processors' time until all is calm again.
	Reload    time.Duration `json:"reload_ns"`
	ReloadCPU time.Duration `json:"reload_cpu_ns"`
	// Unfinished says that it had not come after Reload, when it was waited for no longer.
	Unfinished bool `json:"reload_unfinished,omitempty"`
}

// measureTable starts a director, and has it read its configuration again, which lacks the real
// server in the middle.
func measureTable(ctx context.Context, s *stand) (Table, error) {
	limited, cancel := context.WithTimeout(ctx, tableLimit)
	defer cancel()
	p, execed, err := s.start(limited)
	if err != nil {
		return Table{}, err
	}
	full, err := s.awaitTable(limited, p, s.farm.servers)
	if err != nil {
		return Table{}, err
	}
	filled, err := usageOf(p.Pid())
	if err != nil {
		return Table{}, err
	}
	if err := wait(ctx, settledTime); err != nil {
		return Table{}, err
	}
	calm, err := usageOf(p.Pid())
	if err != nil {
		return Table{}, err
	}
	t := Table{Start: full.Sub(execed), StartCPU: filled.cpu, Memory: calm.pss}
	err = s.reload(ctx, p, s.farm.servers/2, calm.cpu, &t)
	return t, err
}

// reload takes a real server out of the configuration. Before is the processors' time that the
// director has taken.
func (s *stand) reload(
	ctx context.Context, p *lab.Process, server int, before time.Duration, t *Table,
) error {
	if err := s.configure(server); err != nil {
		return err
	}
	at := time.Now()
	if err := p.Signal(unix.SIGHUP); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, reloadLimit)
	defer cancel()
	out, err := s.awaitOut(limited, p, server)
	if t.Unfinished = errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil; t.Unfinished {
		out, err = at.Add(reloadLimit), nil
	}
	if err == nil {
		err = wait(ctx, calmTime)
	}
	if err != nil {
		return err
	}
	after, err := usageOf(p.Pid())
	t.Reload, t.ReloadCPU = out.Sub(at), after.cpu-before
	return err
}

// Checks is what the health checks of one director cost.
type Checks struct {
	// Rate is how many were made in a second, each of them a connection.
	Rate float64 `json:"rate"`
	// CPU is the share of one core, in percent, PerCheck the processors' time of one.
	CPU      float64       `json:"cpu_percent"`
	PerCheck time.Duration `json:"cpu_per_check_ns"`
	// Busiest is the most checks that came within 100 ms, in parts of the mean.
	Busiest float64 `json:"busiest_in_means"`
}

// measureChecks counts for one round of checks, after the first one.
func measureChecks(ctx context.Context, s *stand) (Checks, error) {
	limited, cancel := context.WithTimeout(ctx, tableLimit)
	defer cancel()
	p, _, err := s.start(limited)
	if err != nil {
		return Checks{}, err
	}
	if _, err := s.awaitTable(limited, p, s.farm.servers); err != nil {
		return Checks{}, err
	}
	if err := wait(ctx, s.farm.loop+calmTime); err != nil {
		return Checks{}, err
	}
	before, err := usageOf(p.Pid())
	if err != nil {
		return Checks{}, err
	}
	s.servers.reset(false)
	began := time.Now()
	if err := wait(ctx, s.farm.loop); err != nil {
		return Checks{}, err
	}
	times, took := s.servers.accepted(), time.Since(began)
	after, err := usageOf(p.Pid())
	if err != nil {
		return Checks{}, err
	}
	if have, err := s.table.realServers(s.farm.services); err != nil || have != s.farm.servers {
		return Checks{}, fmt.Errorf("the table has %d of %d real servers: %w", have, s.farm.servers,
			errors.Join(err, errFalseAlarm))
	}
	return judgeChecks(times, began, took, after.cpu-before.cpu)
}

// errFalseAlarm is why checks are not measured that have failed though every server is well.
var errFalseAlarm = errors.New("checks of servers that are well have failed")

// judgeChecks works out what connections say, and the processors' time that they took.
func judgeChecks(
	times []time.Time, from time.Time, length, cpu time.Duration,
) (Checks, error) {
	if len(times) == 0 {
		return Checks{}, errors.New("there was no check")
	}
	most, mean := busiest(times, from, length, spreadBin)
	return Checks{
		Rate:     float64(len(times)) / length.Seconds(),
		CPU:      100 * float64(cpu) / float64(length),
		PerCheck: cpu / time.Duration(len(times)),
		Busiest:  float64(most) / mean,
	}, nil
}

// Failure says when a real server that answers nothing any more is out of the table.
type Failure struct {
	// Late is by how much later that is than the timeout of its first check afterwards.
	Late time.Duration `json:"late_ns"`
}

// measureFailure silences a real server just after a check.
func measureFailure(ctx context.Context, s *stand) (Failure, error) {
	ctx, cancel := context.WithTimeout(ctx, tableLimit)
	defer cancel()
	p, _, err := s.start(ctx)
	if err != nil {
		return Failure{}, err
	}
	if _, err := s.awaitTable(ctx, p, s.farm.servers); err != nil {
		return Failure{}, err
	}
	if err := wait(ctx, s.farm.loop+calmTime); err != nil {
		return Failure{}, err
	}
	server := s.farm.servers / 2
	addr := s.farm.server(server).Addr()
	s.servers.reset(true)
	if _, err := s.table.await(ctx, p, func() (bool, error) {
		return !s.servers.lastOf(addr).IsZero(), nil
	}); err != nil {
		return Failure{}, fmt.Errorf("await a check of %s: %w", addr, err)
	}
	if err := s.silence(s.farm.server(server)); err != nil {
		return Failure{}, err
	}
	out, err := s.awaitOut(ctx, p, server)
	if err != nil {
		return Failure{}, err
	}
	last := s.servers.lastOf(addr)
	return Failure{Late: out.Sub(last.Add(s.farm.loop + s.farm.timeout))}, nil
}
