package reports

import (
	_ "embed"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

// golden compares got with a file under testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

const ms = time.Millisecond

var (
	outer = netip.MustParseAddr("192.168.1.1")
	inner = netip.MustParseAddr("192.168.2.1")
)

// story says what the drill "director-killed" on the network fig7 came to.
type story struct {
	director string
	// takeover is how long after the kill lb2 held the VIPs, leftover how long lb1's kernel kept them.
	takeover, leftover time.Duration
	// every is the time between two requests, of both clients together.
	every time.Duration
}

// killed is a recording as a real run makes it: lb1 is killed at 5 s and started again at 12 s, the
// VIPs move to lb2 and back. It is the same at every call.
func killed(s story) Recording {
	rec := Recording{
		Scenario: "director-killed",
		Doc:      "When the active director is killed, the standby takes over both virtual IPs.",
		Director: s.director,
		Seed:     42,
		Started:  time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC),
		Length:   20 * time.Second,
		Host: Host{Kernel: "6.12.48", Guest: true, CPUs: 1, Clock: "real",
			Versions: map[string]string{s.director: "0.1.0", "tandem": "0.1.0"}},
		Command: "tandem drill run director-killed --director " + s.director + " --seed 42",
		Nodes: []Node{{"client1", "client"}, {"client2", "client"}, {"lb1", "director"},
			{"lb2", "director"}, {"web1", "real-server"}, {"web2", "real-server"},
			{"web3", "real-server"}},
		VIPs: []VIP{{"outer", outer}, {"inner", inner}},
	}
	kill, heal, back := 5*time.Second, 12*time.Second, 15640*ms
	rec.Events = killedEvents(s, kill, heal, back)
	slices.SortStableFunc(rec.Events, func(a, b Event) int { return int(a.At - b.At) })
	random := rand.New(rand.NewPCG(1, 2))
	turn := map[string]int{}
	for i := 0; time.Duration(i)*s.every < rec.Length; i++ {
		r := Request{Sent: time.Duration(i) * s.every, Client: fmt.Sprintf("client%d", i%2+1),
			Outcome: Answered, Latency: 900*time.Microsecond + time.Duration(random.ExpFloat64()*4e5)}
		switch {
		case r.Sent >= kill+3*ms && r.Sent < kill+s.takeover:
			r.Outcome, r.Latency, r.Detail = Timeout, time.Second, "no answer within 1s"
		case r.Sent >= back && r.Sent < back+60*ms:
			r.Outcome, r.Latency, r.Detail = Refused, 400*time.Microsecond, "connection reset by peer"
		default:
			r.Server = fmt.Sprintf("web%d", turn[r.Client]%3+1)
			turn[r.Client]++
		}
		rec.Requests = append(rec.Requests, r)
	}
	return rec
}

func killedEvents(s story, kill, heal, back time.Duration) []Event {
	events := []Event{
		{0, StepBegin, "", "steady state", ""},
		{20 * ms, State, "lb1", "master", "client: virtual router 51, priority 150"},
		{20 * ms, State, "lb2", "silent", "client: virtual router 51, priority 100"},
		{21 * ms, State, "lb1", "master", "server: virtual router 52, priority 150"},
		{21 * ms, State, "lb2", "silent", "server: virtual router 52, priority 100"},
		{kill, StepBegin, "", "kill the master", ""},
		{kill, FaultInject, "lb1", "process-killed", "all of the daemon"},
		{kill + 9*ms, State, "lb1", "silent", "client: virtual router 51, priority 0"},
		{kill + 9*ms, State, "lb1", "silent", "server: virtual router 52, priority 0"},
		{kill + s.takeover - 5*ms, State, "lb2", "master", "client: virtual router 51, priority 100"},
		{kill + s.takeover - 4*ms, State, "lb2", "master", "server: virtual router 52, priority 100"},
		{kill + s.takeover, Note, "client1", "ARP answer for 192.168.1.1 from lb2", ""},
		{heal, StepBegin, "", "start it again", ""},
		{heal, FaultHeal, "lb1", "process-killed", "all of the daemon"},
		{back, State, "lb1", "master", "client: virtual router 51, priority 150"},
		{back, State, "lb1", "master", "server: virtual router 52, priority 150"},
		{back + 15*ms, State, "lb2", "silent", "client: virtual router 51, priority 0"},
		{back + 15*ms, State, "lb2", "silent", "server: virtual router 52, priority 0"},
	}
	for _, vip := range []string{outer.String(), inner.String()} {
		events = append(events,
			Event{0, VIPAdd, "lb1", vip, ""},
			Event{kill + s.leftover, VIPRemove, "lb1", vip, ""},
			Event{kill + s.takeover - 2*ms, VIPAdd, "lb2", vip, ""},
			Event{back, VIPAdd, "lb1", vip, ""},
			Event{back + 30*ms, VIPRemove, "lb2", vip, ""})
	}
	return events
}

// passed, failed and unjudged are the three kinds of reports.
func passed() Report {
	rec := killed(story{"tandemd", 3500 * ms, 40 * ms, 10 * ms})
	rec.Diagram = fig7Diagram
	return New(rec, []Finding{
		{OutageBound, "No client waits longer than 3 adverts, the skew and 50 ms for the next answer.",
			Pass, outageOf(&rec), "3.664s", ""},
		{"one-owner", "Never do two directors hold a VIP for longer than 100 ms.", Pass, "30ms", "100ms",
			""},
		{"shares", "Each real server answers its share of the requests.", Pass, "551, 550, 543",
			"within 5%", ""},
	}, measuresOf(&rec))
}

func failed() Report {
	rec := killed(story{"keepalived", 3610 * ms, 7 * time.Second, 10 * ms})
	rec.Diagram = fig7Diagram
	rec.Logs = map[string][]string{
		"lb1": {"Keepalived_vrrp[212]: (outer) Entering MASTER STATE", "(killed)"},
		"lb2": {"Keepalived_vrrp[218]: (outer) Entering BACKUP STATE",
			"Keepalived_vrrp[218]: (outer) Receive advertisement timeout",
			"Keepalived_vrrp[218]: (outer) Entering MASTER STATE"},
	}
	return New(rec, []Finding{
		{OutageBound, "No client waits longer than 3 adverts, the skew and 50 ms for the next answer.",
			Pass, outageOf(&rec), "3.664s", ""},
		{"one-owner", "Never do two directors hold a VIP for longer than 100 ms.", Fail, "3.392s",
			"100ms", "lb1 and lb2 both held 192.168.1.1 from 8.608s to 12s: nobody withdrew it on lb1"},
	}, measuresOf(&rec))
}

func unjudged() Report {
	rec := killed(story{"tandemd", 4100 * ms, 40 * ms, 10 * ms})
	rec.Scenario = "director-frozen"
	return New(rec, []Finding{
		{OutageBound, "No client waits longer than 3 adverts, the skew and 50 ms for the next answer.",
			Inconclusive, outageOf(&rec), "3.664s", "the host stalled for 812ms at 6.1s"},
	}, nil)
}

// simulated is a passed report of a run in virtual time.
func simulated() Report {
	r := passed()
	r.Recording.Host.Clock = VirtualClock
	r.Recording.Host.RealStarted = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	r.Recording.Host.RealLength = 9*time.Second + 400*ms
	return r
}

// brokenOffReport is of a run whose guest ended before anything was recorded.
func brokenOffReport() Report {
	r := simulated()
	rec := Recording{Scenario: r.Recording.Scenario, Doc: r.Recording.Doc, Director: "tandemd",
		Seed: 42, Host: r.Recording.Host, Command: r.Recording.Command, Diagram: fig7Diagram,
		Nodes: r.Recording.Nodes, VIPs: r.Recording.VIPs}
	return New(rec, []Finding{BrokenOff("process 'web' (pid 12) spun at 0x4512f0")}, nil)
}

func outageOf(rec *Recording) string { return shown(Outage(rec, Whole(rec)).Length()) }

func measuresOf(rec *Recording) []Measure {
	l := Latencies(rec, Whole(rec))
	return []Measure{
		{"latency", fmt.Sprintf("p50 %s, p95 %s, max %s", shown(l.P50), shown(l.P95), shown(l.Max)),
			"of answered requests, from the planned sending to the end of the answer"},
		{"both hold 192.168.1.1", shown(Both(rec, outer, Whole(rec))), ""},
	}
}

// fig7Diagram is a topology's drawing as a recording carries it.
//
//go:embed testdata/fig7.svg
var fig7Diagram string
