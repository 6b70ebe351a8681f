package probe

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
	"golang.org/x/net/bpf"
)

// arpFrame is a frame with an ARP packet of a sender about addresses.
func arpFrame(op byte, mac, sender, target string) []byte {
	from, _ := net.ParseMAC(mac)
	to := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame := append(append(append([]byte{}, to...), from...), 0x08, 0x06)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, op)
	frame = append(append(frame, from...), netip.MustParseAddr(sender).AsSlice()...)
	return append(append(frame, to...), netip.MustParseAddr(target).AsSlice()...)
}

func TestParseClaim(t *testing.T) {
	const mac, vip, other = "02:00:c0:a8:01:02", "192.168.1.1", "192.168.1.100"
	foreign := arpFrame(arpReply, mac, vip, vip)
	foreign[15] = 6 // IEEE 802 networks
	for _, tt := range []struct {
		name  string
		frame []byte
		// want is empty where it is no claim.
		want string
	}{
		{"announced by a question", arpFrame(arpRequest, mac, vip, vip), "192.168.1.1 " + mac},
		{"announced by an answer", arpFrame(arpReply, mac, vip, vip), "192.168.1.1 " + mac},
		{"answered", arpFrame(arpReply, mac, vip, other), "192.168.1.1 " + mac + " answer"},
		{"asked for another one", arpFrame(arpRequest, mac, vip, other), "192.168.1.1 " + mac},
		{"a probe", arpFrame(arpRequest, mac, "0.0.0.0", vip), ""},
		{"another operation", arpFrame(3, mac, vip, vip), ""},
		{"another hardware", foreign, ""},
		{"cut short", arpFrame(arpReply, mac, vip, vip)[:41], ""},
		{"empty", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, ok := parseClaim(tt.frame)
			got := ""
			if ok {
				got = c.addr.String() + " " + c.mac.String()
			}
			if c.answer {
				got += " answer"
			}
			if got != tt.want {
				t.Errorf("claim %q, want %q", got, tt.want)
			}
		})
	}
}

// discoveryFrame is a frame of IPv6 with a message of neighbour discovery.
func discoveryFrame(t testing.TB, mac, source string, m ndp.Message) []byte {
	t.Helper()
	from, to := netip.MustParseAddr(source), netip.MustParseAddr("ff02::1")
	message, err := ndp.MarshalMessageChecksum(m, from, to)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := net.ParseMAC(mac)
	frame := append(append([]byte{0x33, 0x33, 0, 0, 0, 1}, own...), 0x86, 0xdd)
	frame = append(frame, 0x60, 0, 0, 0, byte(len(message)>>8), byte(len(message)), 58, 255)
	frame = append(append(frame, from.AsSlice()...), to.AsSlice()...)
	return append(frame, message...)
}

// advertised and solicited are messages about an address, with a MAC address or without.
func advertised(addr string, answer bool, mac net.HardwareAddr) ndp.Message {
	m := &ndp.NeighborAdvertisement{TargetAddress: netip.MustParseAddr(addr), Solicited: answer,
		Override: true}
	if mac != nil {
		m.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac}}
	}
	return m
}

func solicited(addr string, mac net.HardwareAddr) ndp.Message {
	m := &ndp.NeighborSolicitation{TargetAddress: netip.MustParseAddr(addr)}
	if mac != nil {
		m.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}
	}
	return m
}

// discovery are frames of neighbour discovery and what they claim; empty where nothing.
func discovery(t testing.TB) []struct {
	name  string
	frame []byte
	want  string
} {
	const text, vip, other = "02:00:c0:a8:01:02", "fd00::1", "fd00::64"
	mac, _ := net.ParseMAC(text)
	short := discoveryFrame(t, text, vip, advertised(vip, false, mac))
	routed := bytes.Clone(short)
	routed[ethernetHeader+7] = 254
	return []struct {
		name  string
		frame []byte
		want  string
	}{
		{"advertised to all", short, vip + " " + text},
		{"with bytes behind", append(bytes.Clone(short), 0, 0, 0), vip + " " + text},
		{"answered", discoveryFrame(t, text, vip, advertised(vip, true, mac)),
			vip + " " + text + " answer"},
		{"advertised without a MAC", discoveryFrame(t, text, vip, advertised(vip, true, nil)), ""},
		{"asked for another one", discoveryFrame(t, text, vip, solicited(other, mac)), vip + " " + text},
		{"a probe", discoveryFrame(t, text, "::", solicited(vip, nil)), ""},
		{"another message", discoveryFrame(t, text, vip, &ndp.RouterSolicitation{}), ""},
		{"routed", routed, ""},
		{"without its end", short[:len(short)-1], ""},
		{"without its message", short[:ethernetHeader+ipv6Header], ""},
	}
}

func TestParseDiscovery(t *testing.T) {
	for _, tt := range discovery(t) {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if c, ok := parseClaim(tt.frame); ok {
				got = c.addr.String() + " " + c.mac.String()
				if c.answer {
					got += " answer"
				}
			}
			if got != tt.want {
				t.Errorf("claim %q, want %q", got, tt.want)
			}
		})
	}
}

// TestClaimsFilter: the kernel passes what may be a claim. The machine of the test does not know which
// way a frame goes.
func TestClaimsFilter(t *testing.T) {
	machine, err := bpf.NewVM(claimsFilter()[2:])
	if err != nil {
		t.Fatal(err)
	}
	const mac, vip = "02:00:c0:a8:01:02", "192.168.1.1"
	passes := func(name string, frame []byte, want bool) {
		if n, err := machine.Run(frame); err != nil || n > 0 != want {
			t.Errorf("%s: passes %v (%v), want %v", name, n > 0, err, want)
		}
	}
	passes("ARP", arpFrame(arpRequest, mac, vip, vip), true)
	passes("a probe of ARP", arpFrame(arpRequest, mac, "0.0.0.0", vip), false)
	passes("IPv4", frame(1, 0, 8, 0), false)
	for _, tt := range discovery(t) {
		// What only a parser can tell passes.
		want := tt.want != "" || tt.name != "another message" && tt.name != "without its message"
		passes(tt.name, tt.frame, want)
	}
}

// TestSayings: only who says something else than the last one is told.
func TestSayings(t *testing.T) {
	fig7, err := topology.Preset("fig7")
	if err != nil {
		t.Fatal(err)
	}
	s := newSayings(fig7.VIPs, "client")
	var told []string
	for i, said := range []struct {
		node, mac, addr string
		answer          bool
	}{
		{"lb1", "02:00:00:00:00:01", "192.168.1.1", false},
		{"lb1", "02:00:00:00:00:01", "192.168.1.1", true},  // nothing new
		{"lb2", "02:00:00:00:00:02", "192.168.2.1", false}, // of another network
		{"lb2", "02:00:00:00:00:02", "192.168.1.1", true},
		{"lb2", "00:00:5e:00:01:33", "192.168.1.1", false}, // by another MAC
		{"lb1", "02:00:00:00:00:01", "192.168.1.2", false}, // no VIP
	} {
		mac, _ := net.ParseMAC(said.mac)
		ev, ok := s.hear(time.Duration(i), said.node,
			claim{addr: netip.MustParseAddr(said.addr), mac: mac, answer: said.answer})
		if ok {
			told = append(told, strings.Join([]string{string(ev.Kind), ev.Node, ev.Subject,
				ev.Detail}, " "))
		}
	}
	want := []string{
		"claim lb1 192.168.1.1 02:00:00:00:00:01 announced",
		"claim lb2 192.168.1.1 02:00:00:00:00:02 answered",
		"claim lb2 192.168.1.1 00:00:5e:00:01:33 announced",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseClaim(f *testing.F) {
	f.Add(arpFrame(arpReply, "02:00:c0:a8:01:02", "192.168.1.1", "192.168.1.1"))
	for _, tt := range discovery(f) {
		f.Add(tt.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if c, ok := parseClaim(frame); ok && (!c.addr.IsValid() || len(c.mac) != 6) {
			t.Errorf("claim of %v by %v", c.addr, c.mac)
		}
	})
}

const procTable = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
UDP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0035 sh sh-port 
  -> [fd00:0000:0000:0000:0000:0000:0000:000b]:0035      Masq    2      0          0
TCP  C0A80101:0050 rr  
  -> C0A8020C:0050      Masq    0      0          1         
  -> C0A8020B:0050      Masq    1      2          0         
FWM  00000010 wlc 
`

func TestParseTable(t *testing.T) {
	table, err := parseTable(strings.NewReader(procTable))
	if err != nil {
		t.Fatal(err)
	}
	want := "FWM 16 wlc; TCP 192.168.1.1:80 rr 192.168.2.11:80=1 192.168.2.12:80=0; " +
		"UDP [fd00::1]:53 sh [fd00::b]:53=2"
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := reports.ParseTable(table.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table.String(), again.String()); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add(procTable)
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseTable(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := reports.ParseTable(table.String())
		if err != nil {
			t.Fatalf("%q cannot be read again: %v", table, err)
		}
		if diff := cmp.Diff(table.String(), again.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestLateAdverts: an advert that comes late is told by itself; one of a silent sender, or of one
// that leaves, is not.
func TestLateAdverts(t *testing.T) {
	fig5, err := topology.Preset("fig5")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		interval time.Duration
		// at are the times of adverts; the last one has a priority.
		at       []time.Duration
		priority uint8
		want     string
	}{
		{"in time", time.Second, []time.Duration{0, 1500 * time.Millisecond}, 150, ""},
		{"late", time.Second, []time.Duration{0, 1501 * time.Millisecond}, 150, "1.501s"},
		{"first", time.Second, []time.Duration{9 * time.Second}, 150, ""},
		{"last", time.Second, []time.Duration{0, 2 * time.Second}, 0, ""},
		{"short interval", 10 * time.Millisecond, []time.Duration{0, 110 * time.Millisecond}, 150, ""},
		{"late in a short interval", 40 * time.Millisecond, []time.Duration{0, 141 * time.Millisecond},
			150, ""}, // it was silent by then
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpeakers(fig5, "client")
			a := advert{source: netip.MustParseAddr("192.168.1.2"), router: 51, priority: 150,
				interval: tt.interval}
			var got reports.Event
			for i, at := range tt.at {
				if i == len(tt.at)-1 {
					a.priority = tt.priority
				}
				s.silence(at)
				got = s.late(at, a)
				s.hear(at, a)
			}
			if got.Detail != tt.want {
				t.Errorf("late by %q, want %q", got.Detail, tt.want)
			}
			if tt.want != "" && (got.Node != "lb1" || got.Subject != "client: virtual router 51") {
				t.Errorf("event %+v", got)
			}
		})
	}
}
