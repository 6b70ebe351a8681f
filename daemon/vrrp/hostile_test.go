package vrrp

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// TestHostilePackets gives a backup and a master, of each version, a million packets in a minute:
// random ones, and adverts with bytes changed, cut, lengthened, their checksum mended or not. Each
// refusal is counted and changes nothing; what is believed would convince a second, simpler
// judge; the master's adverts are on time; nothing grows.
func TestHostilePackets(t *testing.T) {
	packets := 1_000_000
	if testing.Short() {
		packets = 20_000
	}
	v3 := Config{
		Version: V3, VRID: 51, Priority: 200, Interval: time.Second, Source: src4,
		Addrs: []netip.Addr{vip4},
	}
	v2 := v3
	v2.Version, v2.Auth, v2.Password = V2, AuthSimple, MakePassword("secret")
	v6 := v3
	v6.Source, v6.Addrs = src6, []netip.Addr{vip6, global6}
	strict := v3
	strict.Strict = true
	for name, cfg := range map[string]Config{"v3": v3, "v2": v2, "v6": v6, "strict": strict} {
		t.Run(name, func(t *testing.T) {
			for _, master := range []bool{false, true} {
				newAttack(cfg, master).run(t, packets/8)
			}
		})
	}
}

// tick is between two packets.
const tick = time.Minute / 1_000_000

// attack is a router, what it is sent, and what is counted.
type attack struct {
	cfg        Config
	group      *Group
	conditions *Conditions
	rand       *rand.Rand
	now        time.Time
	sentAt     time.Time // when the router has last sent an advert as master
	late       time.Duration
	drops      map[DropReason]int
	believed   int
	valid      []byte // an advert of a higher router
	from, to   netip.Addr
	sent       int
}

// newAttack sends to a backup, or to a master whom nobody outranks: an owner of the last address.
func newAttack(cfg Config, master bool) *attack {
	if master {
		cfg.Priority, cfg.Source = PriorityOwner, netip.MustParseAddr("192.168.1.254")
		if cfg.Addrs[0].Is6() {
			cfg.Source = netip.MustParseAddr("fe80::ffff")
		}
	}
	a := &attack{
		cfg: cfg, group: must(NewGroup(cfg)), conditions: NewConditions(cfg),
		rand: rand.New(rand.NewPCG(1, 2)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		drops: map[DropReason]int{}, from: peer4, to: MulticastAddr(cfg.Source),
	}
	if cfg.Source.Is6() {
		a.from = netip.MustParseAddr("fe80::3")
	}
	a.valid = must(cfg.withDefaults().advert(201).Append(nil, a.from, a.to))
	a.step(Startup{})
	return a
}

// run sends n packets.
func (a *attack) run(t *testing.T, n int) {
	t.Helper()
	before := heap()
	for range n {
		a.now = a.now.Add(tick)
		if d := a.group.Deadline(); !d.IsZero() && !d.After(a.now) {
			a.step(Timeout{})
		}
		a.packet(t)
		a.conditions.Expire(a.now)
	}
	grown := heap() - before
	refused := 0
	for _, count := range a.drops {
		refused += count
	}
	if refused+a.believed != n {
		t.Errorf("%d refused and %d believed, want %d together", refused, a.believed, n)
	}
	if a.late > 0 {
		t.Errorf("an advert was %s late", a.late)
	}
	if m := a.group.Member(0); a.cfg.Priority == PriorityOwner && m.State() != Master {
		t.Errorf("the owner is %s, want %s", m.State(), Master)
	}
	// One a second, and at most one in answer per calm.
	if limit := int(time.Duration(n)*tick/calm) * 11 / 10; a.sent > limit+2 {
		t.Errorf("%d adverts in answer to %d packets, want at most %d", a.sent, n, limit)
	}
	if grown > 64<<10 {
		t.Errorf("%d bytes more in use after %d packets", grown, n)
	}
	if a.believed == 0 || len(a.drops) < 7 || len(a.conditions.Active()) > int(ConditionStalled) {
		t.Errorf("%d believed, dropped for %v, conditions %v: want a mixture", a.believed,
			a.drops, a.conditions.Active())
	}
}

// packet sends one packet and judges what it does.
func (a *attack) packet(t *testing.T) {
	b, ttl := a.forge()
	advert, err := Parse(b, a.from, a.to)
	var reason DropReason
	if errors.As(err, &reason) {
		a.drops[reason]++
		a.conditions.NoteAction(a.now, Drop{Reason: reason, From: a.from})
		return
	}
	state, deadline := a.group.Member(0).State(), a.group.Deadline()
	leader, priority := a.group.Member(0).Leader()
	out := a.step(Received{Advert: advert, From: a.from, TTL: ttl, To: a.to})
	for _, act := range out {
		if d, ok := act.Action.(Drop); ok {
			a.drops[d.Reason]++
			nowLeader, nowPriority := a.group.Member(0).Leader()
			if len(out) > 1 || state != a.group.Member(0).State() || leader != nowLeader ||
				priority != nowPriority || !deadline.Equal(a.group.Deadline()) {
				t.Fatalf("packet %x: refused (%s) and yet something changed: %v", b, d, out)
			}
			return
		}
	}
	a.believed++
	if !a.plausible(b, ttl) {
		t.Fatalf("packet %x with ttl %d: believed", b, ttl)
	}
}

// plausible is the second judge: it knows what the router is to believe by its bytes.
func (a *attack) plausible(b []byte, ttl int) bool {
	c, size, tail := a.cfg, 4, 0
	if c.Source.Is6() {
		size = 16
	}
	if c.Version == V2 {
		tail = 8
	}
	if ttl != 255 || len(b) != 8+int(b[3])*size+tail || b[0] != byte(c.Version)<<4|1 ||
		b[1] != c.VRID || b[3] == 0 {
		return false
	}
	if c.Version == V2 && (b[4] != 1 || b[5] != 1 || string(b[len(b)-8:]) != "secret\x00\x00") {
		return false
	}
	strictly := b[2] == 255 || (len(b) == 12 && string(b[8:]) == "\xc0\xa8\x01\x01")
	return !c.Strict || strictly
}

// forge makes a packet.
func (a *attack) forge() (b []byte, ttl int) {
	b = append(make([]byte, 0, 64), a.valid...)
	for range a.rand.IntN(3) {
		b[a.rand.IntN(len(b))] = byte(a.rand.Uint32())
	}
	ttl = TTL
	switch a.rand.IntN(12) {
	case 0:
		b = b[:a.rand.IntN(len(b))]
	case 1:
		b = append(b, make([]byte, 1+a.rand.IntN(20))...)
	case 2:
		for i := range b {
			b[i] = byte(a.rand.Uint32())
		}
	case 3:
		ttl = a.rand.IntN(256)
	case 4:
		b[a.rand.IntN(4)] = byte(a.rand.IntN(4)) // a field of the header
	case 5:
		b[2] = 0 // resigns
	case 6:
		b[0] = b[0]&0xf0 | 1
		b[2] = byte(a.rand.Uint32())
	}
	if len(b) >= headerLen && a.rand.IntN(4) > 0 {
		a.mend(b)
	}
	return b, ttl
}

// mend makes the checksum of b right.
func (a *attack) mend(b []byte) {
	var seed uint32
	if a.cfg.Source.Is6() {
		seed = pseudoSum(a.from, a.to, len(b))
	}
	binary.BigEndian.PutUint16(b[checksumAt:], 0)
	binary.BigEndian.PutUint16(b[checksumAt:], ^fold(sum(seed, b)))
}

// step is a driver whose socket is empty. It looks how far a master's adverts are apart.
func (a *attack) step(ev Event) []MemberAction {
	was := active(a.group.Member(0))
	out := a.group.Step(a.now, 0, ev)
	for _, act := range out {
		a.conditions.NoteAction(a.now, act.Action)
		switch act.Action.(type) {
		case SendAdvert:
			if was {
				a.late = max(a.late, a.now.Sub(a.sentAt)-a.cfg.Interval-tick)
			}
			a.sentAt = a.now
			a.sent++
		case Drain:
			a.step(Drained{})
		}
	}
	return out
}

// heap returns how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestRefusalIsFree says that packets that are no adverts cost no memory.
func TestRefusalIsFree(t *testing.T) {
	b := join(wire[0].parts)
	b[2]++
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := Parse(b, src4, dst4); !errors.Is(err, DropChecksum) {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("Parse of a wrong checksum: %v allocations, want none", allocs)
	}
}

// BenchmarkHostilePackets measures one packet.
func BenchmarkHostilePackets(b *testing.B) {
	a := newAttack(Config{
		Version: V3, VRID: 51, Priority: 200, Interval: time.Second, Source: src4,
		Addrs: []netip.Addr{vip4},
	}, true)
	for b.Loop() {
		packet, ttl := a.forge()
		if advert, err := Parse(packet, a.from, a.to); err == nil {
			a.step(Received{Advert: advert, From: a.from, TTL: ttl, To: a.to})
		}
	}
}
