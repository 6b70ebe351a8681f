package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Sample notes what each director's program and the lab's own take of the kernel. To be comparable
// it must always be taken in the same state.
type Sample struct{}

func (Sample) String() string { return "measure what the programs take" }

func (Sample) do(_ context.Context, r *run) error {
	var texts []string
	for _, n := range r.lab.NodesOf(topology.Director) {
		u, ok := n.Unit(faults.DirectorUnit)
		if !ok || !u.Alive() {
			continue // the other bounds say so
		}
		usage, err := u.Process().Usage()
		if err != nil {
			return err
		}
		texts = append(texts, taken{who: n.Name(), pid: u.Process().Pid(), Usage: usage}.String())
	}
	usage, err := lab.OwnUsage()
	if err != nil {
		return err
	}
	own := taken{who: ownName, Usage: usage, goroutines: runtime.NumGoroutine()}
	r.event(reports.Event{Kind: reports.Note, Subject: usageNote,
		Detail: strings.Join(append(texts, own.String()), "; ")})
	return nil
}

const (
	// usageNote is the subject of a sample's note.
	usageNote = "usage"
	// ownName stands for the lab's own process in it.
	ownName = "lab"
)

// taken is what one program took when a sample was made.
type taken struct {
	at  time.Duration
	who string
	// pid tells a program from one that was started later; 0 for the lab's.
	pid int
	lab.Usage
	// goroutines are known of the lab's own process only.
	goroutines int
}

const takenForm = "%s %d: processes %d, threads %d, descriptors %d, goroutines %d, memory %d kB"

func (t taken) String() string {
	return fmt.Sprintf(takenForm, t.who, t.pid, t.Processes, t.Threads, t.Descriptors, t.goroutines,
		t.Memory>>10)
}

// samplesOf reads the samples of a recording back, in order of time. A note that is none says
// nothing.
func samplesOf(rec *reports.Recording) []taken {
	var all []taken
	for _, ev := range rec.Events {
		if ev.Kind != reports.Note || ev.Subject != usageNote {
			continue
		}
		for text := range strings.SplitSeq(ev.Detail, "; ") {
			t := taken{at: ev.At}
			_, err := fmt.Sscanf(text, takenForm, &t.who, &t.pid, &t.Processes, &t.Threads,
				&t.Descriptors, &t.goroutines, &t.Memory)
			if t.Memory <<= 10; err == nil {
				all = append(all, t)
			}
		}
	}
	return all
}

// series are the samples of one program from its warm-up to its end.
type series struct {
	name    string
	samples []taken
}

// leastSamples is how many samples a series must have to say anything about growth.
const leastSamples = 12

// longestSeries returns for each name the longest series of one program, in order of the names.
func longestSeries(all []taken, warmUp time.Duration) []series {
	byName := map[string]map[int][]taken{}
	for _, t := range all {
		if byName[t.who] == nil {
			byName[t.who] = map[int][]taken{}
		}
		byName[t.who][t.pid] = append(byName[t.who][t.pid], t)
	}
	var longest []series
	for name, byPid := range byName {
		s := series{name: name}
		for _, own := range byPid {
			warm := slices.IndexFunc(own, func(t taken) bool { return t.at >= own[0].at+warmUp })
			if warm < 0 {
				continue
			}
			own = own[warm:]
			earlier := len(own) == len(s.samples) && own[0].at < s.samples[0].at
			if len(own) > len(s.samples) || earlier {
				s.samples = own
			}
		}
		longest = append(longest, s)
	}
	slices.SortFunc(longest, func(a, b series) int { return strings.Compare(a.name, b.name) })
	return longest
}

// figure is one thing that may leak.
type figure struct {
	name string
	of   func(taken) int64
	// percent and more are what it may grow by: a share of what it was, and so many beside.
	percent, more int64
	// programs says that it is judged of the directors' programs, own that it is of the lab's.
	programs, own bool
}

// figures are what no program may take more and more of. The lab's own memory holds the recording,
// so it grows. Go's runtime keeps a thread that it needed once; two are no leak.
func figures() []figure {
	return []figure{
		{name: "descriptors", of: func(t taken) int64 { return int64(t.Descriptors) },
			programs: true, own: true},
		{name: "processes", of: func(t taken) int64 { return int64(t.Processes) },
			programs: true, own: true},
		{name: "threads", of: func(t taken) int64 { return int64(t.Threads) }, more: 2,
			programs: true, own: true},
		{name: "goroutines", of: func(t taken) int64 { return int64(t.goroutines) }, own: true},
		{name: "memory", of: func(t taken) int64 { return t.Memory >> 10 }, percent: 5, programs: true},
	}
}

// noLeak demands that no program takes more at the end than after its warm-up.
func noLeak(warmUp time.Duration) []Bound {
	var bounds []Bound
	for _, f := range figures() {
		doc := fmt.Sprintf("No program has more %s at the end than %s after its start", f.name,
			hours(warmUp))
		switch {
		case f.percent > 0:
			doc = fmt.Sprintf("No director's program has at the end more than %d %% more %s of its own "+
				"than %s after its start", f.percent, f.name, hours(warmUp))
		case f.more > 0:
			doc += fmt.Sprintf(", but for %d", f.more)
		}
		bounds = append(bounds, Bound{Name: f.name, Doc: doc + ".",
			Judge: func(rec *reports.Recording, _ time.Duration) reports.Finding {
				return f.judge(longestSeries(samplesOf(rec), warmUp))
			}})
	}
	return bounds
}

// judge compares the first quarter of each series with its last.
func (f figure) judge(all []series) reports.Finding {
	out := reports.Finding{Verdict: reports.Pass, Limit: "no growth"}
	if f.percent > 0 {
		out.Limit = fmt.Sprintf("%d %% more", f.percent)
	}
	var shown []string
	for _, s := range all {
		if s.name == ownName && !f.own || s.name != ownName && !f.programs {
			continue
		}
		if len(s.samples) < leastSamples {
			out.Detail = fmt.Sprintf("%s has %d samples of one program, want %d", s.name,
				len(s.samples), leastSamples)
			out.Verdict = reports.Inconclusive
			continue
		}
		before, now := f.ends(s)
		shown = append(shown, fmt.Sprintf("%s %d → %d", s.name, before, now))
		if now > before+before*f.percent/100+f.more {
			out.Verdict = reports.Fail
			out.Detail = fmt.Sprintf("%s of %s grew from %d to %d", f.name, s.name, before, now)
			break
		}
	}
	if out.Observed = strings.Join(shown, ", "); out.Observed == "" {
		out.Verdict, out.Observed = reports.Inconclusive, "nothing"
		out.Detail = cmp.Or(out.Detail, "no program was measured")
	}
	return out
}

// ends returns the figure at the begin and at the end of a series. Of what is counted that is the
// most of the first quarter and the least of the last, since a peak is no leak; of what is weighed
// the medians, since collecting garbage makes it go up and down.
func (f figure) ends(s series) (before, now int64) {
	values := make([]int64, len(s.samples))
	for i, t := range s.samples {
		values[i] = f.of(t)
	}
	quarter := len(values) / 4
	first, last := values[:quarter], values[len(values)-quarter:]
	if f.percent == 0 {
		return slices.Max(first), slices.Min(last)
	}
	slices.Sort(first)
	slices.Sort(last)
	return first[quarter/2], last[quarter/2]
}
