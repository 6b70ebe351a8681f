package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens anew")

// TestGolden shows, for each file in testdata, what is said about it, its tree and its Config.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("find goldens: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got := render(t, file)
			golden := strings.TrimSuffix(file, ".conf") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func render(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(file)
	c, ds := Parse(name, text)
	var b strings.Builder
	fmt.Fprintf(&b, "-- said --\n%s-- tree --\n", ds)
	tree, _ := Tree(name, text)
	for _, n := range tree {
		b.WriteString(n.String())
	}
	if ds.Err() == nil {
		fmt.Fprintf(&b, "-- config --\n%s", c)
	}
	return b.String()
}

// TestRoundTrip writes each Config of testdata in its own language and reads it again.
func TestRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, ds := Load(file, Options{})
			if ds.Err() != nil {
				return
			}
			checkRoundTrip(t, c)
		})
	}
}

func checkRoundTrip(t *testing.T, c *Config) {
	t.Helper()
	again, ds := Parse("again", []byte(c.String()))
	if err := ds.Err(); err != nil {
		t.Fatalf("parse what String wrote: %v\n%s", err, c)
	}
	if diff := cmp.Diff(c, again, ignorePlaces()...); diff != "" {
		t.Errorf("(-read +written and read)\n%s\n%s", diff, c)
	}
}

// TestOrderOfKeywords checks that what is inherited does not depend on which stands first.
func TestOrderOfKeywords(t *testing.T) {
	const (
		defaults = "global_defs {\nvrrp_version 3\nvrrp_garp_master_repeat 9\n}\n"
		instance = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" +
			"virtual_ipaddress { 10.0.0.1 }\n}\n"
		service = "virtual_server 10.0.0.1 80 {\n%\n}\n"
		timing  = "protocol TCP\ndelay_loop 7\nweight 8\nretry 9"
		server  = "real_server 10.0.0.9 80 {\n%\n}"
		own     = "connect_timeout 3"
		check   = "TCP_CHECK { }"
	)
	within := func(block string, inner ...string) string {
		return strings.Replace(block, "%", strings.Join(inner, "\n"), 1)
	}
	ordered := defaults + instance + within(service, timing, within(server, own, check))
	reversed := within(service, within(server, check, own), timing) + instance + defaults
	want, ds := Parse("ordered", []byte(ordered))
	if len(ds) > 0 {
		t.Fatalf("parse: %s", ds)
	}
	got, ds := Parse("reversed", []byte(reversed))
	if len(ds) > 0 {
		t.Fatalf("parse: %s", ds)
	}
	if diff := cmp.Diff(want, got, ignorePlaces()...); diff != "" {
		t.Errorf("(-ordered +reversed)\n%s", diff)
	}
	k := got.VirtualServers[0].RealServers[0].Checks[0]
	if k.DelayLoop != 7*time.Second || k.Retry != 9 || k.ConnectTimeout != 3*time.Second {
		t.Errorf("check: got %+v, want what the blocks around it say", k)
	}
}
