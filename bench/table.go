package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// WriteTable writes the results for people, 80 columns wide, without colour.
func WriteTable(w io.Writer, r *Results) error {
	t := &table{results: r, subject: r.Directors[0]}
	if len(r.Directors) > 1 {
		t.other = r.Directors[1]
	}
	t.head()
	if len(r.Outages) > 0 {
		t.line("")
		t.line("Outages: figure 7 on virtual time. The fault comes 0.%d adverts after an advert;",
			phaseShare)
		t.line("the peer's priority is %d; a request without an answer in %s is lost.",
			backupPriority, answerLimit)
	}
	for _, advert := range Intervals() {
		t.outages(advert)
	}
	t.loads()
	t.takeovers()
	t.starts()
	t.targets()
	if _, err := io.WriteString(w, t.b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// table is a text being written.
type table struct {
	b       strings.Builder
	results *Results
	// subject and other are the directors; without another one its columns are empty.
	subject, other string
}

func (t *table) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	t.b.WriteString(strings.TrimRight(line, " ") + "\n")
}

func (t *table) head() {
	r := t.results
	t.line("T is %s, %s.", t.subject, t.otherText())
	t.line("%s UTC, %s, kernel %s, %d CPUs", r.Started.Format(time.DateTime),
		r.Length.Round(time.Second), r.Kernel, r.CPUs)
}

// otherText says what stands in the columns K.
func (t *table) otherText() string {
	switch {
	case t.other != "":
		return "K is " + t.other
	case t.results.Absent != "":
		return "K is " + t.results.Absent + ": not installed"
	}
	return "K is nothing to compare with"
}

// outages writes the table of one interval, if anything was measured.
func (t *table) outages(advert time.Duration) {
	var rows []string
	for _, c := range Cases() {
		ours, ok := t.results.outage(t.subject, c.Name, advert)
		theirs, also := t.results.outage(t.other, c.Name, advert)
		if !ok && !also {
			continue
		}
		rows = append(rows, fmt.Sprintf("%-17s%7s%7s%7s%7s%7s%7s%7s  %s", c.Name,
			when(ok, milliseconds(ours.Client)), when(also, milliseconds(theirs.Client)),
			when(ok && also, ratio(float64(ours.Client), float64(theirs.Client))),
			when(ok, milliseconds(ours.Neither)), when(also, milliseconds(theirs.Neither)),
			when(ok, twoOwners(ours)), when(also, twoOwners(theirs)),
			t.verdict(func(g Target) bool { return g.name == c.Name && g.advert == advert })))
	}
	if rows == nil {
		return
	}
	t.line("")
	t.line("OUTAGE with adverts of %s, ms", advert)
	t.line("%-17s%21s%14s%14s", "fault of master", "client outage", "no owner", "two owners")
	t.line("%-17s%7s%7s%7s%7s%7s%7s%7s  %s", "", "T", "K", "T/K", "T", "K", "T", "K", "target")
	for _, row := range rows {
		t.line("%s", row)
	}
}

// twoOwners is the time with two owners; "ever" where that did not end.
func twoOwners(o Outage) string {
	if o.Both > 0 && o.Settled == Never {
		return "ever"
	}
	return milliseconds(o.Both)
}

// verdict says whether the targets of a row were met; nothing where it has none.
func (t *table) verdict(of func(Target) bool) string {
	text := ""
	for _, g := range t.results.Targets {
		if !of(g) {
			continue
		}
		if !g.Met {
			return "MISSED"
		}
		text = "met"
	}
	return text
}

func (t *table) loads() {
	if len(t.results.Loads) == 0 {
		return
	}
	t.line("")
	t.line("LOAD: this kernel, adverts of 1 s, master and backup of one pair at once,")
	t.line("%d instances of one VIP each on an interface", perInterface)
	t.line("%-17s%21s%23s", "", "% of one core", "memory, MB (PSS)")
	t.line("%-17s%7s%7s%7s%9s%7s%7s  %s", "instances", "T", "K", "T/K", "T", "K", "T/K", "target")
	for _, size := range loadRounds() {
		ours, ok := t.results.load(t.subject, size.instances)
		theirs, also := t.results.load(t.other, size.instances)
		t.load(size.instances, "master", ours.Master, theirs.Master, ok, also)
		t.load(size.instances, "backup", ours.Backup, theirs.Backup, ok, also)
	}
}

func (t *table) load(instances int, role string, ours, theirs Load, ok, also bool) {
	if !ok && !also {
		return
	}
	t.line("%-17s%7s%7s%7s%9s%7s%7s  %s", fmt.Sprintf("%5d as %s", instances, role),
		when(ok, percent(ours.CPU)), when(also, percent(theirs.CPU)),
		when(ok && also, ratio(ours.CPU, theirs.CPU)),
		when(ok, megabytes(ours.Memory)), when(also, megabytes(theirs.Memory)),
		when(ok && also, ratio(float64(ours.Memory), float64(theirs.Memory))),
		t.verdict(func(g Target) bool {
			return g.instances == instances && g.master == (role == "master")
		}))
}

// timeRow writes one time of both directors.
func (t *table) timeRow(what string, ours, theirs time.Duration, ok, also bool) {
	t.line("%-59s%7s%7s%7s", what, when(ok, milliseconds(ours)), when(also, milliseconds(theirs)),
		when(ok && also, ratio(float64(ours), float64(theirs))))
}

func (t *table) takeovers() {
	ours, ok := t.results.takeover(t.subject)
	theirs, also := t.results.takeover(t.other)
	if !ok && !also {
		return
	}
	t.line("")
	t.line("%-59s%7s%7s%7s", fmt.Sprintf("TAKEOVER of %d instances: this kernel, ms", manyInstances),
		"T", "K", "T/K")
	row := func(what string, of func(Takeover) time.Duration) {
		t.timeRow(what, of(ours), of(theirs), ok, also)
	}
	row("power off to first advert of the backup", func(t Takeover) time.Duration { return t.First })
	row("power off to first advert of the last instance",
		func(t Takeover) time.Duration { return t.Last })
	row("power off to all VIPs", func(t Takeover) time.Duration { return t.VIPs })
	row("latest behind 3 × advert + skew",
		func(t Takeover) time.Duration { return t.Late })
}

func (t *table) starts() {
	if len(t.results.Starts) == 0 {
		return
	}
	t.line("")
	t.line("%-59s%7s%7s%7s", "START, priority 255: this kernel, ms", "T", "K", "T/K")
	for _, size := range startRounds() {
		ours, ok := t.results.start(t.subject, size.instances)
		theirs, also := t.results.start(t.other, size.instances)
		if !ok && !also {
			continue
		}
		instances := "1 instance"
		if size.instances > 1 {
			instances = fmt.Sprintf("%d instances", size.instances)
		}
		t.timeRow("exec to first advert, "+instances, ours.First, theirs.First, ok, also)
		if size.instances > 1 {
			t.timeRow(fmt.Sprintf("exec to first advert of the last of %d", size.instances),
				ours.Last, theirs.Last, ok, also)
		}
	}
}

// targets writes the targets that were missed, how many there are, and what could not be measured.
func (t *table) targets() {
	virtual, real := Missed(t.results.Targets)
	t.line("")
	t.line("TARGETS of %s: %d of %d met", t.subject, len(t.results.Targets)-virtual-real,
		len(t.results.Targets))
	for _, g := range t.results.Targets {
		if !g.Met {
			t.line("MISSED  %s: %s, want %s", g.What, g.Observed, g.Limit)
		}
	}
	if real > 0 {
		t.line("What was measured on this machine's clock does not fail: the machine is noisy.")
	}
	for _, p := range t.results.Problems {
		t.line("not measured: %s", p)
	}
}

// when returns a cell that has something to show; else a dash.
func when(ok bool, text string) string {
	if !ok {
		return "-"
	}
	return text
}

// ratio prints ours in parts of theirs; a dash where theirs is nothing.
func ratio(ours, theirs float64) string {
	if theirs == 0 {
		return "-"
	}
	r := ours / theirs
	if r >= 99.5 {
		return strconv.FormatFloat(r, 'f', 0, 64)
	}
	return strconv.FormatFloat(r, 'f', 2, 64)
}
