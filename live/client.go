package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// Remote is a lab in another process. The zero Remote is none.
type Remote struct {
	// Name is the lab's.
	Name string
	dial func(ctx context.Context) (net.Conn, error)
}

// NewRemote returns the lab of that name that answers on connections which dial makes, one for each
// request.
func NewRemote(name string, dial func(ctx context.Context) (net.Conn, error)) Remote {
	return Remote{name, dial}
}

// Status implements Lab.
func (r Remote) Status(ctx context.Context) (Status, error) {
	return ask[Status](ctx, r, verbStatus, nil, Streams{})
}

// Exec implements Lab.
func (r Remote) Exec(ctx context.Context, e ExecRequest, s Streams) (int, error) {
	return ask[int](ctx, r, verbExec, e, s)
}

// Log implements Lab.
func (r Remote) Log(ctx context.Context, g LogRequest) ([]string, error) {
	return ask[[]string](ctx, r, verbLog, g, Streams{})
}

// Capture implements Lab.
func (r Remote) Capture(ctx context.Context, q CaptureRequest, s Streams) (Captured, error) {
	return ask[Captured](ctx, r, verbCapture, q, s)
}

// Inject implements Lab.
func (r Remote) Inject(ctx context.Context, i InjectRequest) (Fault, error) {
	return ask[Fault](ctx, r, verbInject, i, Streams{})
}

// Heal implements Lab.
func (r Remote) Heal(ctx context.Context, h HealRequest) ([]Fault, error) {
	return ask[[]Fault](ctx, r, verbHeal, h, Streams{})
}

// Down takes the lab down and returns when nothing of it is left but its keeper, which is about to
// end.
func (r Remote) Down(ctx context.Context) error {
	_, err := ask[any](ctx, r, verbDown, nil, Streams{})
	return err
}

// errHungUp is what comes of a request in the middle of whose answer the lab ends.
var errHungUp = errors.New("the lab has ended")

// ask makes one request and follows it to its end.
func ask[A any](ctx context.Context, r Remote, v verb, with any, s Streams) (A, error) {
	var answer A
	result, err := r.converse(ctx, v, with, s)
	if err == nil {
		err = json.Unmarshal(result, &answer)
	}
	var f *Failure
	if err != nil && !errors.As(err, &f) {
		err = fmt.Errorf("ask lab %s to %s: %w", r.Name, v, err)
	}
	return answer, err
}

func (r Remote) converse(
	ctx context.Context, v verb, with any, s Streams,
) (json.RawMessage, error) {
	q := request{Version: ProtocolVersion, Verb: v}
	if with != nil {
		var err error
		if q.With, err = json.Marshal(with); err != nil {
			return nil, err
		}
	}
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { conn.Close() })
	defer hangUp()
	l := newLine(conn)
	if err := l.say(q); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	defer close(done)
	credit := newCredit()
	defer credit.close()
	if s.Input != nil {
		go l.sendInput(s.Input, credit)
	}
	if s.Control != nil {
		go l.sendControl(s.Control, done)
	}
	result, err := l.receive(s, credit)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return result, err
}

// receive takes what the lab says until the end.
func (l *line) receive(s Streams, credit *credit) (json.RawMessage, error) {
	for {
		var m message
		err := l.hear(&m)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return nil, errHungUp
		}
		if err != nil {
			return nil, err
		}
		switch {
		case m.Failure != nil:
			return nil, m.Failure
		case m.Result != nil:
			return m.Result, nil
		case m.Started && s.Started != nil:
			s.Started()
		case m.Taken > 0:
			credit.add(m.Taken)
		case len(m.Output) > 0 && s.Output != nil:
			_, err = s.Output.Write(m.Output)
		case len(m.Errors) > 0 && s.Errors != nil:
			_, err = s.Errors.Write(m.Errors)
		}
		if err != nil {
			return nil, err
		}
	}
}

// sendInput sends input to its end, no more ahead of the program than it may.
func (l *line) sendInput(input io.Reader, credit *credit) {
	b := make([]byte, chunk)
	for credit.await(len(b)) {
		n, err := input.Read(b)
		if n > 0 {
			credit.add(-n)
			if l.say(message{Input: b[:n]}) != nil {
				return // the other direction says why
			}
		}
		if err != nil {
			_ = l.say(message{InputEnd: true})
			return
		}
	}
}

// sendControl sends signals and sizes until done.
func (l *line) sendControl(control <-chan Control, done <-chan struct{}) {
	for {
		select {
		case c := <-control:
			_ = l.say(message{Signal: int(c.Signal), Window: c.Window})
		case <-done:
			return
		}
	}
}

// credit is how many bytes of input may be sent.
type credit struct {
	mu     sync.Mutex
	more   *sync.Cond
	left   int
	closed bool
}

func newCredit() *credit {
	c := &credit{left: inputAhead}
	c.more = sync.NewCond(&c.mu)
	return c
}

func (c *credit) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left += n
	c.more.Broadcast()
}

func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.more.Broadcast()
}

// await waits until n bytes may be sent; false: none will be any more.
func (c *credit) await(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.left < n && !c.closed {
		c.more.Wait()
	}
	return !c.closed
}
