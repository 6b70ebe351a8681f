package pool_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

var addrPorts = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func httpCheck() config.Check {
	return config.Check{
		Kind:             config.CheckHTTP,
		Target:           netip.MustParseAddrPort("192.168.2.11:8080"),
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
	got, err := pool.Tasks([]config.VirtualServer{vs})
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
	if diff := cmp.Diff([]check.Task{tcp, second, web}, got, addrPorts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := check.NewRunner(func(check.Report) {}).Set(got); err != nil {
		t.Errorf("a Runner refuses them: %v", err)
	}
}

func TestTasksUnknownKind(t *testing.T) {
	vs := web(1)
	vs.RealServers[0].Checks[0].Kind = 0
	_, err := pool.Tasks([]config.VirtualServer{vs})
	want := "check TCP 192.168.1.1:80, 192.168.2.11:80: unset 192.168.2.11:80: unknown kind unset"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestHealthOf(t *testing.T) {
	vs := web(1, 1, 1)
	vs.RealServers[0].Checks = append(vs.RealServers[0].Checks, httpCheck())
	vss := []config.VirtualServer{vs}
	tasks, err := pool.Tasks(vss)
	if err != nil {
		t.Fatal(err)
	}
	first, second, other := tasks[0].ID, tasks[1].ID, tasks[2].ID
	for _, tt := range []struct {
		name   string
		states []check.State
		want   pool.Health
	}{
		{"nothing heard", nil, pool.Health{}},
		{"all checks up", []check.State{{ID: first, Up: true}, {ID: second, Up: true}},
			health(vs, "up ? ?")},
		{"one of two down", []check.State{{ID: first, Up: true}, {ID: second}},
			health(vs, "down ? ?")},
		{"the other of two down", []check.State{{ID: first}, {ID: second, Up: true}},
			health(vs, "down ? ?")},
		{"one of two heard", []check.State{{ID: second, Up: true}}, health(vs, "up ? ?")},
		{"each server for itself", []check.State{{ID: first}, {ID: other, Up: true}},
			health(vs, "down up ?")},
		{"a check that is not configured", []check.State{{ID: "x"}}, pool.Health{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, pool.HealthOf(vss, tt.states), addrPorts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
