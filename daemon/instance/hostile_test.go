package instance_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

var hostilePackets = flag.Int("packets", 60_000, "how many TestHostilePackets sends")

// TestHostilePackets has a host on a real wire send packets like adverts to a master and its backup, a
// million within a minute if it is told to: noise, cut short, or with another byte, TTL or virtual router. Both
// count each of them by its reason, the backup does not move, and the master's adverts, which a third
// host hears, are on time.
func TestHostilePackets(t *testing.T) {
	packets := *hostilePackets
	nodeA, nodeB := netiftest.Pair(t)
	b := realBench(t, nodeA, nodeB)
	b.interval = time.Second
	hearAll := func(g *instance.Group) { g.Members[0].HearAll = true }
	high := b.start(0, hearAll)
	b.awaitState(high, vrrp.Master)
	low := b.start(1, hearAll)
	b.awaitState(low, vrrp.Backup)
	b.await("leader", func() bool { return low.runner.Snapshot()[0].LeaderPriority == 150 })
	a := newAttacker(t, nodeA.Neighbour(netip.PrefixFrom(stranger, 24)))
	gap := watchAdverts(t, nodeA.Neighbour(netip.MustParsePrefix("192.168.1.67/24")))
	stall := watchStalls(t)
	begin := time.Now()
	sent := a.attack(packets)
	took := time.Since(begin)
	longest, late := gap(), stall()
	t.Logf("%d packets in %s: %v; the longest gap between adverts %s, the machine %s late",
		packets, took, sent, longest, late)
	if limit := b.interval*6/5 + 2*late; longest > limit {
		t.Errorf("%s between two adverts, want at most %s", longest, limit)
	}
	for _, d := range []*director{high, low} {
		var got map[vrrp.DropReason]uint64
		b.await("every packet counted", func() bool {
			got = d.runner.Snapshot()[0].Drops
			return total(got) >= uint64(packets)
		})
		lost := got[vrrp.DropFlood]
		t.Logf("%s: %v", d.state(), got)
		delete(got, vrrp.DropFlood)
		if lost == 0 {
			if diff := cmp.Diff(sent, got); diff != "" {
				t.Errorf("dropped (-sent +got):\n%s", diff)
			}
		}
		// A machine that is too slow loses some, adverts of the master among them.
		if all := total(got) + lost; all > uint64(packets)+uint64(took/b.interval) || lost > all/4 {
			t.Errorf("%d packets, %d of them unread, want %d and at most a quarter", all, lost, packets)
		}
	}
	if len(low.reasons()) != 1 || high.runner.Snapshot()[0].BecameMaster != 1 {
		t.Errorf("moves %v and %v, want none since the start", high.reasons(), low.reasons())
	}
	low.halt()
	high.halt()
}

func total(counts map[vrrp.DropReason]uint64) uint64 {
	var n uint64
	for _, c := range counts {
		n += c
	}
	return n
}

// stranger is where the hostile packets come from.
var stranger = netip.MustParseAddr("192.168.1.66")

// attacker sends packets of which it knows why they must be refused.
type attacker struct {
	t      *testing.T
	sock   int
	random *rand.Rand
	lies   []lie
}

// lie is a packet that must be refused.
type lie struct {
	packet []byte
	why    vrrp.DropReason
}

// manyLies is how many different packets there are.
const manyLies = 1 << 12

func newAttacker(t *testing.T, n *netiftest.Node) *attacker {
	a := &attacker{t: t, random: rand.New(rand.NewPCG(1, 2))}
	for len(a.lies) < manyLies {
		if l := a.lie(); l.why != 0 {
			a.lies = append(a.lies, l)
		}
	}
	var err error
	n.Do(func() {
		a.sock, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err == nil {
			err = unix.BindToDevice(a.sock, netiftest.Device)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(a.sock) })
	return a
}

// lie makes a packet; one that is believable has no reason.
func (a *attacker) lie() lie {
	advert := vrrp.Advert{
		Version: vrrp.V3, VRID: 51, Priority: uint8(255 * a.random.IntN(2)),
		Interval: time.Second, Addrs: []netip.Addr{vip.Addr()}, Checksum: vrrp.ChecksumPseudo,
	}
	ttl := vrrp.TTL
	switch a.random.IntN(6) {
	case 0:
		ttl = 1 + a.random.IntN(254)
	case 1:
		advert.VRID = uint8(1 + a.random.IntN(255))
	case 2:
		advert.Version = vrrp.V2
	}
	group := vrrp.MulticastAddr(stranger)
	b, err := advert.Append(nil, stranger, group)
	if err != nil {
		a.t.Fatal(err)
	}
	switch a.random.IntN(6) {
	case 0:
		b = b[:a.random.IntN(len(b))]
	case 1:
		b[a.random.IntN(len(b))] = byte(a.random.Uint32())
	case 2:
		for i := range b {
			b[i] = byte(a.random.Uint32())
		}
	case 3:
		b = append(b, 0)
	}
	return lie{inIPv4(b, ttl), refusal(b, ttl)}
}

// refusal is why a router of VRRPv3 with the VRID 51 refuses the message, or zero.
func refusal(b []byte, ttl int) vrrp.DropReason {
	if len(b) > 1 && b[1] != 51 {
		return vrrp.DropVRID
	}
	advert, err := vrrp.Parse(b, stranger, vrrp.MulticastAddr(stranger))
	reason := vrrp.DropReason(0)
	switch {
	case errors.As(err, &reason):
	case ttl != vrrp.TTL:
		reason = vrrp.DropTTL
	case advert.Version != vrrp.V3:
		reason = vrrp.DropVersion
	}
	return reason
}

// inIPv4 puts a header before a message, of which the kernel fills in the checksum.
func inIPv4(message []byte, ttl int) []byte {
	const length, protocol = 20, 112
	b := make([]byte, length, length+len(message))
	b[0], b[8], b[9] = 4<<4|length/4, byte(ttl), protocol
	binary.BigEndian.PutUint16(b[2:], uint16(length+len(message)))
	copy(b[12:], stranger.AsSlice())
	copy(b[16:], vrrp.MulticastAddr(stranger).AsSlice())
	return append(b, message...)
}

// attack sends so many packets, more than a million in a minute if the machine can, and returns how
// many must be refused for which reason.
func (a *attacker) attack(packets int) map[vrrp.DropReason]uint64 {
	const tick, rate, burst = 5 * time.Millisecond, 20_000, 400
	sent := map[vrrp.DropReason]uint64{}
	to := &unix.SockaddrInet4{Addr: vrrp.MulticastAddr(stranger).As4()}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	begin := time.Now()
	for n := 0; n < packets; <-ticker.C {
		due := int(time.Since(begin)*rate/time.Second) - n
		for range min(due, burst, packets-n) {
			l := a.lies[n%len(a.lies)]
			if err := unix.Sendto(a.sock, l.packet, 0, to); err != nil {
				a.t.Fatal(err)
			}
			sent[l.why]++
			n++
		}
	}
	return sent
}

// watchAdverts listens to the adverts of the first director and returns what ends that and says how
// long the longest gap between two of them was.
func watchAdverts(t *testing.T, n *netiftest.Node) (longest func() time.Duration) {
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 14 + 12, Size: 4}, // the source in the IPv4 header
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(hosts[0].AsSlice()), SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 12},
		bpf.RetConstant{Val: 0},
	})
	var conn *packet.Conn
	n.Do(func() {
		var eth *net.Interface
		if eth, err = net.InterfaceByName(netiftest.Device); err == nil {
			conn, err = packet.Listen(eth, packet.Raw, unix.ETH_P_IP, &packet.Config{Filter: filter})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	gap := make(chan time.Duration, 1)
	go func() {
		var worst time.Duration
		frame := make([]byte, 1<<12)
		for last := time.Now(); ; last = time.Now() {
			if _, _, err := conn.ReadFrom(frame); err != nil { // closed
				gap <- max(worst, time.Since(last))
				return
			}
			worst = max(worst, time.Since(last))
		}
	}()
	return func() time.Duration {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		return <-gap
	}
}

// watchStalls returns what ends the watch and says how late the machine was at worst.
func watchStalls(t *testing.T) (worst func() time.Duration) {
	const tick = 5 * time.Millisecond
	stop, late := make(chan struct{}), make(chan time.Duration, 1)
	go func() {
		var worst time.Duration
		timer := time.NewTicker(tick)
		defer timer.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-timer.C:
				worst = max(worst, time.Since(last)-tick)
			case <-stop:
				late <- worst
				return
			}
		}
	}()
	return sync.OnceValue(func() time.Duration {
		close(stop)
		return <-late
	})
}
