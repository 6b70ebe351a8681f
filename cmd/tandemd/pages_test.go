package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnchanged says which mappings may be taken from a process without changing it.
func TestUnchanged(t *testing.T) {
	const smaps = `00400000-00c32000 r-xp 00000000 fe:00 13    /opt/my tandemd
Size:               8392 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
00c32000-01533000 r--p 00832000 fe:00 13    /opt/my tandemd
Anonymous:             0 kB
Swap:                  0 kB
01533000-01534000 r--p 01133000 fe:00 13    /opt/my tandemd
Anonymous:             4 kB
Swap:                  0 kB
01534000-01535000 r-xp 01134000 fe:00 13    /opt/my tandemd
Anonymous:             0 kB
Swap:                  4 kB
01535000-015a9000 rw-p 01135000 fe:00 13    /opt/my tandemd
Anonymous:             0 kB
Swap:                  0 kB
015a9000-035ee000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7fbc7cdb6000-7fbc7cf0c000 r-xp 00000000 fe:00 7    /usr/lib/libc.so.6
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0    [vdso]
Anonymous:             0 kB
`
	want := []span{{0x400000, 0xc32000}, {0xc32000, 0x1533000}}
	got := unchanged([]byte(smaps), "/opt/my tandemd")
	if d := cmp.Diff(want, got, cmp.AllowUnexported(span{})); d != "" {
		t.Errorf("mappings (-want +got):\n%s", d)
	}
}

// TestLeaveProgram has this process leave its program, and go on with less of it.
func TestLeaveProgram(t *testing.T) {
	before := ofProgram(t)
	if err := leaveProgram(); err != nil {
		t.Fatal(err)
	}
	if after := ofProgram(t); after >= before {
		t.Errorf("%d kB of the program are mapped after %d, want less", after, before)
	}
}

// ofProgram returns how much of its files the process has mapped, in kB; nearly all of it is the
// program.
func ofProgram(t *testing.T) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes
}
