// Package notify tells the world of transitions: by scripts, named pipes and mail. It never makes
// the one who tells it wait, keeps the order of events, and drops nothing without counting it and
// saying so. It decides nothing and knows nothing of VRRP but the words.
package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// Bounds of what waits. What comes when a queue is full pushes out the oldest, so that the last
// state is always told.
const (
	maxRuns  = 64   // of the scripts of one subject
	maxLines = 4096 // of one FIFO, beside the 64 KiB that the kernel keeps
	maxMails = 1024
	maxLogs  = 256
)

// Defaults of Options.
const (
	// DefaultScripts is how many scripts run at once.
	DefaultScripts = 64
	// DefaultPatience is how long a script may hold up another one.
	DefaultPatience = time.Minute
	// DefaultDrain bounds the end of Run.
	DefaultDrain = 5 * time.Second
)

// Options are what a Notifier needs from outside. Its zero value tells FIFOs without scripts and
// sends mail.
type Options struct {
	// Run runs a script with args after its own and env added to its environment, until it has
	// ended or ctx has, and then ends it. Nil makes a Config with scripts an error.
	Run func(ctx context.Context, s Script, args, env []string) error
	// Dial connects to a mail server; nil is a net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log gets one line for what fails, is dropped or recovers. Nil means none. A log that is too
	// slow loses lines, which are counted, and holds up nobody.
	Log *slog.Logger
	// Seq is the number of the last event of an earlier process; events begin after it.
	Seq uint64
	// Scripts is how many scripts run at once; 0 is DefaultScripts.
	Scripts int
	// Patience is how long a script may go on once another one needs its place: the next one of its
	// subject, or any when all places are taken. Else it may run for ever. 0 is DefaultPatience.
	Patience time.Duration
	// Drain is how long Run, once its context has ended, goes on to deliver what waits; 0 is
	// DefaultDrain.
	Drain time.Duration
}

// Notifier delivers events.
type Notifier struct {
	options Options

	mu      sync.Mutex
	seq     uint64
	ended   bool // Run has returned
	config  Config
	scripts scripts
	pipes   map[string]*pipe // of config, by path
	begun   []*pipe          // new ones, which Run has not seen
	mail    mailer

	// wake says that there are new pipes, logs are lines for the log.
	wake     chan struct{}
	logs     chan func()
	lostLogs uint64
}

// New returns a Notifier that tells nobody before Configure, and delivers nothing before Run.
func New(options Options) *Notifier {
	if options.Dial == nil {
		options.Dial = new(net.Dialer).DialContext
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Scripts == 0 {
		options.Scripts = DefaultScripts
	}
	if options.Patience == 0 {
		options.Patience = DefaultPatience
	}
	if options.Drain == 0 {
		options.Drain = DefaultDrain
	}
	return &Notifier{
		options: options,
		seq:     options.Seq,
		scripts: newScripts(),
		pipes:   make(map[string]*pipe),
		mail:    newMailer(),
		wake:    make(chan struct{}, 1),
		logs:    make(chan func(), maxLogs),
	}
}

// Configure says who is told from now on, all of it; c is not to be changed afterwards. What waits
// already goes where it was to go. A FIFO with the path of one before keeps its lines and its
// reader, unless that is another command; no script is run. An error names everything that cannot
// be, and then nothing changes. It may be called at any time, before and during Run.
func (n *Notifier) Configure(c Config) error {
	if err := c.validate(n.options.Run != nil); err != nil {
		return fmt.Errorf("configure notifications: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.config = c
	n.mail.forget(&c)
	n.scripts.failing.forget(&c)
	pipes := make(map[string]*pipe)
	for _, f := range c.FIFOs {
		p := n.pipes[f.Path]
		if p == nil {
			p = newPipe(n, f)
			n.begun = append(n.begun, p)
		} else {
			p.set(f)
		}
		pipes[f.Path] = p
	}
	for path, p := range n.pipes {
		if pipes[path] == nil {
			close(p.removed)
		}
	}
	n.pipes = pipes
	wake(n.wake)
	return nil
}

// Tell takes in an event, numbers it, and returns the number. It never waits, for whatever is slow
// or full. It may be called at any time, from any goroutine; what is told after the end of Run is
// dropped.
func (n *Notifier) Tell(e Event) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seq++
	e.Seq = n.seq
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if !e.Again {
		rules := n.config.rulesFor(&e)
		n.tellScripts(&e, &rules)
		if n.config.mails(&e, &rules) {
			n.tellMail(e)
		}
	}
	for _, p := range n.pipes {
		if p.fifo.wants(e.Kind) {
			p.tell(&e)
		}
	}
	return e.Seq
}

// Stats returns where things stand. It may be called at any time.
func (n *Notifier) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := Stats{
		Seq:      n.seq,
		Scripts:  n.scripts.counts,
		Running:  len(n.scripts.running),
		Mail:     n.mail.queue.counts(),
		LostLogs: n.lostLogs,
		Failing:  n.scripts.failing.list(),
	}
	for _, l := range n.scripts.lanes {
		s.Scripts.Waiting += len(l.waiting)
	}
	for _, f := range n.config.FIFOs {
		s.FIFOs = append(s.FIFOs, n.pipes[f.Path].stats(time.Now()))
	}
	return s
}

// Run delivers until ctx ends, and then what still waits, for at most Options.Drain; scripts that
// run even then are ended, which takes what Options.Run takes, as is a FIFO's reader once it has
// read everything. It returns when all have ended, with what was left, or nil; only a log that is
// stuck is left behind, after another Options.Drain. It is called once.
func (n *Notifier) Run(ctx context.Context) error {
	hard, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(n.options.Drain, func() { cut(errEnd) })
		context.AfterFunc(hard, func() { timer.Stop() })
	})
	defer stop()
	logged := make(chan struct{})
	go n.log(logged)
	var tasks sync.WaitGroup
	tasks.Go(func() { n.runScripts(ctx, hard) })
	tasks.Go(func() { n.runMail(ctx, hard) })
	n.runPipes(ctx, hard, &tasks)
	tasks.Wait()
	err := n.leftover()
	close(n.logs)
	select {
	case <-logged:
	case <-time.After(n.options.Drain):
		err = errors.Join(err, errors.New("the log takes no lines"))
	}
	if err != nil {
		return fmt.Errorf("end notifications: %w", err)
	}
	return nil
}

// log writes the log, which may be slow.
func (n *Notifier) log(done chan<- struct{}) {
	defer close(done)
	for write := range n.logs {
		write()
	}
}

// warn has a line logged, and never waits for it. n.mu is held.
func (n *Notifier) warn(text string, args ...any) {
	if n.ended {
		return
	}
	select {
	case n.logs <- func() { n.options.Log.Warn(text, args...) }:
	default:
		n.lostLogs++
	}
}

// runPipes runs each pipe, also those that come later, until ctx ends.
func (n *Notifier) runPipes(ctx, hard context.Context, tasks *sync.WaitGroup) {
	last := make(map[string]*pipe) // the latest pipe at each path
	for ending := false; ; {
		n.mu.Lock()
		begun := n.begun
		n.begun = nil
		n.mu.Unlock()
		for _, p := range begun {
			before := last[p.path]
			last[p.path] = p
			tasks.Go(func() {
				if before != nil {
					<-before.done // no two readers, and no two owners of one file
				}
				p.run(ctx, hard)
			})
		}
		if ending {
			return
		}
		select {
		case <-ctx.Done():
			ending = true
		case <-n.wake:
		}
	}
}

// leftover ends n for good, counts what is left as dropped, and returns an error that says so.
func (n *Notifier) leftover() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	var errs []error
	left := func(count int, what string) {
		if count > 0 {
			errs = append(errs, fmt.Errorf("%d %s not delivered", count, what))
		}
	}
	runs := 0
	for _, l := range n.scripts.lanes {
		runs += len(l.waiting)
	}
	n.scripts.counts.leave(now, runs)
	clear(n.scripts.lanes)
	left(runs, "scripts")
	left(n.mail.queue.drain(now), "mails")
	for _, path := range slices.Sorted(maps.Keys(n.pipes)) {
		p := n.pipes[path]
		left(p.left+p.queue.drain(now), "lines of "+path)
	}
	n.ended = true
	return errors.Join(errs...)
}

// wake sends to a channel that has room for one, unless that is taken.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
