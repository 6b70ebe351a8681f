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
	got, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
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
	_, _, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	want := "check TCP 192.168.1.1:80, 192.168.2.11:80: unset 192.168.2.11:80: unknown kind unset"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestHealthOf(t *testing.T) {
	vs := web(1, 1, 1)
	vs.RealServers[0].Checks = append(vs.RealServers[0].Checks, httpCheck())
	tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	first, second, other := tasks[0].ID, tasks[1].ID, tasks[2].ID
	for _, tt := range []struct {
		name string
		up   map[string]bool
		want string
	}{
		{"nothing heard", nil, ""},
		{"all checks up", map[string]bool{first: true, second: true}, "up ? ?"},
		{"one of two down", map[string]bool{first: true, second: false}, "down ? ?"},
		{"the other of two down", map[string]bool{first: false, second: true}, "down ? ?"},
		{"one of two heard", map[string]bool{second: true}, "up ? ?"},
		{"each server for itself", map[string]bool{first: false, other: true}, "down up ?"},
		{"a check that is not configured", map[string]bool{"x": false}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(health(tt.want), index.HealthOf(&vs, tt.up), addrPorts); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIndexServer(t *testing.T) {
	vs := web(1, 1)
	vs.RealServers[1].Checks = append(vs.RealServers[1].Checks, httpCheck())
	tasks, index, err := pool.Tasks([]config.VirtualServer{vs}, pool.Means{})
	if err != nil {
		t.Fatal(err)
	}
	for i, task := range tasks {
		want := pool.ID{Service: pool.NameOf(&vs), Server: server(min(i, 1))}
		if got, known := index.Server(task.ID); got != want || !known {
			t.Errorf("check %s is of %v, want %v", task.ID, got, want)
		}
	}
	for _, x := range []pool.Index{index, {}} {
		if got, known := x.Server("x"); known {
			t.Errorf("check x is of %v, want nobody", got)
		}
	}
}
