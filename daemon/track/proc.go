package track

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// echoLimit is how long the kernel may take to tell of what this process does itself.
const echoLimit = time.Second

var (
	errSilent = errors.New("no events of processes come from the kernel")
	errEnded  = errors.New("events of processes have ended")
)

// procTable is /proc, and the kernel's connector for events of processes.
type procTable struct{}

// List reads /proc; processes that end meanwhile are left out.
func (t procTable) List(full bool) ([]Running, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Running
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if r, ok := t.Read(pid, full); ok {
			all = append(all, r)
		}
	}
	return all, nil
}

// Read reads /proc/PID. A zombie has ended.
func (procTable) Read(pid int, full bool) (Running, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Running{}, false
	}
	name, ok := parseStat(string(stat))
	if !ok {
		return Running{}, false
	}
	r := Running{PID: pid, Name: name}
	if full {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			return Running{}, false
		}
		r.Args = parseCommandLine(line)
	}
	return r, true
}

// parseStat returns the name in a line of /proc/PID/stat; false if the process has ended. The name
// may hold anything, brackets too.
func parseStat(stat string) (name string, ok bool) {
	from, to := strings.IndexByte(stat, '('), strings.LastIndex(stat, ") ")
	if from < 0 || to < from || len(stat) < to+3 {
		return "", false
	}
	state := stat[to+2]
	return stat[from+1 : to], state != 'Z' && state != 'X'
}

// parseCommandLine returns the arguments in /proc/PID/cmdline; nil if there are none.
func parseCommandLine(line []byte) []string {
	line = bytes.TrimSuffix(line, []byte{0})
	if len(line) == 0 {
		return nil
	}
	return strings.Split(string(line), "\x00")
}

// Watch hears of events through the kernel's connector. That speaks to the initial namespaces only,
// and says nothing elsewhere, so the test of it is that it tells of this process.
func (procTable) Watch(ctx context.Context, ready func(), out chan<- processEvent) error {
	if err := canListen(); err != nil {
		return err
	}
	in := make(chan netlink.ProcEvent, 64)
	errs := make(chan error, 1)
	done := make(chan struct{})
	if err := netlink.ProcEventMonitor(in, done, errs); err != nil {
		return fmt.Errorf("ask for events of processes: %w", err)
	}
	defer func() {
		close(done)
		for range in { // until the monitor has ended
		}
	}()
	if err := awaitEcho(ctx, in, errs); err != nil {
		return err
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-in:
			if !ok {
				return ended(errs)
			}
			event, ok := fromKernel(e)
			if !ok {
				continue
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// canListen says why there can be no socket for events. The library is not asked where there
// cannot: if it cannot bind a socket, it closes its descriptor twice, the second time when that may
// be another's.
func canListen() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_CONNECTOR)
	if err != nil {
		return fmt.Errorf("open socket for events of processes: %w", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (netlink.CN_IDX_PROC - 1)}
	if err := unix.Bind(fd, to); err != nil {
		return fmt.Errorf("bind socket for events of processes: %w", err)
	}
	return nil
}

// ended returns why events have.
func ended(errs <-chan error) error {
	select {
	case err := <-errs:
		return fmt.Errorf("receive events of processes: %w", err)
	default:
		return errEnded
	}
}

// awaitEcho names this thread as it is named, and returns when the kernel has told of that.
func awaitEcho(ctx context.Context, in <-chan netlink.ProcEvent, errs <-chan error) error {
	limit := time.NewTimer(echoLimit)
	defer limit.Stop()
	if err := rename(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errSilent
		case e, ok := <-in:
			if !ok {
				return ended(errs)
			}
			named, ok := e.Msg.(*netlink.CommProcEvent)
			if ok && int(named.ProcessTgid) == os.Getpid() {
				return nil
			}
		}
	}
}

// rename gives this thread the name that it has.
func rename() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const file = "/proc/thread-self/comm"
	name, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.TrimSpace(name), 0)
	}
	if err != nil {
		return fmt.Errorf("name thread: %w", err)
	}
	return nil
}

// fromKernel returns what an event means; false if it is about a thread, or nothing to us.
func fromKernel(e netlink.ProcEvent) (processEvent, bool) {
	switch m := e.Msg.(type) {
	case *netlink.ForkProcEvent:
		return processEvent{kind: eventForked, pid: int(m.ChildPid), parent: int(m.ParentTgid)},
			m.ChildPid == m.ChildTgid
	case *netlink.ExecProcEvent:
		return processEvent{kind: eventBegan, pid: int(m.ProcessTgid)}, true
	case *netlink.CommProcEvent:
		return processEvent{kind: eventBegan, pid: int(m.ProcessTgid)},
			m.ProcessPid == m.ProcessTgid
	case *netlink.ExitProcEvent:
		return processEvent{kind: eventEnded, pid: int(m.ProcessTgid)},
			m.ProcessPid == m.ProcessTgid
	}
	return processEvent{}, false
}
