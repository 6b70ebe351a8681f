package pool_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

var addrPorts = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

// spelledOut returns tasks with texts for IDs, and whose checkers that check as a TCP are one.
func spelledOut(tasks []check.Task, index pool.Index) []check.Task {
	out := slices.Clone(tasks)
	for i := range out {
		out[i].ID = index.Text(out[i].ID)
		if c, ok := out[i].Checker.(check.TCPer); ok {
			out[i].Checker = c.TCP()
		}
	}
	return out
}

func httpCheck() config.Check {
	return config.Check{Target: netip.MustParseAddrPort("192.168.2.11:8080"),
		CheckSettings: httpSettings()}
}

func httpSettings() *config.CheckSettings {
	return &config.CheckSettings{
		Kind:             config.CheckHTTP,
		Bind:             netip.MustParseAddrPort("192.168.2.2:0"),
		ConnectTimeout:   3 * time.Second,
		DelayLoop:        10 * time.Second,
		Retry:            2,
		DelayBeforeRetry: time.Second,
		Warmup:           5 * time.Second,
		Alpha:            true,
		HTTP: &config.HTTPCheck{
			Version: config.HTTP11,
			URLs: []config.URL{
				{Path: "/a", Host: "www.example.com",
					Status: []config.StatusRange{{First: 200, Last: 204}}},
				{Path: "/b", Digest: "5d41402abc4b2a76b9719d911017c592"},
			},
		},
	}
}

func TestTasks(t *testing.T) {
	vs := web(1)
	rs := &vs.RealServers[0]
	rs.Checks = append(rs.Checks, rs.Checks[0], httpCheck())
	got, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	tcp := check.Task{
		ID:      "TCP 192.168.1.1:80, 192.168.2.11:80: TCP_CHECK 192.168.2.11:80",
		Checker: check.TCP{Target: server(0), Timeout: 5 * time.Second},
		Timeout: 6 * time.Second,
		Params:  check.Params{Interval: time.Minute, Retries: 1},
	}
	second := tcp
	second.ID += " #2"
	web := check.Task{
		ID: "TCP 192.168.1.1:80, 192.168.2.11:80: HTTP_GET 192.168.2.11:8080",
		Checker: check.HTTP{
			Target:  netip.MustParseAddrPort("192.168.2.11:8080"),
			Bind:    netip.MustParseAddrPort("192.168.2.2:0"),
			Timeout: 3 * time.Second,
			Version: check.HTTP11,
			URLs: []check.URL{
				{Path: "/a", Host: "www.example.com",
					Status: []check.StatusRange{{First: 200, Last: 204}}},
				{Path: "/b", Digest: "5d41402abc4b2a76b9719d911017c592"},
			},
		},
		Timeout: 7 * time.Second,
		Params: check.Params{
			Interval: 10 * time.Second, RetryInterval: time.Second, Retries: 2, Alpha: true,
		},
		Warmup: 5 * time.Second,
	}
	want := []check.Task{tcp, second, web}
	if diff := cmp.Diff(want, spelledOut(got, index), addrPorts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := check.NewRunner(func(check.Report) {}).Set(got); err != nil {
		t.Errorf("a Runner refuses them: %v", err)
	}
}

func TestTasksUnknownKind(t *testing.T) {
	vs := web(1)
	vs.RealServers[0].Checks[0].Kind = 0
	_, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	want := "check TCP 192.168.1.1:80, 192.168.2.11:80: unset 192.168.2.11:80: unknown kind unset"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestHealthOf(t *testing.T) {
	vs := web(1, 1, 1)
	for i := range vs.RealServers {
		vs.RealServers[i].Checks[0].Alpha = i == 2
	}
	second := httpCheck()
	second.Alpha = false
	vs.RealServers[0].Checks = append(vs.RealServers[0].Checks, second)
	tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	of := func(numbers ...int) map[string]bool {
		down := map[string]bool{}
		for _, n := range numbers {
			down[tasks[n].ID] = true
		}
		return down
	}
	for _, tt := range []struct {
		name string
		down map[string]bool
		// want are the health of each real server, and the same but for what is so anyway.
		want, kept string
	}{
		{"before the first check", of(3), "up up down", "? ? ?"},
		{"all checks up", nil, "up up up", "? ? up"},
		{"one of two down", of(1), "down up up", "down ? up"},
		{"the other of two down", of(0, 3), "down up down", "down ? ?"},
		{"both down", of(0, 1), "down up up", "down ? up"},
		{"each server for itself", of(2), "up down up", "? down up"},
		{"a check that is not configured", map[string]bool{"x": true}, "up up up", "? ? up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := index.HealthOf(pool.NameOf(&vs), tt.down)
			if diff := cmp.Diff(health(tt.kept), got, addrPorts, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			one := health(strings.Repeat("down ", len(vs.RealServers))) // what was before means nothing
			var words []string
			for i := range vs.RealServers {
				rs := &vs.RealServers[i]
				index.Note(&one, pool.NameOf(&vs), rs, tt.down)
				if got.Up(rs) != one.Up(rs) {
					t.Errorf("%s: one by one %t, all %t", rs.Address, one.Up(rs), got.Up(rs))
				}
				words = append(words, map[bool]string{true: "up", false: "down"}[got.Up(rs)])
			}
			if diff := cmp.Diff(tt.want, strings.Join(words, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := index.HealthOf(pool.Name{Group: "other"}, of(0, 1, 2, 3)); len(got) != 0 {
		t.Errorf("of no virtual server: got %v, want nothing", got)
	}
}

// TestIndex asks for the checks of real servers, and for the real servers of checks, of several
// virtual servers, some of which have none.
func TestIndex(t *testing.T) {
	vss := []config.VirtualServer{web(), web(1, 1, 1), web(), web(1), web()}
	for i := range vss {
		vss[i].Address = netip.AddrPortFrom(vss[i].Address.Addr(), uint16(80+i))
	}
	vss[1].RealServers[0].Checks = nil
	vss[1].RealServers[1].Checks = append(vss[1].RealServers[1].Checks, httpCheck())
	tasks, index, err := pool.Tasks(vss, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	id := func(service, server int) pool.ID {
		return pool.ID{Service: pool.NameOf(&vss[service]),
			Server: vss[service].RealServers[server].Address}
	}
	for i, want := range []pool.ID{id(1, 1), id(1, 1), id(1, 2), id(3, 0)} {
		if got, known := index.Server(tasks[i].ID); got != want || !known {
			t.Errorf("check %s is of %v, want %v", tasks[i].ID, got, want)
		}
	}
	for _, tt := range []struct {
		of   pool.ID
		want []string
	}{
		{id(1, 0), nil}, {id(1, 1), []string{tasks[0].ID, tasks[1].ID}},
		{id(1, 2), []string{tasks[2].ID}}, {id(3, 0), []string{tasks[3].ID}},
		{pool.ID{Service: pool.NameOf(&vss[0]), Server: server(0)}, nil},
		{pool.ID{Service: pool.NameOf(&vss[3]), Server: server(1)}, nil},
		{pool.ID{}, nil},
	} {
		if got := index.Checks(tt.of); !slices.Equal(got, tt.want) {
			t.Errorf("checks of %v: got %q, want %q", tt.of, got, tt.want)
		}
	}
	for _, x := range []pool.Index{index, {}} {
		if got, known := x.Server("x"); known || x.Text("x") != "x" {
			t.Errorf("check x is %q of %v, want nobody's", x.Text("x"), got)
		}
	}
}
