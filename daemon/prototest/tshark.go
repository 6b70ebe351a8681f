package prototest

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Decoded has tshark read IP packets, each from its header on, and compares the fields of a protocol
// that it prints of each, parted by tabs, with want. The test is skipped where there is no tshark.
// Settings are those of its option -o.
func Decoded(t *testing.T, packets [][]byte, protocol string, fields, settings, want []string) {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark to decode packets with")
	}
	file := filepath.Join(t.TempDir(), "packets.pcap")
	if err := os.WriteFile(file, capture(packets), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-T", "fields"}
	for _, s := range settings {
		args = append(args, "-o", s)
	}
	for _, f := range fields {
		args = append(args, "-e", protocol+"."+f)
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

// capture is a file of raw IP packets, all at the beginning of time.
func capture(packets [][]byte) []byte {
	const magic, major, minor, snap, raw = 0xa1b2c3d4, 2, 4, 65535, 101
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint16(b, major)
	b = binary.LittleEndian.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, snap)
	b = binary.LittleEndian.AppendUint32(b, raw)
	for _, p := range packets {
		b = append(b, make([]byte, 8)...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}
