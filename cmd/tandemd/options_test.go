package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestParse reads command lines as getopt_long(3) does.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		line string
		want command
	}{
		{"nothing", "", command{}},
		{"bundled", "-nlDd", command{detail: 1, dump: true}},
		{"file in the next word", "-f /a", command{file: "/a"}},
		{"file in the same word", "-f/a", command{file: "/a"}},
		{"file at the end of a bundle", "-nf /a", command{file: "/a"}},
		{"long file", "--use-file=/a", command{file: "/a"}},
		{"long file in the next word", "--use-file /a", command{file: "/a"}},
		{"long name cut", "--use /a", command{file: "/a"}},
		{"test", "-t", command{action: actionTest}},
		{"test to a file", "-t/a", command{action: actionTest, testLog: "/a"}},
		{"test to a file, long", "--config-test=/a", command{action: actionTest, testLog: "/a"}},
		{"test does not take the next word", "-t -f /a", command{action: actionTest, file: "/a"}},
		{"peer", "-t --peer /a", command{action: actionTest, peer: "/a"}},
		{"peer with an id", "-t --peer /a --peer-id=b",
			command{action: actionTest, peer: "/a", peerID: "b"}},
		{"format", "-t --format=json", command{action: actionTest, format: "json"}},
		{"dump", "--dump-conf", command{dump: true}},
		{"VRRP only", "-P", command{onlyVRRP: true}},
		{"services only", "--check", command{onlyServices: true}},
		{"keep services", "-I", command{keepServices: true}},
		{"namespace", "-s x", command{namespace: "x"}},
		{"process IDs", "-p /a -r /b -c /c", command{pidFiles: []string{"/a", "/b", "/c"}}},
		{"detail twice", "-DD", command{detail: 2}},
		{"reload", "--reload --control /a", command{action: actionReload, control: "/a"}},
		{"signal", "--signum=stop", command{action: actionSignum, signum: unix.SIGTERM}},
		{"signal for JSON", "--signum JSON", command{action: actionSignum, signum: 36}},
		{"status", "--status --format json", command{action: actionStatus, format: "json"}},
		{"metrics", "--metrics [::1]:9650", command{metrics: "[::1]:9650"}},
		{"version", "-v", command{action: actionVersion}},
		{"help", "-h", command{action: actionHelp}},
		{"without effect", "-a -i id --log-facility=3 -R --perf",
			command{id: "id", ignored: []string{"-a", "--log-facility", "-R", "--perf"}}},
		{"SNMP", "-x -A tcp:localhost:705", command{snmp: true, snmpSocket: "tcp:localhost:705"}},
		{"end of options", "-n --", command{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got command
			if err := parse(options(), strings.Fields(tt.line), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(command{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"unknown letter", "-nZ", "option -Z: unknown; see --help"},
		{"unknown name", "--zzz", "option --zzz: unknown; see --help"},
		{"ambiguous name", "--log", "option --log: expected --log-detail or --log-console"},
		{"empty name", "--=x", "option --: unknown; see --help"},
		{"value missing", "-f", "option -f: expected a value: FILE"},
		{"long value missing", "--use-file", "option --use-file: expected a value: FILE"},
		{"value too many", "--vrrp=x", "option --vrrp: expected no value"},
		{"operand", "-n x", `argument "x": expected an option`},
		{"operand after the end", "-- x", `argument "x": expected an option`},
		{"dash", "-", `argument "-": expected an option`},
		{"signal", "--signum=DANCE",
			`option --signum "DANCE": expected STOP, RELOAD, DATA, STATS or JSON`},
		{"metrics without a port", "--metrics 127.0.0.1",
			`option --metrics "127.0.0.1": expected an address and a port, as in 127.0.0.1:9650`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := parse(options(), strings.Fields(tt.line), &command{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("parse %q: got %v, want %s", tt.line, err, tt.want)
			}
		})
	}
}

// TestOptionsAreWhole checks that keepalived's options are all there, once.
func TestOptionsAreWhole(t *testing.T) {
	const letters = "fPCBlDSgGuXVIRndprcabsmMeixAtvh"
	seen := map[string]bool{}
	for _, o := range options() {
		if seen[o.long] || o.short != 0 && seen[string(o.short)] {
			t.Errorf("%s: expected it once", o.synopsis())
		}
		seen[o.long], seen[string(o.short)] = true, true
		if o.help == "" || (o.argument != noArgument) != (o.value != "") {
			t.Errorf("%s: expected help, and a value's name if it takes one", o.synopsis())
		}
	}
	for _, letter := range letters {
		if !seen[string(letter)] {
			t.Errorf("-%c: expected it among the options", letter)
		}
	}
}

// FuzzParse checks that no command line breaks the parser.
func FuzzParse(f *testing.F) {
	f.Add("-nlD\x00--use-file=/a\x00-t/b")
	f.Fuzz(func(t *testing.T, line string) {
		var c command
		_ = parse(options(), strings.Split(line, "\x00"), &c)
	})
}
