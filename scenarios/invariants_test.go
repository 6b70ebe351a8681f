package scenarios

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
)

// annals are the events of a good run of fig7: the master is killed at 10 s and healed at 20 s,
// web2 is stopped at 30 s and healed at 40 s. Times are in seconds.
const annals = `
0     step         -    reach the steady state
0.1   bridge       lb1  02:01 client
0.1   bridge       lb1  02:11 server
0.1   bridge       lb2  02:02 client
0.1   bridge       lb2  02:12 server
1     table        lb1  full
1     table        lb2  full
3     state        lb1  master client: virtual router 51, priority 150
3     state        lb1  master server: virtual router 52, priority 150
3     vip-add      lb1  outer
3     vip-add      lb1  inner
3     claim        lb1  outer 02:01 announced
3     claim        lb1  inner 02:11 announced
4     step         -    observe
10    fault-inject lb1  director-killed
13.3  state        lb1  silent client: virtual router 51, priority 150, last advert at 9.8s
13.3  state        lb1  silent server: virtual router 52, priority 150, last advert at 9.8s
13.41 state        lb2  master client: virtual router 51, priority 100
13.41 vip-add      lb2  outer
13.41 claim        lb2  outer 02:02 announced
13.42 state        lb2  master server: virtual router 52, priority 100
13.42 vip-add      lb2  inner
13.42 claim        lb2  inner 02:12 announced
14    vip-remove   lb1  outer
14    vip-remove   lb1  inner
20    fault-heal   lb1  director-killed
23.4  state        lb1  master client: virtual router 51, priority 150
23.4  state        lb1  master server: virtual router 52, priority 150
23.4  vip-add      lb1  outer
23.4  vip-add      lb1  inner
23.4  claim        lb1  outer 02:01 announced
23.4  claim        lb1  inner 02:11 announced
23.5  vip-remove   lb2  outer
23.5  vip-remove   lb2  inner
26.9  state        lb2  silent client: virtual router 51, priority 100, last advert at 23.4s
30    fault-inject web2 server-stopped
33    table        lb1  less
33    table        lb2  less
40    fault-heal   web2 server-stopped
41    table        lb1  full
41    table        lb2  full
`

// chronicle reads events as annals has them.
func chronicle(t *testing.T, text string) []reports.Event {
	t.Helper()
	const service = "TCP 192.168.1.1:80 rr 192.168.2.11:80=1"
	words := strings.NewReplacer("outer", "192.168.1.1", "inner", "192.168.2.1")
	tables := map[string]string{
		"full":  service + " 192.168.2.12:80=1 192.168.2.13:80=1",
		"less":  service + " 192.168.2.13:80=1",
		"heavy": service + " 192.168.2.12:80=1 192.168.2.13:80=9",
		"more":  service + " 192.168.2.12:80=1 192.168.2.13:80=1 192.168.2.99:80=1",
		"empty": "",
	}
	var events []reports.Event
	for line := range strings.Lines(strings.TrimSpace(text)) {
		f := strings.Fields(line)
		at, err := time.ParseDuration(f[0] + "s")
		if err != nil || len(f) < 4 {
			t.Fatalf("annals: %q", line)
		}
		ev := reports.Event{At: at, Kind: reports.Kind(f[1]), Node: strings.Trim(f[2], "-"),
			Subject: words.Replace(f[3]), Detail: strings.Join(f[4:], " ")}
		switch ev.Kind {
		case reports.StepBegin:
			ev.Subject, ev.Detail = strings.Join(f[3:], " "), ""
		case reports.TableSet:
			ev.Subject, ev.Detail = "", tables[f[3]]
		}
		events = append(events, ev)
	}
	return events
}

// recordingOfAnnals is the good run without the lines that have one of some texts, and with others.
func recordingOfAnnals(t *testing.T, less []string, more string) *reports.Recording {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(annals)) {
		joined := strings.Join(strings.Fields(line), " ")
		if !slices.ContainsFunc(less, func(s string) bool { return strings.HasPrefix(joined, s) }) {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "") + "\n" + more
	var r probe.Recorder
	for _, ev := range chronicle(t, text) {
		r.Event(ev)
	}
	rec := &reports.Recording{Length: 60 * time.Second, Events: r.Events(),
		VIPs: vipsOf(preset("fig7"))}
	for _, n := range preset("fig7").Nodes {
		rec.Nodes = append(rec.Nodes, reports.Node{Name: n.Name, Role: n.Role.String()})
	}
	for i := range 560 {
		q := reports.Request{Sent: 4*time.Second + time.Duration(i)*time.Second/10,
			Client: "client1", Outcome: reports.Answered, Server: "web1"}
		if 10*time.Second <= q.Sent && q.Sent < 13500*time.Millisecond {
			q.Outcome, q.Server = reports.Timeout, ""
		}
		rec.Requests = append(rec.Requests, q)
	}
	return rec
}

// TestInvariants breaks the good run in one thing at a time: the invariant that is about it fails,
// with the counter-example, and no other one but those named.
func TestInvariants(t *testing.T) {
	answer := func(at float64, outcome reports.Outcome, server string) func(*reports.Recording) {
		return func(r *reports.Recording) {
			i := slices.IndexFunc(r.Requests, func(q reports.Request) bool {
				return q.Sent >= time.Duration(at*float64(time.Second))
			})
			r.Requests[i].Outcome, r.Requests[i].Server = outcome, server
		}
	}
	for _, tt := range []struct {
		name   string
		less   []string
		more   string
		change func(*reports.Recording)
		// fails are the invariants that fail, each with a part of its detail.
		fails map[string]string
	}{
		{name: "good"},
		{name: "two owners in peace",
			more: "26 vip-add lb2 outer\n26 vip-add lb2 inner\n" +
				"26.6 vip-remove lb2 outer\n26.6 vip-remove lb2 inner",
			fails: map[string]string{OneOwner: "outer was on lb1 and lb2 from 26s to 26.6s"}},
		{name: "two owners for a moment",
			more: "26 vip-add lb2 outer\n26 vip-add lb2 inner\n" +
				"26.4 vip-remove lb2 outer\n26.4 vip-remove lb2 inner"},
		{name: "two owners for good", less: []string{"23.5 vip-remove"},
			fails: map[string]string{OneOwner: "from 25.", Converges: "never",
				AdvertsCome: "lb2 was silent"}},
		{name: "no owner", more: "50 vip-remove lb1 outer\n50 vip-remove lb1 inner",
			fails: map[string]string{OneOwner: "outer was on nobody from 50s to 1m0s",
				Converges: "inner on nobody"}},
		{name: "one VIP forgotten", less: []string{"13.42 vip-add", "23.5 vip-remove lb2 inner"},
			fails: map[string]string{OneOwner: "inner was on nobody",
				Together: "outer on lb2, inner on nobody"}},
		{name: "nobody says that it took over", less: []string{"13.41 claim"},
			fails: map[string]string{Reachable: "lb1 was the last to say"}},
		{name: "nobody ever said anything", less: []string{"3 claim lb1 192.168.1.1",
			"3 claim lb1 outer"},
			fails: map[string]string{Reachable: "nobody had ever said"}},
		{name: "another one says that it has it", more: "50 claim web1 inner 02:99 announced",
			fails: map[string]string{Reachable: "at 50s web1 was the last to say"}},
		{name: "the switch sends frames elsewhere", more: "50 bridge lb2 02:01 client",
			fails: map[string]string{Reachable: "the network sent frames for 02:01 to lb2"}},
		{name: "the same address of another network", more: "50 bridge lb2 02:01 server"},
		{name: "a late advert", more: "50 advert-gap lb1 client 1.9s",
			fails: map[string]string{AdvertsCome: "lb1 came 1.9s after the last one"}},
		{name: "a late advert in a fault", more: "10.5 advert-gap lb1 client 1.9s"},
		{name: "a silent master", more: "50 state lb1 silent client: virtual router 51, priority 150",
			fails: map[string]string{AdvertsCome: "the first at 50s: lb1 was silent"}},
		{name: "too late a takeover", less: []string{"13.41 state", "13.42 state"},
			more:  "14 state lb2 master client: virtual router 51, priority 100",
			fails: map[string]string{InTurn: "at 14s, which was due at 13.409s, 3.609s after the last"}},
		{name: "too soon a takeover", less: []string{"13.41 state", "13.42 state"},
			more:  "13 state lb2 master client: virtual router 51, priority 100",
			fails: map[string]string{InTurn: "at 13s, which was due at 13.409s"}},
		{name: "a leaver's takeover in time", less: []string{"13.3 state", "13.41 state", "13.42 state"},
			more: "12.8 state lb1 leaving client: virtual router 51, priority 0\n" +
				"13.41 state lb2 master client: virtual router 51, priority 100"},
		{name: "a leaver's takeover late", less: []string{"13.3 state", "13.41 state", "13.42 state"},
			more: "12 state lb1 leaving client: virtual router 51, priority 0\n" +
				"13.41 state lb2 master client: virtual router 51, priority 100",
			fails: map[string]string{InTurn: "due at 12.609s, 609ms after lb1 left"}},
		{name: "a dead server is not taken out", less: []string{"33 table lb1", "41 table lb1"},
			fails: map[string]string{TableRight: "web2 is in it with weight 1"}},
		{name: "a healthy one is taken out", more: "50 table lb2 less",
			fails: map[string]string{TableRight: "192.168.1.1:80 has web2 with weight 0, configured is 1",
				Converges: "table of lb2"}},
		{name: "another weight", more: "50 table lb1 heavy",
			fails: map[string]string{TableRight: "web3 with weight 9", Converges: "table of lb1"}},
		{name: "one that is not configured", more: "50 table lb1 more",
			fails: map[string]string{TableRight: "not configured", Converges: "not configured"}},
		{name: "an empty table", more: "50 table lb1 empty\n50.5 table lb1 full",
			fails: map[string]string{TableRight: "TCP 192.168.1.1:80 is not there",
				Converges: "table of lb1"}},
		{name: "an empty table for a moment", more: "50 table lb1 empty\n50.1 table lb1 full",
			fails: map[string]string{Converges: "table of lb1"}},
		{name: "a dead one put back", more: "34 table lb1 full\n34.1 table lb1 less",
			fails: map[string]string{DeadStaysOut: "lb1 has web2 in its table again at 34s"}},
		{name: "a dead one answers", change: answer(35, reports.Answered, "web2"),
			fails: map[string]string{DeadStaysOut: "web2 answered a request that client1 sent at 35s"}},
		{name: "a request is lost", change: answer(50, reports.Timeout, ""),
			fails: map[string]string{NothingLost: "the first from client1 at 50s: timeout"}},
		{name: "a request is lost to the dead server", change: answer(32, reports.Refused, "")},
		{name: "a request is lost when it is out", change: answer(36, reports.Refused, ""),
			fails: map[string]string{NothingLost: "at 36s"}},
		{name: "the best one does not come back", less: []string{"23.4 ", "23.5 ", "26.9 "},
			fails: map[string]string{Converges: "inner on lb2, not on lb1 alone"}},
		{name: "recorded by an older program", less: []string{"3 claim", "13.41 claim", "13.42 claim",
			"23.4 claim", "0.1 ", "1 table", "33 ", "41 "}},
		{name: "a stranger's packets excuse nothing",
			more: "45 fault-inject client1 hostile-packets\n55 fault-heal client1 hostile-packets\n" +
				"50 vip-remove lb1 outer\n51 vip-add lb1 outer",
			fails: map[string]string{OneOwner: "nobody", Together: "outer on nobody",
				Converges: "outer"}},
		{name: "an impostor that goes silent",
			more: "45 fault-inject client2 duplicate-address 192.168.1.1\n" +
				"45 claim client2 outer 02:99 announced\n" +
				"46 claim lb1 outer 02:01 announced\n47 claim client2 outer 02:99 answered\n" +
				"50 fault-heal client2 duplicate-address 192.168.1.1"},
		{name: "an impostor that goes on",
			more: "45 fault-inject client2 duplicate-address 192.168.1.1\n" +
				"45 claim client2 outer 02:99 announced\n" +
				"50 fault-heal client2 duplicate-address 192.168.1.1\n" +
				"55 claim client2 outer 02:99 answered",
			fails: map[string]string{Reachable: "at 55s client2 was the last to say"}},
		{name: "a server that no check can find",
			more:   "45 fault-inject web1 route-deleted 0.0.0.0\n55 fault-heal web1 route-deleted 0.0.0.0",
			change: answer(54, reports.Timeout, "")},
		{name: "a client's own fault costs requests",
			more:   "45 fault-inject client1 link-down eth0\n52 fault-heal client1 link-down eth0",
			change: answer(51, reports.Timeout, "")},
		{name: "a client's own fault moves no VIP",
			more: "45 fault-inject client1 link-down eth0\n52 fault-heal client1 link-down eth0\n" +
				"46 vip-remove lb1 outer\n47 vip-add lb1 outer",
			fails: map[string]string{OneOwner: "outer was on nobody from 46s to 47s",
				Together: "outer on nobody"}},
		{name: "a full disk costs nothing",
			more:   "45 fault-inject lb1 disk-full\n55 fault-heal lb1 disk-full",
			change: answer(46, reports.Timeout, ""),
			fails:  map[string]string{NothingLost: "at 46s"}},
		{name: "a table flushed, and put right",
			more: "45 fault-inject lb1 ipvs-flushed\n45 table lb1 empty\n46.5 table lb1 full\n" +
				"55 fault-heal lb1 ipvs-flushed",
			change: answer(46, reports.Timeout, "")},
		{name: "a table flushed, and left so",
			more: "45 fault-inject lb1 ipvs-flushed\n45 table lb1 empty\n49 table lb1 full\n" +
				"55 fault-heal lb1 ipvs-flushed",
			change: answer(48, reports.Timeout, ""),
			fails: map[string]string{NothingLost: "at 48s",
				TableRight: "table of lb1 from 47s to 49s"}},
		{name: "a server that a director cannot check",
			more: "45 fault-inject lb1 out-of-descriptors\n46 fault-inject web2 server-stopped\n" +
				"49 table lb2 less\n53 fault-heal lb1 out-of-descriptors\n54 table lb1 less\n" +
				"58 fault-heal web2 server-stopped",
			change: answer(52.5, reports.Refused, "")},
		{name: "a server that both can check",
			more: "46 fault-inject web2 server-stopped\n49 table lb2 less\n49 table lb1 less\n" +
				"58 fault-heal web2 server-stopped",
			change: answer(52.5, reports.Refused, ""),
			fails:  map[string]string{NothingLost: "at 52.5s"}},
		{name: "an unknown fault excuses anything while it lasts",
			more: "45 fault-inject lb1 flood-of-frogs\n52 fault-heal lb1 flood-of-frogs\n" +
				"46 vip-remove lb1 outer\n51 vip-add lb1 outer\n46 table lb1 empty\n52 table lb1 full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := recordingOfAnnals(t, tt.less, tt.more)
			if tt.change != nil {
				tt.change(rec)
			}
			s := Scenario{Topology: preset("fig7"), Probes: []Probe{{Client: "client1"}},
				Steps: []Step{Steady{}, Observe{}}}
			for _, f := range Judge(s, rec) {
				want, fails := tt.fails[f.Bound]
				if !fails && f.Verdict != reports.Pass {
					t.Errorf("%s is %s: %s, %s", f.Bound, f.Verdict, f.Observed, f.Detail)
				}
				if fails && (f.Verdict != reports.Fail || !strings.Contains(f.Observed+f.Detail, want)) {
					t.Errorf("%s is %s: %s, %s; want fail with %q", f.Bound, f.Verdict, f.Observed,
						f.Detail, want)
				}
			}
		})
	}
}

// TestReachableOfIPv6: a VIP of IPv6 is followed as one of IPv4 is.
func TestReachableOfIPv6(t *testing.T) {
	six := netip.MustParseAddr("fd00::1")
	for _, tt := range []struct {
		name string
		less []string
		want string
	}{
		{"good", nil, ""},
		{"nobody says that it took over", []string{"13.41 claim"}, "was the last to say"},
	} {
		s := Scenario{Topology: preset("fig7"), Steps: []Step{Steady{}, Observe{}}}
		rec := recordingOfAnnals(t, tt.less, "")
		for i, ev := range rec.Events {
			if ev.Subject == "192.168.1.1" {
				rec.Events[i].Subject = six.String()
			}
		}
		s.Topology.VIPs[0].Addr, rec.VIPs[0].Addr = six, six
		for _, f := range Judge(s, rec) {
			if f.Bound == Reachable && (f.Verdict == reports.Pass) != (tt.want == "") ||
				f.Bound == Reachable && !strings.Contains(f.Detail, tt.want) {
				t.Errorf("%s: %s: %s", tt.name, f.Verdict, f.Detail)
			}
		}
	}
}

// TestTableOfTheSteadyState: one that is wrong at the steady state is wrong however soon the run
// ends, unless the machine stalled.
func TestTableOfTheSteadyState(t *testing.T) {
	rule, err := Invariant(TableRight)
	if err != nil {
		t.Fatal(err)
	}
	s := Scenario{Topology: preset("fig7"), Bounds: []Bound{}}
	for _, tt := range []struct {
		table string
		late  time.Duration
		want  reports.Verdict
	}{
		{"full", 0, reports.Pass}, {"less", 0, reports.Fail}, {"heavy", 0, reports.Fail},
		{"less", time.Second, reports.Inconclusive},
	} {
		rec := &reports.Recording{Length: 1100 * time.Millisecond, Requests: []reports.Request{
			{Sent: time.Second, Outcome: reports.Answered, Late: tt.late}}}
		rec.Events = chronicle(t, "0 step - steady\n1 table lb1 "+tt.table+"\n1 table lb2 full\n"+
			"1 step - observe")
		for _, f := range Judge(s, rec) {
			if f.Bound == rule.Name && f.Verdict != tt.want {
				t.Errorf("%s, late by %s: %s, want %s; %s", tt.table, tt.late, f.Verdict, tt.want,
					f.Detail)
			}
		}
	}
}

// TestInvariantsAreMeant: each has a name and a sentence of its own and is found by its name; a
// drill of the catalogue is judged by those that mean something for it.
func TestInvariantsAreMeant(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Invariants() {
		found, err := Invariant(r.Name)
		if err != nil || found.Doc != r.Doc || !strings.HasSuffix(r.Doc, ".") || seen[r.Name] {
			t.Errorf("%q: %+v, %v", r.Name, found, err)
		}
		seen[r.Name] = true
	}
	if _, err := Invariant("nonsense"); err == nil || !strings.Contains(err.Error(), OneOwner) {
		t.Errorf("error %v, want one with the names", err)
	}
	got := map[string]string{}
	for _, s := range All() {
		var names []string
		for _, r := range Invariants() {
			if r.Applies(s) {
				names = append(names, r.Name)
			}
		}
		got[s.Name] = strings.Join(names, ", ")
	}
	for name, want := range map[string]string{
		"fig5-director-killed": fmt.Sprint(OneOwner, ", ", Reachable, ", ", AdvertsCome, ", ", InTurn,
			", ", NothingLost, ", ", Converges),
		"fig6-rr": fmt.Sprint(TableRight, ", ", DeadStaysOut, ", ", NothingLost),
		"fig7-reloads": fmt.Sprint(OneOwner, ", ", Together, ", ", Reachable, ", ", AdvertsCome, ", ",
			InTurn, ", ", NothingLost, ", ", Converges),
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestInvariantsInJSON: what invariants look at survives being written and read.
func TestInvariantsInJSON(t *testing.T) {
	rec := recordingOfAnnals(t, nil, "50 advert-gap lb1 client 1.9s\n50 table lb1 heavy")
	s := Scenario{Topology: preset("fig7"), Steps: []Step{Steady{}, Observe{}}}
	before := Judge(s, rec)
	var b bytes.Buffer
	if err := reports.WriteJSON(&b, reports.New(*rec, before, nil)); err != nil {
		t.Fatal(err)
	}
	again, err := reports.ReadJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, Judge(s, &again.Recording)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNoise: a control run widens the limits on time by what it showed, up to a limit, beyond which
// a bound that fails says nothing. What is counted it does not excuse.
func TestNoise(t *testing.T) {
	const ms = time.Millisecond
	late := Bound{Name: "b", Timing: true,
		Judge: func(_ *reports.Recording, slack time.Duration) reports.Finding {
			return atMost(1100*ms, 1000*ms+slack)
		}}
	count := Bound{Name: "n", Judge: func(*reports.Recording, time.Duration) reports.Finding {
		return none(1, "")
	}}
	for _, tt := range []struct {
		name  string
		noise *reports.Noise
		want  string
	}{
		{"no control run", nil, "fail fail"},
		{"quiet", &reports.Noise{}, "fail fail"},
		{"a little", &reports.Noise{Outage: 60 * ms, Late: 99 * ms}, "fail fail"},
		{"as much", &reports.Noise{Outage: 60 * ms, Late: 100 * ms}, "pass fail"},
		{"as much in requests", &reports.Noise{Outage: 100 * ms}, "pass fail"},
		{"too much", &reports.Noise{Outage: 5000 * ms}, "pass fail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &reports.Recording{Noise: tt.noise}
			var got []string
			for _, f := range Judge(Scenario{Bounds: []Bound{late, count}}, rec)[:2] {
				got = append(got, string(f.Verdict))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	far := Bound{Name: "b", Timing: true,
		Judge: func(_ *reports.Recording, slack time.Duration) reports.Finding {
			return atMost(3000*ms, 1000*ms+slack)
		}}
	rec := &reports.Recording{Noise: &reports.Noise{Outage: 5000 * ms}}
	f := Judge(Scenario{Bounds: []Bound{far}}, rec)[0]
	if f.Verdict != reports.Inconclusive || !strings.Contains(f.Detail, "with nothing broken") {
		t.Errorf("%s: %s; want inconclusive, since this machine is too noisy", f.Verdict, f.Detail)
	}
}
