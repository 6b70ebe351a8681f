package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
)

// TestStatusOfFiles has one file for each exit status of -t.
func TestStatusOfFiles(t *testing.T) {
	const good = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" +
		"virtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
	for _, tt := range []struct {
		name, text string
		args       []string
		want       int
		said       string
	}{
		{"nothing wrong", good, nil, 0, ""},
		{"a note", good + "child_wait_time 3\n", nil, 0,
			"8:1: note: child_wait_time: has no effect: there are no children to wait for\n"},
		{"a warning", good + "global_defs {\nsmtp_password x\n}\n", nil, 5,
			"9:1: warning: smtp_password: expected smtp_user beside it; nobody logs in\n"},
		{"an error", good + "net_namspace x\n", nil, 4,
			"8:1: error: net_namspace \"x\": expected a keyword of the file " +
				"(did you mean net_namespace?)\n"},
		{"what the daemon refuses", strings.Replace(good, "interface",
			"virtual_routes {\n10.0.0.0/8 via 10.0.0.9 encap mpls 100\n}\ninterface", 1), nil, 4,
			"encap: not supported"},
		{"an include that is not there", good + "include missing\n", nil, 5,
			"8:1: warning: include \"missing\""},
		{"the same with -e", good + "include missing\n", []string{"-e"}, 4,
			"8:1: error: include \"missing\""},
		{"the dump", good, []string{"-d"}, 0, "global_defs {\n    vrrp_version 2\n"},
		{"no dump of a bad file", "x", []string{"-d"}, 4,
			"1:1: error: x: expected a keyword of the file\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "f")
			writeFile(t, file, tt.text)
			var said strings.Builder
			args := append([]string{"-t", "-f", file}, tt.args...)
			if got := run(args, &said, &said); got != tt.want {
				t.Errorf("run %q: got status %d, want %d", args, got, tt.want)
			}
			text := strings.ReplaceAll(said.String(), file+":", "")
			if !strings.Contains(text, tt.said) || tt.said == "" && text != "" {
				t.Errorf("run %q said\n%swant in it\n%s", args, text, tt.said)
			}
		})
	}
}

// TestDumpIsConfiguration checks that what -t -d prints is the same configuration.
func TestDumpIsConfiguration(t *testing.T) {
	var stdout strings.Builder
	if got := run([]string{"-dt", "-f", configs + "fig7.conf"}, &stdout, io.Discard); got != 0 {
		t.Errorf("run -dt: got status %d, want 0", got)
	}
	want, _ := config.Load(configs+"fig7.conf", config.Options{})
	got, ds := config.Parse("dump", []byte(stdout.String()))
	if ds.Err() != nil || got.String() != want.String() {
		t.Errorf("parse what -d printed: %v\n%s", ds.Err(), cmp.Diff(want.String(), got.String()))
	}
}

// traced writes two files with a mistake in a variable of an included file, and a setting that is in
// both. It returns the directory.
func traced(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a"), "global_defs {\nrouter_id a\ninclude b\n}\n"+
		"vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n"+
		"virtual_ipaddress { $VIP }\n}\n")
	writeFile(t, filepath.Join(dir, "b"), "router_id b\n$VIP=192.168.1.1/33\n")
	return dir
}

// TestPiped checks that what -t writes to no terminal says where things come from, each on a line
// of the same form.
func TestPiped(t *testing.T) {
	dir := traced(t)
	var said strings.Builder
	if got := run([]string{"-t", "-f", filepath.Join(dir, "a")}, io.Discard, &said); got != 4 {
		t.Errorf("run: got status %d, want 4", got)
	}
	want := "a:8:21: error: virtual_ipaddress \"192.168.1.1/33\": prefix length must be 0..32\n" +
		"b:2:6: note: in the definition of $VIP\n" +
		"b:1:1: warning: router_id: expected once in global_defs; this one replaces a:2\n" +
		"a:3:1: note: included from here\n" +
		"a:2:1: note: the other one is here\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(said.String(), dir+"/", "")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestJSON checks the whole of --format json.
func TestJSON(t *testing.T) {
	dir := traced(t)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	var stdout, stderr strings.Builder
	if got := run([]string{"-t", "--format=json", "-f", a}, &stdout, &stderr); got != 4 {
		t.Errorf("run: got status %d, want 4", got)
	}
	var got jsonFindings
	if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
		t.Fatalf("%v\n%s", err, &stdout)
	}
	want := jsonFindings{Verdict: "unusable", Diagnostics: []jsonFinding{
		{
			jsonOrigin: jsonOrigin{jsonPlace{a, 8, 21}, []jsonStep{
				{jsonPlace{b, 2, 6}, "in the definition of $VIP"},
			}},
			Severity: "error",
			Text:     `virtual_ipaddress "192.168.1.1/33": prefix length must be 0..32`,
		},
		{
			jsonOrigin: jsonOrigin{jsonPlace{b, 1, 1}, []jsonStep{
				{jsonPlace{a, 3, 1}, "included from here"},
			}},
			Severity: "warning",
			Text:     "router_id: expected once in global_defs; this one replaces " + a + ":2",
			First:    &jsonOrigin{jsonPlace: jsonPlace{a, 2, 1}},
		},
	}}
	unexported := cmp.AllowUnexported(jsonFinding{}, jsonOrigin{}, jsonStep{})
	if diff := cmp.Diff(want, got, unexported); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: got %q, want nothing", &stderr)
	}
}

// TestPeerID reads one file as each of two directors does.
func TestPeerID(t *testing.T) {
	var refused strings.Builder
	if got := run([]string{"-t", "--peer-id", "lb2"}, io.Discard, &refused); got != 2 ||
		!strings.Contains(refused.String(), "option --peer-id: expected --peer beside it") {
		t.Errorf("run without --peer: got status %d and %q, want 2", got, &refused)
	}
	text := strings.Replace(string(readFile(t, "testdata/good.conf")), "priority 150",
		"@lb1 priority 150\n@lb2 priority 100", 1)
	file := filepath.Join(t.TempDir(), "both.conf")
	writeFile(t, file, text)
	for _, tt := range []struct {
		name, id string
		want     int
		said     string
	}{
		{"the other one", "lb2", 0, ""},
		{"the same one", "lb1", 5, `priority "150" of VI_1: expected another than the peer's`},
		{"none", "", 0, ""}, // priority 100, the default
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said strings.Builder
			args := []string{"-t", "-i", "lb1", "-f", file, "--peer", file, "--peer-id=" + tt.id}
			if got := run(args, io.Discard, &said); got != tt.want {
				t.Errorf("run: got status %d, want %d\n%s", got, tt.want, &said)
			}
			if !strings.Contains(said.String(), tt.said) {
				t.Errorf("run said\n%swant in it %s", &said, tt.said)
			}
		})
	}
}

// TestPeer compares with the other director's file.
func TestPeer(t *testing.T) {
	text := string(readFile(t, "testdata/good.conf"))
	for _, tt := range []struct {
		name, old, new string
		want           int
		said           string
	}{
		{"another priority", "priority 150", "priority 100", 0, ""},
		{"the same", "", "", 5, "expected another than the peer's"},
		{"another interval", "priority 150\n    version 3\n    advert_int 0.1",
			"priority 100\nversion 3\nadvert_int 7", 5,
			`advert_int "0.1" of VI_1: expected "7", as the peer has it`},
		{"another version", "version 3\n    advert_int 0.1", "version 2", 4,
			`version "3" of VI_1: expected "2", as the peer has it: both would be master`},
		{"the peer has errors", "priority", "prioirty", 4, "did you mean priority?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			peer := filepath.Join(t.TempDir(), "peer.conf")
			writeFile(t, peer, strings.Replace(text, tt.old, tt.new, 1))
			var said strings.Builder
			args := []string{"-t", "-f", "testdata/good.conf", "--peer", peer}
			if got := run(args, io.Discard, &said); got != tt.want {
				t.Errorf("run: got status %d, want %d\n%s", got, tt.want, &said)
			}
			if !strings.Contains(said.String(), tt.said) {
				t.Errorf("run said\n%swant in it %s", &said, tt.said)
			}
		})
	}
}

// TestTerminal checks that a terminal is shown the line and the place in it.
func TestTerminal(t *testing.T) {
	control, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	file := filepath.Join(t.TempDir(), "f")
	writeFile(t, file, "\tbogus 1\n")
	run([]string{"-t", "-f", file}, terminal, terminal)
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(control) // ends with an error: the other end is closed
	want := file + ":1:2: error: bogus \"1\": expected a keyword of the file\r\n" +
		"    \tbogus 1\r\n    \t^\r\n"
	if diff := cmp.Diff(want, string(said)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
