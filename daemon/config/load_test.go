package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLoadExpands reads a configuration of two files with variables and a condition, as each of two
// directors does.
func TestLoadExpands(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"main.conf": "$DEV=eth0\n@lb1 $PRIO=150\n@^lb1 $PRIO=100\ninclude parts/*.conf\n",
		"parts/vip.conf": "vrrp_instance outer {\n interface $DEV\n virtual_router_id 51\n" +
			" priority $PRIO\n virtual_ipaddress { 192.168.1.1/24 }\n}\n",
		"parts/wrong.conf": "vrrp_instance inner {\n interface $DEV\n virtual_router_id 52\n" +
			" priority ${PRIO}0\n virtual_ipaddress { 192.168.2.1/24 }\n}\n",
	}
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]int{"lb1": 150, "lb2": 100} {
		c, ds := Load(filepath.Join(dir, "main.conf"), Options{ID: id})
		if got := c.Instance("outer"); got == nil || int(got.Priority) != want ||
			got.Interface != "eth0" {
			t.Errorf("id %s: got %+v, want priority %d on eth0", id, got, want)
		}
		var said []string
		for _, d := range ds {
			if d.Severity == Error {
				said = append(said, filepath.Base(d.String())) // with the place of use
				if len(d.Pos.Trace()) == 0 {
					t.Errorf("%s: no note on the variable and the include", d)
				}
			}
		}
		wrong := []string{`wrong.conf:4:11: error: priority "` + map[string]string{"lb1": "150", "lb2": "100"}[id] +
			`0": expected a whole number from 1 to 255`}
		if diff := cmp.Diff(wrong, said); diff != "" {
			t.Errorf("id %s: errors (-want +got):\n%s", id, diff)
		}
	}
}

// TestIncludeCheck makes of what is not there what include_check says, for the includes after it.
func TestIncludeCheck(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Severity
	}{
		{"not asked for", "include none.conf\n", Warning},
		{"all", "global_defs {\ninclude_check\n}\ninclude none.conf\n", Error},
		{"match", "global_defs { include_check match }\ninclude none.conf\n", Error},
		{"another one", "global_defs { include_check read }\ninclude none.conf\n", Warning},
		{"taken back", "global_defs {\ninclude_check match\ninclude_check -match\n}\n" +
			"include none.conf\n", Warning},
		{"too late", "include none.conf\nglobal_defs { include_check match }\n", Warning},
		{"in a file before", "include checks.conf\ninclude none.conf\n", Warning},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "checks.conf"), "global_defs { include_check match }\n")
			file := filepath.Join(dir, "main.conf")
			writeFile(t, file, tt.text)
			_, ds := Load(file, Options{})
			var got Severity
			for _, d := range ds {
				if strings.Contains(d.Text, "none.conf: file does not exist") {
					got = d.Severity
				}
				if strings.Contains(d.Text, "include_check: has no effect") {
					t.Errorf("%s: expected it to work", d)
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s\n%s", got, tt.want, ds)
			}
		})
	}
}

// TestRandomSeed reads a file with random numbers twice.
func TestRandomSeed(t *testing.T) {
	text := func(seed string) []byte {
		return []byte("global_defs {\n" + seed + "\nrouter_id " +
			strings.Repeat("${_RANDOM 0 9}", 40) + "\n}\n")
	}
	read := func(seed string) string {
		c, ds := Parse("f", text(seed))
		if len(ds) > 0 {
			t.Errorf("%s: got %s, want nothing to say", seed, ds)
		}
		return c.Global.RouterID
	}
	if a, b := read("random_seed 7"), read("random_seed 7"); a != b || len(a) != 40 {
		t.Errorf("one seed: got %s and %s, want the same", a, b)
	}
	if a, b := read("random_seed 7"), read("random_seed 8"); a == b {
		t.Errorf("two seeds: got %s twice", a)
	}
	if a, b := read(""), read(""); a == b {
		t.Errorf("no seed: got %s twice", a)
	}
}

// TestBadFiles reads what is no configuration: each is a clear error, and takes little memory.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" +
		"virtual_ipaddress { 10.0.0.1/24 }\n}\n"
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		writeFile(t, name, text)
		return name
	}
	large := file("large", "")
	if err := os.Truncate(large, 100<<20); err != nil {
		t.Fatal(err)
	}
	secret := file("secret", good)
	if err := os.Chmod(secret, 0); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"100 MB", large, "1:1: error: file: " + large + ": expected at most 67108864 bytes"},
		{"directory", dir, "1:1: error: file: " + dir + ": expected a file, got a directory"},
		{"missing", filepath.Join(dir, "missing"), "1:1: error: file: " +
			filepath.Join(dir, "missing") + ": file does not exist"},
		{"unreadable", secret, "1:1: error: file: " + secret + ": permission denied"},
		{"NUL bytes", file("nul", strings.Repeat("\x00", 1<<20)), "1:1: error: NUL byte: expected text"},
		{"NUL byte", file("onenul", good+"\x00"), "6:1: error: NUL byte: expected text"},
		{"half a block", file("half", good[:len(good)-3]),
			"1:17: error: vrrp_instance {: expected its closing brace before the end of the file"},
		{"half a definition", file("define", good+"$A= \\\n a \\\n"),
			"7:4: error: backslash: expected a further line of $A after it, got the end of the file"},
		{"half a quote", file("quote", "global_defs {\nrouter_id \"a"),
			"2:11: error: quote \": expected its end on the same line"},
		{"a program", file("program", "\x7fELF\x02\x01\x01\x00\x00{{{{\x00\n\xff\xfe{\n"),
			"1:8: error: NUL byte: expected text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.path == secret && os.Geteuid() == 0 {
				t.Skip("root reads every file")
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, ds := Load(tt.path, Options{})
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("Load: allocated %d bytes, want at most 32 MiB", used)
			}
			if ds.Err() == nil || !strings.Contains(ds.String(), tt.path+":"+tt.want+"\n") {
				t.Errorf("got %.300s, want %s", ds, tt.want)
			}
		})
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEndless reads files that are small enough and have no end of words, statements or mistakes.
func TestEndless(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"statements", "global_defs {\n" + strings.Repeat("a\n", mostStatements+9),
			"block: expected at most 1048576 statements in it"},
		{"words", strings.Repeat("a ", mostWords+9), "line: expected at most 1048576 words"},
		{"mistakes", strings.Repeat("a\n", 20*mostSaid),
			"file: expected at most 10000 errors; the others are left out"},
		{"notes", strings.Repeat("child_wait_time 1\n", 20*mostSaid),
			"file: expected at most 10000 notes; the others are left out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ds := Parse("f", []byte(tt.text))
			if len(ds) > 2*mostSaid+9 || !strings.Contains(ds.String(), tt.want) {
				t.Errorf("got %d diagnostics, want fewer, with %s", len(ds), tt.want)
			}
		})
	}
}
