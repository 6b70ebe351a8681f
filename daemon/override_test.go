package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/daemon/config"
)

const manyServers = `virtual_server 192.168.1.1 80 {
    protocol TCP
    real_server 192.168.2.11 80 { TCP_CHECK { } }
    real_server 192.168.2.12 80 { TCP_CHECK { } }
    real_server 192.168.2.12 8080 { TCP_CHECK { } }
}
virtual_server 192.168.1.1 53 {
    protocol TCP
    real_server 192.168.2.11 53 { TCP_CHECK { } }
}
virtual_server 192.168.1.1 53 {
    protocol UDP
    real_server 192.168.2.11 53 { TCP_CHECK { } }
}
virtual_server 2001:db8::1 80 {
    protocol TCP
    real_server fd00::11 80 { TCP_CHECK { } }
}
`

// TestNameOf names each kind of virtual server, and finds it again by that name.
func TestNameOf(t *testing.T) {
	vss := parse(t, manyServers)
	rs := vss[0].RealServers
	vss = append(vss,
		config.VirtualServer{Mark: 7, Family: config.IPv4, RealServers: rs},
		config.VirtualServer{Mark: 7, Family: config.IPv6, RealServers: rs},
		config.VirtualServer{Group: "web", Protocol: config.TCP, RealServers: rs},
		config.VirtualServer{Group: "a/b", RealServers: rs})
	want := []string{"tcp/192.168.1.1:80", "tcp/192.168.1.1:53", "udp/192.168.1.1:53",
		"tcp/[2001:db8::1]:80", "inet/fwmark:7", "inet6/fwmark:7", "tcp/group:web", "group:a/b"}
	for i := range vss {
		if got := nameOf(&vss[i]); got != want[i] {
			t.Errorf("name: got %s, want %s", got, want[i])
		}
		word := want[i] + "/" + vss[i].RealServers[0].Address.String()
		vs, rs, err := findServer(vss, word)
		if err != nil || vs != &vss[i] || rs != &vss[i].RealServers[0] {
			t.Errorf("%s: got %v, want the same again", word, err)
		}
	}
}

// TestFindServer is what operators may type.
func TestFindServer(t *testing.T) {
	vss := parse(t, manyServers)
	vss = append(vss, config.VirtualServer{Mark: 7, Family: config.IPv4,
		RealServers: vss[0].RealServers})
	for _, tt := range []struct{ word, want string }{
		{"192.168.1.1:80/192.168.2.11:80", "tcp/192.168.1.1:80/192.168.2.11:80"},
		{"192.168.1.1:80/192.168.2.11", "tcp/192.168.1.1:80/192.168.2.11:80"},
		{"UDP/192.168.1.1:53/192.168.2.11", "udp/192.168.1.1:53/192.168.2.11:53"},
		{"udp/192.168.1.1/192.168.2.11", "udp/192.168.1.1:53/192.168.2.11:53"},
		{"[2001:db8::1]:80/[fd00::11]:80", "tcp/[2001:db8::1]:80/[fd00::11]:80"},
		{"2001:db8:0::1/[fd00::11]", "tcp/[2001:db8::1]:80/[fd00::11]:80"},
		{"fwmark:7/192.168.2.11", "inet/fwmark:7/192.168.2.11:80"},
		{"fwmark:0x7/192.168.2.11", "inet/fwmark:7/192.168.2.11:80"},

		{"192.168.2.11:80", `"192.168.2.11:80": expected a virtual and a real server, as in ` +
			"192.168.1.1:80/192.168.2.11:80"},
		{"/192.168.2.11:80", `"/192.168.2.11:80": expected a virtual and a real server, as in ` +
			"192.168.1.1:80/192.168.2.11:80"},
		{"192.168.1.1:53/192.168.2.11", `virtual server "192.168.1.1:53": expected one of ` +
			"tcp/192.168.1.1:53, udp/192.168.1.1:53"},
		{"fwmark:8/192.168.2.11", `virtual server "fwmark:8": expected one of tcp/192.168.1.1:80, ` +
			"tcp/192.168.1.1:53, udp/192.168.1.1:53, tcp/[2001:db8::1]:80, inet/fwmark:7"},
		{"inet6/fwmark:7/192.168.2.11", `virtual server "inet6/fwmark:7": expected one of ` +
			"tcp/192.168.1.1:80, tcp/192.168.1.1:53, udp/192.168.1.1:53, tcp/[2001:db8::1]:80, " +
			"inet/fwmark:7"},
		{"192.168.1.1:80/192.168.2.12", `real server "192.168.2.12" of tcp/192.168.1.1:80: ` +
			"expected one of 192.168.2.12:80, 192.168.2.12:8080"},
		{"2001:db8::1/x", `real server "x" of tcp/[2001:db8::1]:80: expected [fd00::11]:80`},
	} {
		vs, rs, err := findServer(vss, tt.word)
		got := ""
		if err == nil {
			got = nameOf(vs) + "/" + rs.Address.String()
		} else {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.word, got, tt.want)
		}
	}
	_, _, err := findServer(nil, "a/b")
	if want := `virtual server "a": there is none in the configuration`; err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestManyChoices does not list a thousand.
func TestManyChoices(t *testing.T) {
	got := expected(strings.Fields(strings.Repeat("a ", 1000)))
	if !strings.HasSuffix(got, "a, a and 980 more") || len(got) > 100 {
		t.Errorf("got %s", got)
	}
}

// TestOverridesLast keeps them in a file, from which the next process takes them.
func TestOverridesLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o")
	var log strings.Builder
	lines := slog.New(slog.NewTextHandler(&log, nil))
	vss := parse(t, manyServers)
	first := override{Service: nameOf(&vss[0]), Server: vss[0].RealServers[0].Address,
		Since: time.Unix(1000, 0)}
	second := override{Service: nameOf(&vss[3]), Server: vss[3].RealServers[0].Address,
		Weight: 7, Since: time.Unix(2000, 0)}
	equal := cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}),
		cmp.AllowUnexported(override{})}
	holds := func(when string, want ...override) {
		t.Helper()
		got := openOverrides(path, lines).get()
		if diff := cmp.Diff(want, got, equal, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: in the file (-want +got)\n%s", when, diff)
		}
	}
	change := func(o *overrides, p override, weight *int) {
		t.Helper()
		if _, err := o.change(p, weight); err != nil {
			t.Fatal(err)
		}
	}
	o := openOverrides(path, lines)
	holds("at first")
	change(o, second, weight(7))
	change(o, first, weight(0))
	holds("after two", first, second)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("file: %v, %v, want mode 0600", info.Mode(), err)
	}
	later := first
	later.Since = time.Unix(3000, 0)
	change(o, later, weight(0))
	holds("after the same again", first, second)
	later.Weight = 3
	change(o, later, weight(3))
	holds("after another weight", later, second)
	o = openOverrides(path, lines)
	o.prune(vss[:3])
	holds("without the second in the configuration", later)
	if want := `weight by operator dropped" service=tcp/[2001:db8::1]:80 server=[fd00::11]:80 ` +
		`weight=7 reason="not in the configuration"`; !strings.Contains(log.String(), want) {
		t.Errorf("log: got %s, want %s in it", &log, want)
	}
	change(o, first, nil)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after all are undone: %v, want no file", err)
	}
	change(o, first, nil) // a second time is as good
}

// TestOverridesOfABadFile begins without them, and says so.
func TestOverridesOfABadFile(t *testing.T) {
	var log strings.Builder
	path := write(t, `[{"service":"a","server":"x"}]`)
	o := openOverrides(path, slog.New(slog.NewTextHandler(&log, nil)))
	if got := o.get(); len(got) > 0 || !strings.Contains(log.String(), path) {
		t.Errorf("got %v and %s, want nothing and the file's name", got, &log)
	}
}

// TestOverridesThatCannotBeKept are refused.
func TestOverridesThatCannotBeKept(t *testing.T) {
	o := openOverrides(filepath.Join(t.TempDir(), "missing", "o"), slog.Default())
	vss := parse(t, manyServers)
	p := override{Service: nameOf(&vss[0]), Server: vss[0].RealServers[0].Address}
	if _, err := o.change(p, weight(0)); err == nil || len(o.get()) > 0 {
		t.Errorf("got %v and %v, want an error and nothing", err, o.get())
	}
}
