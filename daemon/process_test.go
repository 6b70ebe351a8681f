package daemon

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
)

// TestDemandOf takes the most of what is asked for any of keepalived's processes.
func TestDemandOf(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       demand
	}{
		{"nothing", "", demand{}},
		{"nice", "vrrp_priority -5\nchecker_priority -10\nbfd_priority 3", demand{nice: -10}},
		{"nice to others for all", "vrrp_priority 5\nchecker_priority 10\nbfd_priority 3",
			demand{nice: 3}},
		{"nice to others for one", "checker_priority 10", demand{}},
		{"real time", "vrrp_rt_priority 5\nbfd_rt_priority 9", demand{realTime: 9}},
		{"limit", "vrrp_rt_priority 5\nvrrp_rlimit_rttime 3000000\nbfd_rlimit_rttime 9000000",
			demand{realTime: 5, limit: 3 * time.Second}},
		{"memory", "checker_no_swap", demand{noSwap: true}},
		{"processors", "vrrp_cpu_affinity 3 1\nbfd_cpu_affinity 1 2",
			demand{processors: []int{1, 2, 3}}},
		{"late", "max_auto_priority 9\nmin_auto_priority_delay 5000",
			demand{auto: 9, delay: 5 * time.Millisecond}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, ds := config.Parse("test.conf", []byte("global_defs {\n"+tt.text+"\n}\n"))
			if err := ds.Err(); err != nil {
				t.Fatal(err)
			}
			if tt.want.limit == 0 {
				tt.want.limit = leastLimit
			}
			if tt.want.delay == 0 {
				tt.want.delay = time.Second
			}
			got := demandOf(&cfg.Global.Scheduling)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(demand{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestEachThread meets all threads, and stops at the first that cannot be.
func TestEachThread(t *testing.T) {
	seen := map[int]bool{}
	if err := eachThread(func(tid int) error {
		if seen[tid] {
			t.Errorf("thread %d: expected it once", tid)
		}
		seen[tid] = true
		return unix.ESRCH // as one that has ended
	}); err != nil {
		t.Fatal(err)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(seen) < len(tasks) {
		t.Errorf("got %d threads, %v, want %d", len(seen), err, len(tasks))
	}
	if err := eachThread(func(int) error { return unix.EPERM }); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want EPERM", err)
	}
}

// TestLate raises nothing for little, and nothing beyond the most.
func TestLate(t *testing.T) {
	var log strings.Builder
	s := scheduling{demand: demand{auto: 5, delay: time.Second}, priority: 5,
		log: slog.New(slog.NewTextHandler(&log, nil))}
	s.late(time.Hour)
	s.priority = 0
	s.late(time.Second - 1)
	s.auto = 0
	s.late(time.Hour)
	if s.priority != 0 || log.Len() > 0 {
		t.Errorf("got priority %d and %s, want nothing done", s.priority, &log)
	}
}
