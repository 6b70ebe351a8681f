package guard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// descriptor is the worker's end of the connection, the first after the standard three.
const descriptor = 3

// workerKey marks a worker in its environment.
const workerKey = "TANDEMD_WORKER"

// IsWorker says whether this process was started by a guard.
func IsWorker() bool { return os.Getenv(workerKey) != "" }

// Ledger is the worker's end: it has the guard write down what the worker claims. None of its
// methods but Attach and Close waits for the guard. A nil Ledger is a worker without a guard: what
// it is told goes nowhere.
type Ledger struct {
	conn      *os.File
	inherited Inheritance
	lost      chan struct{}

	mu      sync.Mutex
	queue   []message
	beating bool // a beat waits in queue
	closed  bool
	wake    chan struct{} // has room for one
	written chan struct{} // closed when the writer has ended
}

// Attach connects a worker with its guard. It returns nil, and no error, in a process that no guard
// has started. Call it once, before other processes are started.
func Attach() (*Ledger, error) {
	if !IsWorker() {
		return nil, nil
	}
	if err := os.Unsetenv(workerKey); err != nil {
		return nil, fmt.Errorf("attach to guard: %w", err)
	}
	syscall.CloseOnExec(descriptor)
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		return nil, fmt.Errorf("attach to guard: %w", err)
	}
	l, err := attach(os.NewFile(descriptor, "guard"))
	if err != nil {
		return nil, fmt.Errorf("attach to guard: %w", err)
	}
	return l, nil
}

func attach(conn *os.File) (*Ledger, error) {
	in := bufio.NewReader(conn)
	var first message
	if err := json.NewDecoder(in).Decode(&first); err != nil {
		return nil, err
	}
	if first.Inherit == nil {
		return nil, errors.New("expected what is inherited at first")
	}
	l := &Ledger{
		conn: conn, inherited: *first.Inherit, lost: make(chan struct{}),
		wake: make(chan struct{}, 1), written: make(chan struct{}),
	}
	go func() {
		defer close(l.lost)
		_, _ = io.Copy(io.Discard, in) // ends with the guard, however
	}()
	go l.write()
	return l, nil
}

// Inherited returns what the worker before this one left.
func (l *Ledger) Inherited() Inheritance {
	if l == nil {
		return Inheritance{}
	}
	return l.inherited
}

// Lost returns a channel that is closed when the guard is gone; nil for a nil Ledger.
func (l *Ledger) Lost() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.lost
}

// Claim writes down a claim, or what it is now.
func (l *Ledger) Claim(c Claim) { l.put(message{Claim: &c}) }

// Release strikes a claim out.
func (l *Ledger) Release(name string) { l.put(message{Release: name}) }

// Note writes down a value for the next worker, in place of that of the same key. A nil value
// strikes it out. It has to be marshallable.
func (l *Ledger) Note(key string, value any) error {
	if l == nil {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("note %s: %w", key, err)
	}
	l.put(message{Note: &note{key, raw}})
	return nil
}

// Ready tells that everything has begun: inherited claims that are not claimed by now never will
// be.
func (l *Ledger) Ready() { l.put(message{Ready: true}) }

// Supervise has the guard tell its supervisor a state, as sd_notify(3) does.
func (l *Ledger) Supervise(state string) { l.put(message{Supervise: state}) }

// Beat tells that the worker works; see SilenceFor for how often it has to.
func (l *Ledger) Beat() { l.put(message{Beat: true}) }

// Close sends what waits and closes the connection. The guard takes it for the end of the worker,
// which has to follow.
func (l *Ledger) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.rouse()
	<-l.written
	err := l.conn.Close()
	<-l.lost
	return err
}

func (l *Ledger) put(m message) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if !m.Beat || !l.beating { // one beat is as good as many
		l.queue = append(l.queue, m)
		l.beating = l.beating || m.Beat
	}
	l.mu.Unlock()
	l.rouse()
}

func (l *Ledger) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write sends what is in the queue until Close, or until the guard is gone.
func (l *Ledger) write() {
	defer close(l.written)
	var line bytes.Buffer
	out := json.NewEncoder(&line)
	for {
		select {
		case <-l.wake:
		case <-l.lost:
			return
		}
		l.mu.Lock()
		queue, closed := l.queue, l.closed
		l.queue, l.beating = nil, false
		l.mu.Unlock()
		for _, m := range queue {
			line.Reset()
			if out.Encode(m) != nil || send(l.conn, line.Bytes()) != nil {
				return // the guard is gone, which Lost tells
			}
		}
		if closed {
			return
		}
	}
}
