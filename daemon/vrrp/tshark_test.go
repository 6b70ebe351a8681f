package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDecodedByTshark has another decoder read what Append writes: fields and checksums.
func TestDecodedByTshark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark to decode adverts with")
	}
	file := filepath.Join(t.TempDir(), "adverts.pcap")
	var want []string
	packets := pcapHeader()
	for _, w := range wire {
		if w.advert.Version == V3 && w.src.Is4() && w.advert.Checksum == ChecksumPlain {
			continue // it takes RFC 5798 as meant with a pseudo-header
		}
		b := must(w.advert.Append(nil, w.src, w.dst))
		packets = append(packets, pcapRecord(ipPacket(b, w.src, w.dst))...)
		want = append(want, tsharkLine(w.advert))
	}
	if err := os.WriteFile(file, packets, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-o", "vrrp.v3_checksum_as_in_v2:FALSE", "-T", "fields"}
	for _, f := range []string{"version", "virt_rtr_id", "prio", "addr_count", "adver_int",
		"short_adver_int", "checksum.status", "ip_addr", "ipv6_addr"} {
		args = append(args, "-e", "vrrp."+f)
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

// tsharkLine is what tshark says of a, its fields separated by tabs; a right checksum is 1.
func tsharkLine(a Advert) string {
	seconds, centiseconds := "", fmt.Sprint(int64(a.Interval/centisecond))
	if a.Version == V2 {
		seconds, centiseconds = fmt.Sprint(a.Interval.Seconds()), ""
	}
	var v4, v6 []string
	for _, addr := range a.Addrs {
		if addr.Is4() {
			v4 = append(v4, addr.String())
		} else {
			v6 = append(v6, addr.String())
		}
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%s\t%s\t1\t%s\t%s", a.Version, a.VRID, a.Priority,
		len(a.Addrs), seconds, centiseconds, strings.Join(v4, ","), strings.Join(v6, ","))
}

// ipPacket puts an IP header before an advert. Nobody looks at the header's own checksum.
func ipPacket(b []byte, src, dst netip.Addr) []byte {
	var h []byte
	if src.Is4() {
		h = []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, TTL, Protocol, 0, 0}
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(b)))
	} else {
		h = []byte{0x60, 0, 0, 0, 0, 0, Protocol, TTL}
		binary.BigEndian.PutUint16(h[4:], uint16(len(b)))
	}
	h = append(h, src.AsSlice()...)
	h = append(h, dst.AsSlice()...)
	return append(h, b...)
}

// pcapHeader begins a capture file of raw IP packets.
func pcapHeader() []byte {
	const magic, major, minor, snap, raw = 0xa1b2c3d4, 2, 4, 65535, 101
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint16(b, major)
	b = binary.LittleEndian.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, snap)
	return binary.LittleEndian.AppendUint32(b, raw)
}

func pcapRecord(packet []byte) []byte {
	b := make([]byte, 8) // at the beginning of time
	b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(packet)))
	return append(b, packet...)
}
