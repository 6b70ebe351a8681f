package reports

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVRRPTimes(t *testing.T) {
	// RFC 5798, Section 6.1, and for version 2 RFC 3768: the skew is of a second, whatever the advert.
	tests := []struct {
		v          VRRP
		priority   int
		skew, down time.Duration
	}{
		{VRRP{3, time.Second}, 100, 609375 * time.Microsecond, 3609375 * time.Microsecond},
		{VRRP{2, 3 * time.Second}, 128, 500 * ms, 9500 * ms},
		{VRRP{3, 100 * ms}, 128, 50 * ms, 350 * ms},
		{VRRP{3, time.Second}, 256, 0, 3 * time.Second},
	}
	for _, tt := range tests {
		if skew := tt.v.Skew(tt.priority); skew != tt.skew {
			t.Errorf("%+v, priority %d: skew %s, want %s", tt.v, tt.priority, skew, tt.skew)
		}
		if down := tt.v.MasterDown(tt.priority); down != tt.down {
			t.Errorf("%+v, priority %d: master down %s, want %s", tt.v, tt.priority, down, tt.down)
		}
	}
}

// script builds events from lines: milliseconds, kind, node, subject, and the rest as detail.
func script(t *testing.T, text string) []Event {
	t.Helper()
	var events []Event
	for line := range strings.Lines(text) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 5)
		if len(words) < 4 {
			continue
		}
		at, err := time.ParseDuration(words[0] + "ms")
		if err != nil {
			t.Fatal(err)
		}
		ev := Event{At: at, Kind: Kind(words[1]), Node: words[2], Subject: words[3]}
		if len(words) == 5 {
			ev.Detail = words[4]
		}
		events = append(events, ev)
	}
	return events
}

const outerMaster = `
	0 vip-add lb1 192.168.1.1
	0 state lb1 master client: virtual router 51, priority 150
	0 vip-add lb1 192.168.2.1
	0 state lb1 master server: virtual router 52, priority 150
`

// takeoverTests are scripts of takeovers. What is expected is who took what from whom and why, then
// each phase and its end, and what the protocol grants the first one.
var takeoverTests = []struct{ name, events, want string }{
	{"nothing", "", ""},
	{"boot is none", outerMaster, ""},
	{"died", outerMaster + `
		5000 fault-inject lb1 power-off
		8300 state lb1 silent client: virtual router 51, priority 150, last advert at 4.8s
		8300 state lb1 silent server: virtual router 52, priority 150, last advert at 4.801s
		8409 vip-add lb2 192.168.1.1
		8410 state lb2 master client: virtual router 51, priority 100
		8420 state lb2 master server: virtual router 52, priority 100
		8450 vip-add lb2 192.168.2.1`,
		"lb2 took outer, inner from lb1, died, power-off lb1: from 4.8s detect 8.409s, " +
			"transition 8.42s, program 8.45s; 3.609s"},
	{"left", outerMaster + `
		5000 fault-inject lb1 director-terminated
		5001 state lb1 leaving client: virtual router 51, priority 0
		5002 state lb1 leaving server: virtual router 52, priority 0
		5610 state lb2 master client: virtual router 51, priority 100
		5611 vip-add lb2 192.168.1.1`,
		"lb2 took outer from lb1, left, director-terminated lb1: from 5.001s detect 5.61s, " +
			"transition 5.611s, program 5.611s; 609ms"},
	{"preempted: it advertised to the end", `
		0 vip-add lb2 192.168.1.1
		0 state lb2 master client: virtual router 51, priority 100
		5000 fault-heal lb1 director-killed
		8400 state lb1 master client: virtual router 51, priority 150
		8401 vip-add lb1 192.168.1.1
		11500 state lb2 silent client: virtual router 51, priority 100, last advert at 8s`,
		"lb1 took outer from lb2, preempted, heal of director-killed lb1: from 5s detect 8.4s, " +
			"transition 8.401s, program 8.401s; 3.414s"},
	{"nobody did anything", outerMaster + `
		8400 state lb2 master client: virtual router 51, priority 200
		8401 vip-add lb2 192.168.1.1`,
		"lb2 took outer from lb1, preempted, : from 8.4s detect 8.4s, transition 8.401s, " +
			"program 8.401s; 3.219s"},
	{"claims", outerMaster + `
		5000 fault-inject lb1 power-off
		8300 state lb1 silent client: virtual router 51, priority 150, last advert at 4.8s
		8409 vip-add lb2 192.168.1.1
		8412 vip-add lb2 192.168.2.1
		8430 claim lb2 192.168.1.1 02:00 announced
		8440 claim lb2 192.168.2.1 02:00 announced
		8490 claim lb2 192.168.2.1 02:00 announced`,
		"lb2 took outer, inner from lb1, died, power-off lb1: from 4.8s detect 8.409s, " +
			"transition 8.409s, program 8.412s, announce 8.44s; 0s"},
	{"to and fro between two faults", outerMaster + `
		5000 fault-inject lb1 starved
		6000 state lb2 master client: virtual router 51, priority 100
		6000 vip-add lb2 192.168.1.1
		7000 state lb2 leaving client: virtual router 51, priority 0
		7000 state lb1 leaving client: virtual router 51, priority 0
		7500 state lb1 master client: virtual router 51, priority 150
		7500 vip-add lb1 192.168.1.1`,
		"lb2 took outer from lb1, preempted, starved lb1: from 5s detect 6s, transition 6s, " +
			"program 6s; 3.609s | lb1 took outer from lb2, left, starved lb1: from 7s detect 7.5s, " +
			"transition 7.5s, program 7.5s; 414ms"},
	{"and to again: what was advertised in an earlier turn does not count", outerMaster + `
		5000 fault-inject lb1 starved
		6000 state lb2 master client: virtual router 51, priority 100
		6000 vip-add lb2 192.168.1.1
		6500 state lb2 leaving client: virtual router 51, priority 0
		7500 vip-add lb1 192.168.1.1
		9000 state lb2 master client: virtual router 51, priority 100
		9001 vip-add lb2 192.168.1.1`,
		"lb2 took outer from lb1, preempted, starved lb1: from 5s detect 6s, transition 6s, " +
			"program 6s; 3.609s | lb1 took outer from lb2, left, starved lb1: from 6.5s detect 7.5s, " +
			"transition 7.5s, program 7.5s; 0s | lb2 took outer from lb1, preempted, starved lb1: " +
			"from 5s detect 9s, transition 9.001s, program 9.001s; 3.609s"},
	{"silent once, but it came back", outerMaster + `
		7000 state lb1 silent client: virtual router 51, priority 150, last advert at 3.5s
		8000 state lb1 master client: virtual router 51, priority 150
		9000 fault-inject lb1 cpu
		9900 state lb2 master client: virtual router 51, priority 200
		9901 vip-add lb2 192.168.1.1`,
		"lb2 took outer from lb1, preempted, cpu lb1: from 9s detect 9.9s, transition 9.901s, " +
			"program 9.901s; 3.219s"},
	{"claimed before it had the other VIP", outerMaster + `
		5000 fault-inject lb1 power-off
		5100 vip-add lb2 192.168.1.1
		5110 claim lb2 192.168.1.1 02:00 announced
		5200 vip-add lb2 192.168.2.1`,
		"lb2 took outer, inner from lb1, preempted, power-off lb1: from 5s detect 5.1s, " +
			"transition 5.1s, program 5.2s, announce 5.2s; 0s"},
	{"a VIP that came back to the same node", outerMaster + `
		5000 fault-inject lb1 vip-deleted
		5001 vip-remove lb1 192.168.1.1
		5900 vip-add lb1 192.168.1.1`, ""},
}

func TestTakeovers(t *testing.T) {
	for _, tt := range takeoverTests {
		t.Run(tt.name, func(t *testing.T) {
			rec := Recording{Length: 20 * time.Second, VRRP: VRRP{2, time.Second},
				VIPs: []VIP{{"outer", outer}, {"inner", inner}}, Events: script(t, tt.events)}
			var got []string
			for _, k := range Takeovers(&rec) {
				got = append(got, spelled(k))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " | ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// spelled is a takeover in one line.
func spelled(k Takeover) string {
	var phases []string
	for _, p := range k.Phases {
		phases = append(phases, fmt.Sprintf("%s %s", p.Name, shown(p.To)))
	}
	return fmt.Sprintf("%s took %s from %s, %s, %s: from %s %s; %s", k.To, strings.Join(k.VIPs, ", "),
		k.From, k.Cause, k.Trigger, shown(k.Phases[0].From), strings.Join(phases, ", "),
		shown(k.Bound))
}

// TestTakeoverEndsWithTheFirstAnswer: of the client that waits longest, to the end of the answer.
func TestTakeoverEndsWithTheFirstAnswer(t *testing.T) {
	rec := killed(story{"tandemd", 3500 * ms, 40 * ms, 10 * ms})
	rec.VRRP = VRRP{2, time.Second}
	all := Takeovers(&rec)
	if len(all) != 2 {
		t.Fatalf("%d takeovers, want one and the way back", len(all))
	}
	serve, ok := all[0].Phase(Serve)
	if !ok || serve.To < 8500*ms || serve.To > 8530*ms {
		t.Errorf("first success %+v, %t; want it soon after 8.5s", serve, ok)
	}
	if all[0].To != "lb2" || all[1].To != "lb1" {
		t.Errorf("VIPs went to %s, then to %s; want lb2, then lb1", all[0].To, all[1].To)
	}
	for _, k := range all {
		for i := 1; i < len(k.Phases); i++ {
			if k.Phases[i].From != k.Phases[i-1].To || k.Phases[i].Length() < 0 {
				t.Errorf("phases %+v: want no holes", k.Phases)
			}
		}
		var sum time.Duration
		for _, p := range k.Phases {
			sum += p.Length()
		}
		if sum != k.Length() {
			t.Errorf("the phases take %s, all together %s", sum, k.Length())
		}
	}
}

// TestTakeoverOfTheOutageThatItEnds: one that begins when the VIPs are there already is another
// matter; and the answer counts to its end.
func TestTakeoverOfTheOutageThatItEnds(t *testing.T) {
	rec := Recording{Length: 20 * time.Second, Events: script(t, outerMaster+`
		5000 fault-inject lb1 power-off
		5100 vip-add lb2 192.168.1.1`)}
	for at := 4 * time.Second; at < 9*time.Second; at += 100 * ms {
		q := Request{Sent: at, Latency: 7 * ms, Client: "client1", Outcome: Answered}
		if at >= 5*time.Second && at < 5300*ms || at >= 7*time.Second && at < 8*time.Second {
			q.Outcome = Timeout
		}
		rec.Requests = append(rec.Requests, q)
	}
	all := Takeovers(&rec)
	if len(all) != 1 {
		t.Fatalf("%d takeovers, want 1", len(all))
	}
	if serve, ok := all[0].Phase(Serve); !ok || serve.To != 5307*ms {
		t.Errorf("first success %+v, %t; want it at 5.307s", serve, ok)
	}
}

func TestFaultsHaveTheTimesOfTheirRequests(t *testing.T) {
	rec := Recording{Length: 9 * time.Second, Events: script(t, `
		1000 fault-inject lb1 power-off
		1000 fault-inject lb2 power-off
		1200 fault-hold lb2 power-off
		1300 fault-hold lb1 power-off
		2000 fault-release lb1 power-off
		2050 fault-heal lb1 power-off
		3000 fault-inject lb1 power-off`)}
	var got []string
	for _, f := range Faults(&rec) {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %t", f.Node, f.From, f.Held, f.Released, f.To,
			f.Healed))
	}
	want := []string{"lb1 1s 1.3s 2s 2.05s true", "lb2 1s 1.2s 0s 9s false", "lb1 3s 0s 0s 9s false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
