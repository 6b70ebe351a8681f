package scenarios

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
)

var (
	outer = netip.MustParseAddr("192.168.1.1")
	inner = netip.MustParseAddr("192.168.2.1")
)

// story is a recording of a fault at 2 s that is healed at 8 s, of 10 s, with a request each 100 ms.
func story(change func(*reports.Recording)) *reports.Recording {
	rec := &reports.Recording{
		Length: 10 * time.Second,
		VIPs:   []reports.VIP{{Name: "outer", Addr: outer}, {Name: "inner", Addr: inner}},
		Events: []reports.Event{
			{At: 0, Kind: reports.VIPAdd, Node: "lb1", Subject: outer.String()},
			{At: 0, Kind: reports.VIPAdd, Node: "lb1", Subject: inner.String()},
			{At: 2 * time.Second, Kind: reports.FaultInject, Node: "lb1", Subject: "power-off"},
			{At: 8 * time.Second, Kind: reports.FaultHeal, Node: "lb1", Subject: "power-off"},
		},
	}
	for at := time.Duration(0); at < rec.Length; at += 100 * time.Millisecond {
		rec.Requests = append(rec.Requests, reports.Request{Sent: at, Client: "client1",
			Outcome: reports.Answered, Server: "web2"})
	}
	change(rec)
	return rec
}

// move moves a VIP from lb1 to lb2 at two times.
func move(rec *reports.Recording, vip netip.Addr, gone, taken time.Duration) {
	extra := []reports.Event{
		{At: gone, Kind: reports.VIPRemove, Node: "lb1", Subject: vip.String()},
		{At: taken, Kind: reports.VIPAdd, Node: "lb2", Subject: vip.String()},
	}
	if taken < gone {
		extra[0], extra[1] = extra[1], extra[0]
	}
	rec.Events = append(rec.Events, extra...)
}

// lose makes the requests sent in [from, to) time out.
func lose(rec *reports.Recording, from, to time.Duration) {
	for i, q := range rec.Requests {
		if from <= q.Sent && q.Sent < to {
			rec.Requests[i].Outcome = reports.Timeout
			rec.Requests[i].Server = ""
		}
	}
}

func TestBounds(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name     string
		bound    Bound
		change   func(*reports.Recording)
		want     reports.Verdict
		observed string
	}{
		{"an outage at the limit passes", OutageWithin(3 * s),
			func(r *reports.Recording) { lose(r, 2*s, 5*s) }, reports.Pass, "3s"},
		{"a longer one fails", OutageWithin(3 * s),
			func(r *reports.Recording) { lose(r, 2*s, 5*s+1) }, reports.Fail, "3.1s"},
		{"an outage before the fault is not the fault's", OutageWithin(s),
			func(r *reports.Recording) { lose(r, 0, 2*s) }, reports.Pass, "0s"},
		{"no request says nothing", OutageWithin(s),
			func(r *reports.Recording) { r.Requests = nil }, reports.Inconclusive, "no request"},
		{"no fault says nothing", OutageWithin(s),
			func(r *reports.Recording) { r.Events = r.Events[:2] }, reports.Inconclusive, "nothing"},
		{"the outage after the heal", FailBackWithin(s),
			func(r *reports.Recording) { lose(r, 8*s, 9*s+1) }, reports.Fail, "1.1s"},
		{"both VIPs move", OneOwnerWithin(4 * s), func(r *reports.Recording) {
			move(r, outer, 3*s, 5*s)
			move(r, inner, 3*s, 4*s)
		}, reports.Pass, "3s"},
		{"one stays on both directors for a while", OneOwnerWithin(4 * s),
			func(r *reports.Recording) {
				move(r, outer, 7*s, 5*s)
				move(r, inner, 3*s, 4*s)
			}, reports.Fail, "5s"},
		{"one stays behind", OneOwnerWithin(4 * s),
			func(r *reports.Recording) { move(r, outer, 3*s, 4*s) }, reports.Fail, "never"},
		{"both on both for ever", OneOwnerWithin(4 * s), func(r *reports.Recording) {
			move(r, outer, 9*s, 4*s)
			move(r, inner, 9*s, 4*s)
		}, reports.Fail, "never"},
		{"nobody", OneOwnerWithin(4 * s), func(r *reports.Recording) {
			move(r, outer, 3*s, 9*s)
			move(r, inner, 3*s, 9*s)
		}, reports.Fail, "never"},
		{"the last lost request in time", NothingLostAfter(2 * s),
			func(r *reports.Recording) { lose(r, 3*s, 4*s) }, reports.Pass, "1.9s"},
		{"the last lost request too late", NothingLostAfter(2 * s),
			func(r *reports.Recording) { lose(r, 6*s, 6*s+1) }, reports.Fail, "4s"},
		{"a server that is back", BackInServiceWithin("web2", s),
			func(r *reports.Recording) { lose(r, 8*s, 8*s+500*time.Millisecond) },
			reports.Pass, "500ms"},
		{"a server that never comes", BackInServiceWithin("web3", s),
			func(*reports.Recording) {}, reports.Fail, "never"},
		{"shares", Shares(map[string]int{"web1": 0, "web2": 100}),
			func(*reports.Recording) {}, reports.Pass, "web1 0, web2 100"},
		{"shares with one lost", Shares(map[string]int{"web2": 99}),
			func(r *reports.Recording) { lose(r, 0, 1) }, reports.Fail, "web2 99"},
		{"order", Order("web2"), func(*reports.Recording) {}, reports.Pass, "100 in order"},
		{"wrong order", Order("web2", "web1"), func(*reports.Recording) {}, reports.Fail,
			"web2 web2"},
		{"nothing answered is no order", Order("web2"),
			func(r *reports.Recording) { lose(r, 0, 10*s) }, reports.Fail, "0 in order"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.bound.Judge(story(tt.change), 0)
			if f.Verdict != tt.want || f.Observed != tt.observed {
				t.Errorf("%s, observed %q; want %s, %q (detail: %s)", f.Verdict, f.Observed, tt.want,
					tt.observed, f.Detail)
			}
		})
	}
}

func TestStallTurnsOnlyWhatItExplainsInconclusive(t *testing.T) {
	tests := []struct {
		name string
		late time.Duration
		lost time.Duration
		want reports.Verdict
	}{
		{"no stall", 0, 3500 * time.Millisecond, reports.Fail},
		{"a stall within the allowance", 50 * time.Millisecond, 3100 * time.Millisecond, reports.Fail},
		{"a stall that explains it", 300 * time.Millisecond, 3500 * time.Millisecond,
			reports.Inconclusive},
		{"a stall that does not explain it", 300 * time.Millisecond,
			5 * time.Second, reports.Fail},
		{"a stall beside a pass", 300 * time.Millisecond, time.Second, reports.Pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := story(func(r *reports.Recording) {
				lose(r, 2*time.Second, 2*time.Second+tt.lost)
				r.Requests[3].Late = tt.late
			})
			s := Scenario{Bounds: []Bound{OutageWithin(3 * time.Second)}}
			if got := Judge(s, rec)[0]; got.Verdict != tt.want {
				t.Errorf("%s, want %s (%s, detail: %s)", got.Verdict, tt.want, got.Observed, got.Detail)
			}
		})
	}
}

func TestMasterDown(t *testing.T) {
	tests := []struct {
		version  int
		advert   time.Duration
		priority uint8
		want     time.Duration
	}{
		{2, time.Second, 100, 3609375 * time.Microsecond},
		{3, time.Second, 100, 3609375 * time.Microsecond},
		{3, 100 * time.Millisecond, 100, 360937500 * time.Nanosecond},
		{2, 2 * time.Second, 255, 6*time.Second + time.Second/256},
	}
	for _, tt := range tests {
		v := preset("fig7").VRRP
		v.Version, v.Advert = tt.version, tt.advert
		if got := masterDown(v, tt.priority); got != tt.want {
			t.Errorf("version %d, advert %s, priority %d: %s, want %s", tt.version, tt.advert,
				tt.priority, got, tt.want)
		}
	}
}

func TestCountServing(t *testing.T) {
	const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80101:0050 rr
  -> C0A8020C:0050      Masq    1      0          0
  -> C0A8020B:0050      Masq    0      0          0
`
	if n := countServing(strings.NewReader(table)); n != 1 {
		t.Errorf("%d destinations get connections, want 1: one has no weight", n)
	}
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range All() {
		if seen[s.Name] {
			t.Errorf("%s stands twice", s.Name)
		}
		seen[s.Name] = true
		if err := s.Topology.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if s.Doc == "" || len(s.Steps) == 0 || len(s.Bounds) == 0 {
			t.Errorf("%s lacks a doc, steps or bounds", s.Name)
		}
	}
	for _, name := range Demo() {
		if !seen[name] {
			t.Errorf("the demo's %s is not in the catalogue", name)
		}
	}
	if _, err := Find("fig7-*", "no-such"); err == nil || !strings.Contains(err.Error(), "fig5-") {
		t.Errorf("a pattern that matches nothing gives %v, want the names there are", err)
	}
	if found, err := Find("fig6-*rr"); err != nil || len(found) != 2 {
		t.Errorf("fig6-*rr finds %d (%v), want 2", len(found), err)
	}
}
