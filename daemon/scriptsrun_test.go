package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// TestStartAndStop runs a director with scripts around its life: the one at the start has ended
// before anything else is told, the one at the stop begins after everything else is.
func TestStartAndStop(t *testing.T) {
	node, _ := netiftest.Pair(t)
	dir := t.TempDir()
	script, heard := filepath.Join(dir, "script"), filepath.Join(dir, "heard")
	text := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s\n", heard)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	r := runOn(t, node, strings.ReplaceAll("global_defs {\nscript_user root\n"+
		"startup_script \"% start\"\nshutdown_script \"% stop\"\n}\n", "%", script)+
		strings.Replace(oneInstance, "interface", "notify \""+script+" told\"\ninterface", 1))
	r.holds("master")
	r.stop()
	lines, err := os.ReadFile(heard)
	if err != nil {
		t.Fatal(err)
	}
	want := "start\ntold INSTANCE VI_1 BACKUP 150\ntold INSTANCE VI_1 MASTER 150\n" +
		"told INSTANCE VI_1 STOP 150\nstop\n"
	if string(lines) != want {
		t.Errorf("got\n%s\nwant\n%s", lines, want)
	}
}
