package agentx

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// list is a Tree of a few variables, in their order.
type list []Binding

func (l list) Get(name OID) Value {
	for _, b := range l {
		if slices.Equal(b.Name, name) {
			return b.Value
		}
	}
	return Value{}
}

func (l list) Next(name OID, included bool) Binding {
	for _, b := range l {
		if c := slices.Compare(b.Name, name); c > 0 || c == 0 && included {
			return b
		}
	}
	return Binding{}
}

var few = list{
	{OID{1, 3, 1, 0}, Int(1)}, {OID{1, 3, 2, 1}, Int(21)}, {OID{1, 3, 2, 2}, Int(22)},
	{OID{1, 3, 3, 1}, Int(31)},
}

func TestAnswer(t *testing.T) {
	none, instance := Value{Type: NoSuchObject}, Value{Type: NoSuchInstance}
	end := Value{Type: EndOfMIBView}
	for _, tt := range []struct {
		name string
		ask  Packet
		want []Binding
	}{
		{"get", Packet{Kind: Get, Ranges: []Range{{Start: OID{1, 3, 2, 1}}, {Start: OID{1, 3, 2, 3}},
			{Start: OID{1, 4, 0}}, {}}},
			[]Binding{few[1], {OID{1, 3, 2, 3}, instance}, {OID{1, 4, 0}, none}, {nil, none}}},
		{"next", Packet{Kind: GetNext, Ranges: []Range{
			{Start: OID{1, 3, 2, 1}}, {Start: OID{1, 3, 2, 1}, Included: true},
			{Start: OID{1, 3, 2, 2}, End: OID{1, 3, 3}}, {Start: OID{1, 3, 3, 1}},
		}}, []Binding{few[2], few[1], {OID{1, 3, 2, 2}, end}, {OID{1, 3, 3, 1}, end}}},
		{"bulk", Packet{Kind: GetBulk, NonRepeaters: 1, MaxRepetitions: 3, Ranges: []Range{
			{Start: OID{1}}, {Start: OID{1, 3, 2}}, {Start: OID{1, 3, 2, 2}},
		}}, []Binding{few[0], few[1], few[3], few[2], {OID{1, 3, 3, 1}, end}, few[3],
			{OID{1, 3, 3, 1}, end}}},
		{"bulk that ends", Packet{Kind: GetBulk, MaxRepetitions: 65535,
			Ranges: []Range{{Start: OID{1, 3, 3, 1}}}}, []Binding{{OID{1, 3, 3, 1}, end}}},
		{"bulk of nothing", Packet{Kind: GetBulk, NonRepeaters: 9, MaxRepetitions: 65535}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Answer(few, &tt.ask)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseSocket(t *testing.T) {
	for _, tt := range []struct{ socket, network, address string }{
		{"", "unix", "/var/agentx/master"},
		{"/run/x", "unix", "/run/x"},
		{"unix:/run/x", "unix", "/run/x"},
		{"tcp:localhost:705", "tcp", "localhost:705"},
		{"tcp:[::1]:705", "tcp", "[::1]:705"},
		{"127.0.0.1:705", "tcp", "127.0.0.1:705"},
		{"unix:", "", ""}, {"udp:localhost:705", "", ""}, {"localhost", "", ""}, {"tcp:705", "", ""},
	} {
		network, address, err := ParseSocket(tt.socket)
		if network != tt.network || address != tt.address || (err != nil) != (tt.network == "") {
			t.Errorf("%q: got %q, %q, %v", tt.socket, network, address, err)
		}
	}
}

// master is the other end of an agent's connections.
type master struct {
	t     *testing.T
	conns chan net.Conn
	conn  net.Conn
	mu    sync.Mutex
	// away is that nobody can connect; tried are the times when somebody wanted to.
	away  bool
	tried []time.Time
}

// begin runs an agent whose master is m, until the end of the test or of what it returns.
func (m *master) begin(o Options) (*Agent, func()) {
	m.t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	o.Tree = func(context.Context, time.Time) Tree { return few }
	a, err := New(o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.conns = make(chan net.Conn, 1)
	a.dial = func(context.Context) (net.Conn, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tried = append(m.tried, time.Now())
		if m.away {
			return nil, errors.New("nobody there")
		}
		here, there := net.Pipe()
		m.conns <- there
		return here, nil
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); err != nil {
			m.t.Errorf("Run: %v", err)
		}
	}()
	return a, func() {
		cancel()
		if m.conn != nil {
			go func() { _, _ = io.Copy(io.Discard, m.conn) }()
		}
		<-ended
	}
}

// tries returns the times when somebody wanted to connect; from now on, everybody can.
func (m *master) tries() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = false
	return m.tried
}

// accept takes a session, and answers until its regions are registered.
func (m *master) accept(regions int) {
	m.t.Helper()
	m.conn = <-m.conns
	for i := range 1 + regions {
		p := m.read()
		if want := []Kind{Open, Register}[min(i, 1)]; p.Kind != want {
			m.t.Fatalf("packet %d: got %s, expected %s", i, p.Kind, want)
		}
		m.write(Packet{Kind: Response, Session: 7, ID: p.ID, UpTime: 500})
	}
}

func (m *master) read() Packet {
	m.t.Helper()
	p, err := ReadPacket(m.conn)
	if err != nil {
		m.t.Fatalf("read: %v", err)
	}
	return p
}

func (m *master) write(p Packet) {
	m.t.Helper()
	if _, err := m.conn.Write(p.Append(nil)); err != nil {
		m.t.Fatalf("write: %v", err)
	}
}

func TestAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{t: t}
		a, end := m.begin(Options{Regions: []OID{{1, 3, 1}, {1, 3, 2}}})
		m.accept(2)
		for _, tt := range []struct {
			ask  Packet
			want Packet
		}{
			{Packet{Kind: Get, Transaction: 3, ID: 4, Ranges: []Range{{Start: OID{1, 3, 1, 0}}}},
				Packet{Kind: Response, Transaction: 3, ID: 4, Bindings: []Binding{few[0]}}},
			{Packet{Kind: GetNext, Context: "other", Ranges: []Range{{Start: OID{1}}}},
				Packet{Kind: Response, Bindings: []Binding{{OID{1}, Value{Type: EndOfMIBView}}}}},
			{Packet{Kind: TestSet, Bindings: []Binding{few[0]}},
				Packet{Kind: Response, Error: notWritable, Index: 1}},
			{Packet{Kind: CommitSet}, Packet{Kind: Response, Error: commitFailed, Index: 1}},
			{Packet{Kind: UndoSet}, Packet{Kind: Response, Error: undoFailed, Index: 1}},
			{Packet{Kind: Open, Name: OID{1}}, Packet{Kind: Response, Error: requestDenied}},
		} {
			m.write(tt.ask)
			if diff := cmp.Diff(tt.want, m.read()); diff != "" {
				t.Errorf("answer to %s (-want +got)\n%s", tt.ask.Kind, diff)
			}
		}
		m.write(Packet{Kind: CleanupSet}) // has no answer
		a.Tell(func() []Notification {
			return []Notification{{OID{1, 3, 9}, []Binding{few[1]}}}
		})
		want := Packet{Kind: Notify, Session: 7, ID: 4, Bindings: []Binding{
			{OID{1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0}, ID(OID{1, 3, 9})}, few[1]}}
		if diff := cmp.Diff(want, m.read()); diff != "" {
			t.Errorf("notification (-want +got)\n%s", diff)
		}
		end()
	})
}

// TestLastWords has an agent end that has something to tell: it does so, and says goodbye.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{t: t}
		a, end := m.begin(Options{})
		m.accept(0)
		synctest.Wait()
		conn := m.conn
		m.conn = nil
		said := make(chan []Kind, 1)
		go func() {
			var kinds []Kind
			for {
				p, err := ReadPacket(conn)
				if err != nil {
					said <- kinds
					return
				}
				kinds = append(kinds, p.Kind)
			}
		}()
		for range 2 {
			a.Tell(func() []Notification { return []Notification{{Name: OID{1}}} })
		}
		end()
		if diff := cmp.Diff([]Kind{Notify, Notify, Close}, <-said); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestAgain has the master away, come, and go in every way: the agent comes back each time, and
// tells what has waited.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		m := &master{t: t, away: true}
		a, end := m.begin(Options{Regions: []OID{{1, 3}}})
		for range queueLength + 3 {
			a.Tell(func() []Notification { return []Notification{{Name: OID{1}}} })
		}
		if n := a.Lost(); n != 3 {
			t.Errorf("lost %d, expected 3", n)
		}
		bubbletest.Pass(100 * time.Second)
		var seconds []int
		for _, at := range m.tries() {
			seconds = append(seconds, int(at.Sub(begin).Seconds()))
		}
		if diff := cmp.Diff([]int{0, 1, 3, 7, 15, 31, 61, 91}, seconds); diff != "" {
			t.Errorf("tried at seconds (-want +got)\n%s", diff)
		}
		m.accept(1)
		for i := range queueLength {
			if p := m.read(); p.Kind != Notify {
				t.Fatalf("packet %d: got %s, expected a notification", i, p.Kind)
			}
		}
		for _, leave := range []struct {
			how string
			do  func()
		}{
			{"hangs up", func() { _ = m.conn.Close() }},
			{"closes", func() { m.write(Packet{Kind: Close, Session: 7}) }},
			{"talks nonsense", func() { _, _ = m.conn.Write(make([]byte, headerLength)) }},
			{"is silent", func() {
				if p := m.read(); p.Kind != Ping {
					t.Errorf("got %s, expected a ping", p.Kind)
				}
				bubbletest.Pass(pingEvery)
			}},
		} {
			t.Log("the master", leave.how)
			leave.do()
			tried := len(m.tries())
			bubbletest.Pass(firstPause)
			if len(m.tries()) != tried+1 {
				t.Fatalf("master %s: expected that the agent comes back", leave.how)
			}
			m.accept(1)
		}
		p := m.read()
		m.write(Packet{Kind: Response, ID: p.ID})
		if p = m.read(); p.Kind != Ping {
			t.Errorf("after a ping that was answered: got %s, expected another one", p.Kind)
		}
		end()
	})
}

// TestRegionTaken has the master refuse a region: the agent tries again later.
func TestRegionTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{t: t}
		_, end := m.begin(Options{Regions: []OID{{1, 3}}})
		m.accept(0)
		m.write(Packet{Kind: Response, Session: 7, ID: m.read().ID, Error: 263})
		bubbletest.Pass(firstPause)
		m.accept(1)
		end()
	})
}

func TestStrings(t *testing.T) {
	got := strings.Join([]string{OID{1, 3, 6}.String(), OID(nil).String(), GetBulk.String(),
		Counter64.String()}, "|")
	if want := "1.3.6||get-bulk|Counter64"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
}
