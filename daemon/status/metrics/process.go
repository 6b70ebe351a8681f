package metrics

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/status"
)

// processFamilies are the metrics of the process and of its runtime, by the names that all programs
// have them under. What cannot be read has no value.
//
// Source: https://prometheus.io/docs/instrumenting/writing_clientlibs/#standard-and-runtime-collectors.
func processFamilies() []family {
	return []family{
		own("process_cpu_seconds_total", "Time of processors that the process has used.", cpuSeconds),
		own("process_resident_memory_bytes", "Memory of the process that is in use.", resident),
		own("process_virtual_memory_bytes", "Address space of the process.", virtual),
		own("process_open_fds", "Open file descriptors.", openFiles),
		own("process_max_fds", "How many file descriptors may be open.", maxFiles),
		{"process_start_time_seconds", "gauge", "When the process was started.", nil,
			func(s *status.Snapshot, put put) { put(seconds(s.Daemon.Started)) }},
		{"go_info", "gauge", "The version of Go; always 1.", []string{"version"},
			func(_ *status.Snapshot, put put) { put(1, runtime.Version()) }},
		own("go_goroutines", "Goroutines.", ofRuntime("/sched/goroutines:goroutines")),
		own("go_threads", "Threads of the process.", threads),
		own("go_memstats_alloc_bytes", "Memory of the heap that is in use, garbage included.",
			ofRuntime("/memory/classes/heap/objects:bytes")),
		own("go_memstats_sys_bytes", "Memory that the runtime has of the system.",
			ofRuntime("/memory/classes/total:bytes")),
	}
}

// own is a metric without labels; read says whether there is a value.
func own(name, help string, read func() (float64, bool)) family {
	kind := "gauge"
	if strings.HasSuffix(name, "_total") {
		kind = "counter"
	}
	return family{name, kind, help, nil, func(_ *status.Snapshot, put put) {
		if value, ok := read(); ok {
			put(value)
		}
	}}
}

func cpuSeconds() (float64, bool) {
	var r unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9, err == nil
}

func virtual() (float64, bool)  { return statm(0) }
func resident() (float64, bool) { return statm(1) }

// statm returns a field of proc_pid_statm(5), in bytes.
func statm(field int) (float64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) <= field {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[field], 10, 64)
	return float64(pages) * float64(os.Getpagesize()), err == nil
}

func openFiles() (float64, bool) { return entries("/proc/self/fd") }
func threads() (float64, bool)   { return entries("/proc/self/task") }

// entries returns how many there are in a directory.
func entries(dir string) (float64, bool) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	return float64(len(names)), err == nil
}

func maxFiles() (float64, bool) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return float64(limit.Cur), err == nil
}

// ofRuntime reads one of the runtime's figures.
func ofRuntime(name string) func() (float64, bool) {
	return func() (float64, bool) {
		s := []metrics.Sample{{Name: name}}
		metrics.Read(s)
		if s[0].Value.Kind() != metrics.KindUint64 {
			return 0, false
		}
		return float64(s[0].Value.Uint64()), true
	}
}
