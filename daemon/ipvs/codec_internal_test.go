package ipvs

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	key4   = Key{Protocol: TCP, Addr: netip.MustParseAddrPort("192.168.1.1:80")}
	key6   = Key{Protocol: UDP, Addr: netip.MustParseAddrPort("[2001:db8::1]:53")}
	marked = Key{Mark: 7, Family: IPv6}
)

// fromHex reads labelled lines of hexadecimal digits: what stands behind a # is a label.
func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	var out []byte
	for line := range strings.Lines(s) {
		digits, _, _ := strings.Cut(line, "#")
		b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

// The messages on a little-endian machine.
const (
	addServiceBytes = `
01 01 0000                   # NEW_SERVICE, version 1
5000 0180                    # service, nested
0600 0100 0200 0000          #   AF_INET
0600 0200 0600 0000          #   TCP
0800 0300 c0a80101           #   192.168.1.1
0600 0400 0050 0000          #   port 80
0800 0600 77727200           #   scheduler wrr
0c00 0700 19000000 ffffffff  #   flags: persistent, 1, 2; all of them
0800 0800 32000000           #   50 s
0800 0900 ffffff00           #   255.255.255.0
0800 0b00 73697000           #   engine sip
`
	delService6Bytes = `
03 01 0000                   # DEL_SERVICE
3000 0180
0600 0100 0a00 0000          #   AF_INET6
0600 0200 1100 0000          #   UDP
1400 0300 20010db8 00000000 00000000 00000001
0600 0400 0035 0000          #   port 53
`
	addDestinationBytes = `
05 01 0000                   # NEW_DEST
1400 0180
0600 0100 0a00 0000          #   AF_INET6
0800 0500 07000000           #   mark 7
5400 0280                    # destination, nested
0800 0100 c0a8020b           #   192.168.2.11
0600 0200 1f90 0000          #   port 8080
0600 0b00 0200 0000          #   AF_INET
0800 0300 02000000           #   tunnel
0800 0400 70110100           #   weight 70,000
0800 0500 64000000           #   upper threshold 100
0800 0600 4b000000           #   lower threshold 75
0500 0d00 01000000           #   GUE
0600 0e00 17c0 0000          #   port 6080
0600 0f00 0200 0000          #   remote checksum
`
	delDestinationBytes = `
07 01 0000                   # DEL_DEST
2400 0180
0600 0100 0200 0000
0600 0200 0600 0000
0800 0300 c0a80101
0600 0400 0050 0000
1c00 0280
0800 0100 c0a8020b
0600 0200 1f90 0000
0600 0b00 0200 0000
`
	startSyncBytes = `
09 01 0000                   # NEW_DAEMON
4000 0380                    # daemon, nested
0800 0100 01000000           #   master
0900 0200 6574683000 000000  #   eth0
0800 0300 07000000           #   sync id 7
0600 0400 dc05 0000          #   1,500 bytes
0800 0500 e0000051           #   224.0.0.81
0600 0700 9022 0000          #   port 8848
0500 0800 03000000           #   TTL 3
`
	timeoutsBytes = `
0c 01 0000                   # SET_CONFIG
0800 0400 84030000           # TCP 900
0800 0500 78000000           # TCP FIN 120
0800 0600 2c010000           # UDP 300
`
)

func tunnelled(addr string) Destination {
	return Destination{Addr: netip.MustParseAddrPort(addr), Forward: TUN, Weight: 70000,
		Upper: 100, Lower: 75,
		Tunnel: Tunnel{Type: GUE, Port: 6080, Checksum: RemoteChecksum}}
}

func persistent() Settings {
	return Settings{Scheduler: "wrr", Flags: Sched1 | Sched2, Persistence: 50 * time.Second,
		PersistenceBits: 24, Engine: SIP}
}

func eth0() SyncDaemon {
	return SyncDaemon{Role: SyncMaster, Interface: "eth0", ID: 7, MaxLen: 1500,
		Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 3}
}

func TestMessages(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the messages of this test are those of little-endian machines")
	}
	d := tunnelled("192.168.2.11:8080")
	for _, tt := range []struct {
		name string
		m    message
		want string
	}{
		{"add service", opMessage(&Op{Kind: AddService, Key: key4, Settings: persistent()}),
			addServiceBytes},
		{"delete service", opMessage(&Op{Kind: DeleteService, Key: key6}), delService6Bytes},
		{"add destination", opMessage(&Op{Kind: AddDestination, Key: marked, Destination: d}),
			addDestinationBytes},
		{"delete destination", opMessage(&Op{Kind: DeleteDestination, Key: key4, Destination: d}),
			delDestinationBytes},
		{"start sync daemon", startMessage(eth0()), startSyncBytes},
		{"set timeouts", timeoutsMessage(Timeouts{
			TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 5 * time.Minute}), timeoutsBytes},
		{"flush", message{command: cmdFlush}, "11010000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(hex.Dump(fromHex(t, tt.want)), hex.Dump(encoded(tt.m))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOpKindsAreCommands checks what opMessage takes for granted.
func TestOpKindsAreCommands(t *testing.T) {
	for kind, want := range map[OpKind]command{
		AddService: cmdNewService, SetService: cmdSetService, DeleteService: cmdDelService,
		AddDestination: cmdNewDest, SetDestination: cmdSetDest, DeleteDestination: cmdDelDest,
	} {
		if got := opMessage(&Op{Kind: kind, Key: key4}).command; got != want {
			t.Errorf("%s is command %d, want %d", kind, got, want)
		}
	}
}

func encoded(m message) []byte {
	var a attributes
	m.encode(&a)
	return a
}

func TestDecodeWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.SampledFrom([]Key{key4, key6, marked}).Draw(t, "key")
		s := Settings{
			Scheduler:       Scheduler(rapid.StringMatching(`[a-z]{1,15}`).Draw(t, "scheduler")),
			Flags:           Flags(rapid.IntRange(0, 15).Draw(t, "flags")) << 2,
			PersistenceBits: rapid.IntRange(1, addrBits(k)).Draw(t, "bits"),
		}
		if rapid.Bool().Draw(t, "persistent") {
			s.Persistence = time.Duration(rapid.Uint32Min(1).Draw(t, "timeout")) * time.Second
			s.Engine = rapid.SampledFrom([]Engine{"", SIP}).Draw(t, "engine")
		}
		a, err := decodeService(encoded(opMessage(&Op{Kind: AddService, Key: k, Settings: s})))
		if err != nil {
			t.Fatal(err)
		}
		want := Services{{Key: k, Settings: s}}
		if diff := cmp.Diff(want, Services{a.service}); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		d := tunnelled(rapid.SampledFrom([]string{"10.0.0.1:0", "[::2]:9"}).Draw(t, "destination"))
		d.Forward = rapid.SampledFrom([]Forward{NAT, DR, TUN}).Draw(t, "by")
		if d.Forward != TUN {
			d.Tunnel = Tunnel{}
		}
		d.Weight = rapid.IntRange(0, MaxWeight).Draw(t, "weight")
		b := encoded(opMessage(&Op{Kind: SetDestination, Key: k, Destination: d}))
		got, err := decodeDestination(b, k)
		if err != nil || got.destination != d || got.load.Weight != d.Weight {
			t.Fatalf("destination %+v comes back as %+v, error %v", d, got, err)
		}
	})
}

func TestDecodeSyncDaemon(t *testing.T) {
	over6 := eth0()
	over6.Group = netip.MustParseAddr("ff02::81")
	for _, want := range []SyncDaemon{eth0(), over6} {
		got, err := decodeSyncDaemon(encoded(startMessage(want)))
		if err != nil || got != want {
			t.Errorf("%s comes back as %s, error %v", want, got, err)
		}
	}
}

// TestDecodeStats also checks that the 32-bit form beside them is passed over.
func TestDecodeStats(t *testing.T) {
	b := fromHex(t, `
01 01 0000
6000 0280                    # destination
0800 0100 c0a8020b
0600 0200 0050 0000
0c00 0a80 0800 0100 ffffffff # the counters in 32 bits
0800 0700 02000000           # active
0800 0800 03000000           # inactive
0800 0900 04000000           # persistent
2800 0c80                    # the counters in 64 bits
0c00 0100 0000000001000000   #   connections
0c00 0500 0500000000000000   #   bytes out
0c00 0a00 0a00000000000000   #   bytes out a second
`)
	got, err := decodeDestination(b, key4)
	if err != nil {
		t.Fatal(err)
	}
	want := Stats{Connections: 1 << 32, BytesOut: 5, ByteRateOut: 10}
	if diff := cmp.Diff(want, got.stats); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Load{Active: 2, Inactive: 3, Persistent: 4}, got.load); diff != "" {
		t.Errorf("load (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct{ name, bytes, want string }{
		{"nothing", "", "decode service: too short"},
		{"no attribute", "01010000", "decode service: no attribute 1"},
		{"a destination", addDestinationBytes[strings.Index(addDestinationBytes, "5400"):],
			"decode service: "},
		{"no family", "01010000 0c000180 0800030001020304",
			"decode service: unknown address family 0"},
		{"short address", "01010000 14000180 060001000a000000 0800030001020304",
			"decode service: address of 4 bytes"},
		{"attribute cut off", "01010000 0c000180 08000300", "decode service: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeService(fromHex(t, tt.bytes))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzDecode looks for answers that end in a panic, or in a service or destination without a sound
// identity.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		addServiceBytes, delService6Bytes, addDestinationBytes, delDestinationBytes, startSyncBytes,
	} {
		f.Add(fromHex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeService(b); err == nil && a.service.Mark == 0 &&
			!a.service.Addr.IsValid() {
			t.Errorf("service without address: %+v", a.service)
		}
		if a, err := decodeDestination(b, key4); err == nil && !a.destination.Addr.IsValid() {
			t.Errorf("destination without address: %+v", a.destination)
		}
		_, _ = decodeSyncDaemon(b)
		ms, err := parseMessages(nil, b)
		for _, m := range ms {
			if err == nil && len(m.Data) > len(b) {
				t.Errorf("message of %d bytes in %d", len(m.Data), len(b))
			}
			_, _ = verdict(m)
		}
	})
}

func TestNetmask(t *testing.T) {
	for bits := 1; bits <= 32; bits++ {
		if got := fromNetmask(toNetmask(key4, bits), false); got != bits {
			t.Errorf("IPv4 prefix %d comes back as %d", bits, got)
		}
	}
	for bits := 1; bits <= 128; bits++ {
		if got := fromNetmask(toNetmask(key6, bits), true); got != bits {
			t.Errorf("IPv6 prefix %d comes back as %d", bits, got)
		}
	}
	for _, mask := range [][]byte{nil, {255}, {0, 0, 0, 0}, {255, 0, 0, 255}} {
		if got := fromNetmask(mask, false); got != -1 {
			t.Errorf("mask %v comes back as %d, want -1", mask, got)
		}
	}
	for _, n := range []uint32{0, 129, 1 << 31} {
		if got := fromNetmask(binary.NativeEndian.AppendUint32(nil, n), true); got != -1 {
			t.Errorf("IPv6 prefix %d comes back as %d, want -1", n, got)
		}
	}
}
