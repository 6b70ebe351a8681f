package bench

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sample are results of both directors, with a miss on each clock.
func sample() *Results {
	r := &Results{
		Started: time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC), Length: 351 * time.Second,
		Kernel: "6.1.0", CPUs: 2, Directors: []string{"tandemd", "keepalived"},
	}
	for i, advert := range Intervals() {
		for _, c := range Cases() {
			ours := Outage{Phase: advert * 7 / 10, Watched: watchTime(advert), Sent: 700,
				Takeover: skew(advert, backupPriority) + ms, Settled: time.Second}
			theirs := Outage{Client: 29 * advert / 10, Lost: 290, Sent: 700, Neither: 2 * advert,
				Both: 4 * time.Second, Takeover: 29 * advert / 10, Settled: Never}
			if c.Statement == fastTakeover {
				ours.Takeover = ms
			}
			if c.Name == "freeze worker" && i == 2 {
				ours.Both = 252 * ms
			}
			r.Outages = append(r.Outages, OutageResult{"tandemd", c.Name, advert, ours},
				OutageResult{"keepalived", c.Name, advert, theirs})
		}
	}
	for _, size := range loadRounds() {
		n := float64(size.instances)
		r.Loads = append(r.Loads,
			LoadResult{"tandemd", size.instances, 3, PairLoad{Load{n / 900, 38e6}, Load{n / 2000, 30e6}}},
			LoadResult{"keepalived", size.instances, 3, PairLoad{Load{n / 400, 7e6}, Load{n / 1000, 6e6}}})
	}
	took := Takeover{First: 2700 * ms, Last: 3700 * ms, VIPs: 3750 * ms, Late: 91 * ms}
	r.Takeovers = []TakeoverResult{{"tandemd", manyInstances, took}}
	r.Starts = []StartResult{{"tandemd", 1, 5, Start{11 * ms, 11 * ms}},
		{"keepalived", 1, 5, Start{22 * ms, 22 * ms}},
		{"tandemd", 1000, 3, Start{50 * ms, 250 * ms}},
		{"keepalived", 1000, 3, Start{40 * ms, 200 * ms}}}
	r.Problems = []string{"takeover of keepalived, 1000 instances: it ended"}
	r.Targets = Targets(r)
	return r
}

// checkWidth demands lines for a terminal.
func checkWidth(t *testing.T, table string) {
	t.Helper()
	for line := range strings.Lines(table) {
		text := strings.TrimSuffix(line, "\n")
		long := utf8.RuneCountInString(text) > 80
		if long && !strings.HasPrefix(text, "MISSED") && !strings.HasPrefix(text, "not measured") {
			t.Errorf("wider than 80 columns: %q", text)
		}
		if strings.HasSuffix(text, " ") {
			t.Errorf("blank at the end: %q", text)
		}
	}
}

func tableOf(t *testing.T, r *Results) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTable(&b, r); err != nil {
		t.Fatal(err)
	}
	checkWidth(t, b.String())
	return b.String()
}

func TestTable(t *testing.T) { golden(t, "table.golden", tableOf(t, sample())) }

// TestTableAlone is the table where there is nothing to compare with, and one part only.
func TestTableAlone(t *testing.T) {
	r := sample()
	r.Directors, r.Absent = r.Directors[:1], "keepalived"
	r.Outages, r.Takeovers, r.Starts, r.Problems = nil, nil, nil, nil
	r.Loads = slices.DeleteFunc(r.Loads, func(l LoadResult) bool { return l.Director != "tandemd" })
	r.Targets = Targets(r)
	golden(t, "alone.golden", tableOf(t, r))
}

func TestJSONHasEverything(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var got Results
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), &got, cmpopts.IgnoreUnexported(Target{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMissedCountsEachClock(t *testing.T) {
	virtual, real := Missed(sample().Targets)
	if virtual != 1 || real != 1 {
		t.Errorf("got %d and %d, want 1 and 1", virtual, real)
	}
}

// TestOutageTargets: what a promise allows, and the least that it does not.
func TestOutageTargets(t *testing.T) {
	const advert = time.Second
	phase := 700 * ms
	down := masterDown(advert, backupPriority) - phase + takeoverSlack
	link := skew(advert, backupPriority) + takeoverSlack
	good := Outage{Phase: phase, Settled: ownerLimit, Takeover: link}
	change := func(f func(*Outage)) Outage {
		o := good
		f(&o)
		return o
	}
	for _, c := range []struct {
		name   string
		out    Outage
		missed int
	}{
		{"terminate", good, 0},
		{"terminate", change(func(o *Outage) { o.Lost = 1 }), 1},
		{"kill", change(func(o *Outage) { o.Takeover, o.Both = down, ownerLimit }), 0},
		{"kill", change(func(o *Outage) { o.Takeover = down + 1 }), 1},
		{"kill", change(func(o *Outage) { o.Settled, o.Takeover = Never, Never }), 2},
		{"kill worker", change(func(o *Outage) { o.Takeover = Never }), 0},
		{"kill worker", change(func(o *Outage) { o.Lost, o.Both = 1, 1 }), 2},
		{"freeze", change(func(o *Outage) { o.Settled = ownerLimit + 1 }), 1},
		{"freeze worker", change(func(o *Outage) { o.Client, o.Lost = freezeLimit, 60 }), 0},
		{"freeze worker", change(func(o *Outage) { o.Client, o.Both = freezeLimit+1, 1 }), 2},
		{"power off", change(func(o *Outage) { o.Takeover = down }), 0},
		{"power off", change(func(o *Outage) { o.Takeover = down + 1 }), 1},
		{"client link down", good, 0},
		{"server link down", change(func(o *Outage) { o.Takeover = link + 1 }), 1},
		{"server link down", change(func(o *Outage) { o.Takeover = Never }), 1},
		{"fast link down", change(func(o *Outage) { o.Takeover = fastLimit }), 0},
		{"fast link down", change(func(o *Outage) { o.Takeover = fastLimit + 1 }), 1},
	} {
		i := slices.IndexFunc(Cases(), func(one Case) bool { return one.Name == c.name })
		targets := outageTargets(Cases()[i], advert, c.out)
		if missed, _ := Missed(targets); missed != c.missed || len(targets) == 0 {
			t.Errorf("%s with %+v: got %+v, want %d missed", c.name, c.out, targets, c.missed)
		}
	}
}
