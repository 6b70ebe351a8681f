package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// TestCheckConfig has the blocks of web1 in every drill of health checks as they should be.
func TestCheckConfig(t *testing.T) {
	var b strings.Builder
	for _, i := range ills() {
		top := i.topology()
		text := Config(top, *top.NodesOf(topology.Director)[0])
		from := strings.Index(text, "track_file web1")
		if from < 0 {
			from = strings.Index(text, "virtual_server")
		}
		to := strings.Index(text, "    real_server 192.168.2.12")
		if from < 0 || to < from {
			t.Fatalf("%s: no virtual server with a first and a second real server:\n%s", i.name, text)
		}
		b.WriteString("# " + i.name + "\n" + text[from:to])
	}
	golden := filepath.Join("testdata", "checks.conf")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// TestEveryCheckHasADrill finds none forgotten.
func TestEveryCheckHasADrill(t *testing.T) {
	drilled := map[topology.CheckKind]bool{}
	for _, i := range ills() {
		drilled[i.check] = true
		top := i.topology()
		if err := top.Validate(); err != nil {
			t.Errorf("%s: %v", i.name, err)
		}
	}
	for kind := topology.TCPCheck; kind <= topology.FileCheck; kind++ {
		if !drilled[kind] || checkNames[kind] == "" {
			t.Errorf("check %s has a drill: %t, and is called %q", kind, drilled[kind], checkNames[kind])
		}
	}
}

// sickness is a recording of a fault from 2 s to 8 s; web2 answers until 4 s, and again from 9 s.
func sickness(notes ...reports.Event) *reports.Recording {
	const s = time.Second
	rec := &reports.Recording{Length: 10 * s}
	rec.Events = append(rec.Events,
		reports.Event{At: 2 * s, Kind: reports.FaultInject, Node: "web2", Subject: "server-wrong"})
	rec.Events = append(rec.Events, notes...)
	rec.Events = append(rec.Events,
		reports.Event{At: 8 * s, Kind: reports.FaultHeal, Node: "web2", Subject: "server-wrong"})
	for at := time.Duration(0); at < rec.Length; at += s / 2 {
		q := reports.Request{Sent: at, Client: "client1", Outcome: reports.Answered, Server: "web1"}
		if at%s == 0 && (at <= 4*s || at >= 9*s) {
			q.Server = "web2"
		}
		rec.Requests = append(rec.Requests, q)
	}
	return rec
}

func TestNotServedAfter(t *testing.T) {
	const s = time.Second
	none := sickness()
	none.Requests = none.Requests[:9] // up to 4 s
	other := sickness()
	other.Requests[14].Server = "this is another page" // at 7 s
	for _, tt := range []struct {
		name     string
		rec      *reports.Recording
		limit    time.Duration
		want     reports.Verdict
		observed string
	}{
		{"in time", sickness(), 3 * s, reports.Pass, "2s"},
		{"too late", sickness(), s, reports.Fail, "2s"},
		{"under another name", other, 3 * s, reports.Fail, "5s"},
		{"too short to know", sickness(), 6 * s, reports.Inconclusive, "nothing"},
		{"nothing asked", none, 3 * s, reports.Inconclusive, "2s"},
	} {
		f := notServedAfter("web2", []string{"web1", "web3"}, tt.limit).Judge(tt.rec, 0)
		if f.Verdict != tt.want || f.Observed != tt.observed {
			t.Errorf("%s: %s, observed %s; want %s, %s (%s)", tt.name, f.Verdict, f.Observed, tt.want,
				tt.observed, f.Detail)
		}
	}
}

func TestSaysWhy(t *testing.T) {
	const s = time.Second
	server := ills()[0].server()
	note := func(at time.Duration, detail string) reports.Event {
		return reports.Event{At: at, Kind: reports.Note, Node: "lb1",
			Subject: SaysDown{Server: server}.note(), Detail: detail}
	}
	for _, tt := range []struct {
		name string
		note reports.Event
		want reports.Verdict
	}{
		{"in time", note(4*s, "HTTP 503, wanted 200"), reports.Pass},
		{"too late", note(6*s, "HTTP 503, wanted 200"), reports.Fail},
		{"another reason", note(4*s, "connection refused"), reports.Fail},
		{"before the fault", note(s, "HTTP 503, wanted 200"), reports.Fail},
		{"no status", note(2*s, noStatus), reports.Inconclusive},
		{"something else", reports.Event{At: 4 * s, Kind: reports.Note, Subject: "x",
			Detail: "HTTP 503"}, reports.Fail},
	} {
		f := saysWhy(server, "HTTP 503", 3*s).Judge(sickness(tt.note), 0)
		if f.Verdict != tt.want {
			t.Errorf("%s: %s, want %s (%s)", tt.name, f.Verdict, tt.want, f.Detail)
		}
	}
}

func TestServes(t *testing.T) {
	top := ills()[0].topology()
	top.Services[0].Protocol = topology.SMTP
	for node, want := range map[string]topology.Protocol{"web2": topology.SMTP, "lb1": topology.HTTP} {
		if got, _ := serves(top, node); got != want {
			t.Errorf("%s speaks %s, want %s", node, got, want)
		}
	}
	if got := protocolOf(top, serviceOf(top)); got != topology.SMTP {
		t.Errorf("the service speaks %s", got)
	}
}
