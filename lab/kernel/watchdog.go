package kernel

import (
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// HungError is what Guest.Run returns when a virtual clock stood still for too long.
type HungError struct {
	// After is how long it stood still, in wall time; At where it did, since the guest's boot.
	After, At time.Duration
	// Spinning says which process computed, and where; empty: the kernel did not say.
	Spinning string
}

// Error says what stood still and who is to blame.
func (e *HungError) Error() string {
	who := e.Spinning
	if who == "" {
		who = "the guest does not say which process"
	}
	return fmt.Sprintf("the virtual clock stood still at %s for %s of wall time, because something "+
		"computes without end: %s; --time real has no such limit", e.At, e.After, who)
}

// watch ends the guest when its virtual clock stands still for limit, until unwatch.
func (m *machine) watch(limit time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = limit
	m.watchdog = time.AfterFunc(limit, m.bite)
}

func (m *machine) unwatch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchdog.Stop()
}

// beat notes how far the virtual clock has come, and returns it: nanoseconds, eight bytes, big endian.
func (m *machine) beat(payload []byte) (at time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watchdog == nil || len(payload) != 8 {
		return 0, false
	}
	m.at = time.Duration(binary.BigEndian.Uint64(payload))
	m.watchdog.Reset(m.limit)
	return m.at, true
}

// bite asks the hung kernel what it is doing, and ends it. The asking ends a process of the guest, so
// that the clock may move again: until all is known, nobody shall believe what the guest says.
func (m *machine) bite() {
	m.mu.Lock()
	m.stuck = &HungError{After: m.limit, At: m.at, Spinning: m.spinning()}
	m.mu.Unlock()
	m.kill()
}

// hung returns why the watchdog ended the guest, once it has; nil: it did not.
func (m *machine) hung() *HungError {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stuck
}

// spinPattern finds, in what a kernel prints of a process that it ends, the process and the place.
//
// Source: arch/x86/um/sysrq_64.c of the kernel.
var spinPattern = regexp.MustCompile(`Pid: (\d+), comm: (.*?) (?:Not tainted|Tainted)[^\n]*\n` +
	`[^\n]*RIP: [0-9a-f]+:(0x[0-9a-f]+|[^\n]+)`)

// tellLimit is how long a kernel may take to print a process's state.
const tellLimit = 5 * time.Second

// spinning says which process of the hung guest computes, and where. Its kernel traces each process;
// one that stops for a signal that no kernel of this kind uses is ended, and its registers are
// printed. Empty: none computes, or the kernel printed nothing.
func (m *machine) spinning() string {
	child, ok := runningChild(m.cmd.Process.Pid)
	if !ok {
		return ""
	}
	if err := unix.Kill(child, unix.SIGUSR1); err != nil {
		return ""
	}
	for begin := time.Now(); time.Since(begin) < tellLimit; time.Sleep(pollInterval) {
		found := spinPattern.FindStringSubmatch(m.console.last(60))
		if found == nil {
			continue
		}
		where := found[3]
		if name := m.symbol(found[2], where); name != "" {
			where = name + " (" + where + ")"
		}
		return fmt.Sprintf("process %s (pid %s of the guest) at %s", found[2], found[1], where)
	}
	return ""
}

// runningChild finds the child of a process that is on a CPU.
func runningChild(parent int) (pid int, ok bool) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, false
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; the fields after it do not.
		_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] != "R" || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err = strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			return pid, true
		}
	}
	return 0, false
}

// commLength is how much of a program's name the kernel keeps.
const commLength = 15

// symbol names the function at an address of one of the programs that this process knows: itself and
// those that variables name, the director for one. Empty: none of them, or it has no names.
func (m *machine) symbol(comm, address string) string {
	at, err := strconv.ParseUint(address, 0, 64)
	if err != nil {
		return ""
	}
	for _, path := range m.programs {
		base := filepath.Base(path)
		if base[:min(len(base), commLength)] != comm {
			continue
		}
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		name := functionAt(f, at)
		f.Close()
		if name != "" {
			return name
		}
	}
	return ""
}

// functionAt names the function at an address: by Go's own table, which no stripping removes, else by
// the symbols.
func functionAt(f *elf.File, at uint64) string {
	table, text := f.Section(".gopclntab"), f.Section(".text")
	if table != nil && text != nil {
		if b, err := table.Data(); err == nil {
			t, err := gosym.NewTable(nil, gosym.NewLineTable(b, text.Addr))
			if err == nil {
				if file, line, fn := t.PCToLine(at); fn != nil {
					return fmt.Sprintf("%s, %s:%d", fn.Name, filepath.Base(file), line)
				}
			}
		}
	}
	symbols, _ := f.Symbols() // none: a stripped program
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && at >= s.Value && at < s.Value+s.Size {
			return s.Name
		}
	}
	return ""
}
