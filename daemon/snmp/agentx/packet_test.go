package agentx

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// system is sysDescr's object.
var system = OID{1, 3, 6, 1, 2, 1, 1, 1}

// octets puts the labelled bytes of a packet together: of each line what stands before the first
// two blanks.
func octets(t *testing.T, table string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(table) {
		digits, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		part, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}

// packets are one of each kind. The bytes are as the figures of RFC 2741, Section 6.2, have them.
var packets = []struct {
	name   string
	bytes  string
	packet Packet
}{
	{"open", `
		01 01 10 00  version, open, network byte order
		00000000 00000000 00000001  session, transaction, packet
		00000020  length
		05 000000  timeout
		04 04 00 00 00000001 00000ca0 00000001 00000002  id 1.3.6.1.4 with prefix: .1.3232.1.2
		00000004 74657374  "test"
	`, Packet{Kind: Open, ID: 1, Timeout: 5, Name: OID{1, 3, 6, 1, 4, 1, 3232, 1, 2}, Text: "test"}},
	{"close", `
		01 02 10 00  version, close
		00000007 00000000 00000002  session, transaction, packet
		00000004  length
		05 000000  reason shutdown
	`, Packet{Kind: Close, Session: 7, ID: 2, Reason: 5}},
	{"register", `
		01 03 10 00  version, register
		00000007 00000000 00000003
		00000010  length
		00 7f 00 00  timeout, priority, range
		02 02 00 00 00000001 00000044  mib-2.68
	`, Packet{Kind: Register, Session: 7, ID: 3, Priority: 127, Name: OID{1, 3, 6, 1, 2, 1, 68}}},
	{"get-next in a context", `
		01 06 18 00  version, get-next, network byte order and context
		00000007 00000008 00000009
		00000030  length
		00000003 616263 00  "abc"
		03 02 01 00 00000001 00000001 00000001  from 1.3.6.1.2.1.1.1, included
		05 00 00 00 00000001 00000003 00000006 00000002 00000001  to 1.3.6.2.1: without prefix
	`, Packet{Kind: GetNext, Session: 7, Transaction: 8, ID: 9, Context: "abc",
		Ranges: []Range{{system, OID{1, 3, 6, 2, 1}, true}}}},
	{"get-bulk", `
		01 07 10 00  version, get-bulk
		00000007 00000008 00000009
		00000018  length
		0001 000a  non-repeaters, repetitions
		03 02 00 00 00000001 00000001 00000001
		00 00 00 00  no end
	`, Packet{Kind: GetBulk, Session: 7, Transaction: 8, ID: 9, NonRepeaters: 1, MaxRepetitions: 10,
		Ranges: []Range{{Start: system}}}},
	{"response", `
		01 12 10 00  version, response
		00000007 00000008 00000009
		0000006c  length
		00000064 0011 0002  sysUpTime, notWritable, index
		0002 0000  Integer
		01 02 00 00 00000001  mib-2
		ffffffff  -1
		0004 0000  OCTET STRING
		01 02 00 00 00000001
		00000005 68656c6c6f 000000  "hello"
		0040 0000  IpAddress
		01 02 00 00 00000001
		00000004 c0a80101
		0046 0000  Counter64
		01 02 00 00 00000001
		0000000100000000
		0082 0000  endOfMibView
		01 02 00 00 00000001
	`, Packet{Kind: Response, Session: 7, Transaction: 8, ID: 9, UpTime: 100, Error: 17, Index: 2,
		Bindings: []Binding{
			{OID{1, 3, 6, 1, 2, 1}, Int(-1)},
			{OID{1, 3, 6, 1, 2, 1}, Text("hello")},
			{OID{1, 3, 6, 1, 2, 1}, IPv4(netip.MustParseAddr("192.168.1.1"))},
			{OID{1, 3, 6, 1, 2, 1}, Count64(1 << 32)},
			{OID{1, 3, 6, 1, 2, 1}, Value{Type: EndOfMIBView}},
		}}},
	{"notify", `
		01 0c 10 00  version, notify
		00000007 00000000 00000009
		00000024  length
		0006 0000  OBJECT IDENTIFIER
		01 02 00 00 00000001
		04 00 00 00 00000001 00000003 00000006 00000001  1.3.6.1 has no prefix
	`, Packet{Kind: Notify, Session: 7, ID: 9, Bindings: []Binding{
		{OID{1, 3, 6, 1, 2, 1}, ID(OID{1, 3, 6, 1})}}}},
	{"ping", `
		01 0d 10 00  version, ping
		00000007 00000000 00000009
		00000000  length
	`, Packet{Kind: Ping, Session: 7, ID: 9}},
}

func TestPackets(t *testing.T) {
	for _, tt := range packets {
		t.Run(tt.name, func(t *testing.T) {
			b := octets(t, tt.bytes)
			binary.BigEndian.PutUint32(b[16:], uint32(len(b)-headerLength))
			got, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.packet, got); diff != "" {
				t.Errorf("Parse (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(b, tt.packet.Append(nil)); diff != "" {
				t.Errorf("Append (-want +got)\n%s", diff)
			}
			for n := range b {
				if _, err := Parse(b[:n]); err == nil {
					t.Errorf("%d of %d bytes: expected an error", n, len(b))
				}
			}
			if _, err := Parse(append(b, 0)); err == nil {
				t.Error("one byte more: expected an error")
			}
		})
	}
}

// TestByteOrder reads what a master on a little-endian machine may send.
func TestByteOrder(t *testing.T) {
	got, err := Parse(octets(t, `
		01 05 00 00  version, get, without the flag
		07000000 08000000 09000000
		14000000  length
		03 02 00 00 01000000 01000000 01000000
		00 00 00 00
	`))
	if err != nil {
		t.Fatal(err)
	}
	want := Packet{Kind: Get, Session: 7, Transaction: 8, ID: 9, Ranges: []Range{{Start: system}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	head := func(kind string, payload string) string {
		return "01 " + kind + " 10 00\n00000007 00000008 00000009\n00000000\n" + payload
	}
	for _, tt := range []struct{ name, bytes, want string }{
		{"version", "02 05 10 00\n00000007 00000008 00000009\n00000000", "version 2: expected 1"},
		{"text without end", head("01", "00000000\n00000000\nffffffff"), "open: too short"},
		{"OID without end", head("05", "ff000000"), "get: too short"},
		{"OID too long", head("05", "81000000\n"+strings.Repeat("00000001", 129)), "get: too short"},
		{"unknown type", head("12", "00000000 00000000 00070000 00000000"), "type 7: not known"},
		{"range of subtrees", head("03", "007f0100 00000000"), "expected a single one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := octets(t, tt.bytes)
			binary.BigEndian.PutUint32(b[16:], uint32(len(b)-headerLength))
			if _, err := Parse(b); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v: expected %q in it", err, tt.want)
			}
		})
	}
}

func TestReadPacket(t *testing.T) {
	ping := Packet{Kind: Ping, Session: 1}
	stream := bytes.NewReader(ping.Append(ping.Append(nil)))
	for range 2 {
		if got, err := ReadPacket(stream); err != nil || got.Kind != Ping {
			t.Errorf("ReadPacket: %v, %v", got, err)
		}
	}
	if _, err := ReadPacket(stream); err != io.EOF {
		t.Errorf("at the end: got %v, expected EOF", err)
	}
	huge := ping.Append(nil)
	huge[16] = 0xff
	if _, err := ReadPacket(bytes.NewReader(huge)); !errors.Is(err, errLong) {
		t.Errorf("huge packet: got %v, expected %v", err, errLong)
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range packets {
		f.Add(tt.packet.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(p.Append(nil))
		if err != nil {
			t.Fatalf("read again: %v", err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("read again (-want +got)\n%s", diff)
		}
	})
}
