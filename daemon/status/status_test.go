package status

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the goldens anew")

var now = time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)

func ago(d time.Duration) time.Time { return now.Add(-d) }

func weight(w int) *int { return &w }

// healthy is the master of figure 7.
func healthy() *Snapshot {
	instance := func(name, dev string, vrid int, source, vip string) Instance {
		return Instance{
			Name: name, Group: "G1", Interface: dev, VRID: vrid, Version: 2, State: Master,
			Since: ago(2*time.Hour + 5*time.Minute), Reason: "master silent", BasePriority: 150,
			Priority: 150, Interval: time.Second, Source: netip.MustParseAddr(source),
			Preempt: true,
			VIPs:    []VIP{{Prefix: netip.MustParsePrefix(vip), Device: dev, Held: true}},
			Traffic: Traffic{Sent: 7503, Received: 4}, BecameMaster: 1,
		}
	}
	server := func(name string) Server {
		return Server{Name: name, Forward: "masq", Health: Up, Since: ago(2 * time.Hour),
			Wanted: weight(1), Weight: weight(1), Active: 12, Inactive: 40,
			Flow: &Flow{Connections: 170123, PacketsIn: 1020738, PacketsOut: 850615,
				BytesIn: 102073800, BytesOut: 3402460000, ConnectionRate: 42, PacketRateIn: 252,
				PacketRateOut: 210, ByteRateIn: 25200, ByteRateOut: 840000}}
	}
	return &Snapshot{
		Schema: Schema, Time: now,
		Daemon: Daemon{Router: "lb1", Version: "0.5.0", PID: 812,
			Config: "/etc/keepalived/keepalived.conf", Started: ago(75 * time.Hour)},
		Instances: []Instance{
			instance("VI_1", "eth0", 51, "192.168.1.2", "192.168.1.1/32"),
			instance("VI_2", "eth1", 52, "192.168.2.2", "192.168.2.1/32"),
		},
		Services: []Service{{Name: "192.168.1.1:80", Protocol: "TCP", Scheduler: "rr", Health: Up,
			Servers: []Server{server("192.168.2.11:80"), server("192.168.2.12:80"),
				server("192.168.2.13:80")},
			Flow: &Flow{Connections: 510369, PacketsIn: 3062214, PacketsOut: 2551845,
				BytesIn: 306221400, BytesOut: 10207380000, ConnectionRate: 126, PacketRateIn: 756,
				PacketRateOut: 630, ByteRateIn: 75600, ByteRateOut: 2520000}}},
		Table:  &Table{Changes: 8, Synced: true},
		Notify: Notify{Events: 6, Scripts: Delivery{Done: 4}},
	}
}

// troubled is a director with everything that can be wrong, and names that try to deceive.
func troubled() *Snapshot {
	s := healthy()
	s.Daemon.Reloads = Reloads{Applied: 2, Refused: 1, Last: ago(5 * time.Minute),
		Error: "keepalived.conf:12:3: unknown keyword \"pirority\" (did you mean priority?)\n" +
			"keepalived.conf:31:1: missing }"}
	s.Conditions = []Condition{
		{ScriptFailed, "VI_2", ago(time.Hour), "/usr/local/sbin/to-master.sh: exit status 1"},
		{PeerMismatch, "VI_1", ago(10 * time.Second),
			"192.168.1.3 advertises 192.168.1.9, 192.168.1.8; configured is 192.168.1.1"},
		{SplitBrain, "VI_1", ago(2*time.Minute + 5*time.Second),
			"another master, 192.168.1.3 with priority 100: 125 adverts, the last 0.4 s ago, " +
				"while this one with priority 150 has the VIPs"},
		{KernelRefused, "", ago(26 * time.Hour), "add service: operation not permitted"},
	}
	one, two := &s.Instances[0], &s.Instances[1]
	one.Restored = 3
	one.Contested, one.Stalls, one.LongestStall = 125, 2, 1432*time.Millisecond
	one.VIPs = append(one.VIPs,
		VIP{Prefix: netip.MustParsePrefix("192.168.1.7/24"), Device: "eth0"},
		VIP{Prefix: netip.MustParsePrefix("10.9.9.9/32"), Device: "eth9", Excluded: true,
			Held: true})
	one.Traffic.Dropped = map[string]uint64{"bad ttl": 3, "wrong password": 70}
	one.Traffic.Mismatched = map[string]uint64{"different addresses": 9}
	two.State, two.Reason, two.Priority = Fault, "link down", 110
	two.Faults = []string{"interface eth1 is down", "script chk_haproxy: exit status 1"}
	two.Since, two.ReleasedMaster, two.Errors = ago(5*time.Minute), 1, 1
	two.LastError = "delete 192.168.2.1/32 from eth1: no such device"
	s.Instances = append(s.Instances,
		Instance{Name: "a-very-long-name-of-an-instance-that-somebody-generated-0001", VRID: 53,
			Interface: "bond0.1234", Version: 3, IPv6: true, State: Backup,
			Since: ago(31 * time.Second), Reason: "outranked", BasePriority: 100, Priority: 90,
			Interval:       100 * time.Millisecond,
			Leader:         netip.MustParseAddr("fe80::5054:ff:fe12:3456"),
			LeaderPriority: 200, Preempt: true,
			VIPs: []VIP{{Prefix: netip.MustParsePrefix("2001:db8:1234:5678::1/128"),
				Device: "bond0.1234", Held: true}}},
		Instance{Name: "new\x1b[31m\nVRRP Instance = x", Interface: "eth3", VRID: 54, Version: 2,
			BasePriority: 100, Priority: 100, Interval: time.Second})
	troubledServices(s)
	s.Trackers = []Tracker{
		{Kind: "script", Name: "chk_haproxy", Health: Down, Since: ago(5 * time.Minute),
			Reason: "exit status 1", Runs: 900, Failures: 60, Skipped: 1},
		{Kind: "script", Name: "chk_new", Health: Unknown, Since: time.Time{},
			Reason: "no result yet"},
		{Kind: "file", Name: "weight", Health: Up, Since: ago(time.Hour),
			Reason: "value -10"},
		{Kind: "process", Name: "bird", Health: Up, Since: ago(74 * time.Hour),
			Reason: "2 of at least 1"},
		{Kind: "interface", Name: "eth1", Health: Down, Since: ago(5 * time.Minute),
			Reason: "no carrier"},
	}
	s.Notify = Notify{Events: 412,
		Scripts: Delivery{Done: 300, Failed: 2,
			Error: "/usr/local/sbin/to-master.sh: exit status 1", ErrorAt: ago(2 * time.Hour)},
		Mail: Delivery{Done: 3, Dropped: 1, Retries: 5, Waiting: 2,
			Error: "connect to mail server mail:25: connection refused", ErrorAt: ago(time.Minute)},
		FIFOs: []FIFO{{Path: "/run/keepalived.fifo", Delivery: Delivery{Done: 412}, Restarts: 2}},
	}
	return s
}

func troubledServices(s *Snapshot) {
	web := &s.Services[0]
	web.Error = "add destination 192.168.2.13:80: no such file or directory"
	down := &web.Servers[1]
	down.Health, down.Since, down.Reason = Down, ago(5*time.Minute), "connection refused"
	down.Wanted, down.Weight, down.Active, down.Inactive = nil, weight(0), 0, 3
	down.Failures = map[string]uint64{"refused": 12, "timeout": 3}
	web.Servers[2].Weight = nil
	web.Servers[0].Override = &Override{Weight: 3, Since: ago(time.Minute)}
	web.Servers[0].Persistent = 1
	s.Table = &Table{Changes: 8, Repairs: 2, Failures: 7}
	s.Services = append(s.Services, Service{
		Name: "[2001:db8:1234:5678:9abc:def0:1234:5678]:53", Protocol: "UDP", Scheduler: "wlc",
		Health: Down, Sorry: true, Servers: []Server{
			{Name: "[2001:db8:1234:5678:9abc:def0:1234:9999]:53", Forward: "route", Health: Down,
				Since:  ago(time.Minute),
				Reason: "no answer within 3s to a query for example.com, after 2 retries",
				Wanted: weight(10)},
			{Name: "[fd00::1]:53", Forward: "tunnel", Persistent: 4, Override: &Override{
				Since: ago(3 * time.Hour)}},
		},
	}, Service{Name: "FWM 7", Scheduler: "sh", Health: Up})
}

func fixtures() map[string]*Snapshot {
	return map[string]*Snapshot{
		"healthy": healthy(), "troubled": troubled(),
		"empty": {Schema: Schema, Time: now, Daemon: Daemon{
			Router: "lb1", Version: "0.5.0", PID: 812,
			Config: "/etc/keepalived/keepalived.conf", Started: ago(3 * time.Second),
		}},
	}
}

// TestGolden shows each view of each fixture.
func TestGolden(t *testing.T) {
	views := map[string]func(io.Writer, *Snapshot) error{
		"json":     JSON,
		"txt":      func(w io.Writer, s *Snapshot) error { return Text(w, s, 0) },
		"data":     Data,
		"stats":    Stats,
		"v1.json":  func(w io.Writer, s *Snapshot) error { return KeepalivedJSON(w, s, 1) },
		"v2.json":  func(w io.Writer, s *Snapshot) error { return KeepalivedJSON(w, s, 2) },
		"wide.txt": func(w io.Writer, s *Snapshot) error { return Text(w, s, 132) },
	}
	for name, s := range fixtures() {
		for view, write := range views {
			t.Run(name+"."+view, func(t *testing.T) {
				var b bytes.Buffer
				if err := write(&b, s); err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", name+"."+view)
				if *update {
					if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), b.String()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// TestJSONRoundTrip reads what JSON wrote.
func TestJSONRoundTrip(t *testing.T) {
	for name, s := range fixtures() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := JSON(&b, s); err != nil {
				t.Fatal(err)
			}
			got, err := Read(&b)
			if err != nil {
				t.Fatal(err)
			}
			want := *s
			want.Conditions = s.worstFirst()
			for i := range want.Instances {
				want.Instances[i].State = max(want.Instances[i].State, Init)
			}
			opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}
			if diff := cmp.Diff(&want, got, opts); diff != "" {
				t.Errorf("(-written +read)\n%s", diff)
			}
		})
	}
	for _, bad := range []string{
		"", "[]", `{"schema": 2}`, `{"schema":1,"instances":[{"state":"UP"}]}`,
	} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("read %q: expected an error", bad)
		}
	}
}

// TestTextFits checks that nothing but a word that is too long for it leaves the page, and that no
// name moves the cursor.
func TestTextFits(t *testing.T) {
	for name, s := range fixtures() {
		for width := range 200 {
			var b bytes.Buffer
			if err := Text(&b, s, width); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				line = strings.TrimSuffix(line, "\n")
				if columns(line) > max(width, 80) && len(strings.Fields(line)) > 1 {
					t.Errorf("%s at width %d: %d columns: %s", name, width, columns(line), line)
				}
				if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%s: control character in %q", name, line)
				}
			}
		}
	}
}

// TestManyConditions has the same condition with a thousand instances: a few are shown.
func TestManyConditions(t *testing.T) {
	s := healthy()
	for i := range 1000 {
		c := Condition{AdvertRejected, fmt.Sprintf("VI_%04d", i), ago(time.Minute), "wrong password"}
		s.Conditions = append(s.Conditions, c)
	}
	s.Conditions = append(s.Conditions, Condition{ScriptFailed, "/x", ago(time.Minute), "no"})
	var b strings.Builder
	if err := Text(&b, s, 80); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]int{"  advert_rejected, VI_": 5, "wrong password": 5,
		"  advert_rejected of 995 more\n": 1, "  script_failed, /x": 1} {
		if got := strings.Count(b.String(), part); got != want {
			t.Errorf("%q: got it %d times, want %d\n%s", part, got, want, b.String())
		}
	}
}

// TestNoteOfBackup says why a backup lets a master be.
func TestNoteOfBackup(t *testing.T) {
	for _, tt := range []struct {
		priority int
		preempt  bool
		want     string
	}{
		{100, true, "follows 192.168.1.3, 100"},
		{150, true, "follows 192.168.1.3, 100; will take over"},
		{150, false, "follows 192.168.1.3, 100; nopreempt"},
	} {
		i := Instance{State: Backup, Priority: tt.priority, Preempt: tt.preempt,
			Leader: netip.MustParseAddr("192.168.1.3"), LeaderPriority: 100}
		if got := i.note(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1500 * time.Millisecond: "1s", 65 * time.Second: "1m 5s",
		time.Hour: "1h 0m", 25*time.Hour + time.Minute: "1d 1h", 1000 * time.Hour: "41d 16h",
	} {
		if got := short(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

// TestDumpsCannotBeForged reads the dumps as programs do: line by line, by the beginnings of lines.
func TestDumpsCannotBeForged(t *testing.T) {
	s := troubled()
	var data, stats bytes.Buffer
	if err := Data(&data, s); err != nil {
		t.Fatal(err)
	}
	if err := Stats(&stats, s); err != nil {
		t.Fatal(err)
	}
	for view, text := range map[string]string{
		" VRRP Instance = ": data.String(), "VRRP Instance: ": stats.String(),
	} {
		n := 0
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, view) {
				n++
			}
		}
		if n != len(s.Instances) {
			t.Errorf("%q: %d instances, want %d", view, n, len(s.Instances))
		}
	}
}

// TestStateCodes are keepalived's.
func TestStateCodes(t *testing.T) {
	got := fmt.Sprint(State(0).Code(), Init.Code(), Backup.Code(), Master.Code(), Fault.Code())
	if got != "0 0 1 2 3" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkText1000(b *testing.B) {
	s := healthy()
	for len(s.Instances) < 1000 {
		s.Instances = append(s.Instances, s.Instances[0])
	}
	for b.Loop() {
		if err := Text(io.Discard, s, 80); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1500: "1.5 kB", 9949: "9.9 kB", 9950: "10 kB",
		999499: "999 kB", 999500: "1.0 MB", 25200000: "25 MB", 1 << 63: "9.2 EB",
		1<<64 - 1: "18 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
