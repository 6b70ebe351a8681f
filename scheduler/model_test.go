package scheduler

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var start = time.Unix(0, 0)

// address is 192.168.2.N:80.
func address(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 2, byte(n)}), 80)
}

// model returns one with servers .11, .12 and so on of those weights, added in that order.
func model(t testing.TB, name Name, o Options, weights ...int) *Model {
	t.Helper()
	m, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range weights {
		if err := m.Add(Server{Addr: address(11 + i), Weight: w}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// connect makes n connections and returns the last parts of their servers' addresses; "-" is none.
func connect(m *Model, n int) string {
	var picks []string
	for i := range n {
		from := netip.AddrPortFrom(netip.MustParseAddr("192.168.1.10"), uint16(40000+i))
		c, ok := m.Connect(Flow{From: from, To: netip.MustParseAddr("192.168.1.1")}, start)
		if !ok {
			picks = append(picks, "-")
			continue
		}
		picks = append(picks, fmt.Sprint(c.Server.Addr().As4()[3]))
	}
	return strings.Join(picks, " ")
}

// TestOrder has orders that kernels were seen to follow.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name    Name
		weights []int
		want    string
	}{
		{RoundRobin, []int{1, 1, 1, 1}, "14 13 12 11 14"},
		{RoundRobin, []int{1, 0, 1}, "13 11 13 11"},
		{RoundRobin, []int{0, 0}, "- -"},
		{RoundRobin, nil, "-"},
		{WeightedRoundRobin, []int{1, 3, 2, 4},
			"14 13 12 11 14 14 12 14 13 12 14 13 12 11"},
		{WeightedRoundRobin, []int{3, 1}, "12 11 11 11 12 11"},
		{WeightedRoundRobin, []int{0, 0}, "- -"},
		{WeightedRoundRobin, nil, "-"},
		{LeastConnection, []int{1, 5, 1}, "13 12 11 13 12 11"},
		{WeightedLeastConnection, []int{1, 2}, "12 11 12 12 11 12"},
		{ShortestExpectedDelay, []int{1, 3}, "12 12 12 11 12"},
		{NeverQueue, []int{1, 3}, "12 11 12 12"},
		{WeightedFailover, []int{1, 3, 3, 2}, "13 13 13"},
		{WeightedOverflow, []int{1, 3, 2, 4}, "14 14 14 14 14 12 12 12 12 13 13 13 11 11 -"},
		{LeastConnection, []int{0}, "-"},
		{WeightedOverflow, nil, "-"},
	} {
		t.Run(fmt.Sprint(tt.name, tt.weights), func(t *testing.T) {
			m := model(t, tt.name, Options{}, tt.weights...)
			if diff := cmp.Diff(tt.want, connect(m, len(strings.Fields(tt.want)))); diff != "" {
				t.Errorf("(-want +got)\n%s\n%s", diff, m)
			}
		})
	}
}

func TestRoundRobinGoesOnBeforeTheServerThatLeft(t *testing.T) {
	m := model(t, RoundRobin, Options{}, 1, 1, 1, 1)
	if got := connect(m, 2); got != "14 13" {
		t.Fatal(got)
	}
	if err := m.Remove(address(13)); err != nil {
		t.Fatal(err)
	}
	if got := connect(m, 3); got != "12 11 14" {
		t.Errorf("got %s", got)
	}
}

func TestHashes(t *testing.T) {
	for a, want := range map[string]uint32{
		"192.168.1.10": 248, "192.168.1.11": 90, "192.168.1.200": 139,
	} {
		if got := hash32(fold(netip.MustParseAddr(a)), 8); got != want {
			t.Errorf("hash32 of %s: got %d, want %d", a, got, want)
		}
	}
	if got := hash32(fold(netip.MustParseAddr("192.168.1.10")), 10); got != 995 {
		t.Errorf("hash32 to 10 bits: got %d, want 995", got)
	}
	if got := siphash13(0xC0A8010A, maglevKey1); got != 0xd5e959b6 {
		t.Errorf("first hash: got %#x", got)
	}
	if got := siphash13(0xC0A8010A, maglevKey2); got != 0xddef2d2d {
		t.Errorf("second hash: got %#x", got)
	}
	if got := siphash13(fold(netip.MustParseAddr("192.168.1.11")), maglevKey1) % maglevSize; got != 2189 {
		t.Errorf("place of .11: got %d, want 2189", got)
	}
	six := netip.MustParseAddr("fd00::1:2:3:4")
	if got := fold(six); got != 0xfd00_0000^0x0001_0002^0x0003_0004 {
		t.Errorf("fold of %s: got %#x", six, got)
	}
}

// TestShare counts how often each server is in the tables of the hashing schedulers.
func TestShare(t *testing.T) {
	for _, tt := range []struct {
		name    Name
		weights []int
		want    []int // in percent
	}{
		{DestinationHash, []int{1, 9}, []int{50, 50}},
		{SourceHash, []int{1, 3}, []int{25, 75}},
		{MaglevHash, []int{1, 3}, []int{25, 75}},
		{MaglevHash, []int{10, 30}, []int{25, 75}},
		{MaglevHash, []int{1, 0, 1}, []int{50, 0, 50}},
	} {
		t.Run(fmt.Sprint(tt.name, tt.weights), func(t *testing.T) {
			m := model(t, tt.name, Options{}, tt.weights...)
			var table []*server
			switch c := m.chosen.(type) {
			case *buckets:
				table = c.table[:]
			case *maglev:
				table = c.table[:]
			}
			count := make([]int, len(tt.weights))
			for _, s := range table {
				count[s.Addr.Addr().As4()[3]-11]++
			}
			for i := range count {
				count[i] = (count[i]*100 + len(table)/2) / len(table)
			}
			if diff := cmp.Diff(tt.want, count); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestMaglevKeepsTheShareOfServersThatDrain: weight 0 refuses clients instead of moving them.
func TestMaglevKeepsTheShareOfServersThatDrain(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		m := model(t, MaglevHash, Options{Fallback: fallback}, 1, 1)
		if err := m.Edit(Server{Addr: address(11), Weight: 0}); err != nil {
			t.Fatal(err)
		}
		refused, moved := 0, 0
		for i := range 1000 {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1)
			switch c, ok := m.Connect(Flow{From: from}, start); {
			case !ok:
				refused++
			case c.Server == address(11):
				t.Fatalf("fallback %v: a connection to a server of weight 0", fallback)
			default:
				moved++
			}
		}
		if fallback && refused > 0 || !fallback && (refused < 400 || refused > 600) {
			t.Errorf("fallback %v: %d refused, %d taken", fallback, refused, moved)
		}
	}
}

func TestThresholds(t *testing.T) {
	m := model(t, RoundRobin, Options{})
	if err := m.Add(Server{Addr: address(11), Weight: 1, Upper: 4}); err != nil {
		t.Fatal(err)
	}
	var held []*Connection
	for {
		c, ok := m.Connect(Flow{}, start)
		if !ok {
			break
		}
		held = append(held, c)
	}
	if len(held) != 4 {
		t.Fatalf("took %d, want 4", len(held))
	}
	// Three quarters of four are three: it takes more again below that, which is with two left.
	for i, want := range []bool{false, true} {
		m.Close(held[i], true, start)
		m.Forget(held[i])
		c, ok := m.Connect(Flow{}, start)
		if ok != want {
			t.Errorf("with %d forgotten: taken %v, want %v", i+1, ok, want)
		}
		if ok {
			m.Forget(c)
		}
	}
}

func TestClosedConnectionsCountUntilTheirTimeIsOver(t *testing.T) {
	m := model(t, LeastConnection, Options{}, 1)
	for _, tt := range []struct {
		reset bool
		kept  time.Duration
	}{{true, 10 * time.Second}, {false, 2 * time.Minute}} {
		at := m.now
		c, _ := m.Connect(Flow{}, at)
		if active, inactive := m.Counts(address(11)); active != 1 || inactive != 0 {
			t.Errorf("open: %d active, %d inactive", active, inactive)
		}
		m.Close(c, tt.reset, at)
		m.Close(c, tt.reset, at)
		m.Advance(at.Add(tt.kept - 1))
		if active, inactive := m.Counts(address(11)); active != 0 || inactive != 1 {
			t.Errorf("closed: %d active, %d inactive", active, inactive)
		}
		m.Advance(at.Add(tt.kept))
		if active, inactive := m.Counts(address(11)); active != 0 || inactive != 0 {
			t.Errorf("over: %d active, %d inactive", active, inactive)
		}
	}
}

// TestAServerThatComesBackHasItsConnections: it is not the emptiest only because it was away.
func TestAServerThatComesBackHasItsConnections(t *testing.T) {
	m := model(t, LeastConnection, Options{}, 1, 1)
	connect(m, 4)
	if err := m.Remove(address(11)); err != nil {
		t.Fatal(err)
	}
	if err := m.Add(Server{Addr: address(11), Weight: 1}); err != nil {
		t.Fatal(err)
	}
	if active, _ := m.Counts(address(11)); active != 2 {
		t.Errorf("%d active, want 2", active)
	}
}

// to returns the server of a connection to an address by firewall mark.
func to(t *testing.T, m *Model, a string, at time.Time) string {
	t.Helper()
	c, ok := m.Connect(Flow{From: address(100), To: netip.MustParseAddr(a)}, at)
	if !ok {
		return "-"
	}
	return fmt.Sprint(c.Server.Addr().As4()[3])
}

func TestLocalityKeepsAnAddressUntilItsServerIsCrowded(t *testing.T) {
	m := model(t, LocalityLeastConnection, Options{}, 3, 3)
	var got []string
	for range 6 {
		got = append(got, to(t, m, "10.0.0.1", start))
	}
	// The fifth finds four active of weight 3 while the other has none.
	if diff := cmp.Diff("12 12 12 12 11 11", strings.Join(got, " ")); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, m)
	}
}

func TestReplicatedUsesBothAndLetsTheBusiestGo(t *testing.T) {
	m := model(t, LocalityReplicated, Options{ReplicaExpiry: time.Minute}, 3, 3)
	var got []string
	for range 6 {
		got = append(got, to(t, m, "10.0.0.1", start))
	}
	if diff := cmp.Diff("12 12 12 12 11 11", strings.Join(got, " ")); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, m)
	}
	set := m.chosen.(replicated)[netip.MustParseAddr("10.0.0.1")]
	if len(set.servers) != 2 {
		t.Fatalf("%d servers in the set, want 2", len(set.servers))
	}
	to(t, m, "10.0.0.1", start.Add(2*time.Minute))
	if len(set.servers) != 1 || set.servers[0].Addr != address(11) {
		t.Errorf("set after its time: %v", set.servers)
	}
}

func TestErrors(t *testing.T) {
	if _, err := New("twos", Options{}); err == nil {
		t.Error("a model of twos")
	}
	m := model(t, RoundRobin, Options{}, 1)
	if m.Add(Server{Addr: address(11)}) == nil || m.Edit(Server{Addr: address(12)}) == nil ||
		m.Remove(address(12)) == nil {
		t.Error("no error")
	}
}

// TestEveryChoiceIsAble holds for all of them whatever happens: a server that is out, has weight 0
// or is full gets nothing (but of lblc, which keeps an address on a full server), and where one is
// able, a scheduler that does not hash finds it.
func TestEveryChoiceIsAble(t *testing.T) {
	for _, name := range Names() {
		t.Run(string(name), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { history(t, name) })
		})
	}
}

func history(t *rapid.T, name Name) {
	m, err := New(name, Options{
		Fallback: rapid.Bool().Draw(t, "fallback"), HashPort: rapid.Bool().Draw(t, "port"),
	})
	if err != nil {
		t.Fatal(err)
	}
	now := start
	var held []*Connection
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		s := Server{Addr: address(rapid.IntRange(11, 16).Draw(t, "server")),
			Weight: rapid.IntRange(0, 5).Draw(t, "weight"),
			Upper:  rapid.IntRange(0, 4).Draw(t, "upper")}
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0:
			_ = m.Add(s) // it may be there
		case 1:
			_ = m.Edit(s) // it may not
		case 2:
			_ = m.Remove(s.Addr) // it may not
		case 3:
			if len(held) > 0 {
				m.Close(held[0], rapid.Bool().Draw(t, "reset"), now)
				held = held[1:]
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "s")) * time.Second)
		default:
			held = take(t, m, name, held, now)
		}
	}
	for _, c := range held {
		m.Close(c, true, now)
	}
	m.Advance(now.Add(time.Hour))
	for _, s := range m.servers {
		if s.total != 0 || s.active != 0 {
			t.Fatalf("connections are left:\n%s", m)
		}
	}
}

// take makes a connection, and adds it to held.
func take(t *rapid.T, m *Model, name Name, held []*Connection, now time.Time) []*Connection {
	f := Flow{From: address(rapid.IntRange(100, 120).Draw(t, "client")),
		To: address(rapid.IntRange(1, 3).Draw(t, "to")).Addr()}
	m.Advance(now)
	before := map[*server]server{}
	some := false
	for _, s := range m.servers {
		before[s] = *s
		free := s.able() && (name != WeightedOverflow || s.active <= s.Weight)
		some = some || free
	}
	c, ok := m.Connect(f, now)
	if !ok {
		hashes := name == DestinationHash || name == SourceHash || name == MaglevHash
		if some && !hashes {
			t.Fatalf("no server of\n%s", m)
		}
		return held
	}
	was, there := before[c.server]
	if !there || was.Weight == 0 || was.overloaded && name != LocalityLeastConnection {
		t.Fatalf("%s was chosen of\n%s", c.Server, m)
	}
	return append(held, c)
}
