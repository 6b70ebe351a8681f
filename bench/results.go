package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Results are what one Run has measured. Directors are known by their names.
type Results struct {
	Started time.Time `json:"started"`
	// Length is the wall time that it took.
	Length time.Duration `json:"length_ns"`
	// Kernel is the release of this machine's kernel, CPUs its processors: what loads, takeovers and
	// starts were measured on. Outages are those of a guest kernel.
	Kernel string `json:"kernel"`
	CPUs   int    `json:"cpus"`
	// Directors are in the order of Options.
	Directors []string `json:"directors"`
	// Absent says which director is not here to be compared with; empty: none is missing.
	Absent    string           `json:"absent,omitempty"`
	Outages   []OutageResult   `json:"outages,omitempty"`
	Loads     []LoadResult     `json:"loads,omitempty"`
	Takeovers []TakeoverResult `json:"takeovers,omitempty"`
	Starts    []StartResult    `json:"starts,omitempty"`
	Targets   []Target         `json:"targets"`
	// Problems say what could not be measured, and why.
	Problems []string `json:"problems,omitempty"`
}

// OutageResult is what one fault cost with one director.
type OutageResult struct {
	Director string        `json:"director"`
	Case     string        `json:"case"`
	Advert   time.Duration `json:"advert_ns"`
	Outage
}

// LoadResult is what a pair of one director took: the medians of some rounds.
type LoadResult struct {
	Director  string `json:"director"`
	Instances int    `json:"instances"`
	Rounds    int    `json:"rounds"`
	PairLoad
}

// TakeoverResult is a takeover of one director's.
type TakeoverResult struct {
	Director  string `json:"director"`
	Instances int    `json:"instances"`
	Takeover
}

// StartResult is a start of one director: the medians of some rounds.
type StartResult struct {
	Director  string `json:"director"`
	Instances int    `json:"instances"`
	Rounds    int    `json:"rounds"`
	Start
}

// WriteJSON writes the results as one indented object.
func WriteJSON(w io.Writer, r *Results) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, results any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(results); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

// median returns the median of a figure of some measurements, of which there is at least one: the
// lower one of the two in the middle where they are an even number.
func median[T any, N cmp.Ordered](all []T, of func(T) N) N {
	values := make([]N, len(all))
	for i, one := range all {
		values[i] = of(one)
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// medianLoad takes the median of each figure on its own.
func medianLoad(all []PairLoad) PairLoad {
	load := func(of func(PairLoad) Load) Load {
		return Load{
			CPU:    median(all, func(l PairLoad) float64 { return of(l).CPU }),
			Memory: median(all, func(l PairLoad) int64 { return of(l).Memory }),
		}
	}
	return PairLoad{
		Master: load(func(l PairLoad) Load { return l.Master }),
		Backup: load(func(l PairLoad) Load { return l.Backup }),
	}
}

// outage returns what a fault cost with a director.
func (r *Results) outage(director, name string, advert time.Duration) (Outage, bool) {
	for _, o := range r.Outages {
		if o.Director == director && o.Case == name && o.Advert == advert {
			return o.Outage, true
		}
	}
	return Outage{}, false
}

// load returns what a pair of a director took.
func (r *Results) load(director string, instances int) (PairLoad, bool) {
	for _, l := range r.Loads {
		if l.Director == director && l.Instances == instances {
			return l.PairLoad, true
		}
	}
	return PairLoad{}, false
}

func (r *Results) takeover(director string) (Takeover, bool) {
	for _, t := range r.Takeovers {
		if t.Director == director {
			return t.Takeover, true
		}
	}
	return Takeover{}, false
}

func (r *Results) start(director string, instances int) (Start, bool) {
	for _, s := range r.Starts {
		if s.Director == director && s.Instances == instances {
			return s.Start, true
		}
	}
	return Start{}, false
}
