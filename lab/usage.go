package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Usage is what processes take of the kernel at one moment.
type Usage struct {
	Processes, Threads, Descriptors int
	// Memory is the resident memory of their own, in bytes: without what is mapped from files.
	Memory int64
}

// Usage returns what the program and all its descendants take together, without the init that it
// may run under. One that has ended is os.ErrProcessDone.
func (p *Process) Usage() (Usage, error) {
	pids, err := p.family()
	if err != nil {
		return Usage{}, fmt.Errorf("measure %s: %w", p, err)
	}
	if init := p.cmd.Process.Pid; init != p.Pid() {
		pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == init })
	}
	var sum Usage
	for _, pid := range pids {
		u, err := usageOf(strconv.Itoa(pid))
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return Usage{}, fmt.Errorf("measure %s: %w", p, err)
		}
		sum.Processes++
		sum.Threads += u.Threads
		sum.Descriptors += u.Descriptors
		sum.Memory += u.Memory
	}
	return sum, nil
}

// OwnUsage returns what the running program itself takes, without its children. Its Processes are
// all that the machine has but the kernel's own, so that one that was left behind is among them.
func OwnUsage() (Usage, error) {
	u, err := usageOf("self")
	if err != nil {
		return Usage{}, fmt.Errorf("measure the lab: %w", err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return Usage{}, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		// A thread of the kernel has no program, and what has just ended none any more.
		if _, err := os.Readlink("/proc/" + e.Name() + "/exe"); err == nil {
			u.Processes++
		}
	}
	return u, nil
}

// usageOf reads what one process takes; Processes stays 0.
func usageOf(pid string) (Usage, error) {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return Usage{}, err
	}
	descriptors, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		return Usage{}, err
	}
	u := parseUsage(status)
	u.Descriptors = len(descriptors)
	return u, nil
}

// parseUsage reads /proc/PID/status.
//
// Source: fs/proc/array.c; fs/proc/task_mmu.c, task_mem.
func parseUsage(status []byte) Usage {
	var u Usage
	for row := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(row), ":")
		first, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch name {
		case "Threads":
			// What is no number counts as none.
			u.Threads, _ = strconv.Atoi(first)
		case "RssAnon":
			kilobytes, _ := strconv.ParseInt(first, 10, 64)
			u.Memory = kilobytes << 10
		}
	}
	return u
}
