package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// leaveProgram has the process let go of the pages of its own program. A start goes through much of
// it that is not needed again, and the kernel maps 64 KB, or the piece of the file that its cache
// keeps as one, for each page that is touched: of 18 MB that leaves some 14 in use, of which daily
// work needs a third. They stay in the cache, and what is needed comes back by page faults, of a
// few microseconds each. Pages that are locked stay, see no_swap; that is no error.
//
// Equivalent to: madvise(MADV_DONTNEED) on the program's mappings.
func leaveProgram() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("find program: %w", err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("find mappings of program: %w", err)
	}
	var errs []error
	for _, s := range unchanged(smaps, exe) {
		_, _, e := unix.Syscall(unix.SYS_MADVISE, s.from, s.to-s.from, unix.MADV_DONTNEED)
		if e != 0 && e != unix.EINVAL {
			errs = append(errs, fmt.Errorf("leave pages of program from %#x: %w", s.from, e))
		}
	}
	return errors.Join(errs...)
}

// span is a part of the address space, without its end.
type span struct{ from, to uintptr }

// unchanged returns the mappings of a file that are as it is in the file, and stay so: they cannot be
// written to, and none of their pages is a copy, as those are that a linker has relocated or a
// debugger has put a breakpoint into.
//
// Source: proc_pid_smaps(5).
func unchanged(smaps []byte, file string) []span {
	var found []span
	candidate := false // the last of found is being read about
	for line := range strings.Lines(string(smaps)) {
		line = strings.TrimSuffix(line, "\n")
		key, value, _ := strings.Cut(line, " ")
		switch {
		case !strings.HasSuffix(key, ":"): // a mapping begins
			var s span
			_, name, _ := strings.Cut(line, " /")
			_, err := fmt.Sscanf(key, "%x-%x", &s.from, &s.to)
			mode, _, _ := strings.Cut(value, " ")
			candidate = err == nil && "/"+name == file && !strings.Contains(mode, "w")
			if candidate {
				found = append(found, s)
			}
		case candidate && (key == "Anonymous:" || key == "Swap:"):
			if strings.TrimSpace(value) != "0 kB" {
				candidate, found = false, found[:len(found)-1]
			}
		}
	}
	return found
}
