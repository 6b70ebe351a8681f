package daemon

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/config"
)

// oneInstance is a configuration with nothing to say about it.
const oneInstance = `vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress { 192.168.1.1/24 }
}
`

// oneServer is another, without instances.
const oneServer = `virtual_server 192.168.1.1 80 {
    protocol TCP
    real_server 192.168.2.11 80 { }
}
`

// write puts a configuration into a file.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestExamine(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Verdict
		said       string // part of what is said; empty: nothing is
	}{
		{"good", oneInstance, Usable, ""},
		{"of little use", oneInstance + "global_defs {\nsmtp_password x\n}\n", Restricted,
			"nobody logs in"},
		{"no socket", oneInstance + "global_defs {\nenable_snmp_vrrp\nsnmp_socket x\n}\n",
			Restricted, `snmp_socket: socket "x": expected unix:PATH`},
		{"wrong", oneInstance + "instanze x\n", Unusable, "did you mean instance?"},
		{"route", strings.Replace(oneInstance, "priority 150",
			"virtual_routes { 10.0.0.0/8 via 192.168.1.9 encap mpls 100 }", 1), Unusable,
			`: error: route: encap: not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			got, err := Examine(write(t, tt.text), config.Options{}, &out)
			if err != nil || got != tt.want {
				t.Errorf("Examine: got %s, %v, want %s", got, err, tt.want)
			}
			if !strings.Contains(out.String(), tt.said) || (tt.said == "") != (out.Len() == 0) {
				t.Errorf("Examine said %q, want %q in it", &out, tt.said)
			}
		})
	}
}

func TestExamineOfAMissingFile(t *testing.T) {
	got, err := Examine(filepath.Join(t.TempDir(), "missing"), config.Options{}, io.Discard)
	if got != Unusable || err != nil {
		t.Errorf("Examine: got %s, %v, want unusable", got, err)
	}
}

// TestRunRefuses checks the reasons not to start that need nothing of the kernel.
func TestRunRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       error
	}{
		{"missing file", filepath.Join(t.TempDir(), "missing"), ErrNoConfig},
		{"wrong file", write(t, "vrrp_instance {"), ErrConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Run(t.Context(), Options{File: tt.file})
			if !errors.Is(err, tt.want) {
				t.Errorf("Run: got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestLoadLeavesOut checks what the options take out of a configuration.
func TestLoadLeavesOut(t *testing.T) {
	file := write(t, oneInstance+"vrrp_sync_group G { group { VI_1 } }\n"+oneServer)
	for _, tt := range []struct {
		name                         string
		options                      Options
		instances, groups, wantServe int
	}{
		{"nothing", Options{}, 1, 1, 1},
		{"VRRP", Options{WithoutVRRP: true}, 0, 0, 1},
		{"services", Options{WithoutServices: true}, 1, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.File = file
			c, _, err := load(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Instances) != tt.instances || len(c.SyncGroups) != tt.groups ||
				len(c.VirtualServers) != tt.wantServe {
				t.Errorf("load: got %d instances, %d groups, %d servers, want %d, %d, %d",
					len(c.Instances), len(c.SyncGroups), len(c.VirtualServers),
					tt.instances, tt.groups, tt.wantServe)
			}
		})
	}
}
