package guard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Network is how the guard speaks for a worker that cannot. It is called by one goroutine, and
// must not wait.
type Network interface {
	// Advertise sends the claim's advert as its worker would, Resign that of priority 0.
	Advertise(c Claim) error
	Resign(c Claim) error
	// Listen calls heard for each advert of another master of the claim's virtual router until
	// stop is called, which waits for the last call.
	Listen(c Claim, heard func()) (stop func(), err error)
	// Withdraw takes what the claim holds off the network. What is not there is no error.
	Withdraw(c Claim) error
}

// Options are what Run is told.
type Options struct {
	// Command returns a command that has not been started: the worker, which has to Attach. Its
	// ExtraFiles and SysProcAttr are the guard's.
	Command func() *exec.Cmd
	// Network speaks for dead workers.
	Network Network
	// Signals are handed on to the worker, which has to take them before it writes anything down;
	// nil means none.
	Signals <-chan os.Signal
	// Save is called with all claims when they have changed, by a goroutine of its own, and with
	// none at the end; nil means nobody wants to know.
	Save func([]Claim)
	// Supervise is told the states of sd_notify(3) that the worker tells, and WATCHDOG=1 as often
	// as it beats; nil means nobody wants to know.
	Supervise func(state string)
	// Log gets a line for each thing that the guard does; nil means slog.Default. It must not
	// wait.
	Log *slog.Logger
}

// Run runs a worker, and another one in its place when it dies, until ctx ends or the first worker
// cannot start. It returns the worker's exit status. The calling goroutine must be the main one:
// the kernel tells the worker of the end of its guard when the thread that started it ends. It does
// nothing but start workers: to wake that thread for each beat would cost as much as the beat.
func Run(ctx context.Context, o Options) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	g := guard{
		options: o, log: o.Log, events: make(chan any, 64),
		notes: map[string]json.RawMessage{}, listening: map[string]func(){},
		done: make(chan struct{}), launches: make(chan func()),
	}
	saved := g.saver()
	go g.run(ctx)
	for launch := range g.launches {
		launch()
	}
	for _, stop := range g.listening {
		stop()
	}
	close(g.done)
	g.tasks.Wait()
	saved()
	return g.status
}

// run does everything else, and then ends launches.
func (g *guard) run(ctx context.Context) {
	defer close(g.launches)
	g.step(Begin{})
	for !g.over {
		g.turn(ctx)
	}
}

// guard drives a Machine.
type guard struct {
	options Options
	log     *slog.Logger
	machine Machine
	worker  *worker // the last one; nil before the first
	events  chan any
	notes   map[string]json.RawMessage
	// listening are the stops of what is listened for.
	listening map[string]func()
	save      chan struct{} // has room for one: the claims have changed
	unsaved   bool          // they have, since they were last put into claims
	mu        sync.Mutex
	claims    []Claim // as last saved

	launches chan func() // what the main thread is to do

	tasks  sync.WaitGroup
	done   chan struct{}
	over   bool
	status int
}

// worker is a process.
type worker struct {
	cmd *exec.Cmd
	// listens is that it has said something, and so takes signals; waiting are those until then.
	listens bool
	waiting []os.Signal
}

// turn waits for one thing, and has it decided on.
func (g *guard) turn(ctx context.Context) {
	ending := ctx.Done()
	if ctx.Err() != nil {
		if ending = nil; !g.machine.exits {
			g.step(Stop{})
			return
		}
	}
	if len(g.events) == 0 {
		g.publish()
	}
	var due <-chan time.Time
	if d := g.machine.Deadline(); !d.IsZero() {
		timer := time.NewTimer(time.Until(d))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case ev := <-g.events:
		g.handle(ev)
	case s := <-g.options.Signals:
		g.signal(s)
	case <-ending:
	case <-due:
		g.drain()
		g.step(Timeout{})
	}
}

// drain handles what has come before a timer is believed.
func (g *guard) drain() {
	for {
		select {
		case ev := <-g.events:
			g.handle(ev)
		default:
			return
		}
	}
}

// from is what a worker has said; one that has been replaced is not listened to.
type from struct {
	worker *worker
	message
}

// gone is the end of a worker.
type gone struct {
	worker *worker
	Ended
}

func (g *guard) handle(ev any) {
	switch ev := ev.(type) {
	case from:
		if ev.worker == g.worker {
			g.said(ev.message)
		}
	case gone:
		if ev.worker == g.worker {
			g.step(ev.Ended)
		}
	case Heard:
		g.step(ev)
	}
}

// said takes what the worker says.
func (g *guard) said(m message) {
	if !g.worker.listens {
		g.worker.listens = true
		for _, s := range g.worker.waiting {
			g.signal(s)
		}
	}
	switch {
	case m.Claim != nil:
		g.step(Claimed{*m.Claim})
		g.changed()
	case m.Release != "":
		g.step(Released{m.Release})
		g.changed()
	case m.Note != nil && string(m.Note.Value) == "null":
		delete(g.notes, m.Note.Key)
	case m.Note != nil:
		g.notes[m.Note.Key] = m.Note.Value
	case m.Ready:
		g.step(Ready{})
		g.changed()
	case m.Beat:
		g.step(Beat{})
		g.supervise("WATCHDOG=1")
	case m.Supervise != "":
		g.supervise(m.Supervise)
	}
}

func (g *guard) supervise(state string) {
	if g.options.Supervise != nil {
		g.options.Supervise(state)
	}
}

// signal hands a signal on, once the worker has said something: before that, the signal may be the
// end of it.
func (g *guard) signal(s os.Signal) {
	if !g.worker.listens {
		g.worker.waiting = append(g.worker.waiting, s)
		return
	}
	if err := g.worker.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		g.log.Warn("worker did not get signal", "signal", s.String(), "err", err)
	}
}

func (g *guard) step(ev Event) {
	for _, a := range g.machine.Step(time.Now(), ev) {
		if err := g.perform(a); err != nil {
			g.log.Warn("guard could not act", "action", a.String(), "err", err)
		}
	}
}

// perform does one action.
func (g *guard) perform(a Action) error {
	switch a := a.(type) {
	case Start:
		return g.start(a.Resume)
	case Inspect:
		stopped, err := isStopped(g.worker.cmd.Process.Pid)
		g.step(Inspected{stopped})
		return err
	case Kill:
		return g.worker.cmd.Process.Kill()
	case Terminate:
		return g.worker.cmd.Process.Signal(unix.SIGTERM)
	case Advertise:
		return g.options.Network.Advertise(a.Claim)
	case Resign:
		return g.options.Network.Resign(a.Claim)
	case Listen:
		return g.listen(a.Claim)
	case Withdraw:
		if stop := g.listening[a.Claim.Name]; stop != nil {
			stop()
			delete(g.listening, a.Claim.Name)
		}
		g.changed()
		return g.options.Network.Withdraw(a.Claim)
	case Exit:
		g.over, g.status = true, a.Status
	case Tell:
		g.tell(a)
	}
	return nil
}

func (g *guard) tell(a Tell) {
	var args []any
	if a.Status != 0 {
		args = append(args, "status", a.Status)
	}
	if a.After != 0 {
		args = append(args, "after", a.After)
	}
	g.log.Warn(a.Text, args...)
}

func (g *guard) listen(c Claim) error {
	stop, err := g.options.Network.Listen(c, func() {
		select {
		case g.events <- Heard{c.Name}:
		default: // the next advert will do
		}
	})
	if err == nil {
		g.listening[c.Name] = stop
	}
	return err
}

// start starts a worker. One that cannot be started has ended with the status of a shell's.
func (g *guard) start(resume bool) error {
	w := &worker{cmd: g.options.Command()}
	if g.worker != nil && !g.worker.listens {
		w.waiting = g.worker.waiting // what it did not live to hear
	}
	g.worker = w
	ours, err := g.launch(w)
	if err != nil {
		const cannotExecute = 126
		g.tasks.Go(func() { g.send(gone{w, Ended{Status: cannotExecute}}) })
		return fmt.Errorf("start worker: %w", err)
	}
	if !resume {
		clear(g.notes)
	}
	inherit := Inheritance{Resume: resume}
	if resume {
		inherit.Notes = make(map[string]json.RawMessage, len(g.notes))
		for key, value := range g.notes {
			inherit.Notes[key] = value
		}
		inherit.Claims = g.machine.Claims()
	}
	g.tasks.Go(func() {
		// A worker that does not read is one that has ended, which follow finds.
		_ = json.NewEncoder(ours).Encode(message{Inherit: &inherit})
	})
	g.tasks.Go(func() { g.follow(w, ours) })
	return nil
}

// launch starts the process with its end of a connection, and returns the guard's.
func (g *guard) launch(w *worker) (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "worker"), os.NewFile(uintptr(pair[1]), "guard")
	defer theirs.Close()
	w.cmd.ExtraFiles = []*os.File{theirs}
	w.cmd.Env = append(w.cmd.Environ(), workerKey+"=1")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM, Setpgid: true}
	started := make(chan error)
	g.launches <- func() { started <- w.cmd.Start() }
	if err := <-started; err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return ours, nil
}

// follow reads what a worker says until its end, and then tells that.
func (g *guard) follow(w *worker, conn *os.File) {
	in := json.NewDecoder(bufio.NewReader(quietly{conn}))
	for {
		var m message
		err := in.Decode(&m)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
				g.log.Warn("worker cannot be understood", "err", err)
			}
			break
		}
		g.send(from{w, m})
	}
	_ = w.cmd.Wait() // its error is in the state
	_ = conn.Close()
	g.send(gone{w, endOf(w.cmd.ProcessState)})
}

// send hands an event over, unless the guard has ended.
func (g *guard) send(ev any) {
	select {
	case g.events <- ev:
	case <-g.done:
	}
}

// isStopped says whether somebody has stopped a process, by a signal or by tracing it
// (proc_pid_stat(5), state).
func isStopped(pid int) (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false, fmt.Errorf("inspect worker: %w", err)
	}
	state := bytes.TrimLeft(stat[bytes.LastIndexByte(stat, ')')+1:], " ")
	return len(state) > 0 && (state[0] == 'T' || state[0] == 't'), nil
}

// endOf is what a process's state says, with the status as shells count.
func endOf(s *os.ProcessState) Ended {
	status, ok := s.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return Ended{Status: 128 + int(status.Signal()), Signaled: true}
	}
	return Ended{Status: s.ExitCode()}
}

// changed has the claims saved, once for all changes that come together.
func (g *guard) changed() { g.unsaved = g.save != nil }

// publish has the claims saved as they are, if they have changed.
func (g *guard) publish() {
	if !g.unsaved {
		return
	}
	g.unsaved = false
	g.mu.Lock()
	g.claims = g.machine.Claims()
	g.mu.Unlock()
	select {
	case g.save <- struct{}{}:
	default:
	}
}

// saver begins to save claims as they change, and returns what ends that, after a last time.
func (g *guard) saver() func() {
	if g.options.Save == nil {
		return func() {}
	}
	g.save = make(chan struct{}, 1)
	var saving sync.WaitGroup
	saving.Go(func() {
		for range g.save {
			g.mu.Lock()
			claims := g.claims
			g.mu.Unlock()
			g.options.Save(claims)
		}
		g.options.Save(nil)
	})
	return func() {
		close(g.save)
		saving.Wait()
	}
}
