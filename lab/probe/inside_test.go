package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// TestSpeakersKnowLinkLocalAddresses names the sender of an advert of IPv6 behind a virtual MAC.
func TestSpeakersKnowLinkLocalAddresses(t *testing.T) {
	t.Parallel()
	six, err := topology.Preset("fig7-v6")
	if err != nil {
		t.Fatal(err)
	}
	heard := advert{mac: net.HardwareAddr{0, 0, 0x5e, 0, 2, 51}, version: 3, router: 51, priority: 150,
		source: netip.MustParseAddr("fe80::1ff:fe00:3"), interval: time.Second}
	if got := newSpeakers(six, "client").hear(0, heard).Node; got != "lb2" {
		t.Errorf("the advert is of %q, want lb2", got)
	}
}

// speakerStep is one step of a script of adverts and silences.
type speakerStep struct {
	name  string
	at    time.Duration
	heard *advert
	want  string
	next  time.Duration // the deadline after it; 0: none
}

// speakerScript is a script on one network of one node, lb1.
func speakerScript() []speakerStep {
	const ms = time.Millisecond
	from := func(source string, router, priority uint8) advert {
		return advert{
			source: netip.MustParseAddr(source), mac: net.HardwareAddr{0, 0, 0x5e, 0, 1, router},
			router: router, priority: priority, interval: 100 * ms,
		}
	}
	lb1 := func(priority uint8) *advert { a := from("192.168.1.2", 51, priority); return &a }
	other := from("192.168.1.77", 51, 200)
	hidden := from("10.0.0.1", 52, 1)
	hidden.mac = lab.HardwareAddr(netip.MustParseAddr("192.168.1.2"))
	timeless := *lb1(150)
	timeless.interval = 0
	as := func(priority int) string {
		return fmt.Sprintf("lb1 master client: virtual router 51, priority %d", priority)
	}
	return []speakerStep{
		{"nothing yet", 0, nil, "", 0},
		{"first advert", 100 * ms, lb1(150), as(150), 450 * ms},
		{"the same again", 200 * ms, lb1(150), "", 550 * ms},
		{"another priority", 300 * ms, lb1(160), as(160), 650 * ms},
		{"just before the deadline", 649 * ms, nil, "", 650 * ms},
		{"at the deadline", 650 * ms, nil,
			"lb1 silent client: virtual router 51, priority 160, last advert at 300ms", 0},
		{"silent only once", 900 * ms, nil, "", 0},
		{"back", 1000 * ms, lb1(160), as(160), 1350 * ms},
		{"leaving", 1100 * ms, lb1(0), "lb1 leaving client: virtual router 51, priority 0", 0},
		{"leaving again", 1110 * ms, lb1(0), "", 0},
		{"silent after it left", 5000 * ms, nil, "", 0},
		{"a stranger", 5000 * ms, &other,
			"192.168.1.77 master client: virtual router 51, priority 200", 5350 * ms},
		{"a node known by its MAC only", 5100 * ms, &hidden,
			"lb1 master client: virtual router 52, priority 1", 5350 * ms},
		{"no interval", 5200 * ms, &timeless, as(150), 5350 * ms},
		{"two fall silent", 6000 * ms, nil,
			"192.168.1.77 silent client: virtual router 51, priority 200, last advert at 5s; " +
				"lb1 silent client: virtual router 52, priority 1, last advert at 5.1s", 8700 * ms},
	}
}

func TestSpeakers(t *testing.T) {
	t.Parallel()
	s := newSpeakers(topology.Topology{Nodes: []topology.Node{{
		Name: "lb1",
		Links: []topology.Link{{
			Network: "client", Addr: netip.MustParsePrefix("192.168.1.2/24"),
		}},
	}}}, "client")
	for _, step := range speakerScript() {
		events := s.silence(step.at)
		if step.heard != nil {
			events = append(events, s.hear(step.at, *step.heard))
		}
		var lines []string
		for _, e := range events {
			if e.Kind == "" {
				continue
			}
			if e.At != step.at || e.Kind != reports.State {
				t.Errorf("%s: event %+v, want kind state at %v", step.name, e, step.at)
			}
			lines = append(lines, e.Node+" "+e.Subject+" "+e.Detail)
		}
		if diff := cmp.Diff(step.want, strings.Join(lines, "; ")); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", step.name, diff)
		}
		if next, ok := s.deadline(); next != step.next || ok != (step.next != 0) {
			t.Errorf("%s: next deadline %v, %v; want %v", step.name, next, ok, step.next)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		want   reports.Outcome
		detail string
	}{
		{"no error", nil, reports.Answered, ""},
		{"deadline", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, reports.Timeout, ""},
		{"closed port", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect",
			syscall.ECONNREFUSED)}, reports.Refused, "connection refused"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, reports.Refused,
			"connection reset"},
		{"reset while writing", syscall.EPIPE, reports.Refused, "connection reset"},
		{"no neighbour", syscall.EHOSTUNREACH, reports.Failed, "no route to host"},
		{"status", errStatus{"503 Service Unavailable"}, reports.Failed,
			"status 503 Service Unavailable"},
		{"anything else", errors.New("odd"), reports.Failed, "odd"},
	} {
		outcome, detail := judge(test.err)
		if outcome != test.want || detail != test.detail {
			t.Errorf("%s: judge = %s, %q; want %s, %q",
				test.name, outcome, detail, test.want, test.detail)
		}
	}
}

// answering serves every connection on loopback with one answer and returns its address.
func answering(t *testing.T, answer string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// The request first: closing with bytes unread would be a reset.
			conn.Read(make([]byte, 4096))
			conn.Write([]byte(answer))
			conn.Close()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func TestProbeOfOneRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, answer string
		planned      time.Duration // before now
		want         reports.Outcome
		server       string
		detail       string // its beginning
	}{
		{"an answer", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nweb1\nmore", 0,
			reports.Answered, "web1", ""},
		{"an answer until the end", "HTTP/1.0 200 OK\r\n\r\nweb1", 0, reports.Answered, "web1", ""},
		{"an error status", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0,
			reports.Failed, "", "status 500 Oops"},
		{"no answer", "", 0, reports.Failed, "", "unexpected EOF"},
		{"no HTTP", "hello\n", 0, reports.Failed, "", "malformed HTTP response"},
		{"sent late", "HTTP/1.0 200 OK\r\n\r\nweb1", time.Second, reports.Answered, "web1",
			"probe late by 1"},
		{"sent too late", "HTTP/1.0 200 OK\r\n\r\nweb1", time.Minute, reports.Late, "web1",
			"probe late by 1m"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := prober{order: httpOrder{
				Client: "client1", Target: answering(t, test.answer),
				Limit: 10 * time.Second, Tolerance: 500 * time.Millisecond,
			}}
			planned := p.clock.Now() - test.planned
			r := p.probe(planned).Request
			if r.Outcome != test.want || r.Server != test.server ||
				!strings.HasPrefix(r.Detail, test.detail) {
				t.Errorf("request %+v; want %s by %q, detail %q",
					r, test.want, test.server, test.detail)
			}
			if late := strings.HasPrefix(test.detail, "probe late"); late != (r.Late > 0) {
				t.Errorf("late by %s; want it to be late: %t", r.Late, late)
			}
			if r.Sent != planned || r.Latency < test.planned || r.Client != "client1" {
				t.Errorf("request %+v; want client1's of %v", r, planned)
			}
		})
	}
}

// TestProbePausesInARequest has a server look at what comes before the pause, and after it.
func TestProbePausesInARequest(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const pause = 30 * time.Millisecond
	p := prober{order: httpOrder{
		Target: netip.MustParseAddrPort(listener.Addr().String()), Pause: pause,
		Limit: 10 * time.Second, Tolerance: time.Hour,
	}}
	done := make(chan reports.Request, 1)
	go func() { done <- p.probe(p.clock.Now()).Request }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	part := make([]byte, 4096)
	n, err := conn.Read(part)
	// On a machine that is late by the pause both parts are there.
	if got := string(part[:n]); err != nil ||
		got != "GET / HTTP/1.1\r\n" && !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("got %q, error %v; want the first line", got, err)
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nweb1"); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.Outcome != reports.Answered || r.Server != "web1" || r.Latency < pause {
		t.Errorf("request %+v; want an answer by web1, %s or more", r, pause)
	}
}

// stopper is the output of a prober; it stops the schedule with the first request that has an
// outcome.
type stopper struct {
	bytes.Buffer
	stop  chan struct{}
	lines int
}

func (s *stopper) Write(text []byte) (int, error) {
	if s.lines++; s.lines == 2 {
		close(s.stop)
	}
	return s.Buffer.Write(text)
}

// TestScheduleEndsOnASlowMachine has a schedule that no machine keeps: it ends all the same, and no
// time planned until then is left out.
func TestScheduleEndsOnASlowMachine(t *testing.T) {
	t.Parallel()
	out := &stopper{stop: make(chan struct{})}
	p := prober{out: out, order: httpOrder{
		Target: netip.MustParseAddrPort("127.0.0.1:1"), Rate: 20_000,
		Limit: time.Second, Tolerance: time.Hour,
	}}
	if err := p.schedule(out.stop); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var sent []time.Duration
	for i, text := range lines {
		r, err := parseRecord(text)
		if err != nil {
			t.Fatal(err)
		}
		if r.Ready != (i == 0) {
			t.Errorf("line %d: %s", i, text)
		}
		if !r.Ready {
			sent = append(sent, r.Request.Sent)
		}
	}
	slices.Sort(sent)
	for i, at := range sent {
		if want := sent[0] + time.Duration(i)*50*time.Microsecond; at != want {
			t.Fatalf("request %d of %d was planned for %v, want %v", i, len(sent), at, want)
		}
	}
}

func TestProberReportsThatItCannotWrite(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	p := prober{out: write}
	p.write(httpRecord{Ready: true})
	p.write(httpRecord{})
	if err := p.failure(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("failure() = %v, want %v", err, syscall.EPIPE)
	}
}

func TestRecorderSorts(t *testing.T) {
	t.Parallel()
	var r Recorder
	if r.Events() != nil || r.Requests() != nil {
		t.Error("the zero recorder is not empty")
	}
	for _, e := range []reports.Event{{At: 2, Node: "b"}, {At: 1}, {At: 2, Node: "a"}} {
		r.Event(e)
	}
	want := []reports.Event{{At: 1}, {At: 2, Node: "b"}, {At: 2, Node: "a"}}
	if diff := cmp.Diff(want, r.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	r.Request(reports.Request{Sent: 2})
	r.Request(reports.Request{Sent: 1})
	if diff := cmp.Diff([]reports.Request{{Sent: 1}, {Sent: 2}}, r.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRoleRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	run := Roles()[0].Run
	for _, args := range [][]string{nil, {"{}", "{}"}, {"no JSON"}} {
		if run(args) == nil {
			t.Errorf("arguments %q are no error", args)
		}
	}
}

// TestSignalWakesAllWhoWait would hang without the wake-up.
func TestSignalWakesAllWhoWait(t *testing.T) {
	t.Parallel()
	var s signal
	s.notify()
	a, b := s.wait(), s.wait()
	s.notify()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, changed := range []<-chan struct{}{a, b} {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("not woken")
		}
	}
}

func TestSpeakersKnowForgedAdverts(t *testing.T) {
	t.Parallel()
	fig5, err := topology.Preset("fig5")
	if err != nil {
		t.Fatal(err)
	}
	s := newSpeakers(fig5, "client")
	mac := func(addr string) []byte { return lab.HardwareAddr(netip.MustParseAddr(addr)) }
	tests := []struct {
		name, source string
		mac          []byte
		want         bool
	}{
		{"a director", "192.168.1.2", mac("192.168.1.2"), false},
		{"a director's virtual MAC", "192.168.1.2", []byte{0, 0, 0x5e, 0, 1, 51}, false},
		{"a stranger", "192.168.1.77", mac("192.168.1.77"), false},
		{"a client", "192.168.1.100", mac("192.168.1.100"), true},
		{"a client in a director's name", "192.168.1.2", mac("192.168.1.100"), true},
	}
	for _, tt := range tests {
		a := advert{source: netip.MustParseAddr(tt.source), mac: tt.mac, router: 51}
		if got := s.forged(a); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
