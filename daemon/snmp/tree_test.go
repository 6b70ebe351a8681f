package snmp

import (
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

var update = flag.Bool("update", false, "write the goldens")

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// view is the director of testdata/director.conf: VI_1 is master, VI_2 backup, VI_6 in fault,
// VI_gone not running; one real server is down.
func view(t testing.TB) *View {
	t.Helper()
	cfg, ds := config.Load("testdata/director.conf", config.Options{})
	if cfg == nil || ds.Err() != nil {
		t.Fatalf("director.conf:\n%s", ds)
	}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	two, none := 2, 0
	s := &status.Snapshot{Time: epoch.Add(time.Hour), Daemon: status.Daemon{Router: "LB1",
		Version: "1.0", Started: epoch.Add(time.Minute)}}
	held := func(ps ...string) (all []status.VIP) {
		for _, p := range ps {
			all = append(all, status.VIP{Prefix: netip.MustParsePrefix(p), Device: "eth0", Held: true})
		}
		return all
	}
	s.Instances = []status.Instance{
		{Name: "VI_1", Group: "G1", State: status.Master, Priority: 110, Source: addr("192.168.1.2"),
			Running: epoch.Add(61 * time.Second), MasterReason: vrrp.ReasonSilence.String(),
			VIPs: held("192.168.1.1/24", "192.168.1.9/24", "fd00::1/64"), BecameMaster: 3,
			Traffic: status.Traffic{Received: 5, ZeroSent: 2, Dropped: map[string]uint64{
				vrrp.DropPassword.String(): 4, vrrp.DropChecksum.String(): 1}}},
		{Name: "VI_2", Group: "G1", State: status.Backup, Priority: 90, Source: addr("192.168.2.2"),
			Leader: addr("192.168.2.3"), Running: epoch.Add(50 * time.Minute),
			LastDropped: vrrp.DropTTL.String(),
			Traffic:     status.Traffic{Dropped: map[string]uint64{vrrp.DropTTL.String(): 7}}},
		{Name: "VI_6", State: status.Fault, Priority: 255},
	}
	s.Trackers = []status.Tracker{{Kind: "script", Name: "chk", Health: status.Up},
		{Kind: "process", Name: "tp", Health: status.Down}}
	s.Services = []status.Service{{Health: status.Up,
		Flow: &status.Flow{Connections: 1 << 33, PacketsIn: 1<<32 + 5, BytesIn: 1 << 40,
			ByteRateIn: 1<<32 + 7},
		Servers: []status.Server{
			{Name: "192.168.2.11:443", Health: status.Up, Wanted: &two, Active: 3, Inactive: 4,
				Flow: &status.Flow{Connections: 9}},
			{Name: "192.168.2.12:443", Health: status.Down, Wanted: &none, FailedChecks: 1},
		}}}
	return &View{Config: cfg, Snapshot: s, Epoch: epoch, Settings: SettingsOf(&cfg.Global.SNMP),
		Services: []*status.Service{&s.Services[0], nil, nil},
		Links:    map[string]Link{"eth0": {2, "\x02\x00\x00\x00\x00\x01"}, "eth1": {3, "abcdef"}},
		Values:   map[string]int{"tf": -12}}
}

// walk returns all variables, one a line, as a manager that asks for one after another gets them.
func walk(tree agentx.Tree) (lines []string, names []agentx.OID) {
	for name := (agentx.OID{1}); ; {
		b := tree.Next(name, false)
		if b.Value.Type == 0 {
			return lines, names
		}
		lines = append(lines, line(b))
		name = b.Name
		names = append(names, name)
	}
}

func line(b agentx.Binding) string {
	v := b.Value
	value := fmt.Sprint(v.Number)
	switch v.Type {
	case agentx.Integer:
		value = fmt.Sprint(int32(v.Number))
	case agentx.OctetString, agentx.IPAddress:
		value = fmt.Sprintf("%q", v.Text)
		if strings.ContainsFunc(v.Text, func(r rune) bool { return !unicode.IsPrint(r) }) ||
			v.Type == agentx.IPAddress {
			value = hex.EncodeToString([]byte(v.Text))
		}
	default:
	}
	return fmt.Sprintf("%s = %s: %s", b.Name, v.Type, value)
}

// golden compares lines with a file of testdata.
func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	file = "testdata/" + file
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", file, diff)
	}
}

func TestTree(t *testing.T) {
	v := view(t)
	tree := v.Tree()
	lines, names := walk(tree)
	golden(t, "tree.golden", lines)
	regions := v.Regions()
	for i, name := range names {
		if i > 0 && slices.Compare(names[i-1], name) >= 0 {
			t.Errorf("%s comes behind %s", name, names[i-1])
		}
		if got := line(agentx.Binding{Name: name, Value: tree.Get(name)}); got != lines[i] {
			t.Errorf("Get: got %s, expected %s", got, lines[i])
		}
		if !slices.ContainsFunc(regions, name.Begins) {
			t.Errorf("%s is in no region of %v", name, regions)
		}
	}
}

// TestNext compares the answers for any name with what a look at all variables gives.
func TestNext(t *testing.T) {
	tree := view(t).Tree()
	_, names := walk(tree)
	rapid.Check(t, func(t *rapid.T) {
		name := slices.Clone(rapid.SampledFrom(names).Draw(t, "variable"))
		name = name[:rapid.IntRange(0, len(name)).Draw(t, "length")]
		if len(name) > 0 {
			at := rapid.IntRange(0, len(name)-1).Draw(t, "at")
			name[at] += uint32(rapid.IntRange(-1, 1).Draw(t, "change"))
		}
		name = append(name, rapid.SliceOfN(rapid.Uint32Range(0, 3), 0, 2).Draw(t, "more")...)
		included := rapid.Bool().Draw(t, "included")
		i, same := slices.BinarySearchFunc(names, name,
			func(a, b agentx.OID) int { return slices.Compare(a, b) })
		if got := tree.Get(name).Type != 0; got != same {
			t.Errorf("Get %s: got %t, expected %t", name, got, same)
		}
		if same && !included {
			i++
		}
		var want agentx.OID
		if i < len(names) {
			want = names[i]
		}
		if got := tree.Next(name, included).Name; !slices.Equal(got, want) {
			t.Errorf("Next %s, %t: got %s, expected %s", name, included, got, want)
		}
	})
}

// TestEmpty reads a director that has just begun, and does nothing.
func TestEmpty(t *testing.T) {
	v := &View{Config: &config.Config{}, Snapshot: &status.Snapshot{},
		Settings: Settings{VRRP: true, Checker: true, RFC2787: true, RFC6527: true}}
	lines, _ := walk(v.Tree())
	golden(t, "empty.golden", lines)
	v.Settings = Settings{}
	if lines, _ = walk(v.Tree()); len(lines) > 0 || len(v.Regions()) > 0 || v.Any() {
		t.Errorf("without settings: got %v, expected nothing", lines)
	}
}

func TestNotifications(t *testing.T) {
	v := view(t)
	var lines []string
	for _, e := range []Event{
		InstanceState{"VI_1", StateMaster, vrrp.ReasonPreempt.String()},
		InstanceState{"VI_2", StateMaster, vrrp.ReasonPreempt.String()},
		InstanceState{"VI_gone", StateMaster, vrrp.ReasonSilence.String()},
		InstanceState{"VI_6", StateStopped, ""}, InstanceState{Name: "unknown"},
		GroupState{"G1", StateFault}, GroupState{Name: "unknown"},
		ServerState{0, 1, false}, ServerState{0, 2, false}, ServerState{9, 0, false},
		QuorumState{0, true}, QuorumState{-1, true},
		Refused{"VI_1", addr("192.168.1.9"), vrrp.DropPassword},
		Refused{"VI_1", addr("192.168.1.9"), vrrp.DropAuthType},
		Refused{"VI_1", addr("192.168.1.9"), vrrp.DropChecksum},
		Refused{"VI_2", addr("192.168.1.9"), vrrp.DropChecksum},
		Refused{"VI_6", addr("fe80::9"), vrrp.DropTTL},
		Refused{"VI_6", addr("fe80::9"), vrrp.DropPassword}, Refused{Name: "unknown"},
	} {
		lines = append(lines, fmt.Sprintf("%T%v", e, e))
		for _, n := range v.Notifications(e) {
			lines = append(lines, "\t"+n.Name.String())
			for _, b := range n.Bindings {
				lines = append(lines, "\t\t"+line(b))
			}
		}
	}
	golden(t, "notifications.golden", lines)
	v.Settings = Settings{Traps: true}
	for _, e := range []Event{InstanceState{"VI_1", StateMaster, ""}, GroupState{"G1", StateFault},
		ServerState{}, QuorumState{}, Refused{"VI_1", addr("::1"), vrrp.DropPassword}} {
		if got := v.Notifications(e); got != nil {
			t.Errorf("%v, and nothing to read: got %v, expected nothing", e, got)
		}
	}
	v.Settings = Settings{VRRP: true}
	if got := v.Notifications(GroupState{"G1", StateFault}); got != nil {
		t.Errorf("without traps: got %v, expected nothing", got)
	}
}
