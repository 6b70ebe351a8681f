package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChecksum(t *testing.T) {
	want := Checksum(simulated())
	if len(want) != 64 || strings.Trim(want, "0123456789abcdef") != "" {
		t.Errorf("%q: want 64 hexadecimal digits", want)
	}
	for name, tt := range map[string]struct {
		change func(*Report)
		same   bool
	}{
		"nothing": {func(*Report) {}, true},
		"host":    {func(r *Report) { r.Recording.Host = Host{CPUs: 64} }, true},
		"seed":    {func(r *Report) { r.Recording.Seed++ }, false},
		"one latency": {func(r *Report) { r.Recording.Requests[999].Latency++ },
			false},
		"verdict": {func(r *Report) { r.Verdict = Fail }, false},
		"log":     {func(r *Report) { r.Recording.Logs = map[string][]string{"lb1": {"x"}} }, false},
	} {
		r := simulated()
		tt.change(&r)
		if same := Checksum(r) == want; same != tt.same {
			t.Errorf("another %s: equal checksums %t, want %t", name, same, tt.same)
		}
	}
}

// TestChecksumOfStored: a checksum outlives writing and reading, also where a log has bytes that
// are no UTF-8.
func TestChecksumOfStored(t *testing.T) {
	r := simulated()
	r.Recording.Logs = map[string][]string{"lb1": {"broken \xff\xfe", "whole \ufffd", `spelt \ufffd`}}
	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	back, err := ReadJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Checksum(back), Checksum(r); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestChecksumWithoutJSON(t *testing.T) {
	r := simulated()
	r.Recording.Started = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := Checksum(r); got != "" {
		t.Errorf("%q, want none", got)
	}
	if got := shortChecksum(&r); got != "" {
		t.Errorf("short: %q, want none", got)
	}
}

func TestWithoutHost(t *testing.T) {
	r := simulated()
	if diff := cmp.Diff(Host{}, WithoutHost(r).Recording.Host); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !r.Recording.Host.Virtual() {
		t.Error("the given report lost its host")
	}
}

func TestHostText(t *testing.T) {
	began := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	tests := []struct {
		name string
		rec  Recording
		want string
	}{
		{"nothing known", Recording{}, "Kernel not known."},
		{"real", Recording{Started: began, Length: time.Minute, Host: Host{Kernel: "6.12.48", CPUs: 2,
			Clock: RealClock, RealStarted: began, RealLength: time.Minute,
			Versions: map[string]string{"tandemd": "0.1.0", "tandem": "0.2.0"}}},
			"Kernel 6.12.48, 2 CPUs, real time, tandem 0.2.0, tandemd 0.1.0. Began " +
				"2026-11-22 09:30:00 UTC, lasted 1m."},
		{"virtual", Recording{Started: began, Length: 24 * time.Hour, Host: Host{Kernel: "6.1.176",
			Guest: true, CPUs: 1, Clock: VirtualClock, RealStarted: began.Add(time.Hour),
			RealLength: 683 * time.Second}},
			"Kernel 6.1.176 (a guest), 1 CPU, virtual time. Began 2026-11-22 09:30:00 UTC of the " +
				"simulated clock, lasted 24h. In real time it began 2026-11-22 10:30:00 UTC and took " +
				"11m23s."},
		{"ended before it began", Recording{Host: Host{Clock: VirtualClock, RealLength: time.Second}},
			"Kernel not known, virtual time. In real time it took 1s."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, hostText(&tt.rec)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPagesSayTheirClock: whoever sees a time sees what kind of time it is.
func TestPagesSayTheirClock(t *testing.T) {
	none := passed()
	none.Recording.Host.Clock = ""
	sum := shortChecksum(new(simulated()))
	tests := []struct {
		name      string
		report    Report
		has, lack []string
	}{
		{"virtual", simulated(), []string{"seed 42, in virtual time", "<b>virtual time</b>, seed 42: ",
			"which machine load cannot move", sum}, []string{"real time</b>"}},
		{"real", passed(), []string{"seed 42, in real time", "which its load can move"},
			[]string{"virtual time", "Checksum"}},
		{"not known", none, nil, []string{"virtual time", "real time", "Checksum"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteHTML(&b, []Report{tt.report}); err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(b.String(), "<body>")
			for _, want := range tt.has {
				if !strings.Contains(body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, lack := range tt.lack {
				if strings.Contains(body, lack) {
					t.Errorf("the page has %q", lack)
				}
			}
		})
	}
}

// TestBrokenOffPage: a run of which nothing was recorded says why, and shows no empty drawing.
func TestBrokenOffPage(t *testing.T) {
	var b strings.Builder
	if err := WriteHTML(&b, []Report{brokenOffReport()}); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(b.String(), "<body>")
	for _, want := range []string{"<h1>director-killed with tandemd was broken off: process " +
		"&#39;web&#39; (pid 12) spun at 0x4512f0.</h1>", "No event and no request was recorded.",
		"In real time it began 2026-11-23 07:00:00 UTC and took 9.4s.", "Run it again"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, lack := range []string{`class="timeline"`, `<ul class="figures">`, "0001",
		`<table class="windows`} {
		if strings.Contains(body, lack) {
			t.Errorf("the page has %q", lack)
		}
	}
}
