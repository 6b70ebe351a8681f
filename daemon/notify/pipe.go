package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// firstRetry and lastRetry are the waits before a pipe is opened, or its reader started, again;
	// they double.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// readerGrace is how long a reader that has read everything may take to end by itself.
	readerGrace = time.Second
	// emptyCheck is how often the end looks whether the reader has read everything.
	emptyCheck = 20 * time.Millisecond
)

// pipe writes the lines of one FIFO, and has them read if it has a script for that. A pipe without
// a reader fills; then lines wait in the queue.
type pipe struct {
	n       *Notifier
	removed chan struct{} // closed when Config has it no more
	done    chan struct{} // closed when run has returned
	changed chan struct{} // fifo.Script is another one
	path    string

	// Under Notifier.mu:
	fifo     FIFO
	left     int // lines that were not delivered when run returned
	queue    queue[fifoLine]
	open     bool
	restarts uint64
	// The reader has ended early since failingSince, the last time at diedAt because of diedOf.
	failingSince, diedAt time.Time
	diedOf               string
}

// fifoLine is a line with the event that it tells of.
type fifoLine struct {
	text string
	seq  uint64
	at   time.Time
}

func newPipe(n *Notifier, f FIFO) *pipe {
	return &pipe{
		n:       n,
		path:    f.Path,
		fifo:    f,
		queue:   newQueue[fifoLine](maxLines),
		removed: make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}, 1),
	}
}

// set changes everything but the path. n.mu is held.
func (p *pipe) set(f FIFO) {
	if !p.fifo.Script.same(f.Script) {
		wake(p.changed)
	}
	p.fifo = f
	wake(p.queue.wake) // the owner may be another
}

// tell queues the line of e. n.mu is held.
func (p *pipe) tell(e *Event) {
	dropped, full := p.queue.put(time.Now(), fifoLine{e.Line(), e.Seq, e.Time})
	if full && loud(p.queue.dropping) {
		p.n.warn("fifo line dropped", "fifo", p.path, "seq", dropped.seq, "at", dropped.at,
			"reason", "nobody reads", "count", p.queue.dropping)
	}
}

// stats returns the statistics. n.mu is held.
func (p *pipe) stats(now time.Time) FIFOStats {
	s := FIFOStats{Path: p.path, Counts: p.queue.counts(), Open: p.open, Restarts: p.restarts}
	// A reader is begun again lastRetry after its end, and well when it has been at work as long.
	if p.fifo.Script != nil && !p.diedAt.IsZero() && now.Sub(p.diedAt) < 2*lastRetry {
		s.ReaderFailing, s.ReaderError = p.failingSince, p.diedOf
	}
	return s
}

// run writes lines until ctx ends or the pipe is taken out of Config, and then until none is left
// or hard ends. At last it removes the file, if it made it.
func (p *pipe) run(ctx, hard context.Context) {
	defer close(p.done)
	hard, cut := context.WithCancel(hard)
	defer cut()
	ctx, end := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-p.removed:
			end()
		case <-ctx.Done():
		}
	})
	defer context.AfterFunc(ctx, func() { time.AfterFunc(p.n.options.Drain, cut) })()
	w := &writer{pipe: p}
	r := &reader{pipe: p, kill: hard}
	for w.ready(ctx) {
		r.start(ctx)
		if !w.write(ctx, hard) {
			break
		}
	}
	w.awaitEmpty(hard, r)
	w.close()
	r.end()
	w.remove()
	end()
	watch.Wait()
	p.giveUp()
}

// giveUp drops the lines that are left.
func (p *pipe) giveUp() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.left = p.queue.drain(time.Now())
	if p.left > 0 {
		p.n.warn("fifo lines dropped", "fifo", p.path, "reason", "left at the end", "lines", p.left)
	}
}

// fail takes down that an attempt has failed, and has it logged if it is loud: the nth in a row.
func (p *pipe) fail(text string, err error, nth uint64, count *uint64) {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	*count++
	p.queue.c.note(time.Now(), err.Error())
	if loud(nth) {
		p.n.warn(text, "fifo", p.path, "err", err, "count", nth)
	}
}

// now returns the settings.
func (p *pipe) now() FIFO {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.fifo
}

// writer has the file of a pipe.
type writer struct {
	*pipe
	file *os.File    // open for reading and writing, so that it is never without a reader
	info fs.FileInfo // of file
	made bool        // file was made here
}

// ready opens the file, at least one time and until ctx ends; then it reports false.
func (w *writer) ready(ctx context.Context) bool {
	wait := firstRetry
	for nth := uint64(1); ; nth++ {
		err := w.openFile()
		if err == nil {
			return true
		}
		w.fail("fifo cannot be opened", err, nth, &w.queue.c.Retries)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
			wait = min(2*wait, lastRetry)
		}
	}
}

// openFile opens the FIFO, which it makes if there is none.
func (w *writer) openFile() error {
	path := w.path
	err := unix.Mkfifo(path, 0o600)
	made := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make fifo %s: %w", path, err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open fifo %s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	info, err := file.Stat()
	if err == nil && info.Mode().Type() != fs.ModeNamedPipe {
		err = errors.New("expected a fifo")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open fifo %s: %w", path, err), file.Close())
	}
	w.made = made || w.made && os.SameFile(w.info, info)
	w.file, w.info = file, info
	w.mark(true)
	return nil
}

func (w *writer) mark(open bool) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.open = open
}

// write writes lines until ctx has ended and none is left, or hard has ended; then it returns
// false. It returns true when the file has to be opened anew.
func (w *writer) write(ctx, hard context.Context) bool {
	defer context.AfterFunc(hard, func() { _ = w.file.SetWriteDeadline(time.Unix(1, 0)) })()
	owner := ""
	for {
		f := w.now()
		if o := f.User + ":" + f.Group; w.made && o != owner {
			owner = o
			if err := chown(w.file, f.User, f.Group); err != nil {
				w.fail("fifo keeps its owner", err, 1, &w.queue.c.Retries)
			}
		}
		l, ok := w.take()
		switch {
		case !ok && ctx.Err() != nil:
			return false
		case !ok:
			select {
			case <-w.queue.wake:
			case <-ctx.Done():
			}
			continue
		}
		err := w.writeLine(l)
		if err == nil {
			continue
		}
		w.putBack(l)
		if hard.Err() != nil {
			return false
		}
		w.fail("fifo cannot be written to", err, 1, &w.queue.c.Retries)
		w.close()
		return ctx.Err() == nil
	}
}

func (w *writer) take() (fifoLine, bool) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	return w.queue.take()
}

func (w *writer) putBack(l fifoLine) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.queue.back(time.Now(), l)
}

// writeLine writes one line as a whole, as soon as there is room for it.
func (w *writer) writeLine(l fifoLine) error {
	if now, err := os.Lstat(w.path); err != nil || !os.SameFile(now, w.info) {
		return fmt.Errorf("write to fifo %s: somebody has removed it", w.path)
	}
	if _, err := w.file.WriteString(l.text); err != nil {
		return fmt.Errorf("write to fifo: %w", err)
	}
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.queue.c.Done++
	return nil
}

// awaitEmpty waits until a reader of ours has read everything, or hard ends.
func (w *writer) awaitEmpty(hard context.Context, r *reader) {
	for w.file != nil && r.running() && hard.Err() == nil && w.unread() > 0 {
		select {
		case <-hard.Done():
		case <-time.After(emptyCheck):
		}
	}
}

// unread returns the number of bytes that are in the pipe.
func (w *writer) unread() int {
	n := 0
	raw, err := w.file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	if err != nil {
		return 0
	}
	return n
}

// close closes the file; who has it open besides can read to its end. Lines that nobody can read
// any more are told of.
func (w *writer) close() {
	if w.file == nil {
		return
	}
	unread := w.unread()
	_ = w.file.Close()
	w.file = nil
	w.mark(false)
	if unread == 0 {
		return
	}
	flags := unix.O_WRONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOFOLLOW
	if fd, err := unix.Open(w.path, flags, 0); err == nil {
		_ = unix.Close(fd)
		return
	}
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	w.queue.c.note(time.Now(), "lines written, but not read")
	w.n.warn("fifo closed before it was read", "fifo", w.path, "bytes", unread)
}

// remove removes the file if it was made here and is still the same.
func (w *writer) remove() {
	if !w.made {
		return
	}
	path := w.path
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, w.info) {
		_ = os.Remove(path)
	}
}

// chown gives file to a user and a group, by name or number; empty ones are left as they are. A
// user without a group brings its own.
func chown(file *os.File, owner, group string) error {
	uid, gid := -1, -1
	if owner != "" {
		u, err := user.Lookup(owner)
		if err != nil {
			u, err = user.LookupId(owner)
		}
		if err != nil {
			return fmt.Errorf("change owner of fifo: user %s: %w", owner, err)
		}
		uid, _ = strconv.Atoi(u.Uid)
		gid, _ = strconv.Atoi(u.Gid)
	}
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			g, err = user.LookupGroupId(group)
		}
		if err != nil {
			return fmt.Errorf("change owner of fifo: group %s: %w", group, err)
		}
		gid, _ = strconv.Atoi(g.Gid)
	}
	if err := file.Chown(uid, gid); err != nil {
		return fmt.Errorf("change owner of fifo %s: %w", filepath.Base(file.Name()), err)
	}
	return nil
}

// reader runs the script of a pipe, never two at once.
type reader struct {
	*pipe
	kill   context.Context // ends the script
	living context.Context // while it lives the script is started again
	stop   context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	atWork bool
}

// start begins to run the script; a second call does nothing.
func (r *reader) start(ctx context.Context) {
	if r.ended != nil {
		return
	}
	r.ended = make(chan struct{})
	r.kill, r.stop = context.WithCancel(r.kill)
	r.living = ctx
	go func() {
		defer close(r.ended)
		r.run()
	}()
}

// end gives the script its time to end by itself, ends it, and returns when it has.
func (r *reader) end() {
	if r.ended == nil {
		return
	}
	defer r.stop()
	if r.running() {
		select {
		case <-r.ended:
		case <-r.kill.Done():
		case <-time.After(readerGrace):
		}
	}
	r.stop()
	<-r.ended
}

// running says whether there is a script at work.
func (r *reader) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.atWork
}

// run keeps the script that is configured at work.
func (r *reader) run() {
	for r.living.Err() == nil {
		own, end := context.WithCancel(r.kill)
		var work sync.WaitGroup
		if s := r.now().Script; s != nil {
			work.Go(func() {
				keepRunning(r.living, own, func() error { return r.once(own, s) }, r.died)
			})
		}
		select {
		case <-r.changed:
			end()
		case <-r.living.Done():
		}
		work.Wait()
		end()
	}
}

// once runs the script once.
func (r *reader) once(ctx context.Context, s *Script) error {
	r.set(true)
	defer r.set(false)
	return r.n.options.Run(ctx, *s, []string{r.path}, nil)
}

func (r *reader) set(atWork bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.atWork = atWork
}

// died takes down that the script has ended by itself.
func (r *reader) died(nth uint64, err error) {
	if err == nil {
		err = errors.New("ended")
	}
	r.note(nth, err)
	r.fail("fifo script ended; starting it again", err, nth, &r.restarts)
}

// note notes for Stats that the reader has ended early, for the nth time in a row.
func (r *reader) note(nth uint64, err error) {
	r.n.mu.Lock()
	defer r.n.mu.Unlock()
	r.diedAt, r.diedOf = time.Now(), err.Error()
	if nth == 1 {
		r.failingSince = r.diedAt
	}
}

// keepRunning runs work, again and again while living lives, ever more slowly if it ends within
// lastRetry. It returns when work has returned after the end of living or own. It tells died which
// of such early ends in a row it was.
func keepRunning(
	living, own context.Context, work func() error, died func(nth uint64, err error),
) {
	wait, nth := firstRetry, uint64(0)
	for living.Err() == nil && own.Err() == nil {
		began := time.Now()
		err := work()
		if living.Err() != nil || own.Err() != nil {
			return
		}
		if time.Since(began) >= lastRetry {
			wait, nth = firstRetry, 0
		}
		nth++
		died(nth, err)
		select {
		case <-living.Done():
		case <-own.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}
