package kernel

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// guestVariable tells a process that it lives in a guest: "init" for the first one, "program" below.
const guestVariable = "TANDEM_GUEST"

// bootLimit is how long a guest may take until it is up: 100 times what it takes on a quiet machine.
const bootLimit = 2 * time.Minute

// killAfter is the number of interrupts after which the guest is ended as it stands. The first one
// asks the program to heal and report.
const killAfter = 3

// guest is a running User Mode Linux that runs this program.
//
//	this process ── line 1: spec, signals, window  ──▶ init ──▶ the same program
//	             ◀─ line 1: output, errors, status ──
//	             ── line 2: standard input         ──▶
type guest struct {
	cmd     *exec.Cmd
	orders  *frameWriter
	input   *frameWriter
	results io.Reader
	console *tail
	lines   []*os.File // our ends
	dir     string     // User Mode Linux's own state, not needed once it is up
	cpu     *os.File
	exited  chan error
}

// boot starts a guest with the image. Its life hangs on this process; see startContained.
func boot(ctx context.Context, im Image) (*guest, error) {
	dir, err := os.MkdirTemp("", "tandem-guest-")
	if err != nil {
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	g := &guest{console: &tail{}, dir: dir, exited: make(chan error, 1)}
	if err := g.start(im); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("boot guest: %w", err)
	}
	err = g.awaitReady(ctx)
	os.RemoveAll(dir)
	if err != nil {
		g.kill()
		return nil, err
	}
	return g, nil
}

// start runs the kernel on a thread that lives as long as this process, because a parent-death
// signal is sent when the parent's thread dies.
func (g *guest) start(im Image) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	theirs, err := g.openLines()
	if err != nil {
		return err
	}
	args := []string{
		"mem=1G", "quiet", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + self, "con=null", "con0=null,fd:1", "con1=fd:3,fd:4", "con2=fd:5,fd:6",
		"pty.legacy_count=0", "uml_dir=" + g.dir + "/", guestVariable + "=init",
	}
	g.cmd = exec.Command(im.Program, args...)
	g.cmd.Stdout, g.cmd.Stderr = g.console, g.console
	g.cmd.ExtraFiles = theirs
	g.cmd.Env = append(os.Environ(), "TMPDIR="+memoryDir())
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		g.cpu = pinThread()
		started <- g.startContained()
		err := g.cmd.Wait()
		g.exited <- err
		select {} // the thread must not end before the process
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
func (g *guest) startContained() error {
	attr := &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID,
	}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	g.cmd.SysProcAttr = attr
	err := g.cmd.Start()
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	loose := exec.Command(g.cmd.Path, g.cmd.Args[1:]...)
	loose.Stdout, loose.Stderr = g.cmd.Stdout, g.cmd.Stderr
	loose.ExtraFiles, loose.Env = g.cmd.ExtraFiles, g.cmd.Env
	loose.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	g.cmd = loose
	return g.cmd.Start()
}

// openLines makes the two serial lines and returns the guest's ends in the order of its descriptors.
func (g *guest) openLines() ([]*os.File, error) {
	var theirs []*os.File
	var ours [4]*os.File
	for i := range 4 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if i%2 == 0 { // towards the guest
			theirs, ours[i] = append(theirs, r), w
		} else {
			theirs, ours[i] = append(theirs, w), r
		}
	}
	g.lines = ours[:]
	g.orders, g.results = &frameWriter{w: ours[0]}, ours[1]
	g.input = &frameWriter{w: ours[2]}
	return theirs, nil
}

// awaitReady waits for the guest's first frame.
func (g *guest) awaitReady(ctx context.Context) error {
	ready := make(chan error, 1)
	go func() {
		kind, _, err := readFrame(g.results)
		if err == nil && kind != frameReady {
			err = fmt.Errorf("first frame is %q", kind)
		}
		ready <- err
	}()
	limit := time.NewTimer(bootLimit)
	defer limit.Stop()
	var err error
	select {
	case err = <-ready:
	case werr := <-g.exited:
		g.exited <- werr
		err = fmt.Errorf("the guest ended: %w", werr)
	case <-limit.C:
		err = fmt.Errorf("not up after %s", bootLimit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("boot guest: %w; its console ends with:\n%s", err, g.console.last(20))
	}
	return nil
}

// run has the guest run the program and returns its exit status.
func (g *guest) run(ctx context.Context, s spec) (int, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return 0, fmt.Errorf("run in guest: %w", err)
	}
	if err := g.orders.write(frameSpec, payload); err != nil {
		return 0, fmt.Errorf("run in guest: %w", err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1,
		unix.SIGUSR2, unix.SIGWINCH)
	defer signal.Stop(signals)
	go g.forward(signals)
	go g.sendInput()
	stop := context.AfterFunc(ctx, g.kill)
	defer stop()
	return g.receive()
}

// forward hands on signals; too many interrupts end the guest.
func (g *guest) forward(signals <-chan os.Signal) {
	interrupts := 0
	for s := range signals {
		if s == unix.SIGWINCH {
			if cols, rows, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
				size := binary.BigEndian.AppendUint16(nil, uint16(rows))
				_ = g.orders.write(frameWindow, binary.BigEndian.AppendUint16(size, uint16(cols)))
			}
			continue
		}
		if s == unix.SIGINT || s == unix.SIGTERM {
			interrupts++
		}
		if interrupts >= killAfter {
			g.kill()
			return
		}
		if n, ok := s.(syscall.Signal); ok {
			_ = g.orders.write(frameSignal, []byte{byte(n)})
		}
	}
}

// sendInput hands standard input to the guest until it ends.
func (g *guest) sendInput() {
	_, _ = io.Copy(struct{ io.Writer }{g.input.stream(frameInput)},
		struct{ io.Reader }{os.Stdin})
	_ = g.input.write(frameInput, nil)
}

// receive prints what the program prints, as it comes, until its exit status.
func (g *guest) receive() (int, error) {
	for {
		kind, payload, err := readFrame(g.results)
		if err != nil {
			g.kill()
			return 0, fmt.Errorf("run in guest: the guest ended before the program; its console "+
				"ends with:\n%s", g.console.last(20))
		}
		switch kind {
		case frameOutput:
			_, err = os.Stdout.Write(payload)
		case frameErrors:
			_, err = os.Stderr.Write(payload)
		case frameBroken:
			g.kill()
			return 0, fmt.Errorf("run in guest: %s", payload)
		case frameExit:
			g.kill() // it has synced its files; nothing is left to wait for
			if len(payload) != 1 {
				return 0, errors.New("run in guest: the exit status is malformed")
			}
			return int(payload[0]), nil
		}
		if errors.Is(err, unix.EPIPE) {
			_ = g.orders.write(frameSignal, []byte{byte(unix.SIGPIPE)})
		}
	}
}

// killLimit is how long a guest that is asked to end may take.
const killLimit = 5 * time.Second

// kill ends the guest at once and waits until it is gone. A second call does nothing more.
func (g *guest) kill() {
	_ = g.cmd.Process.Signal(g.cmd.SysProcAttr.Pdeathsig)
	var err error
	select {
	case err = <-g.exited:
	case <-time.After(killLimit):
		_ = g.cmd.Process.Kill()
		err = <-g.exited
	}
	g.exited <- err
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
