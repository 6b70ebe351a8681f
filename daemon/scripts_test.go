package daemon

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tandemlb/tandem/daemon/config"
)

// TestUnsafeScripts examines configurations with one script, whose directory and file have modes.
func TestUnsafeScripts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files to root needs root")
	}
	if info, err := os.Stat("/"); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Skip("root's own files are not root's here, as in an ordinary user's guest")
	}
	for _, tt := range []struct {
		name            string
		directory, file os.FileMode
		owner           int
		user, global    string
		want            Verdict
	}{
		{"root's alone", 0o755, 0o755, 0, "", "", Usable},
		{"anybody writes", 0o755, 0o757, 0, "", "", Unsafe},
		{"group writes", 0o755, 0o775, 0, "", "", Unsafe},
		{"anybody replaces", 0o777, 0o755, 0, "", "", Unsafe},
		{"another owns", 0o755, 0o755, 65534, "", "", Unsafe},
		{"sticky directory", 0o777 | os.ModeSticky, 0o755, 0, "", "", Usable},
		{"anybody writes, nobody runs", 0o755, 0o757, 0, "nobody", "root", Usable},
		{"anybody writes, root runs", 0o755, 0o757, 0, "root", "nobody", Unsafe},
		{"anybody writes, all is run by nobody", 0o755, 0o757, 0, "", "nobody", Usable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			directory := filepath.Join(t.TempDir(), "scripts")
			script := filepath.Join(directory, "notify")
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(os.Mkdir(directory, 0o755))
			must(os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
			must(os.Chmod(script, tt.file))
			must(os.Chown(script, tt.owner, tt.owner))
			must(os.Chmod(directory, tt.directory))
			line := "notify_master \"" + script + " up\" " + tt.user + "\n    priority"
			text := strings.Replace(oneInstance, "priority", line, 1)
			if tt.global != "" {
				text = "global_defs {\nscript_user " + tt.global + "\n}\n" + text
			}
			file := write(t, text)
			if got, err := Examine(file, config.Options{}, io.Discard); err != nil || got != tt.want {
				t.Errorf("Examine: got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestScriptsOfEveryBlock checks that no place of a script is forgotten.
func TestScriptsOfEveryBlock(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files to root needs root")
	}
	if info, err := os.Stat("/"); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Skip("root's own files are not root's here, as in an ordinary user's guest")
	}
	script := filepath.Join(t.TempDir(), "weak")
	if err := os.WriteFile(script, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(script, 0o777); err != nil {
		t.Fatal(err)
	}
	const text = `global_defs {
    notify_fifo /run/all
    notify_fifo_script %
    vrrp_notify_fifo /run/vrrp
    vrrp_notify_fifo_script %
    lvs_notify_fifo /run/lvs
    lvs_notify_fifo_script %
}
vrrp_script S {
    script %
}
vrrp_sync_group G {
    group { A }
    notify %
}
vrrp_instance A {
    interface eth0
    virtual_router_id 1
    virtual_ipaddress { 10.0.0.1 }
    notify_master %
    notify_backup %
    notify_fault %
    notify_stop %
    notify_deleted %
    notify_master_rx_lower_pri %
}
virtual_server 10.0.0.1 80 {
    protocol TCP
    quorum_up %
    quorum_down %
    real_server 10.0.0.9 80 {
        notify_up %
        notify_down %
    }
}
`
	cfg, ds := examine(write(t, strings.ReplaceAll(text, "%", script)), config.Options{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := len(unsafeScripts(cfg)), strings.Count(text, "%"); got != want {
		t.Errorf("unsafe scripts: got %d, want %d", got, want)
	}
}
