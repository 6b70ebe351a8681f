package bfd

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/prototest"
)

// TestDecodedByTshark has another decoder read what Append writes.
func TestDecodedByTshark(t *testing.T) {
	var packets [][]byte
	var want []string
	for _, w := range wire {
		packets = append(packets, udpPacket(must(w.packet.Append(nil))))
		want = append(want, tsharkLine(w.packet))
	}
	fields := []string{"version", "diag", "sta", "flags.p", "flags.f", "flags.c", "flags.a",
		"flags.d", "flags.m", "detect_time_multiplier", "message_length", "my_discriminator",
		"your_discriminator", "desired_min_tx_interval", "required_min_rx_interval",
		"required_min_echo_interval"}
	prototest.Decoded(t, packets, "bfd", fields, nil, want)
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
