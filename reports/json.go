package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// WriteJSON writes a report as one line of JSON.
func WriteJSON(w io.Writer, r Report) error {
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// ReadJSON reads what WriteJSON wrote, now or in any older format, as a report of FormatVersion. It
// refuses a newer format, unknown fields, and values that no recording has: events or requests out
// of order, negative times, unknown verdicts, clocks, kinds or outcomes.
func ReadJSON(r io.Reader) (Report, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	switch {
	case head.Version > FormatVersion:
		return Report{}, fmt.Errorf("read report: format version %d is newer than %d, the newest that "+
			"this program knows: use a newer program", head.Version, FormatVersion)
	case head.Version < 1:
		return Report{}, errors.New("read report: no format version: this is not a report")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var report Report
	if err := d.Decode(&report); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	if err := report.check(); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	report.Version = FormatVersion // older ones only lack what may be left out
	return report, nil
}

// check demands what the writers and measurements rely on.
func (r *Report) check() error {
	if !r.Verdict.known() {
		return fmt.Errorf("verdict %q: expected pass, fail or inconclusive", r.Verdict)
	}
	for _, f := range r.Findings {
		if !f.Verdict.known() {
			return fmt.Errorf("verdict %q of bound %q: expected pass, fail or inconclusive",
				f.Verdict, f.Bound)
		}
	}
	if n := r.Recording.Noise; n != nil && (!n.Verdict.known() || n.Outage < 0 || n.Late < 0) {
		return fmt.Errorf("control run with verdict %q, outage %s, late %s: expected pass, fail or "+
			"inconclusive, and no time below zero", n.Verdict, n.Outage, n.Late)
	}
	if r.Recording.Length < 0 {
		return fmt.Errorf("length %s: expected none below zero", r.Recording.Length)
	}
	host := r.Recording.Host
	if !slices.Contains([]string{"", RealClock, VirtualClock}, host.Clock) {
		return fmt.Errorf("clock %q: expected %s or %s", host.Clock, RealClock, VirtualClock)
	}
	if host.RealLength < 0 {
		return fmt.Errorf("real length %s: expected none below zero", host.RealLength)
	}
	if err := checkEvents(r.Recording.Events); err != nil {
		return err
	}
	if err := checkRequests(r.Recording.Requests); err != nil {
		return err
	}
	if err := checkCalls(r.Recording.Calls); err != nil {
		return err
	}
	return checkPings(r.Recording.Pings)
}

func (v Verdict) known() bool { return v == Pass || v == Fail || v == Inconclusive }

// kinds are those of all events.
var kinds = []Kind{StepBegin, FaultInject, FaultHold, FaultRelease, FaultHeal, VIPAdd, VIPRemove,
	State, AdvertGap, Claim, Bridge, TableSet, Note}

func checkEvents(events []Event) error {
	var last time.Duration
	for i, ev := range events {
		if !slices.Contains(kinds, ev.Kind) {
			return fmt.Errorf("event %d: unknown kind %q", i, ev.Kind)
		}
		if ev.At < last {
			return fmt.Errorf("event %d at %s: expected none before %s", i, ev.At, last)
		}
		last = ev.At
	}
	return nil
}

var outcomes = []Outcome{Answered, Late, Refused, Timeout, Failed}

func checkCalls(calls []Call) error {
	var last time.Duration
	for i, c := range calls {
		if !slices.Contains(outcomes, c.Outcome) {
			return fmt.Errorf("call %d: unknown outcome %q", i, c.Outcome)
		}
		if c.Opened < last || c.Answered < c.Opened {
			return fmt.Errorf("call %d opened at %s, answered at %s: expected order of opening and no "+
				"answer before it", i, c.Opened, c.Answered)
		}
		last = c.Opened
	}
	return nil
}

func checkPings(pings []Ping) error {
	var last time.Duration
	for i, p := range pings {
		if !slices.Contains(outcomes, p.Outcome) || p.Flow == "" {
			return fmt.Errorf("ping %d: unknown outcome %q or no flow", i, p.Outcome)
		}
		if p.Sent < last || p.Latency < 0 {
			return fmt.Errorf("ping %d sent at %s with latency %s: expected order of sending and no "+
				"time below zero", i, p.Sent, p.Latency)
		}
		last = p.Sent
	}
	return nil
}

func checkRequests(requests []Request) error {
	var last time.Duration
	for i, r := range requests {
		if !slices.Contains(outcomes, r.Outcome) {
			return fmt.Errorf("request %d: unknown outcome %q", i, r.Outcome)
		}
		if r.Sent < last || r.Latency < 0 {
			return fmt.Errorf("request %d sent at %s with latency %s: expected order of sending and "+
				"no time below zero", i, r.Sent, r.Latency)
		}
		last = r.Sent
	}
	return nil
}

// bufferSize is how much is written at once: a system call is dear in a guest kernel.
const bufferSize = 1 << 16

// requestKind marks a request in a history, beside the kinds of events.
const requestKind Kind = "request"

// WriteHistory writes events and requests as one JSON object a line, merged in order of time. Both
// have at_ns and kind; a request's kind is "request" and its time that of sending. At equal times
// events come first.
func WriteHistory(w io.Writer, rec *Recording) error {
	buffer := bufio.NewWriterSize(w, bufferSize)
	enc := json.NewEncoder(buffer)
	events := rec.Events
	write := func(line any) error {
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
		return nil
	}
	for _, r := range rec.Requests {
		for len(events) > 0 && events[0].At <= r.Sent {
			if err := write(events[0]); err != nil {
				return err
			}
			events = events[1:]
		}
		if err := write(requestLine{r.Sent, requestKind, r.Client, r.Outcome, r.Latency, r.Server,
			r.Detail}); err != nil {
			return err
		}
	}
	for _, ev := range events {
		if err := write(ev); err != nil {
			return err
		}
	}
	if err := buffer.Flush(); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// requestLine is a Request in a history.
type requestLine struct {
	At      time.Duration `json:"at_ns"`
	Kind    Kind          `json:"kind"`
	Client  string        `json:"client"`
	Outcome Outcome       `json:"outcome"`
	Latency time.Duration `json:"latency_ns"`
	Server  string        `json:"server,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}
