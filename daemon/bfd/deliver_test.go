package bfd

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const near, far = "192.168.1.3", "10.0.0.9"

// delivery is a datagram and whose it is.
type delivery struct {
	name     string
	at       door
	datagram datagram
	packet   Packet
	spoil    func([]byte) []byte
	// session is whose it is; empty: nobody's. reason 0 is that it is believed.
	session string
	reason  DropReason
}

// deliveries are to three sessions: "direct" and "any source" with near, "far" over routers.
func deliveries() []delivery {
	from := func(addr string, ttl int) datagram {
		return datagram{
			from: netip.MustParseAddr(addr), to: netip.MustParseAddr(addrA), ttl: ttl,
		}
	}
	first := Packet{State: Down, Multiplier: 3, Mine: 7, MinTx: time.Second, MinRx: time.Second}
	up := first
	up.State, up.Yours = Up, 1001 // of the first session
	return []delivery{
		{name: "first one", datagram: from(near, 255), packet: first, session: "direct"},
		{name: "first one from afar", at: door{multihop: true}, datagram: from(far, 60),
			packet: first, session: "far"},
		{name: "first one to another of our addresses", datagram: datagram{
			from: netip.MustParseAddr(near), to: netip.MustParseAddr("192.168.1.77"), ttl: 255,
		}, packet: first, session: "any source"},
		{name: "later one", datagram: from(near, 255), packet: up, session: "direct"},
		{name: "later one from another of its addresses", datagram: from("192.168.1.9", 255),
			packet: up, session: "direct"},
		{name: "routed", datagram: from(near, 254), packet: first, session: "direct",
			reason: DropTTL},
		{name: "later one routed", datagram: from(near, 254), packet: up, session: "direct",
			reason: DropTTL},
		{name: "one hop too many", at: door{multihop: true}, datagram: from(far, 59),
			packet: first, session: "far", reason: DropTTL},
		{name: "stranger", datagram: from("192.168.1.9", 255), packet: first,
			reason: DropNeighbor},
		{name: "neighbour at the wrong door", datagram: from(far, 255), packet: first,
			reason: DropNeighbor},
		{name: "session at the wrong door", at: door{multihop: true}, datagram: from(near, 255),
			packet: up, session: "direct", reason: DropPort},
		{name: "on another interface", datagram: datagram{from: netip.MustParseAddr(near),
			to: netip.MustParseAddr(addrA), ttl: 255, index: 3}, packet: first,
			reason: DropNeighbor},
		{name: "unknown discriminator", datagram: from(near, 255),
			packet: Packet{State: Up, Multiplier: 1, Mine: 7, Yours: 5}, session: "direct",
			reason: DropUnknown},
		{name: "unknown discriminator of a stranger", datagram: from("192.168.1.9", 255),
			packet: Packet{State: Up, Multiplier: 1, Mine: 7, Yours: 5}, reason: DropUnknown},
		{name: "broken", datagram: from(near, 255), packet: first,
			spoil: func(b []byte) []byte { return b[:20] }, session: "direct", reason: DropShort},
		{name: "broken, of a stranger", datagram: from("192.168.1.9", 255), packet: first,
			spoil: func(b []byte) []byte { return b[:20] }, reason: DropShort},
	}
}

// TestDeliver says for each datagram whose it is, and why it is not believed.
func TestDeliver(t *testing.T) {
	for _, tt := range deliveries() {
		t.Run(tt.name, func(t *testing.T) { synctest.Test(t, tt.deliver) })
	}
}

// deliver has a Speaker hear the datagram.
func (tt delivery) deliver(t *testing.T) {
	air := newAir()
	h := air.host(addrA)
	a := delivering(t, h)
	pass(time.Millisecond)
	d := tt.datagram
	d.payload = must(tt.packet.Append(nil))
	if tt.spoil != nil {
		d.payload = tt.spoil(d.payload)
	}
	air.mu.Lock()
	h.ears[tt.at].queue = append(h.ears[tt.at].queue, d)
	h.ears[tt.at].news <- struct{}{}
	air.mu.Unlock()
	pass(time.Millisecond)
	got := map[string]map[DropReason]uint64{}
	believed := ""
	for _, st := range a.States() {
		if len(st.Drops) > 0 {
			got[st.Config.Name] = st.Drops
		}
		if st.Received > 0 {
			believed += st.Config.Name
		}
	}
	if drops := a.Drops(); len(drops) > 0 {
		got[""] = drops
	}
	want, wantBelieved := map[string]map[DropReason]uint64{}, tt.session
	if tt.reason != 0 {
		want[tt.session] = map[DropReason]uint64{tt.reason: 1}
		wantBelieved = ""
	}
	if diff := cmp.Diff(want, got); diff != "" || believed != wantBelieved {
		t.Errorf("believed of %q, want %q; drops (-want +got):\n%s",
			believed, wantBelieved, diff)
	}
	a.stop()
}

// TestDeafAtTheEnd has a neighbour answer a farewell before the ear is closed: nobody is there to
// take it for a stranger's.
func TestDeafAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAir().host(addrA)
		a := delivering(t, h)
		pass(time.Millisecond)
		e := h.ear(door{})
		a.stop()
		e.queue = []datagram{{
			payload: must(Packet{State: Down, Multiplier: 3, Mine: 7}.Append(nil)),
			from:    netip.MustParseAddr("192.168.1.9"), to: netip.MustParseAddr(addrA), ttl: 255,
		}}
		a.receive(door{}, e)
		if drops := a.Drops(); len(drops) > 0 {
			t.Errorf("drops %v, want none", drops)
		}
	})
}

// delivering runs a Speaker with three sessions, whose discriminators are 1001 and so on.
func delivering(t *testing.T, h *host) *speaker {
	t.Helper()
	neighbor := netip.MustParseAddr(near)
	a := run(t, h)
	number := uint32(1000)
	a.mu.Lock()
	a.number = func() uint32 {
		number++
		return number
	}
	a.mu.Unlock()
	a.set(t,
		Config{Name: "direct", Neighbor: neighbor, Source: netip.MustParseAddr(addrA)},
		Config{Name: "any source", Neighbor: neighbor},
		Config{Name: "far", Neighbor: netip.MustParseAddr(far), Multihop: true, MaxHops: 4},
	)
	return a
}

// TestValidate names what is wrong with a session, all of it.
func TestValidate(t *testing.T) {
	addr := netip.MustParseAddr
	tests := []struct {
		name   string
		config Config
		want   string
	}{
		{"good", Config{Name: "a", Neighbor: addr(addrB)}, ""},
		{"good, all given", Config{
			Name: "a", Neighbor: addr("2001:db8::2"), Source: addr("2001:db8::1"), Multihop: true,
			TTL: 1, MaxHops: 255, Params: Params{MinTx: maxInterval, MinRx: time.Microsecond,
				IdleTx: time.Minute, Multiplier: 255, Passive: true}}, ""},
		{"good, link-local", Config{Name: "a", Neighbor: addr("fe80::1%eth0")}, ""},
		{"nothing", Config{}, "no name\nno neighbour"},
		{"multicast", Config{Name: "a", Neighbor: addr("224.0.0.1")},
			"neighbour 224.0.0.1: want a unicast address"},
		{"unspecified", Config{Name: "a", Neighbor: addr("::")},
			"neighbour ::: want a unicast address"},
		{"mapped", Config{Name: "a", Neighbor: addr("::ffff:10.0.0.1")},
			"neighbour ::ffff:10.0.0.1: want a unicast address"},
		{"link-local without interface", Config{Name: "a", Neighbor: addr("fe80::1")},
			"neighbour fe80::1: want the interface too, as in fe80::1%eth0"},
		{"mixed", Config{Name: "a", Neighbor: addr(addrB), Source: addr("2001:db8::1")},
			"source 2001:db8::1: want the family of 192.168.1.3"},
		{"source with a zone",
			Config{Name: "a", Neighbor: addr("fe80::1%eth0"), Source: addr("fe80::2%eth0")},
			"source fe80::2%eth0: want a unicast address without a zone"},
		{"times", Config{Name: "a", Neighbor: addr(addrB), Params: Params{
			MinTx: -time.Second, MinRx: time.Nanosecond, IdleTx: 2 * maxInterval}},
			"min tx -1s: want 0 to 1h11m34.967295s in microseconds\n" +
				"min rx 1ns: want 0 to 1h11m34.967295s in microseconds\n" +
				"idle tx 2h23m9.93459s: want 0 to 1h11m34.967295s in microseconds"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.config.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSet changes nothing when a session cannot be.
func TestSet(t *testing.T) {
	good := to(addrB, fast)
	twin, sameName := good, good
	twin.Name = "twin"
	sameName.Neighbor = netip.MustParseAddr("192.168.1.4")
	tests := []struct {
		name     string
		sessions []Config
		want     string
	}{
		{"bad", []Config{good, {Name: "c"}}, "set session c: no neighbour"},
		{"named twice", []Config{good, sameName}, "set session b: named twice"},
		{"same ends", []Config{good, twin}, "set session twin: has the ends of b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSpeaker(nil, nil)
			if err := s.Set([]Config{{Name: "old", Neighbor: good.Neighbor}}); err != nil {
				t.Fatal(err)
			}
			if err := s.Set(tt.sessions); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			all := s.States()
			if len(all) != 1 || all[0].Config.Name != "old" || all[0].State != AdminDown {
				t.Errorf("sessions %v, want the old one, AdminDown", all)
			}
		})
	}
}

// TestDiscriminators are never 0, and no two the same.
func TestDiscriminators(t *testing.T) {
	s := NewSpeaker(nil, nil)
	numbers := []uint32{0, 5, 5, 0, 7}
	s.number = func() (n uint32) {
		n, numbers = numbers[0], numbers[1:]
		return n
	}
	c := to("192.168.1.4", fast)
	c.Name = "c"
	if err := s.Set([]Config{to(addrB, fast), c}); err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for _, st := range s.States() {
		got = append(got, st.Discriminator)
	}
	if diff := cmp.Diff([]uint32{5, 7}, got); diff != "" {
		t.Errorf("discriminators (-want +got):\n%s", diff)
	}
}

// TestTTL says from how far packets may come.
func TestTTL(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		least  int
	}{
		{"one hop: GTSM", Config{}, 255},
		{"one hop, one more allowed", Config{MaxHops: 1}, 254},
		{"one hop, everything allowed", Config{MaxHops: 255}, 0},
		{"multihop", Config{Multihop: true}, 64},
		{"multihop, ten allowed", Config{Multihop: true, MaxHops: 10}, 54},
		{"multihop with a TTL", Config{Multihop: true, TTL: 255, MaxHops: 254}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for ttl := range 256 {
				if got, want := tt.config.acceptsTTL(ttl), ttl >= tt.least; got != want {
					t.Fatalf("TTL %d: accepts %t, want %t", ttl, got, want)
				}
			}
		})
	}
}

// TestNewSession refuses what no session can have.
func TestNewSession(t *testing.T) {
	for _, tt := range []struct {
		params Params
		mine   uint32
		want   string
	}{
		{Params{}, 0, "make session: discriminator 0"},
		{Params{MinTx: -1}, 1,
			"make session: min tx -1ns: want 0 to 1h11m34.967295s in microseconds"},
	} {
		_, err := NewSession(tt.params, tt.mine, func() float64 { return 0 })
		if err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

type foreign struct{ Event }

// TestForeignEvent panics, for the set of events is closed.
func TestForeignEvent(t *testing.T) {
	defer func() {
		if got := recover(); got != "bfd: step with foreign event bfd.foreign" {
			t.Errorf("panicked with %v", got)
		}
	}()
	s := must(NewSession(Params{}, 1, func() float64 { return 0 }))
	s.Step(time.Time{}, foreign{})
}
