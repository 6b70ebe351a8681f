package bench

import (
	"encoding/binary"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/reports"
)

const ms = time.Millisecond

func selfPid() int { return os.Getpid() }

func TestParts(t *testing.T) {
	for _, p := range Parts() {
		if got, err := ParsePart(p.String()); err != nil || got != p {
			t.Errorf("parse %q: got %v, %v", p.String(), got, err)
		}
	}
	if _, err := ParsePart("fuel"); err == nil || !strings.Contains(err.Error(), "takeover") {
		t.Errorf("parse %q: got %v, want the names", "fuel", err)
	}
}

func TestMedian(t *testing.T) {
	self := func(n int) int { return n }
	for _, c := range []struct {
		all  []int
		want int
	}{{[]int{7}, 7}, {[]int{9, 1}, 1}, {[]int{3, 9, 1}, 3}, {[]int{4, 1, 3, 2}, 2}} {
		if got := median(c.all, self); got != c.want {
			t.Errorf("median of %v: got %d, want %d", c.all, got, c.want)
		}
	}
}

func TestMedianLoadTakesEachFigure(t *testing.T) {
	got := medianLoad([]PairLoad{
		{Master: Load{1, 30}, Backup: Load{5, 9}},
		{Master: Load{3, 10}, Backup: Load{4, 8}},
		{Master: Load{2, 20}, Backup: Load{6, 7}},
	})
	want := PairLoad{Master: Load{2, 20}, Backup: Load{5, 8}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		ours, theirs float64
		want         string
	}{{0, 0, "-"}, {1, 0, "-"}, {0, 2, "0.00"}, {1, 4, "0.25"}, {300, 2, "150"}} {
		if got := ratio(c.ours, c.theirs); got != c.want {
			t.Errorf("ratio of %v and %v: got %q, want %q", c.ours, c.theirs, got, c.want)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", 6540 * time.Microsecond: "6.5",
		9960 * time.Microsecond: "10", 2908400 * time.Microsecond: "2908"} {
		if got := milliseconds(d); got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

// The figures are those of RFC 3768 and RFC 9568 for priority 100.
func TestMasterDown(t *testing.T) {
	for advert, want := range map[time.Duration]time.Duration{
		time.Second: 3609375 * time.Microsecond, 10 * ms: 36093750 * time.Nanosecond,
	} {
		if got := masterDown(advert, 100); got != want {
			t.Errorf("adverts of %s: got %s, want %s", advert, got, want)
		}
	}
}

func TestWatchTimeOutlastsLeases(t *testing.T) {
	for advert, want := range map[time.Duration]time.Duration{
		time.Second: 7 * time.Second, 100 * ms: 4 * time.Second, 10 * ms: 4 * time.Second,
	} {
		if got := watchTime(advert); got != want {
			t.Errorf("adverts of %s: got %s, want %s", advert, got, want)
		}
	}
}

func TestParsePSS(t *testing.T) {
	const text = "55c0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:   20 kB\n" +
		"Pss_Anon: 12 kB\n"
	if got, err := parsePSS([]byte(text)); err != nil || got != 20<<10 {
		t.Errorf("got %d, %v; want 20480", got, err)
	}
	for _, bad := range []string{"", "Rss: 1 kB\n", "Pss: x kB\n", "Pss: 1 MB\n"} {
		if _, err := parsePSS([]byte(bad)); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
}

func TestPairTopology(t *testing.T) {
	for instances, networks := range map[int]int{1: 1, 250: 1, 251: 2, 1000: 4} {
		topo := pairTopology(instances)
		if err := topo.Validate(); err != nil {
			t.Errorf("%d instances: %v", instances, err)
		}
		if len(topo.Networks) != networks {
			t.Errorf("%d instances: got %d networks, want %d", instances, len(topo.Networks), networks)
		}
		text := pairConfig(topo.Nodes[1], instances, backupPriority)
		if got := strings.Count(text, "vrrp_instance"); got != instances {
			t.Errorf("configuration: got %d instances, want %d", got, instances)
		}
		if strings.Contains(text, "virtual_router_id 251") {
			t.Error("configuration: a VRID above 250")
		}
	}
}

func TestPairConfig(t *testing.T) {
	nodes := pairTopology(251).Nodes
	text := pairConfig(nodes[0], 251, ownerPriority)
	const last = "vrrp_instance v251 {\n    state MASTER\n    interface eth1\n" +
		"    virtual_router_id 1\n    priority 255\n    advert_int 1\n    garp_master_delay 1\n" +
		"    virtual_ipaddress {\n        10.2.1.1\n    }\n}\n"
	if !strings.HasSuffix(text, last) {
		t.Errorf("got the end %q, want %q", text[len(text)-len(last):], last)
	}
}

// frameOf is an Ethernet frame of an advert, with the control message of its time.
func frameOf(router, priority uint8, at time.Time) (frame, control []byte) {
	frame = make([]byte, offsetHeader+20+8)
	binary.BigEndian.PutUint16(frame[offsetKind:], kindIPv4)
	frame[offsetHeader] = 0x45
	frame[offsetProtocol] = protocolVRRP
	frame[offsetHeader+20] = 0x21
	frame[offsetHeader+21], frame[offsetHeader+22] = router, priority
	control = make([]byte, unix.CmsgSpace(16))
	binary.NativeEndian.PutUint64(control, uint64(unix.CmsgLen(16)))
	binary.NativeEndian.PutUint32(control[8:], unix.SOL_SOCKET)
	binary.NativeEndian.PutUint32(control[12:], unix.SO_TIMESTAMPNS)
	binary.NativeEndian.PutUint64(control[16:], uint64(at.Unix()))
	binary.NativeEndian.PutUint64(control[24:], uint64(at.Nanosecond()))
	return frame, control
}

func TestParseHeard(t *testing.T) {
	at := time.Unix(1_700_000_000, 5)
	frame, control := frameOf(51, 150, at)
	out := &unix.SockaddrLinklayer{Ifindex: 3, Pkttype: unix.PACKET_OUTGOING}
	got, ok := parseHeard(frame, control, out)
	want := heard{instanceKey: instanceKey{iface: 3, router: 51}, at: at, priority: 150, sent: true}
	if !ok || got != want {
		t.Errorf("got %+v, %t; want %+v", got, ok, want)
	}
	long := append([]byte(nil), frame...)
	long[offsetHeader] = 0x4f // 60 bytes of header, which are not there
	for name, c := range map[string]struct {
		frame, control []byte
		from           unix.Sockaddr
	}{
		"short":             {frame[:30], control, out},
		"header beyond end": {long, control, out},
		"no time":           {frame, nil, out},
		"not from a link":   {frame, control, &unix.SockaddrInet4{}},
	} {
		if got, ok := parseHeard(c.frame, c.control, c.from); ok {
			t.Errorf("%s: got %+v, want nothing", name, got)
		}
	}
}

func TestSpreadAndLateness(t *testing.T) {
	fault := time.Unix(100, 0)
	a, b, c := instanceKey{1, 1}, instanceKey{1, 2}, instanceKey{2, 1}
	down := masterDown(pairAdvert, backupPriority)
	last := map[instanceKey]time.Time{a: fault.Add(-900 * ms), b: fault.Add(-100 * ms)}
	first := map[instanceKey]time.Time{a: last[a].Add(down + 3*ms), b: last[b].Add(down + ms),
		c: fault.Add(time.Hour)}
	if got := lateness(last, first); got != 3*ms {
		t.Errorf("lateness: got %s, want 3ms", got)
	}
	got := spread(map[instanceKey]time.Time{a: fault.Add(5 * ms), b: fault.Add(2 * ms)}, fault)
	if want := (Takeover{First: 2 * ms, Last: 5 * ms}); got != want {
		t.Errorf("spread: got %+v, want %+v", got, want)
	}
}

func TestSniffedBefore(t *testing.T) {
	at := time.Unix(100, 0)
	s := &sniffer{all: []heard{{at: at}, {at: at.Add(ms)}, {at: at.Add(2 * ms), sent: true}}}
	received := func(h heard) bool { return !h.sent }
	if got, ok := s.before(at.Add(time.Second), received); !ok || got != at.Add(ms) {
		t.Errorf("got %v, %t; want the second", got, ok)
	}
	if _, ok := s.before(at, received); ok {
		t.Error("before the first: want none")
	}
}

// story is a recording of two VIPs; each event is the time in ms, the node and the last number of
// the VIP, negative where it goes.
func story(events ...[3]int) *reports.Recording {
	rec := &reports.Recording{Length: 10 * time.Second}
	for i := range 2 {
		addr := netip.AddrFrom4([4]byte{192, 168, 1, byte(i + 1)})
		rec.VIPs = append(rec.VIPs, reports.VIP{Name: addr.String(), Addr: addr})
	}
	for _, e := range events {
		ev := reports.Event{At: time.Duration(e[0]) * ms, Kind: reports.VIPAdd}
		ev.Node = map[int]string{1: "lb1", 2: "lb2"}[e[1]]
		vip := e[2]
		if vip < 0 {
			ev.Kind, vip = reports.VIPRemove, -vip
		}
		ev.Subject = rec.VIPs[vip-1].Name
		rec.Events = append(rec.Events, ev)
	}
	return rec
}

func TestJudgeOutage(t *testing.T) {
	w := reports.Window{From: time.Second, To: 9 * time.Second}
	up := [][3]int{{10, 1, 1}, {10, 1, 2}}
	for _, c := range []struct {
		name                             string
		events                           [][3]int
		neither, both, takeover, settled time.Duration
	}{
		{"nothing moves", nil, 0, 0, Never, 0},
		{"a gap", [][3]int{{1000, 1, -1}, {1001, 1, -2}, {1500, 2, 1}, {1600, 2, 2}},
			599 * ms, 0, 600 * ms, 600 * ms},
		{"two owners for a while", [][3]int{{1500, 2, 1}, {1500, 2, 2}, {1700, 1, -1}, {1900, 1, -2}},
			0, 400 * ms, 500 * ms, 900 * ms},
		{"two owners for ever", [][3]int{{1500, 2, 1}, {1500, 2, 2}},
			0, 7500 * ms, 500 * ms, Never},
		{"one VIP only", [][3]int{{1200, 1, -1}, {1500, 2, 1}},
			300 * ms, 0, Never, Never},
		{"nobody in the end", [][3]int{{1200, 1, -1}, {1200, 1, -2}},
			7800 * ms, 0, Never, Never},
		{"back and forth", [][3]int{{1100, 2, 1}, {1100, 2, 2}, {1200, 2, -1}, {1300, 2, -2}},
			0, 200 * ms, 100 * ms, 300 * ms},
	} {
		got := judgeOutage(story(append(up, c.events...)...), w, "lb2")
		want := Outage{Watched: 8 * time.Second, Neither: c.neither, Both: c.both,
			Takeover: c.takeover, Settled: c.settled}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestHolders(t *testing.T) {
	rec := story([3]int{1, 1, 1}, [3]int{2, 2, 1}, [3]int{3, 1, -1})
	held := holders(append(rec.Events, reports.Event{Kind: reports.Note, Node: "lb1"}))
	want := map[netip.Addr]map[string]bool{rec.VIPs[0].Addr: {"lb1": false, "lb2": true}}
	if diff := cmp.Diff(want, held, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
