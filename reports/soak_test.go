package reports

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// soakFaults are the kinds of faults of a soak: whom they hit, and how long after each the VIPs are
// nobody's.
var soakFaults = []struct {
	name, node string
	unowned    time.Duration
}{
	{"process-killed", "lb1", 3610 * ms},
	{"process-stopped", "lb1", 20 * ms},
	{"process-frozen", "lb1", 3605 * ms},
	{"link-down", "lb1", 3200 * ms},
	{"power-off", "lb1", 3612 * ms},
	{"process-killed", "lb2", 0},
	{"process-stopped", "web2", 0},
}

// soaked is a recording of 24 hours in virtual time as a real soak makes it: every ten minutes a
// fault that is healed after one to three minutes, one request a second. It is the same at every
// call with a seed.
func soaked(seed uint64) Recording {
	rec := killed(story{"tandemd", 3500 * ms, 40 * ms, time.Second})
	rec.Scenario, rec.Seed, rec.Length = "soak", seed, 24*time.Hour
	rec.Doc = "For a day a fault strikes every ten minutes. Each failover keeps its bounds."
	rec.Command = fmt.Sprintf("tandem drill run soak --time virtual --seed %d", seed)
	rec.Diagram = fig7Diagram
	rec.Host.Clock = VirtualClock
	rec.Host.RealStarted = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	rec.Host.RealLength = 11*time.Minute + 23*time.Second
	rec.Events = nil
	random := rand.New(rand.NewPCG(seed, 0))
	for _, vip := range []string{outer.String(), inner.String()} {
		rec.Events = append(rec.Events, Event{4 * time.Second, VIPAdd, "lb1", vip, ""})
	}
	var lost []Window
	for i := range 144 {
		lost = append(lost, soakFault(&rec, random, time.Duration(i)*10*time.Minute+time.Minute)...)
	}
	slices.SortStableFunc(rec.Events, func(a, b Event) int { return int(a.At - b.At) })
	rec.Requests = soakRequests(random, rec.Length, lost)
	return rec
}

// soakFault adds one fault and its heal, and returns when requests are lost.
func soakFault(rec *Recording, random *rand.Rand, at time.Duration) []Window {
	f := soakFaults[random.IntN(len(soakFaults))]
	at += time.Duration(random.Int64N(int64(4 * time.Minute)))
	heal := at + time.Minute + time.Duration(random.Int64N(int64(2*time.Minute)))
	back := heal + 4*time.Second
	add := func(at time.Duration, kind Kind, node, subject, detail string) {
		rec.Events = append(rec.Events, Event{at, kind, node, subject, detail})
	}
	add(at, StepBegin, "", f.name+" "+f.node, "")
	add(at, FaultInject, f.node, f.name, "all of the daemon")
	add(heal, StepBegin, "", "heal and await the steady state", "")
	add(heal, FaultHeal, f.node, f.name, "all of the daemon")
	if f.unowned == 0 {
		return nil
	}
	took := at + f.unowned
	for i, vip := range []string{outer.String(), inner.String()} {
		router := fmt.Sprintf("side %d: virtual router %d, priority 0", i, 51+i)
		add(at+10*ms, State, "lb1", "leaving", router)
		add(at+20*ms, State, "lb1", "silent", router)
		add(took, State, "lb2", "master", router)
		add(back, State, "lb1", "master", router)
		add(back+10*ms, State, "lb2", "silent", router)
		add(at+10*ms, VIPRemove, "lb1", vip, "")
		add(took, VIPAdd, "lb2", vip, "")
		add(back, VIPAdd, "lb1", vip, "")
		add(back+17*ms, VIPRemove, "lb2", vip, "")
	}
	return []Window{{From: at, To: took}}
}

func soakRequests(random *rand.Rand, length time.Duration, lost []Window) []Request {
	var requests []Request
	for sent := time.Duration(0); sent < length; sent += time.Second {
		for len(lost) > 0 && lost[0].To <= sent {
			lost = lost[1:]
		}
		r := Request{Sent: sent, Client: "client1", Outcome: Answered,
			Server:  fmt.Sprintf("web%d", len(requests)%3+1),
			Latency: 900*time.Microsecond + time.Duration(random.ExpFloat64()*4e5)}
		if len(lost) > 0 && lost[0].Contains(sent) {
			r.Outcome, r.Latency, r.Server = Timeout, time.Second, ""
			r.Detail = "no answer within 1s"
		}
		requests = append(requests, r)
	}
	return requests
}

// soakReport is a judged soak.
func soakReport() Report {
	rec := soaked(42)
	return New(rec, []Finding{{OutageBound, "No client goes unserved for more than 5s after a fault.",
		Pass, outageOf(&rec), "5s", ""}}, measuresOf(&rec))
}

func BenchmarkSoak(b *testing.B) {
	rec := soaked(42)
	r := soakReport()
	faults := Faults(&rec)
	var stored bytes.Buffer
	if err := WriteJSON(&stored, r); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d events, %d requests, report.json of %d bytes", len(rec.Events), len(rec.Requests),
		stored.Len())
	each := func(f func(Window)) func() {
		return func() {
			for i := range faults {
				f(faults[i].Window)
			}
		}
	}
	for _, bb := range []struct {
		name string
		run  func()
	}{
		{"Faults", func() { Faults(&rec) }},
		{"Owners", func() { Owners(&rec, outer) }},
		{"OutageWhole", func() { Outage(&rec, Whole(&rec)) }},
		{"OutageEach", each(func(w Window) { Outage(&rec, w) })},
		{"CountEach", each(func(w Window) { Count(&rec, w) })},
		{"SharesEach", each(func(w Window) { Shares(&rec, w) })},
		{"BothEach", each(func(w Window) { Both(&rec, outer, w) })},
		{"WriteJSON", func() { _ = WriteJSON(io.Discard, r) }},
		{"ReadJSON", func() { _, _ = ReadJSON(bytes.NewReader(stored.Bytes())) }},
		{"WriteHistory", func() { _ = WriteHistory(io.Discard, &rec) }},
		{"WriteText", func() { _ = WriteText(io.Discard, []Report{r}, 80, false) }},
		{"WriteHTML", func() { _ = WriteHTML(io.Discard, []Report{r}) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				bb.run()
			}
		})
	}
}
