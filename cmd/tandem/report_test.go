package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// stored is a report of fig6-rr of which the real servers answered in this order, over and over.
func stored(turn ...string) reports.Report {
	rec := reports.Recording{Scenario: "fig6-rr", Director: "tandemd", Seed: 1,
		Length: time.Second, Command: "tandem drill run fig6-rr --seed 1"}
	for i := range 60 {
		rec.Requests = append(rec.Requests, reports.Request{Sent: time.Duration(i) * time.Millisecond,
			Client: "client1", Outcome: reports.Answered, Server: turn[i%len(turn)]})
	}
	// What was judged when it ran does not matter to judging it again.
	return reports.New(rec, []reports.Finding{{Bound: "old", Verdict: reports.Pass}}, nil)
}

// cutOff is one whose run was broken off.
func cutOff(r reports.Report) reports.Report {
	r.Findings = append(r.Findings, reports.BrokenOff("interrupted"))
	return reports.New(r.Recording, r.Findings, nil)
}

// store writes reports as runs do, each in its directory below a new one; the one named "" into the
// run directory itself.
func store(t *testing.T, all map[string]reports.Report) string {
	t.Helper()
	dir := t.TempDir()
	for name, r := range all {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeReport(filepath.Join(dir, name), r); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnalyze(t *testing.T) {
	right, wrong := stored("web3", "web2", "web1"), stored("web1", "web2", "web3")
	unknown := right
	unknown.Recording.Scenario = "fig9-unknown"
	tests := []struct {
		name   string
		runs   map[string]reports.Report
		status int
		says   string
	}{
		{"pass", map[string]reports.Report{"": right}, exitPass, "✓ pass"},
		{"fail", map[string]reports.Report{"": wrong}, exitFail, "fig6-rr was pass when it ran."},
		{"one of two fails", map[string]reports.Report{"01-fig6-rr": right, "02-fig6-rr": wrong},
			exitFail, "2 drills: 1 passed, 1 failed."},
		{"broken off", map[string]reports.Report{"": cutOff(right)}, exitInconclusive,
			"run: interrupted"},
		{"broken off, and it cannot fail", map[string]reports.Report{"": cutOff(wrong)},
			exitInconclusive, "? inconclusive"},
		{"no such drill", map[string]reports.Report{"": unknown}, exitInconclusive,
			`this program has no drill "fig9-unknown"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, diag, status := invoke("drill", "analyze", store(t, tt.runs))
			out += diag
			said := strings.Join(strings.Fields(out), " ")
			if status != tt.status || !strings.Contains(said, tt.says) {
				t.Errorf("exit status %d, want %d and %q:\n%s", status, tt.status, tt.says, out)
			}
		})
	}
}

// TestAnalyzeOfWhatLeftNoReport: of a drill that was killed before it wrote its report, there is
// its directory.
func TestAnalyzeOfWhatLeftNoReport(t *testing.T) {
	several := store(t, map[string]reports.Report{"01-fig6-rr": stored("web3", "web2", "web1")})
	alone := filepath.Join(t.TempDir(), "20261122T181906-fig6-wrr-7")
	for _, dir := range []string{filepath.Join(several, "02-fig6-wrr"), alone} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{several, alone} {
		out, _, status := invoke("drill", "analyze", dir)
		if status != exitInconclusive || !strings.Contains(out, "it has left no report.json") {
			t.Errorf("%s: exit status %d, want %d:\n%s", dir, status, exitInconclusive, out)
		}
	}
}

// TestAnalyzeOfADrillFile: a run of a drill that is in no catalogue is judged by the file beside
// its report.
func TestAnalyzeOfADrillFile(t *testing.T) {
	r := stored("web1")
	r.Recording.Scenario = "shares"
	dir := store(t, map[string]reports.Report{"": r})
	if _, _, status := invoke("drill", "analyze", dir); status != exitInconclusive {
		t.Errorf("exit status %d without the file, want %d", status, exitInconclusive)
	}
	b, err := os.ReadFile("../../docs/examples/shares.drill.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shares.drill.yml"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, reportFile)} {
		out, _, status := invoke("drill", "analyze", path)
		if status != exitFail || !strings.Contains(out, "✗ fail") {
			t.Errorf("exit status %d, want %d: one server answered all:\n%s", status, exitFail, out)
		}
	}
}

func TestAnalyzeAsJSON(t *testing.T) {
	dir := store(t, map[string]reports.Report{"": stored("web3", "web2", "web1")})
	out, diag, _ := invoke("drill", "analyze", "--format", "json", dir)
	if diag != "" {
		t.Fatal(diag)
	}
	r, err := reports.ReadJSON(strings.NewReader(out))
	if err != nil || r.Verdict != reports.Pass || len(r.Findings) != 2 {
		t.Errorf("report %+v, error %v; want one that passed by two bounds", r.Findings, err)
	}
}

// damage makes a run directory whose report is something else.
func damage(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, reportFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBadRuns(t *testing.T) {
	var b bytes.Buffer
	if err := reports.WriteJSON(&b, stored("web1")); err != nil {
		t.Fatal(err)
	}
	runs := t.TempDir()
	one := filepath.Join(runs, "20261122T181906-fig6-rr-1", "01-fig6-rr")
	if err := os.MkdirAll(one, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(one, reportFile), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, says string }{
		{"nothing there", "/no/such/run", "/no/such/run: it does not exist: give a run directory"},
		{"no run directory", t.TempDir(), "this is no run directory"},
		{"a directory of runs", runs, "give one of them, such as " + filepath.Dir(one)},
		{"cut short", damage(t, b.String()[:b.Len()/2]), "the file is damaged or cut short: run the " +
			"drill again"},
		{"empty", damage(t, ""), "the file is damaged or cut short"},
		{"newer", damage(t, `{"version":99}`), "version 99 is newer than 4, the newest that this " +
			"program knows: use a newer program"},
		{"no report", damage(t, `{}`), "this is not a report"},
		{"no file", "/dev/null/x", "not a directory"},
	}
	for _, tt := range tests {
		for _, command := range [][]string{{"drill", "analyze"}, {"report", "show"},
			{"report", "compare", one}} {
			t.Run(tt.name+"/"+command[1], func(t *testing.T) {
				_, diag, status := invoke(append(command, tt.path)...)
				want := exitUsage
				if command[1] == "analyze" {
					want = exitInconclusive
				}
				if !strings.Contains(diag, tt.says) || !strings.Contains(diag, tt.path) ||
					status != want {
					t.Errorf("exit status %d, error %s; want %d and %q", status, diag, want, tt.says)
				}
			})
		}
	}
}

func TestReportForms(t *testing.T) {
	a := store(t, map[string]reports.Report{"": stored("web3", "web2", "web1")})
	bad := stored("web1")
	bad.Findings[0].Verdict = reports.Fail
	b := store(t, map[string]reports.Report{"": reports.New(bad.Recording, bad.Findings, nil)})
	tests := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"show", a}, exitPass, "AGAIN\n  tandem drill run fig6-rr --seed 1"},
		{[]string{"show", a, "--format", "html"}, exitPass, "</html>"},
		{[]string{"show", a, b, "--format", "junit"}, exitPass, `tests="2" failures="1"`},
		{[]string{"show", a, b, "--format", "markdown"}, exitPass, "### ✗ fail: 2 drills"},
		{[]string{"show", a, "--format", "json"}, exitPass, `"verdict": "pass"`},
		{[]string{"show", a, "--format", "xml"}, exitUsage, "want text, html, junit"},
		{[]string{"show"}, exitUsage, "requires at least 1 arg"},
		{[]string{"compare", a, b}, exitPass, "1 worse in B"},
		{[]string{"compare", a, b, "--gate"}, exitFail, "1 worse in B"},
		{[]string{"compare", b, a, "--gate"}, exitPass, "1 better in B"},
		{[]string{"compare", a, b, "--format", "html"}, exitPass, "</html>"},
		{[]string{"compare", a, b, "--format", "markdown"}, exitPass, "| ✓ pass | ✗ fail |"},
		{[]string{"compare", a, b, "--format", "json"}, exitPass, `"change": "worse"`},
		{[]string{"compare", a, b, "--format", "junit"}, exitUsage, "want text, html, markdown"},
		{[]string{"compare", a}, exitUsage, "accepts 2 arg"},
		{[]string{"schema"}, exitPass, `"$schema"`},
		{[]string{"show", a, "-o", "/no/such/dir/x.html"}, exitInternal, "write /no/such/dir/x.html"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args[:1], " "), func(t *testing.T) {
			out, diag, status := invoke(append([]string{"report"}, tt.args...)...)
			out += diag
			if status != tt.status || !strings.Contains(out, tt.says) {
				t.Errorf("%q: exit status %d, want %d and %q:\n%s", tt.args, status, tt.status, tt.says,
					out)
			}
		})
	}
}

func TestReportGoesToAFile(t *testing.T) {
	dir := store(t, map[string]reports.Report{"": stored("web3", "web2", "web1")})
	file := filepath.Join(dir, "out.json")
	if out, diag, _ := invoke("report", "show", dir, "--format", "json", "-o", file); out+diag != "" {
		t.Fatalf("printed %q and %q", out, diag)
	}
	b, err := os.ReadFile(file)
	if err != nil || !json.Valid(b) {
		t.Errorf("the file has %d bytes, error %v; want JSON", len(b), err)
	}
}
