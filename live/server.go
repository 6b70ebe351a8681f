package live

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// requestLimit is how long a client may take to say what it wants.
const requestLimit = 10 * time.Second

// goodbyeLimit is how long a client may take to hear the end of what it asked for, when that is
// over before it would be.
const goodbyeLimit = 3 * time.Second

// Server answers the requests of clients on behalf of a lab.
type Server struct {
	Lab Lab
	// Close takes the lab down. Serve calls it once, at its end.
	Close func() error
}

// Serve answers what comes by a listener until the context ends or a client asks for the lab to be
// taken down. Then it closes the listener, ends what is going on, takes the lab down and returns
// how that went.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var calls sync.WaitGroup
	var mu sync.Mutex
	var last []*call // that wait for the lab to be down
	for {
		conn, err := l.Accept()
		if err != nil {
			break // the listener is closed, or what it listens to is gone
		}
		calls.Go(func() {
			c := newCall(conn)
			if c.answer(ctx, s.Lab) {
				mu.Lock()
				last = append(last, c)
				mu.Unlock()
				end()
			}
		})
	}
	end()
	calls.Wait()
	err := s.Close()
	for _, c := range last {
		c.finish(nil, err)
	}
	return err
}

// call is one request and its connection.
type call struct {
	*line
	input   *inputQueue
	control chan Control
}

func newCall(conn net.Conn) *call {
	c := &call{line: newLine(conn), control: make(chan Control, 16)}
	c.input = newInputQueue(func(n int) { _ = c.say(message{Taken: n}) }) // else the client is gone
	return c
}

// answer hears a request, does what it says and hangs up. It returns true for one that the lab be
// taken down: that is left to be finished when it is.
func (c *call) answer(ctx context.Context, l Lab) (down bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Who says nothing, or does not hear, does not keep the lab from being taken down.
	hangUp := context.AfterFunc(ctx, func() {
		c.conn.SetReadDeadline(time.Unix(1, 0))
		c.conn.SetWriteDeadline(time.Now().Add(goodbyeLimit))
	})
	defer hangUp()
	limit := time.AfterFunc(requestLimit, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
	var r request
	err := c.hear(&r)
	if !limit.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err == nil && r.Version != ProtocolVersion {
		err = failure(Usage, "the lab speaks version %d of its protocol and was asked in version %d: "+
			"use the same tandem that brought it up", ProtocolVersion, r.Version)
	}
	if err != nil {
		c.finish(nil, err)
		return false
	}
	if r.Verb == verbDown {
		return true
	}
	var listening sync.WaitGroup
	listening.Go(func() { c.listen(cancel) })
	result, err := c.do(ctx, l, r)
	c.finish(result, err)
	listening.Wait()
	return false
}

// finish says the end, and hangs up.
func (c *call) finish(result any, err error) {
	var m message
	if err == nil {
		m.Result, err = json.Marshal(result)
	}
	if err != nil {
		m = message{Failure: &Failure{Failed, err.Error()}}
		_ = errors.As(err, &m.Failure)
	}
	_ = c.say(m) // a client that is gone wants no answer
	c.conn.Close()
}

// listen takes what the client says while its request is carried out, until it hangs up, or says
// what it may not.
func (c *call) listen(hangUp func()) {
	defer hangUp()
	defer c.input.end(io.ErrUnexpectedEOF)
	for {
		var m message
		if err := c.hear(&m); err != nil {
			return
		}
		switch {
		case m.InputEnd:
			c.input.end(io.EOF)
		case len(m.Input) > 0:
			if !c.input.add(m.Input) {
				return
			}
		case m.Signal != 0 || m.Window != nil:
			select {
			case c.control <- Control{unix.Signal(m.Signal), m.Window}:
			default: // nobody listens to any
			}
		}
	}
}

// do carries out a request.
func (c *call) do(ctx context.Context, l Lab, r request) (any, error) {
	s := Streams{
		Input: c.input, Control: c.control,
		Output:  stream{c.line, func(b []byte) message { return message{Output: b} }},
		Errors:  stream{c.line, func(b []byte) message { return message{Errors: b} }},
		Started: func() { _ = c.say(message{Started: true}) },
	}
	switch r.Verb {
	case verbStatus:
		return l.Status(ctx)
	case verbExec:
		return with(r, func(e ExecRequest) (int, error) { return l.Exec(ctx, e, s) })
	case verbLog:
		return with(r, func(g LogRequest) ([]string, error) { return l.Log(ctx, g) })
	case verbCapture:
		return with(r, func(q CaptureRequest) (Captured, error) { return l.Capture(ctx, q, s) })
	case verbInject:
		return with(r, func(i InjectRequest) (Fault, error) { return l.Inject(ctx, i) })
	case verbHeal:
		return with(r, func(h HealRequest) ([]Fault, error) { return l.Heal(ctx, h) })
	}
	return nil, failure(Usage, "the lab was asked to %q, which it cannot", r.Verb)
}

// with reads the request proper and does what it asks for.
func with[R, A any](r request, do func(R) (A, error)) (any, error) {
	var w R
	if err := json.Unmarshal(r.With, &w); err != nil {
		return nil, failure(Usage, "read request to %s: %v", r.Verb, err)
	}
	return do(w)
}

// inputQueue is input that has come and that nobody has taken yet. It is a Reader for one
// goroutine.
type inputQueue struct {
	taken func(n int)

	mu    sync.Mutex
	news  chan struct{} // closed at the next change
	bytes []byte
	err   error
}

func newInputQueue(taken func(n int)) *inputQueue {
	return &inputQueue{taken: taken, news: make(chan struct{})}
}

// add appends input; false: there is too much, or the end has been.
func (q *inputQueue) add(b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || len(q.bytes)+len(b) > inputAhead+chunk {
		return false
	}
	q.bytes = append(q.bytes, b...)
	q.tell()
	return true
}

// end ends the input with an error, once what has come is taken. Only the first one counts.
func (q *inputQueue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		q.tell()
	}
}

func (q *inputQueue) tell() {
	close(q.news)
	q.news = make(chan struct{})
}

// Read waits for input.
func (q *inputQueue) Read(b []byte) (int, error) {
	for {
		q.mu.Lock()
		n := copy(b, q.bytes)
		q.bytes = q.bytes[n:]
		err, news := q.err, q.news
		q.mu.Unlock()
		switch {
		case n > 0:
			q.taken(n)
			return n, nil
		case err != nil:
			return 0, err
		}
		<-news
	}
}
