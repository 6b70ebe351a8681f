package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// day is a recording of 30 samples, one a minute, of lb1, lb2 and the lab. take says what is taken
// in the sample of that number.
func day(take func(i int, t *taken)) *reports.Recording {
	rec := &reports.Recording{Length: 30 * time.Minute}
	for i := range 30 {
		var texts []string
		for j, who := range []string{"lb1", "lb2", ownName} {
			t := taken{who: who, pid: 10 + j, Usage: lab.Usage{Processes: 1, Threads: 6, Descriptors: 13,
				Memory: 8000 << 10}}
			if who == ownName {
				t.pid, t.goroutines = 0, 40
			}
			take(i, &t)
			texts = append(texts, t.String())
		}
		rec.Events = append(rec.Events, reports.Event{At: time.Duration(i) * time.Minute,
			Kind: reports.Note, Subject: usageNote, Detail: strings.Join(texts, "; ")})
	}
	return rec
}

func TestSamplesAreReadBack(t *testing.T) {
	rec := day(func(i int, t *taken) { t.Descriptors += i })
	rec.Events = append(rec.Events, reports.Event{Kind: reports.Note, Subject: usageNote, Detail: "?"},
		reports.Event{Kind: reports.Note, Subject: "eth0 carrier lost"})
	all := samplesOf(rec)
	if len(all) != 90 {
		t.Fatalf("%d samples, want 90", len(all))
	}
	want := taken{at: 2 * time.Minute, who: "lb2", pid: 11, Usage: lab.Usage{Processes: 1, Threads: 6,
		Descriptors: 15, Memory: 8000 << 10}}
	if diff := cmp.Diff(want, all[7], cmp.AllowUnexported(taken{})); diff != "" {
		t.Errorf("the third sample of lb2 (-want +got):\n%s", diff)
	}
}

func TestNoLeak(t *testing.T) {
	lb1 := func(change func(i int, t *taken)) func(int, *taken) {
		return func(i int, t *taken) {
			if t.who == "lb1" {
				change(i, t)
			}
		}
	}
	own := func(change func(i int, t *taken)) func(int, *taken) {
		return func(i int, t *taken) {
			if t.who == ownName {
				change(i, t)
			}
		}
	}
	tests := []struct {
		name   string
		take   func(i int, t *taken)
		fails  string // the bounds that fail
		unsure string // the bounds that are inconclusive
	}{
		{"steady", func(int, *taken) {}, "", ""},
		{"growth while it warms up", func(i int, t *taken) {
			t.Descriptors += min(i, 5)
			t.Memory += int64(min(i, 5)) << 20
		}, "", ""},
		{"a descriptor for each fault", lb1(func(i int, t *taken) { t.Descriptors += i }),
			"descriptors", ""},
		{"one descriptor in all", lb1(func(i int, t *taken) { t.Descriptors += i / 15 }),
			"descriptors", ""},
		{"a peak is no leak", lb1(func(i int, t *taken) {
			if i == 29 {
				t.Descriptors += 50
			}
		}), "", ""},
		{"two threads more", lb1(func(i int, t *taken) { t.Threads += min(i/10, 2) }), "", ""},
		{"a thread for each fault", lb1(func(i int, t *taken) { t.Threads += i }), "threads", ""},
		{"a process left behind", own(func(i int, t *taken) { t.Processes += i / 10 }), "processes", ""},
		{"a goroutine of the lab", own(func(i int, t *taken) { t.goroutines += i }), "goroutines", ""},
		{"the lab's own memory grows", own(func(i int, t *taken) { t.Memory *= int64(i + 1) }), "", ""},
		{"4 % more memory", lb1(func(i int, t *taken) { t.Memory += int64(i) * 16 << 10 }), "", ""},
		{"8 % more memory", lb1(func(i int, t *taken) { t.Memory += int64(i) * 32 << 10 }), "memory", ""},
		{"memory that goes up and down", lb1(func(i int, t *taken) {
			t.Memory += int64(i%3) * 700 << 10
		}), "", ""},
		{"a program that starts anew", lb1(func(i int, t *taken) {
			if i >= 8 {
				t.pid, t.Descriptors, t.Memory = 99, 20, 9000<<10
			}
		}), "", ""},
		{"no program lives long enough", lb1(func(i int, t *taken) { t.pid += i / 10 }),
			"", "descriptors processes threads memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := day(tt.take)
			var fails, unsure []string
			for _, b := range noLeak(6 * time.Minute) {
				switch f := b.Judge(rec, 0); f.Verdict {
				case reports.Fail:
					fails = append(fails, b.Name)
				case reports.Inconclusive:
					unsure = append(unsure, b.Name)
				}
			}
			if got := strings.Join(fails, " "); got != tt.fails {
				t.Errorf("%q fail, want %q", got, tt.fails)
			}
			if got := strings.Join(unsure, " "); got != tt.unsure {
				t.Errorf("%q are inconclusive, want %q", got, tt.unsure)
			}
		})
	}
	for _, b := range noLeak(time.Hour) {
		if f := b.Judge(&reports.Recording{}, 0); f.Verdict != reports.Inconclusive {
			t.Errorf("%s without samples: %s, want inconclusive", b.Name, f.Verdict)
		}
	}
}

func TestQuietBounds(t *testing.T) {
	const s = time.Second
	begin := reports.Event{At: 2 * s, Kind: reports.StepBegin, Subject: CountAdverts{For: s}.String()}
	note := reports.Event{At: 9 * s, Kind: reports.Note, Node: "lb1", Subject: advertNote,
		Detail: fmt.Sprintf(advertForm, 1000)}
	noTransition, nothingLost := counting().noTransition, counting().nothingLost
	tests := []struct {
		name   string
		bound  Bound
		events []reports.Event
		want   reports.Verdict
	}{
		{"enough", advertsAtLeast("lb1", 1000), []reports.Event{begin, note}, reports.Pass},
		{"one too few", advertsAtLeast("lb1", 1001), []reports.Event{begin, note}, reports.Fail},
		{"another's", advertsAtLeast("lb2", 1), []reports.Event{begin, note}, reports.Inconclusive},
		{"never counted", advertsAtLeast("lb1", 1), nil, reports.Inconclusive},
		{"the start's own transitions", noTransition(), []reports.Event{{At: s, Kind: reports.VIPAdd},
			{At: s, Kind: reports.State}, begin}, reports.Pass},
		{"a VIP that goes", noTransition(), []reports.Event{begin,
			{At: 3 * s, Kind: reports.VIPRemove}}, reports.Fail},
		{"a VIP that comes", noTransition(), []reports.Event{begin, {At: 3 * s, Kind: reports.VIPAdd}},
			reports.Fail},
		{"somebody silent", noTransition(), []reports.Event{begin, {At: 3 * s, Kind: reports.State}},
			reports.Fail},
		{"nothing counted", noTransition(), nil, reports.Inconclusive},
		{"nothing lost", nothingLost(), []reports.Event{begin}, reports.Pass},
		{"nothing lost where nothing was counted", nothingLost(), nil, reports.Inconclusive},
	}
	for _, tt := range tests {
		rec := story(func(r *reports.Recording) { r.Events = tt.events })
		if f := tt.bound.Judge(rec, 0); f.Verdict != tt.want {
			t.Errorf("%s: %s (%s), want %s", tt.name, f.Verdict, f.Detail, tt.want)
		}
	}
	rec := story(func(r *reports.Recording) {
		r.Events = []reports.Event{begin}
		lose(r, 5*s, 5*s+1)
	})
	if f := nothingLost().Judge(rec, 0); f.Verdict != reports.Fail || f.Observed != "1" {
		t.Errorf("one request lost: %s, observed %s; want fail, 1", f.Verdict, f.Observed)
	}
}
