package bench

import (
	"fmt"
	"io"
	"time"
)

// WriteIPVSTable writes the results for people, 80 columns wide, without colour.
func WriteIPVSTable(w io.Writer, r *IPVSResults) error {
	t := &ipvsTable{table: table{subject: r.Directors[0], results: &Results{
		Started: r.Started, Length: r.Length, Kernel: r.Kernel, CPUs: 1, Absent: r.Absent,
		Targets: r.Targets, Problems: r.Problems}}, found: r}
	if len(r.Directors) > 1 {
		t.other = r.Directors[1]
	}
	t.line("T is %s, %s.", t.subject, t.otherText())
	t.line("%s UTC, %s, guest kernel %s on one CPU", r.Started.Format(time.DateTime),
		r.Length.Round(time.Second), r.Kernel)
	t.tables(tableFarm)
	t.tables(largestFarm)
	t.checks()
	t.failures()
	t.targets()
	if _, err := io.WriteString(w, t.b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// ipvsTable is a table of what is measured of virtual services.
type ipvsTable struct {
	table
	found *IPVSResults
}

// section begins a part of the table.
func (t *ipvsTable) section(format string, args ...any) {
	t.line("")
	t.line("%-47s%8s%8s%7s  %s", fmt.Sprintf(format, args...), "T", "K", "T/K", "target")
}

// row writes one figure of both directors. A target is found by its key and size.
func (t *ipvsTable) row(
	what string, ours, theirs float64, show func(float64) string, ok, also bool,
	key string, size int,
) {
	t.figures(what, when(ok, show(ours)), when(also, show(theirs)), when(ok && also, ratio(ours, theirs)),
		key, size)
}

func (t *ipvsTable) figures(what, ours, theirs, ratio, key string, size int) {
	t.line("%-47s%8s%8s%7s  %s", what, ours, theirs, ratio, t.verdict(func(g Target) bool {
		return key != "" && g.name == key && g.instances == size
	}))
}

func showTime(ns float64) string { return milliseconds(time.Duration(ns)) }

// showReload shows of a reload that had not ended how long it was waited for.
func showReload(t Table) string {
	if t.Unfinished {
		return ">" + showTime(float64(t.Reload))
	}
	return showTime(float64(t.Reload))
}

func showMicroseconds(ns float64) string { return fmt.Sprintf("%.0f", ns/1e3) }

func showDecimal(n float64) string { return fmt.Sprintf("%.1f", n) }

func showMegabytes(bytes float64) string { return megabytes(int64(bytes)) }

func (t *ipvsTable) tables(f farm) {
	ours, ok := t.found.table(t.subject, f.servers)
	theirs, also := t.found.table(t.other, f.servers)
	if !ok && !also {
		return
	}
	t.section("%d real servers of %d virtual services", f.servers, f.services)
	row := func(what string, of func(Table) float64, show func(float64) string, key string) {
		t.row(what, of(ours), of(theirs), show, ok, also, key, f.servers)
	}
	row("exec to the whole table, ms", func(t Table) float64 { return float64(t.Start) },
		showTime, startKey)
	row("  processor, ms", func(t Table) float64 { return float64(t.StartCPU) }, showTime, "")
	row("memory 15 s later, MB (PSS)", func(t Table) float64 { return float64(t.Memory) },
		showMegabytes, memoryKey)
	times := ratio(float64(ours.Reload), float64(theirs.Reload))
	if ours.Unfinished || theirs.Unfinished {
		times = "-"
	}
	t.figures("reload without one: until it is out, ms", when(ok, showReload(ours)),
		when(also, showReload(theirs)), when(ok && also, times), reloadKey, f.servers)
	row("  processor, ms", func(t Table) float64 { return float64(t.ReloadCPU) }, showTime, "")
}

func (t *ipvsTable) checks() {
	ours, ok := t.found.checks(t.subject)
	theirs, also := t.found.checks(t.other)
	if !ok && !also {
		return
	}
	t.section("%d TCP_CHECKs every %s", checksFarm.servers, checksFarm.loop)
	row := func(what string, of func(Checks) float64, show func(float64) string, key string) {
		t.row(what, of(ours), of(theirs), show, ok, also, key, 0)
	}
	row("checks a second", func(c Checks) float64 { return c.Rate }, showDecimal, "")
	row("% of one core", func(c Checks) float64 { return c.CPU }, showDecimal, "")
	row("processor for a check, µs", func(c Checks) float64 { return float64(c.PerCheck) },
		showMicroseconds, checkKey)
	row(fmt.Sprintf("busiest %s, in means", spreadBin), func(c Checks) float64 { return c.Busiest },
		showDecimal, busiestKey)
}

func (t *ipvsTable) failures() {
	if len(t.found.Failures) == 0 {
		return
	}
	t.section("A real server goes silent: out of the table, ms")
	for _, clock := range []struct {
		name    string
		virtual bool
	}{{"virtual", true}, {"real", false}} {
		ours, ok := t.found.failure(t.subject, clock.virtual)
		theirs, also := t.found.failure(t.other, clock.virtual)
		if !ok && !also {
			continue
		}
		t.line("%-47s%8s%8s%7s  %s", "after its timeout of "+failureFarm.timeout.String()+", "+
			clock.name+" time", when(ok, showTime(float64(ours.Late))),
			when(also, showTime(float64(theirs.Late))),
			when(ok && also, ratio(float64(ours.Late), float64(theirs.Late))),
			t.verdict(func(g Target) bool {
				return g.name == lateKey && g.Virtual == clock.virtual
			}))
	}
}
