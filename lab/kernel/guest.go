package kernel

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// killAfter is the number of interrupts after which the guest is ended as it stands. The first one
// asks the program to heal and report.
const killAfter = 3

// DefaultHangLimit is the Guest.HangLimit that 0 means: twenty times what a busy drill takes from one
// beat of the virtual clock to the next on a quiet machine.
const DefaultHangLimit = 2 * time.Minute

// Guest is one run of this program in a guest kernel of its own. The zero Guest runs it as this
// process was started, on real time.
type Guest struct {
	// Time is the clock, Seed where the randomness of a virtual one starts.
	Time Time
	Seed uint64
	// Program and Dir are where the guest has the program and its working directory; "": where they are
	// on the host. Where they differ, Mounts or Seen say what is there.
	Program, Dir string
	// Args are the program's arguments without its name; nil: this process's.
	Args []string
	// Env is its environment; nil: this process's.
	Env []string
	// Writable are directories of the host that it may change. They must exist.
	Writable []string
	// Mounts are directories of the host that it sees, and may change, at another path: by that path,
	// which must lie below /dev/shm. So a guest need not know where its results go.
	Mounts map[string]string
	// Seen are as Mounts, but it may not change them.
	Seen map[string]string
	// Stdin is what it reads, until the end of it; nil: this process's. On a virtual clock it reads
	// nothing. Run may read once more from it after the program's end.
	Stdin io.Reader
	// Stdout and Stderr get what it prints, as it comes; nil: this process's, and a terminal there is
	// one in the guest. On a virtual clock it never sees a terminal, and its standard input is empty:
	// what they do depends on when somebody looks.
	Stdout, Stderr io.Writer
	// HangLimit is how long, in wall time, a virtual clock may stand still before the guest is ended:
	// something in it computes without end. 0: DefaultHangLimit. On real time it means nothing.
	HangLimit time.Duration
	// Beat is told every ten virtual seconds how far a virtual clock has come since the boot; nil:
	// nobody is. It is called by the goroutine that writes to Stdout and Stderr.
	Beat func(at time.Duration)
}

// Run boots a guest, runs this program in it from the start and returns its exit status. Signals
// that this process gets meanwhile are handed on to it; a third interrupt, or the end of the
// context, ends the guest as it stands. Several may run at once. When Run returns nothing is left of
// the guest, also where this process is killed.
//
// Errors: ErrNoImage (wrapped) where no such guest kernel is here; a *HungError; anything else when
// the guest does not come up or ends before the program.
func (g Guest) Run(ctx context.Context) (int, error) {
	if raceEnabled {
		return 0, fmt.Errorf("boot guest: this binary carries the race detector, which cannot run " +
			"in User Mode Linux (39-bit address space); run without -race, or as root on a kernel " +
			"with IPVS")
	}
	im, err := g.image()
	if err != nil {
		return 0, err
	}
	s, err := g.spec()
	if err != nil {
		return 0, fmt.Errorf("boot guest: %w", err)
	}
	s.Modules = im.Modules
	m, err := g.boot(ctx, im, &s)
	if err != nil {
		return 0, err
	}
	return g.follow(ctx, m, s)
}

func (g Guest) image() (Image, error) {
	if g.Time == VirtualTime {
		return FindVirtualImage()
	}
	return FindImage()
}

// spec describes the program for the guest.
func (g Guest) spec() (spec, error) {
	self, err := os.Executable()
	if err != nil {
		return spec{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return spec{}, err
	}
	s := spec{Path: self, Args: os.Args, Dir: dir, Env: g.Env, Virtual: g.Time == VirtualTime}
	if g.Args != nil {
		s.Args = append([]string{os.Args[0]}, g.Args...)
	}
	if g.Program != "" {
		s.Path = g.Program
		s.Args = append([]string{g.Program}, s.Args[1:]...)
	}
	if g.Dir != "" {
		s.Dir = g.Dir
	}
	if g.Env == nil {
		s.Env = os.Environ()
	}
	s.Env = append(s.Env, timeVariable+"="+g.Time.String())
	for _, w := range g.Writable {
		if w, err = filepath.Abs(w); err != nil {
			return spec{}, err
		}
		s.Writable = append(s.Writable, w)
	}
	s.Writable = writableCover(s.Writable)
	if s.Mounts, err = mounts(g.Mounts); err != nil {
		return spec{}, err
	}
	if s.Seen, err = mounts(g.Seen); err != nil {
		return spec{}, err
	}
	if !s.Virtual && g.Stdin == nil && g.Stdout == nil && g.Stderr == nil {
		s.describeTerminal()
	}
	return s, nil
}

// mounts are the absolute paths of directories, and where the guest has them, in order.
func mounts(dirs map[string]string) ([][2]string, error) {
	var all [][2]string
	for _, at := range slices.Sorted(maps.Keys(dirs)) {
		source, err := filepath.Abs(dirs[at])
		if err != nil {
			return nil, err
		}
		all = append(all, [2]string{source, at})
	}
	return all, nil
}

// describeTerminal says what of this process's standard streams is a terminal, and its size.
func (s *spec) describeTerminal() {
	for i, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		s.Terminal[i] = term.IsTerminal(int(f.Fd()))
	}
	if !slices.Contains(s.Terminal[:], true) {
		return
	}
	if cols, rows, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		s.Rows, s.Columns = uint16(rows), uint16(cols)
	}
}

// follow hands the program's streams and signals to and fro until it has ended, and returns its exit
// status. The guest is gone then.
func (g Guest) follow(ctx context.Context, m *machine, s spec) (int, error) {
	defer m.close()
	defer m.kill()
	if !s.Virtual {
		payload, err := json.Marshal(s)
		if err == nil {
			err = m.orders.write(frameSpec, payload)
		}
		if err != nil {
			return 0, fmt.Errorf("run in guest: %w", err)
		}
		go m.sendInput(g.Stdin)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1,
		unix.SIGUSR2, unix.SIGWINCH)
	defer close(signals)
	defer signal.Stop(signals)
	go m.forward(signals)
	stop := context.AfterFunc(ctx, m.kill)
	defer stop()
	if s.Virtual {
		m.watch(g.hangLimit())
		defer m.unwatch()
	}
	return m.receive(g)
}

func (g Guest) hangLimit() time.Duration {
	if g.HangLimit == 0 {
		return DefaultHangLimit
	}
	return g.HangLimit
}

func (g Guest) outputs() (stdout, stderr io.Writer) {
	stdout, stderr = os.Stdout, os.Stderr
	if g.Stdout != nil {
		stdout = g.Stdout
	}
	if g.Stderr != nil {
		stderr = g.Stderr
	}
	return stdout, stderr
}

// forward hands on signals until the channel is closed; too many interrupts end the guest.
func (m *machine) forward(signals <-chan os.Signal) {
	interrupts := 0
	for s := range signals {
		if s == unix.SIGWINCH {
			if cols, rows, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
				size := binary.BigEndian.AppendUint16(nil, uint16(rows))
				_ = m.orders.write(frameWindow, binary.BigEndian.AppendUint16(size, uint16(cols)))
			}
			continue
		}
		if s == unix.SIGINT || s == unix.SIGTERM {
			interrupts++
		}
		if interrupts >= killAfter {
			m.kill()
			continue
		}
		if n, ok := s.(syscall.Signal); ok {
			_ = m.orders.write(frameSignal, []byte{byte(n)})
		}
	}
}

// sendInput hands the input, nil for this process's, to the guest until it ends.
func (m *machine) sendInput(from io.Reader) {
	if from == nil {
		from = os.Stdin
	}
	_, _ = io.Copy(struct{ io.Writer }{m.input.stream(frameInput)}, struct{ io.Reader }{from})
	_ = m.input.write(frameInput, nil)
}

// receive prints what the program prints, as it comes, until its exit status.
func (m *machine) receive(g Guest) (int, error) {
	stdout, stderr := g.outputs()
	for {
		kind, payload, err := readFrame(m.results)
		if hung := m.hung(); hung != nil {
			return 0, fmt.Errorf("run in guest: %w", hung)
		}
		if err != nil {
			m.kill()
			return 0, fmt.Errorf("run in guest: the guest ended before the program; its console "+
				"ends with:\n%s", m.console.last(20))
		}
		switch kind {
		case frameBeat:
			if at, ok := m.beat(payload); ok && g.Beat != nil {
				g.Beat(at)
			}
		case frameOutput:
			_, err = stdout.Write(payload)
		case frameErrors:
			_, err = stderr.Write(payload)
		case frameBroken:
			return 0, fmt.Errorf("run in guest: %s", payload)
		case frameExit: // it has synced its files; nothing is left to wait for
			if len(payload) != 1 {
				return 0, errors.New("run in guest: the exit status is malformed")
			}
			return int(payload[0]), nil
		}
		if errors.Is(err, unix.EPIPE) {
			_ = m.orders.write(frameSignal, []byte{byte(unix.SIGPIPE)})
		}
	}
}
