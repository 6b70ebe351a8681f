package bench

import (
	"io"
	"slices"
	"time"
)

// IPVSResults are what one RunIPVS has measured. Directors are known by their names.
type IPVSResults struct {
	Started time.Time `json:"started"`
	// Length is the wall time that it took.
	Length time.Duration `json:"length_ns"`
	// Kernel is the release of the guest that measured on real time.
	Kernel string `json:"kernel"`
	// Directors are in the order of IPVSOptions.
	Directors []string `json:"directors"`
	// Absent says which director is not here to be compared with; empty: none is missing.
	Absent   string          `json:"absent,omitempty"`
	Tables   []TableResult   `json:"tables,omitempty"`
	Checks   []ChecksResult  `json:"checks,omitempty"`
	Failures []FailureResult `json:"failures,omitempty"`
	Targets  []Target        `json:"targets"`
	// Problems say what could not be measured, and why.
	Problems []string `json:"problems,omitempty"`
}

// TableResult is a start and a reload of one director: the medians of some rounds.
type TableResult struct {
	Director string `json:"director"`
	Servers  int    `json:"real_servers"`
	Rounds   int    `json:"rounds"`
	Table
}

// ChecksResult is what checks of one director cost: the medians of some rounds.
type ChecksResult struct {
	Director string `json:"director"`
	Servers  int    `json:"real_servers"`
	Rounds   int    `json:"rounds"`
	Checks
}

// FailureResult is a failure of a real server of one director: the worst of some rounds.
type FailureResult struct {
	Director string `json:"director"`
	// Virtual says that it was measured on virtual time.
	Virtual bool `json:"virtual"`
	Rounds  int  `json:"rounds"`
	Failure
}

// WriteIPVSJSON writes the results as one indented object.
func WriteIPVSJSON(w io.Writer, r *IPVSResults) error { return writeJSON(w, r) }

// addTable takes the median of each figure on its own.
func (r *ipvsRunner) addTable(director string, f farm, all []Table) {
	r.results.Tables = append(r.results.Tables, TableResult{
		Director: director, Servers: f.servers, Rounds: len(all), Table: Table{
			Start:      median(all, func(t Table) time.Duration { return t.Start }),
			StartCPU:   median(all, func(t Table) time.Duration { return t.StartCPU }),
			Memory:     median(all, func(t Table) int64 { return t.Memory }),
			Reload:     median(all, func(t Table) time.Duration { return t.Reload }),
			ReloadCPU:  median(all, func(t Table) time.Duration { return t.ReloadCPU }),
			Unfinished: slices.ContainsFunc(all, func(t Table) bool { return t.Unfinished }),
		}})
}

func (r *ipvsRunner) addChecks(director string, f farm, all []Checks) {
	r.results.Checks = append(r.results.Checks, ChecksResult{
		Director: director, Servers: f.servers, Rounds: len(all), Checks: Checks{
			Rate:     median(all, func(c Checks) float64 { return c.Rate }),
			CPU:      median(all, func(c Checks) float64 { return c.CPU }),
			PerCheck: median(all, func(c Checks) time.Duration { return c.PerCheck }),
			Busiest:  median(all, func(c Checks) float64 { return c.Busiest }),
		}})
}

// addFailure takes the worst, which is what a promise is about.
func (r *ipvsRunner) addFailure(director string, _ farm, all []Failure) {
	worst := all[0]
	for _, f := range all {
		worst.Late = max(worst.Late, f.Late)
	}
	r.results.Failures = append(r.results.Failures, FailureResult{
		Director: director, Virtual: r.virtual, Rounds: len(all), Failure: worst})
}
