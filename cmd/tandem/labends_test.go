package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKilledLabLeavesNothing kills the process that keeps a lab.
func TestKilledLabLeavesNothing(t *testing.T) {
	for _, kernel := range []string{"auto", "uml"} {
		t.Run(kernel, func(t *testing.T) {
			s := newTerminals(t)
			s.must("lab", "up", "-t", s.quick(), "--kernel", kernel)
			b, err := os.ReadFile(filepath.Join(s.run, "tandem", "fig5.lock"))
			if err != nil {
				t.Fatal(err)
			}
			number, _, _ := strings.Cut(string(b), "\n")
			pid, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			family := descendants(t, pid)
			if len(family) < 3 {
				t.Fatalf("the lab has %d processes", len(family))
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			await(t, "the end of its processes", func() bool { return alive(family) == 0 })
			if out := s.must("lab", "list"); strings.Contains(out, "fig5") {
				t.Errorf("a dead lab is listed:\n%s", out)
			}
			s.must("lab", "up", "-t", s.quick())
		})
	}
}

// process is a process that lived at a time: its number alone may be another's later.
type process struct {
	pid   int
	start string
}

// processes are all there are, each with its parent.
func processes(t *testing.T) map[process]int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	all := map[process]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; the fields after it do not.
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, failed := strconv.Atoi(f[1])
		if err != nil || failed != nil || f[0] == "Z" {
			continue
		}
		all[process{pid, f[19]}] = parent
	}
	return all
}

// descendants are a process and everything that it has started.
func descendants(t *testing.T, pid int) []process {
	t.Helper()
	all := processes(t)
	known := map[int]bool{pid: true}
	var family []process
	for grown := true; grown; {
		grown = false
		for p, parent := range all {
			if known[parent] && !known[p.pid] {
				known[p.pid], grown = true, true
				family = append(family, p)
			}
		}
	}
	return family
}

func alive(family []process) int {
	n := 0
	for _, p := range family {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if f[0] != "Z" && f[19] == p.start {
			n++
		}
	}
	return n
}

func TestForegroundEndsByInterrupt(t *testing.T) {
	s := newTerminals(t)
	cmd := s.command("lab", "up", "-t", s.quick(), "--foreground")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	look(stderr).await(t, "Ctrl-C")
	s.must("lab", "exec", "lb1", "true")
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if out := s.must("lab", "list"); !strings.Contains(out, "no lab is up") {
		t.Errorf("labs afterwards:\n%s", out)
	}
}
