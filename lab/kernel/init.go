package kernel

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// The serial lines that the host opens for the guest; see Guest.
const (
	orderLine = "/dev/tty1"
	inputLine = "/dev/tty2"
)

// guestTemp is the guest's own temporary directory: memory, gone with the guest. It is not below /run,
// which nodes of a lab have for themselves.
const guestTemp = "/dev/shm/tmp"

// isGuestInit says whether this process is the first of a guest that Boot started.
func isGuestInit() bool { return os.Getpid() == 1 && os.Getenv(guestVariable) == "init" }

// runGuest is the life of a guest's first process: mount, load modules, run the program that the
// host asked for, hand on what it prints, report its exit status. It never returns.
func runGuest() {
	if err := serveGuest(); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err) // the console, which the host keeps for this case
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func serveGuest() error {
	if err := mountSystem(); err != nil {
		return err
	}
	orders, err := openLine(orderLine)
	if err != nil {
		return err
	}
	// A line must be open before the host writes to it: of what has come before, the kernel of the
	// guest is not told.
	var input io.Reader
	if os.Getenv(specVariable) == "" {
		if input, err = openLine(inputLine); err != nil {
			return err
		}
	}
	out := &frameWriter{w: orders}
	s, err := receiveSpec(orders, out)
	if err != nil {
		return err
	}
	p, err := startGuestProgram(s, out)
	if err != nil {
		_ = out.write(frameBroken, []byte(err.Error()))
		return err
	}
	if input == nil {
		p.stdin.Close()
		go beat(out)
	} else {
		go p.feed(input)
	}
	go p.obey(orders)
	status := p.wait()
	unix.Sync()
	return out.write(frameExit, []byte{byte(status)})
}

// specPoint is where a guest on virtual time mounts the directory of its spec while it reads that.
const specPoint = "/dev/shm/spec"

// receiveSpec says that the guest is up and reads what it shall run: from a file where the kernel's
// arguments name its directory, which the host removes as soon as the guest is up, else from the line.
func receiveSpec(orders io.Reader, out *frameWriter) (spec, error) {
	dir := os.Getenv(specVariable)
	if dir == "" {
		if err := out.write(frameReady, nil); err != nil {
			return spec{}, err
		}
		kind, payload, err := readFrame(orders)
		if err == nil && kind != frameSpec {
			err = fmt.Errorf("frame %q", kind)
		}
		return parseSpec(payload, err)
	}
	if err := mountDirectory([2]string{dir, specPoint}, unix.MS_RDONLY); err != nil {
		return spec{}, err
	}
	payload, err := os.ReadFile(filepath.Join(specPoint, specName))
	s, err := parseSpec(payload, err)
	if err == nil {
		err = unix.Unmount(specPoint, 0)
	}
	if err == nil {
		err = os.Remove(specPoint)
	}
	if err != nil {
		return spec{}, err
	}
	return s, out.write(frameReady, nil)
}

func parseSpec(payload []byte, err error) (spec, error) {
	var s spec
	if err == nil {
		err = json.Unmarshal(payload, &s)
	}
	if err != nil {
		return spec{}, fmt.Errorf("read spec: %w", err)
	}
	return s, nil
}

// beatInterval is how often, on the virtual clock, a guest says how far that has come. A day has 8640
// beats, which cost ten seconds of wall time.
const beatInterval = 10 * time.Second

// beat tells the host that the virtual clock moves, for as long as the guest lives.
func beat(out *frameWriter) {
	for range time.Tick(beatInterval) {
		_ = out.write(frameBeat, binary.BigEndian.AppendUint64(nil, uint64(lab.Monotonic())))
	}
}

// mountSystem mounts what every program expects. The root is the host's, read-only.
func mountSystem() error {
	mounts := []struct{ source, target, kind, data string }{
		{"proc", "/proc", "proc", ""},
		{"sysfs", "/sys", "sysfs", ""},
		{"devpts", "/dev/pts", "devpts", "ptmxmode=0666,mode=0620,gid=5"},
		{"tmpfs", "/dev/shm", "tmpfs", ""},
		{"tmpfs", "/run", "tmpfs", "mode=0755"},
	}
	if _, err := os.Stat("/dev/tty1"); err != nil { // not mounted by the kernel itself
		if err := unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, ""); err != nil {
			return fmt.Errorf("mount devtmpfs on /dev: %w", err)
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("mount: %w", err)
		}
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.source, m.target, err)
		}
	}
	if err := os.Mkdir(guestTemp, 0o777); err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	return os.Chmod(guestTemp, 0o777|os.ModeSticky)
}

// openLine opens a serial line to the host and makes it pass every byte as it is.
func openLine(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open line %s: %w", path, err)
	}
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD}
	t.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return nil, fmt.Errorf("set line %s raw: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// mountDirectories lets the guest see directories of the host where they are or at another path, and
// change them but for those that are only to be seen.
func mountDirectories(s spec) error {
	writable := s.Mounts
	for _, dir := range s.Writable {
		writable = append(writable, [2]string{dir, dir})
	}
	for _, m := range writable {
		if err := mountDirectory(m, 0); err != nil {
			return err
		}
	}
	for _, m := range s.Seen {
		if err := mountDirectory(m, unix.MS_RDONLY); err != nil {
			return err
		}
	}
	return nil
}

// mountDirectory mounts a directory of the host at a path, which is made.
func mountDirectory(m [2]string, flags uintptr) error {
	source, target := m[0], m[1]
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	if err := unix.Mount("none", target, "hostfs", flags, source); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}

// guestProgram is the host's program, running in the guest.
type guestProgram struct {
	cmd      *exec.Cmd
	out      *frameWriter
	terminal *os.File // the master side, where the host has a terminal
	stdin    io.WriteCloser
	copies   sync.WaitGroup
}

// startGuestProgram prepares the guest as the spec wants it and starts the program.
func startGuestProgram(s spec, out *frameWriter) (*guestProgram, error) {
	if err := omitTunnels(); err != nil {
		return nil, err
	}
	if s.Modules != "" {
		if err := loadModules(s.Modules, guestModules); err != nil {
			return nil, err
		}
	}
	if err := mountDirectories(s); err != nil {
		return nil, err
	}
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	p := &guestProgram{out: out}
	p.cmd = &exec.Cmd{Path: s.Path, Args: s.Args, Dir: s.Dir,
		Env: append(s.Env, guestVariable+"=program", "TMPDIR="+guestTemp)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ends, err := p.connect(s)
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start program: %w", err)
	}
	for _, f := range ends {
		f.Close()
	}
	return p, nil
}

// omitTunnels has new namespaces come without half a dozen interfaces of tunnels that nobody has
// asked for. A kernel that cannot leave them out keeps them.
//
// Source: Documentation/admin-guide/sysctl/net.rst, fb_tunnels_only_for_init_net.
func omitTunnels() error {
	err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("2"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// connect gives the program pipes where the host has pipes and files, and a terminal where it has a
// terminal. It returns the program's ends, to be closed once it runs.
func (p *guestProgram) connect(s spec) ([]*os.File, error) {
	var slave *os.File
	if s.Terminal != [3]bool{} {
		master, tty, err := openTerminal(s)
		if err != nil {
			return nil, err
		}
		p.terminal, slave = master, tty
		p.cmd.SysProcAttr.Setctty = true
		p.cmd.SysProcAttr.Ctty = terminalIndex(s.Terminal)
		p.copy(master, frameOutput)
	}
	var ends []*os.File
	if slave != nil {
		ends = append(ends, slave)
	}
	if s.Terminal[0] {
		p.cmd.Stdin, p.stdin = slave, p.terminal
	} else {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make pipe: %w", err)
		}
		p.cmd.Stdin, p.stdin = r, w
		ends = append(ends, r)
	}
	outputs := []struct {
		target *io.Writer
		kind   frameKind
		tty    bool
	}{{&p.cmd.Stdout, frameOutput, s.Terminal[1]}, {&p.cmd.Stderr, frameErrors, s.Terminal[2]}}
	for _, o := range outputs {
		if o.tty {
			*o.target = slave
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make pipe: %w", err)
		}
		*o.target = w
		ends = append(ends, w)
		p.copy(r, o.kind)
	}
	return ends, nil
}

// terminalIndex is the first descriptor of the program that is the terminal.
func terminalIndex(terminal [3]bool) int {
	for i, t := range terminal {
		if t {
			return i
		}
	}
	return 0
}

// openTerminal makes the guest's side of the host's terminal. The host's own line discipline echoes
// and edits, so this one does neither.
func openTerminal(s spec) (master, slave *os.File, err error) {
	master, slave, err = pty.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("open terminal: %w", err)
	}
	t, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err == nil {
		t.Lflag &^= unix.ECHO
		t.Oflag &^= unix.OPOST
		err = unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, t)
	}
	if err == nil {
		err = pty.Setsize(master, &pty.Winsize{Rows: s.Rows, Cols: s.Columns})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("set up terminal: %w", err)
	}
	return master, slave, nil
}

// copy hands on what the program prints, as it comes.
func (p *guestProgram) copy(from *os.File, kind frameKind) {
	p.copies.Go(func() {
		_, _ = io.CopyBuffer(struct{ io.Writer }{p.out.stream(kind)}, struct{ io.Reader }{from},
			make([]byte, 32<<10))
	})
}

// feed hands the host's input to the program until it ends.
func (p *guestProgram) feed(input io.Reader) {
	for {
		kind, payload, err := readFrame(input)
		if err != nil {
			return
		}
		if kind == frameInput && len(payload) > 0 {
			_, _ = p.stdin.Write(payload) // a program that closed its input wants no more
			continue
		}
		if p.stdin == p.terminal {
			_, _ = p.terminal.Write([]byte{4}) // end of file, as typed on a terminal
			continue
		}
		p.stdin.Close()
	}
}

// obey carries out the host's orders: signals and window sizes.
func (p *guestProgram) obey(orders io.Reader) {
	for {
		kind, payload, err := readFrame(orders)
		if err != nil {
			return
		}
		switch {
		case kind == frameSignal && len(payload) == 1:
			_ = p.cmd.Process.Signal(syscall.Signal(payload[0]))
		case kind == frameWindow && len(payload) == 4 && p.terminal != nil:
			_ = pty.Setsize(p.terminal, &pty.Winsize{
				Rows: binary.BigEndian.Uint16(payload), Cols: binary.BigEndian.Uint16(payload[2:])})
		}
	}
}

// wait waits for the program, then for the rest of its output, and returns its exit status as a
// shell gives it: 128 + signal for one that a signal ended. Descendants that it left behind are
// killed first, so that none can hold the output open.
func (p *guestProgram) wait() int {
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(-1, &status, 0, nil) // also reaps orphans
		if err == nil && pid == p.cmd.Process.Pid {
			break
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 255
		}
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	p.copies.Wait()
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// writableCover reduces directories to those that no other of them holds, in a stable order.
func writableCover(dirs []string) []string {
	var cover []string
	for i, d := range dirs {
		held := false
		for j, o := range dirs {
			rel, err := filepath.Rel(o, d)
			inside := err == nil && rel != ".." && !hasDotDot(rel)
			if i != j && inside && (rel != "." || j < i) {
				held = true
			}
		}
		if !held {
			cover = append(cover, d)
		}
	}
	return cover
}

func hasDotDot(rel string) bool { return len(rel) >= 3 && rel[:3] == "../" }
