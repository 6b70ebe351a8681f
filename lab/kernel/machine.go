package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guestVariable tells a process that it lives in a guest: "init" for the first one, "program" below.
const guestVariable = "TANDEM_GUEST"

// specVariable tells the first process of a guest on virtual time which directory of the host has its
// spec: a file, because when a frame on a line arrives is not the same every time.
const specVariable = "TANDEM_SPEC"

// bootLimit is how long a guest may take until it is up: 100 times what it takes on a quiet machine.
const bootLimit = 2 * time.Minute

// machine is a running User Mode Linux that runs this program. On real time:
//
//	this process ── line 1: spec, signals, window  ──▶ init ──▶ the same program
//	             ◀─ line 1: output, errors, status ──
//	             ── line 2: standard input         ──▶
//
// On virtual time nothing may arrive in the guest when it pleases, and the guest may never have to
// wait until somebody reads: the spec is a file that init reads, results go to a file that grows,
// there is no input, and only a signal, which ends a run anyway, still comes by line 1.
type machine struct {
	cmd      *exec.Cmd
	virtual  bool
	orders   *frameWriter
	input    *frameWriter // nil on virtual time
	results  io.Reader
	console  *console
	ours     []*os.File    // our ends of the lines
	given    []*os.File    // directories that the guest mounts
	programs []string      // whose functions a hung guest can be told by
	dir      string        // User Mode Linux's own state and the spec, not needed once it is up
	gone     chan struct{} // closed when the kernel's process has ended
	err      error         // how it ended, once gone

	mu       sync.Mutex // guards the rest
	watchdog *time.Timer
	limit    time.Duration // of the watchdog
	at       time.Duration // the virtual clock's last beat
	stuck    *HungError
}

// boot starts a guest with the image and waits until it is up. Its life hangs on this process; see
// startContained. In the spec, the sources of mounts become what openMounts says.
func (g Guest) boot(ctx context.Context, im Image, s *spec) (*machine, error) {
	dir, err := os.MkdirTemp("", "tandem-guest-")
	if err != nil {
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	defer os.RemoveAll(dir)
	m := &machine{virtual: s.Virtual, programs: s.programs(), dir: dir, gone: make(chan struct{})}
	if m.console, err = newConsole(dir); err != nil {
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	err = m.openMounts(s)
	if err == nil {
		err = m.leaveSpec(*s)
	}
	if err == nil {
		err = m.start(im, g.Seed)
	}
	if err != nil {
		m.close()
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	if err := m.awaitReady(ctx); err != nil {
		m.kill()
		m.close()
		return nil, err
	}
	return m, nil
}

// leaveSpec writes the spec to where init of a virtual guest looks for it.
func (m *machine) leaveSpec(s spec) error {
	if !m.virtual {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(m.specFile(), b, 0o600)
}

func (m *machine) specFile() string { return filepath.Join(m.dir, specName) }

// The descriptors of the guest's kernel: of the directory that holds the spec of a virtual guest, and of
// the first directory that it mounts. Before them are the lines.
const (
	specDescriptor  = 5
	mountDescriptor = 7
	// specName is the spec's in its directory.
	specName = "spec"
)

// behind is the path by which a guest's kernel has the directory behind one of its descriptors on the
// host. It is the same wherever that directory is: already the length of a path that init reads decides
// what memory it allocates, by which system calls, and when all else happens on virtual time.
func behind(descriptor int) string { return fmt.Sprintf("/proc/self/fd/%d/.", descriptor) }

// openMounts opens the directories that the guest shall mount, and has the spec name them as behind
// descriptors.
func (m *machine) openMounts(s *spec) error {
	for _, list := range [][][2]string{s.Mounts, s.Seen} {
		for i, mount := range list {
			f, err := os.OpenFile(mount[0], unix.O_PATH|unix.O_DIRECTORY, 0)
			if err != nil {
				return fmt.Errorf("mount on %s: %w", mount[1], err)
			}
			list[i][0] = behind(mountDescriptor + len(m.given))
			m.given = append(m.given, f)
		}
	}
	return nil
}

// syscallCost is what each system call takes of virtual time: what polls without sleeping gets on.
const syscallCost = time.Microsecond

// arguments are the kernel's.
func (m *machine) arguments(seed uint64) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{
		"mem=1G", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + self, "con=null", "con0=null,fd:1", "con1=fd:3,fd:4",
		"pty.legacy_count=0", "uml_dir=./", guestVariable + "=init",
	}
	if !m.virtual {
		return append(args, "quiet", "con2=fd:5,fd:6"), nil
	}
	return append(args, "loglevel=7", "print-fatal-signals=1", "time-travel=inf-cpu",
		fmt.Sprintf("time-travel-start=%d", VirtualEpoch.UnixNano()),
		fmt.Sprintf("syscall_cost=%d", syscallCost.Nanoseconds()),
		fmt.Sprintf("random_seed=%d", seed), specVariable+"="+behind(specDescriptor)), nil
}

// start runs the kernel on a thread that lives as long as it, because a parent-death signal is sent
// when the parent's thread dies.
func (m *machine) start(im Image, seed uint64) error {
	args, err := m.arguments(seed)
	if err != nil {
		return err
	}
	theirs, err := m.openLines()
	if err != nil {
		return err
	}
	m.cmd = exec.Command(im.Program, args...)
	m.cmd.Stdout, m.cmd.Stderr = m.console.file, m.console.file
	m.cmd.ExtraFiles = append(theirs, m.given...)
	m.cmd.Dir = m.dir
	m.cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir())
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread, pinned as it is, ends with the goroutine
		cpu := pinThread()
		defer cpu.Close()
		err := m.startContained()
		started <- err
		if err == nil {
			m.err = m.cmd.Wait()
			close(m.gone)
		}
	}()
	err = <-started
	for _, f := range theirs {
		f.Close()
	}
	return err
}

// startContained starts the kernel so that it ends with this process: in a PID namespace of its own,
// whose death takes every process in it along. A user who is not root needs a user namespace for that.
// Where neither is to be had, what remains is to ask the kernel to end, which it does not always do
// whole: a killed one would leave the processes that it traces.
func (m *machine) startContained() error {
	attr := &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID,
	}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	m.cmd.SysProcAttr = attr
	err := m.cmd.Start()
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	loose := exec.Command(m.cmd.Path, m.cmd.Args[1:]...)
	loose.Stdout, loose.Stderr = m.cmd.Stdout, m.cmd.Stderr
	loose.ExtraFiles, loose.Env, loose.Dir = m.cmd.ExtraFiles, m.cmd.Env, m.cmd.Dir
	loose.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	m.cmd = loose
	return m.cmd.Start()
}

// openLines makes the lines and returns the guest's ends in the order of its descriptors.
func (m *machine) openLines() ([]*os.File, error) {
	if m.virtual {
		return m.openVirtualLines()
	}
	var theirs []*os.File
	for i := range 4 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if i%2 == 0 { // towards the guest
			theirs, m.ours = append(theirs, r), append(m.ours, w)
		} else {
			theirs, m.ours = append(theirs, w), append(m.ours, r)
		}
	}
	m.orders, m.results = &frameWriter{w: m.ours[0]}, m.ours[1]
	m.input = &frameWriter{w: m.ours[2]}
	return theirs, nil
}

// openVirtualLines makes line 1 of a pipe, for signals, and a file without a name, for results. What
// follows is the spec's directory in the place of line 2.
func (m *machine) openVirtualLines() ([]*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	m.ours = []*os.File{w}
	m.orders = &frameWriter{w: w}
	name := filepath.Join(m.dir, "results")
	write, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	read, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	m.ours = append(m.ours, read)
	m.results = &follower{file: read, gone: m.gone}
	dir, err := os.Open(m.dir)
	if err != nil {
		return nil, err
	}
	return []*os.File{r, write, dir, nil}, os.Remove(name)
}

// close releases our ends of the lines, and what else is open for a guest that is gone.
func (m *machine) close() {
	for _, f := range slices.Concat(m.ours, m.given) {
		f.Close()
	}
	m.console.file.Close()
}

// pollInterval is how often, in wall time, a follower looks for more.
const pollInterval = 5 * time.Millisecond

// follower reads a file that a guest writes, until the guest is gone.
type follower struct {
	file *os.File
	gone <-chan struct{}
}

// Read waits for more at the file's end.
func (f *follower) Read(p []byte) (int, error) {
	for {
		last := false
		select {
		case <-f.gone: // what it wrote before is there now
			last = true
		default:
		}
		n, err := f.file.Read(p)
		if !errors.Is(err, io.EOF) || last {
			return n, err
		}
		select {
		case <-f.gone:
		case <-time.After(pollInterval):
		}
	}
}

// awaitReady waits for the guest's first frame.
func (m *machine) awaitReady(ctx context.Context) error {
	ready := make(chan error, 1)
	go func() {
		kind, payload, err := readFrame(m.results)
		switch {
		case err == nil && kind == frameBroken:
			err = errors.New(string(payload))
		case err == nil && kind != frameReady:
			err = fmt.Errorf("first frame is %q", kind)
		}
		ready <- err
	}()
	limit := time.NewTimer(bootLimit)
	defer limit.Stop()
	var err error
	select {
	case err = <-ready:
	case <-m.gone:
		err = fmt.Errorf("the guest ended: %w", m.err)
	case <-limit.C:
		err = fmt.Errorf("not up after %s", bootLimit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("boot guest: %w; its console ends with:\n%s", err, m.console.last(20))
	}
	return nil
}

// killLimit is how long a guest that is asked to end may take.
const killLimit = 5 * time.Second

// kill ends the guest at once and waits until it is gone. A second call does nothing more.
func (m *machine) kill() {
	_ = m.cmd.Process.Signal(m.cmd.SysProcAttr.Pdeathsig)
	select {
	case <-m.gone:
	case <-time.After(killLimit):
		_ = m.cmd.Process.Kill()
		<-m.gone
	}
}

// memoryDir is where the guest keeps its memory: /dev/shm, or the temporary directory where that is
// too small, as in many containers.
func memoryDir() string {
	const need = 1 << 30
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err == nil &&
		fs.Bavail*uint64(fs.Bsize) >= need && unix.Access("/dev/shm", unix.W_OK) == nil {
		return "/dev/shm"
	}
	return os.TempDir()
}

// pinThread pins the calling thread, and what it will start, to a CPU that no other guest of this
// user holds: a guest that wanders between CPUs is slower. The lock lasts as long as the returned
// file is open; nil where nothing could be locked.
func pinThread() *os.File {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil
	}
	cache, err := CacheDir()
	if err != nil || os.MkdirAll(cache, 0o755) != nil {
		return nil
	}
	for cpu := range 1024 {
		if !allowed.IsSet(cpu) {
			continue
		}
		name := filepath.Join(cache, "cpu"+strconv.Itoa(cpu)+".lock")
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			f.Close()
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		_ = unix.SchedSetaffinity(0, &one)
		return f
	}
	return nil
}
