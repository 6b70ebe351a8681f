package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// compareRecordings lets cmp look into netip's types; nil and empty are one.
var compareRecordings = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func TestJudge(t *testing.T) {
	tests := []struct {
		name     string
		verdicts []Verdict
		want     Verdict
	}{
		{"nothing is not a pass", nil, Inconclusive},
		{"all pass", []Verdict{Pass, Pass}, Pass},
		{"one fails", []Verdict{Pass, Inconclusive, Fail, Pass}, Fail},
		{"one inconclusive", []Verdict{Pass, Inconclusive}, Inconclusive},
		{"unset is not a pass", []Verdict{Pass, ""}, Inconclusive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var findings []Finding
			var reports []Report
			for _, v := range tt.verdicts {
				findings = append(findings, Finding{Verdict: v})
				reports = append(reports, Report{Verdict: v})
			}
			if got := Judge(findings); got != tt.want {
				t.Errorf("Judge: %s, want %s", got, tt.want)
			}
			if got := Overall(reports); got != tt.want {
				t.Errorf("Overall: %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	quiet := Recording{Scenario: "idle", Director: "tandemd", Length: time.Second}
	tests := []struct {
		name   string
		report Report
		want   string
	}{
		{"pass", passed(), "tandemd held all 3 bounds of director-killed; the longest outage was 3.5s, " +
			"355 of 2000 requests were lost."},
		{"fail", failed(), "keepalived broke 1 of 2 bounds of director-killed: one-owner was 3.392s, " +
			"the limit is 100ms."},
		{"inconclusive", unjudged(), "1 of 1 bound of director-frozen could not be judged with " +
			"tandemd: outage: the host stalled for 812ms at 6.1s."},
		{"nothing judged", New(quiet, nil, nil), "Nothing of idle was judged with tandemd."},
		{"broken off", brokenOffReport(), "director-killed with tandemd was broken off: process 'web' " +
			"(pid 12) spun at 0x4512f0."},
		{"broken off beside others", New(quiet, []Finding{{Verdict: Inconclusive}, BrokenOff("")}, nil),
			"idle with tandemd was broken off: no reason was given."},
		{"a failure outweighs it", New(quiet, []Finding{{Bound: "b", Verdict: Fail, Observed: "2",
			Limit: "1"}, BrokenOff("")}, nil),
			"tandemd broke 1 of 2 bounds of idle: b was 2, the limit is 1."},
		{"no requests", New(quiet, []Finding{{Verdict: Pass}}, nil),
			"tandemd held the one bound of idle; no client sent requests."},
		{"calls", scheduled(), "tandemd broke 1 of 1 bound of scheduler-rr: predicted was 2 of 4, the " +
			"limit is all."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.report.Summary); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, want := range []Report{passed(), failed(), unjudged(), simulated(),
		brokenOffReport(), New(Recording{}, nil, nil)} {
		var b bytes.Buffer
		if err := WriteJSON(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compareRecordings); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "read report: unexpected end of JSON input"},
		{"no report", "{}", "no format version"},
		{"newer", `{"version":5,"new":1}`, "format version 5 is newer than 4"},
		{"unknown field", `{"version":1,"verdict":"pass","x":1}`, `unknown field "x"`},
		{"unknown verdict", `{"version":1,"verdict":"ok"}`, `verdict "ok": expected pass`},
		{"unknown finding", `{"version":1,"verdict":"pass","findings":[{"bound":"b"}]}`,
			`verdict "" of bound "b"`},
		{"unknown kind", `{"version":1,"verdict":"pass","recording":{"events":[{"kind":"k"}]}}`,
			`event 0: unknown kind "k"`},
		{"events out of order", `{"version":1,"verdict":"pass","recording":{"events":[
			{"kind":"note","at_ns":2},{"kind":"note","at_ns":1}]}}`, "event 1 at 1ns: expected none before"},
		{"requests out of order", `{"version":1,"verdict":"pass","recording":{"requests":[
			{"sent_ns":2,"outcome":"late"},{"sent_ns":1,"outcome":"late"}]}}`, "request 1 sent at 1ns"},
		{"unknown outcome", `{"version":1,"verdict":"pass","recording":{"requests":[{}]}}`,
			`request 0: unknown outcome ""`},
		{"unknown outcome of a call", `{"version":3,"verdict":"pass","recording":{"calls":[{}]}}`,
			`call 0: unknown outcome ""`},
		{"calls out of order", `{"version":3,"verdict":"pass","recording":{"calls":[
			{"opened_ns":2,"answered_ns":1,"outcome":"answered"}]}}`, "call 0 opened at 2ns"},
		{"negative length", `{"version":1,"verdict":"pass","recording":{"length_ns":-1}}`, "length -1ns"},
		{"unknown clock", `{"version":2,"verdict":"pass","recording":{"host":{"clock":"sand"}}}`,
			`clock "sand": expected real or virtual`},
		{"negative real length", `{"version":2,"verdict":"pass","recording":{"host":{
			"real_length_ns":-1}}}`, "real length -1ns"},
		{"trailing", `{"version":1,"verdict":"pass"}{}`, "after top-level value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadJSON(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestReadJSONOfOldFormat: what the first format wrote is read as a report of today.
func TestReadJSONOfOldFormat(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, passed()); err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(b.String(), `{"version":4,`, `{"version":1,`, 1)
	if old == b.String() {
		t.Fatal("the report does not begin with its version")
	}
	got, err := ReadJSON(strings.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(passed(), got, compareRecordings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// counter counts calls of Write: each costs a system call where it goes to a file.
type counter struct{ calls, bytes int }

func (c *counter) Write(b []byte) (int, error) {
	c.calls++
	c.bytes += len(b)
	return len(b), nil
}

func TestWritersWriteLargePieces(t *testing.T) {
	r := passed()
	for name, write := range map[string]func(*counter) error{
		"WriteJSON":    func(c *counter) error { return WriteJSON(c, r) },
		"WriteHistory": func(c *counter) error { return WriteHistory(c, &r.Recording) },
		"WriteJUnit":   func(c *counter) error { return WriteJUnit(c, []Report{r}) },
		"WriteText":    func(c *counter) error { return WriteText(c, []Report{r}, 80, false) },
		"WriteHTML":    func(c *counter) error { return WriteHTML(c, []Report{r}) },
	} {
		var c counter
		if err := write(&c); err != nil {
			t.Fatal(err)
		}
		if most := c.bytes/bufferSize + 3; c.calls > most {
			t.Errorf("%s: %d calls for %d bytes, want at most %d", name, c.calls, c.bytes, most)
		}
	}
}

// broken is a writer that takes nothing.
type broken struct{}

var errBroken = errors.New("disk full")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWritersKeepTheCause(t *testing.T) {
	r := passed()
	writers := map[string]func() error{
		"WriteJSON":    func() error { return WriteJSON(broken{}, r) },
		"WriteHistory": func() error { return WriteHistory(broken{}, &r.Recording) },
		"WriteJUnit":   func() error { return WriteJUnit(broken{}, []Report{r}) },
		"WriteText":    func() error { return WriteText(broken{}, []Report{r}, 80, false) },
		"WriteHTML":    func() error { return WriteHTML(broken{}, []Report{r}) },
	}
	for name, write := range writers {
		if err := write(); !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v, want the writer's", name, err)
		}
	}
}

func TestWriteHistory(t *testing.T) {
	rec := Recording{
		Events: []Event{{0, StepBegin, "", "begin", ""}, {20 * ms, VIPAdd, "lb1", "192.168.1.1", ""},
			{90 * ms, Note, "", "end", ""}},
		Requests: []Request{
			{10 * ms, ms, "client1", Answered, "web1", "", 0},
			{20 * ms, time.Second, "client1", Timeout, "", "no answer within 1s", 0}},
	}
	var b strings.Builder
	if err := WriteHistory(&b, &rec); err != nil {
		t.Fatal(err)
	}
	golden(t, "history.ndjson", b.String())
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestWriteJUnit(t *testing.T) {
	var b strings.Builder
	reports := []Report{passed(), failed(), unjudged(), simulated(), New(Recording{}, nil, nil)}
	reports[1].Findings[1].Detail += " <&\x00>"
	if err := WriteJUnit(&b, reports); err != nil {
		t.Fatal(err)
	}
	golden(t, "junit.xml", b.String())
	var back junitFile
	if err := xml.Unmarshal([]byte(b.String()), &back); err != nil {
		t.Fatal(err)
	}
	if back.Tests != 10 || back.Failures != 1 || back.Skipped != 2 {
		t.Errorf("tests %d, failures %d, skipped %d; want 10, 1, 2", back.Tests, back.Failures,
			back.Skipped)
	}
}

func TestWriteText(t *testing.T) {
	long := unjudged()
	long.Recording.Scenario = strings.Repeat("very-", 12) + "long"
	long.Findings[0].Detail = "steers \x1b[2J the terminal"
	sick := soakReport()
	for i := range 12 {
		sick.Findings = append(sick.Findings, Finding{Bound: fmt.Sprintf("bound %d", i+1), Verdict: Fail,
			Observed: "3", Limit: "2", Detail: "it broke"})
	}
	sick.Findings = append([]Finding{{Bound: "unsure", Verdict: Inconclusive}}, sick.Findings...)
	sick = New(sick.Recording, sick.Findings, nil)
	tests := []struct {
		name    string
		reports []Report
		width   int
		color   bool
	}{
		{"plain", []Report{passed(), failed(), unjudged()}, 80, false},
		{"color", []Report{passed(), failed(), unjudged()}, 80, true},
		{"narrow", []Report{passed(), long, New(Recording{}, nil, nil)}, 60, false},
		{"virtual", []Report{simulated(), brokenOffReport(), failed()}, 80, false},
		{"soak", []Report{soakReport(), sick}, 80, false},
		{"none", nil, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteText(&b, tt.reports, tt.width, tt.color); err != nil {
				t.Fatal(err)
			}
			golden(t, "verdicts-"+tt.name+".txt", b.String())
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(line) - 1; !tt.color && n > max(tt.width, narrowest) {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if !tt.color && strings.Contains(b.String(), "\x1b") {
				t.Error("an escape sequence nobody asked for")
			}
		})
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, r := range []Report{passed(), failed(), unjudged(), simulated()} {
		r.Recording.Requests = r.Recording.Requests[490:500]
		var b bytes.Buffer
		if err := WriteJSON(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, brokenOffReport()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadJSON(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again, html bytes.Buffer
		if err := WriteJSON(&again, r); err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		back, err := ReadJSON(&again)
		if err != nil {
			t.Fatalf("read what was written: %v", err)
		}
		if diff := cmp.Diff(r, back, compareRecordings); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
		if err := WriteHTML(&html, []Report{r}); err != nil {
			t.Errorf("show what was read: %v", err)
		}
		if sum := Checksum(r); sum != Checksum(back) {
			t.Errorf("checksum %s, of what was written and read %s", sum, Checksum(back))
		}
	})
}
