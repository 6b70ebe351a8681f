package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a program and its descendants have taken.
type usage struct {
	// cpu is the processors' time of all their threads since each started, user and system. What the
	// kernel does for a packet that they send, up to its delivery, is in it.
	cpu time.Duration
	// pss is their memory in bytes; each page that several processes share counts in part.
	pss int64
}

// usageOf measures a running program and its descendants.
func usageOf(pid int) (usage, error) {
	var sum usage
	pids, err := family(pid)
	if err != nil {
		return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
	}
	for _, pid := range pids {
		cpu, err := processCPU(pid)
		if err != nil {
			return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
		}
		pss, err := parsePSS(text)
		if err != nil {
			return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
		}
		sum.cpu += cpu
		sum.pss += pss
	}
	return sum, nil
}

// family returns a process and all its descendants, parents first.
//
// Source: fs/proc/array.c, children_seq_show.
func family(pid int) ([]int, error) {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			return nil, err
		}
		if len(lists) == 0 {
			return nil, fmt.Errorf("list children of %d: %w", all[i], os.ErrNotExist)
		}
		for _, list := range lists {
			text, err := os.ReadFile(list)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
				continue // a thread has ended meanwhile
			}
			if err != nil {
				return nil, err
			}
			for _, word := range strings.Fields(string(text)) {
				child, err := strconv.Atoi(word)
				if err != nil {
					return nil, fmt.Errorf("list children of %d: %w", all[i], err)
				}
				all = append(all, child)
			}
		}
	}
	return all, nil
}

// cpuClockSched is the clock of the scheduler, to the nanosecond, among those of a process.
//
// Source: include/linux/posix-timers_types.h, CPUCLOCK_SCHED.
const cpuClockSched = 2

// processCPU reads the clock of a process: the time of all its threads, also those that have ended.
// /proc/PID/stat has the same in steps of 10 ms only. See clock_getcpuclockid(3).
func processCPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuClockSched), &t); err != nil {
		return 0, fmt.Errorf("read CPU clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// parsePSS reads the proportional set size, in bytes, out of a smaps_rollup.
func parsePSS(text []byte) (int64, error) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) == 3 && fields[0] == "Pss:" && fields[2] == "kB" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("parse Pss: %w", err)
			}
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New("parse smaps_rollup: it has no Pss")
}
