package bfd

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDecodedByTshark has another decoder read what Append writes.
func TestDecodedByTshark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark to decode packets with")
	}
	file := filepath.Join(t.TempDir(), "packets.pcap")
	const magic, major, minor, snap, raw = 0xa1b2c3d4, 2, 4, 65535, 101
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint16(b, major)
	b = binary.LittleEndian.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, snap)
	b = binary.LittleEndian.AppendUint32(b, raw)
	var want []string
	for _, w := range wire {
		packet := udpPacket(must(w.packet.Append(nil)))
		b = append(b, make([]byte, 8)...) // at the beginning of time
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
		b = append(b, packet...)
		want = append(want, tsharkLine(w.packet))
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-T", "fields"}
	for _, f := range []string{"version", "diag", "sta", "flags.p", "flags.f", "flags.c", "flags.a",
		"flags.d", "flags.m", "detect_time_multiplier", "message_length", "my_discriminator",
		"your_discriminator", "desired_min_tx_interval", "required_min_rx_interval",
		"required_min_echo_interval"} {
		args = append(args, "-e", "bfd."+f)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).Output()
	if err != nil {
		t.Fatalf("run tshark: %v", err)
	}
	got := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tshark (-want +got):\n%s", diff)
	}
}

// tsharkLine is what tshark says of p, its fields separated by tabs.
func tsharkLine(p Packet) string {
	bit := map[bool]int{true: 1}
	hex := func(v uint8) string { return fmt.Sprintf("0x%02x", v) }
	values := []any{1, hex(uint8(p.Diag)), hex(uint8(p.State - AdminDown)), bit[p.Poll],
		bit[p.Final], bit[p.ControlIndependent], 0, bit[p.Demand], 0, p.Multiplier, packetLen,
		fmt.Sprintf("0x%08x", p.Mine), fmt.Sprintf("0x%08x", p.Yours),
		p.MinTx.Microseconds(), p.MinRx.Microseconds(), p.MinEchoRx.Microseconds()}
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, "\t")
}

// udpPacket puts headers before a packet, without checksums.
func udpPacket(b []byte) []byte {
	h := []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, ttlDirect, 17, 0, 0, 192, 168, 1, 2, 192, 168, 1, 3}
	binary.BigEndian.PutUint16(h[2:], uint16(28+len(b)))
	h = binary.BigEndian.AppendUint16(h, firstSource)
	h = binary.BigEndian.AppendUint16(h, portDirect)
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(b)))
	return append(append(h, 0, 0), b...)
}
