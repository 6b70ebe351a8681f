package notify

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	vi1 = Subject{Kind: Instance, Name: "VI_1"}
	web = Subject{
		Kind:    RealServer,
		Name:    ServerName(netip.MustParseAddrPort("192.168.2.11:80"), "TCP"),
		Service: ServerName(netip.MustParseAddrPort("192.168.1.1:80"), "TCP"),
	}
	vs = Subject{Kind: VirtualService, Name: web.Service}
)

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event Event
		want  string
	}{
		{"instance", Event{Subject: vi1, State: Master, Priority: 150},
			"INSTANCE \"VI_1\" MASTER 150\n"},
		{"group has no priority", Event{Subject: Subject{Kind: Group, Name: "G1"}, State: Backup,
			Priority: 150}, "GROUP \"G1\" BACKUP 0\n"},
		{"lower priority heard", Event{Subject: vi1, State: LowerPriority, Priority: 100},
			"INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100\n"},
		{"priority of a master", Event{Subject: vi1, State: MasterPriority, Priority: 90},
			"INSTANCE \"VI_1\" MASTER_PRIORITY 90\n"},
		{"priority of a backup", Event{Subject: vi1, State: BackupPriority, Priority: 90},
			"INSTANCE \"VI_1\" BACKUP_PRIORITY 90\n"},
		{"deleted", Event{Subject: vi1, State: Deleted}, "INSTANCE \"VI_1\" DELETED 0\n"},
		{"service", Event{Subject: vs, State: Up}, "VS [192.168.1.1]:tcp:80 UP\n"},
		{"server", Event{Subject: web, State: Down},
			"RS [192.168.2.11]:tcp:80 [192.168.1.1]:tcp:80 DOWN\n"},
		{"server of IPv6", Event{Subject: Subject{
			Kind:    RealServer,
			Name:    ServerName(netip.MustParseAddrPort("[fd00::11]:53"), "UDP"),
			Service: ServerName(netip.MustParseAddrPort("[fd00::1]:53"), "UDP"),
		}, State: Up}, "RS [fd00::11]:udp:53 [fd00::1]:udp:53 UP\n"},
		{"name that would forge a line",
			Event{Subject: Subject{Kind: Instance, Name: "A\" MASTER 1\nINSTANCE \"B"},
				State: Fault}, "INSTANCE \"A\" MASTER 1 INSTANCE \"B\" FAULT 0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.event.Line()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	e := Event{
		Seq: 7, Time: time.Date(2026, 11, 22, 3, 4, 5, 600, time.FixedZone("", 3600)), Subject: vi1,
		State: Master, Priority: 150, Reason: "master silent\x00\nTANDEM_SEQ=9",
	}
	want := []string{
		"TANDEM_SEQ=7", "TANDEM_TIME=2026-11-22T02:04:05.0000006Z",
		"TANDEM_REASON=master silent  TANDEM_SEQ=9",
	}
	if diff := cmp.Diff(want, e.env()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"INSTANCE", "VI_1", "MASTER", "150"}, e.args()); diff != "" {
		t.Errorf("arguments (-want +got)\n%s", diff)
	}
}

// FuzzLine checks that an event is one line, whatever it is called.
func FuzzLine(f *testing.F) {
	f.Add(uint8(1), "VI_1", "", uint8(1), "silence")
	f.Add(uint8(4), "a\nb", "c\x00\r", uint8(10), "\u2028")
	f.Fuzz(func(t *testing.T, kind uint8, name, service string, state uint8, reason string) {
		e := Event{Subject: Subject{Kind(kind), name, service}, State: State(state), Reason: reason}
		line := e.Line()
		if strings.IndexFunc(line, func(r rune) bool { return r < ' ' }) != len(line)-1 {
			t.Errorf("line %q: expected one newline, at the end", line)
		}
		for _, v := range append(e.env(), e.args()...) {
			if strings.ContainsAny(v, "\n\r\x00") {
				t.Errorf("argument or variable %q: expected one line", v)
			}
		}
		message := string(compose(&e, name, &Mail{From: "a@b", To: []string{"c@d"}}))
		header, _, _ := strings.Cut(message, "\r\n\r\n")
		for _, l := range strings.Split(header, "\r\n")[1:] {
			if strings.ContainsAny(l, "\r\n\x00") || !strings.Contains(l, ": ") && l[0] != ' ' {
				t.Errorf("header line %q", l)
			}
		}
	})
}

func TestConfigIsRefused(t *testing.T) {
	ok := Mail{Server: "mail:25", From: "lb1@example.com", To: []string{"root"}}
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"relative path", Config{FIFOs: []FIFO{{Path: "fifo", VRRP: true}}}, "absolute path"},
		{"no events", Config{FIFOs: []FIFO{{Path: "/fifo"}}}, "expected events"},
		{"two at one path", Config{FIFOs: []FIFO{
			{Path: "/fifo", VRRP: true}, {Path: "/fifo", LVS: true}}}, "named twice"},
		{"no runner", Config{Rules: map[Subject]Rules{vi1: {Any: &Script{Args: []string{"x"}}}}},
			"nothing to run it with"},
		{"no command", Config{Rules: map[Subject]Rules{vi1: {Any: &Script{}}}}, "no command"},
		{"no recipient", Config{Mail: Mail{Server: "mail:25", From: "a@b"}}, "no recipient"},
		{"forged recipient", Config{Mail: Mail{Server: ok.Server, From: ok.From,
			To: []string{"a@b\r\nBcc: c@d"}}}, "name@host"},
		{"two words", Config{Mail: Mail{Server: ok.Server, From: ok.From,
			To: []string{"a\r\nQUIT"}}}, "name@host"},
		{"forged sender", Config{Mail: Mail{Server: ok.Server, From: "a@b> SIZE=1", To: ok.To}},
			"name@host"},
		{"no port", Config{Mail: Mail{Server: "mail", From: ok.From, To: ok.To}}, "host:port"},
		{"forged hello", Config{Mail: Mail{Server: ok.Server, From: ok.From, To: ok.To,
			Hello: "a\r\nMAIL"}}, "host name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := New(Options{}).Configure(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
	if err := New(Options{}).Configure(Config{Mail: ok}); err != nil {
		t.Errorf("configure: %v", err)
	}
}
