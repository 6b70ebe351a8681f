package probe

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// streamsRoleName is the name of the role of held streams.
const streamsRoleName = "streams"

// The defaults of StreamsConfig.
const (
	DefaultTick        = time.Second
	DefaultStreamLimit = 20 * time.Second
)

// StreamsConfig says what connections a client holds.
type StreamsConfig struct {
	// Target is the address and port of HTTP servers that keep connections.
	Target netip.AddrPort
	// Count is how many are opened at first and held to the end.
	Count int
	// Tick is the time between two requests on each; 0: DefaultTick. Those of different streams are
	// spread over it.
	Tick time.Duration
	// Young is the time between two further ones, each of which is held for Life only, so that there
	// are some of every age; 0: none.
	Young, Life time.Duration
	// Limit is how long an answer may take before the stream counts as broken: long enough for TCP to
	// send again what an outage has swallowed; 0: DefaultStreamLimit.
	Limit time.Duration
}

// Streams holds TCP connections from a client, each with a request at every tick. One that breaks
// is not opened again. It runs as a process of its own on the client's node.
type Streams struct {
	client *lab.Node
	order  streamsOrder
	sink   func(reports.Stream)
	ready  chan struct{}
}

// streamsOrder is what the process is told, as JSON.
type streamsOrder struct {
	Client string         `json:"client"`
	Target netip.AddrPort `json:"target"`
	Count  int            `json:"count"`
	Tick   time.Duration  `json:"tick"`
	Young  time.Duration  `json:"young,omitempty"`
	Life   time.Duration  `json:"life,omitempty"`
	Limit  time.Duration  `json:"limit"`
	// Clock is the start of the lab's clock.
	Clock time.Duration `json:"clock"`
}

// streamsRecord is one line of the process, as JSON.
type streamsRecord struct {
	// Ready: all of Count are open. Nothing else is set then.
	Ready  bool           `json:"ready,omitempty"`
	Stream reports.Stream `json:"stream"`
}

// NewStreams returns streams from a client's node that hands each to sink once its outcome is
// known, from one goroutine. The program must call lab.Main with Roles.
func NewStreams(
	client *lab.Node, c StreamsConfig, sink func(reports.Stream),
) (*Streams, error) {
	order := streamsOrder{
		Client: client.Name(), Target: c.Target, Count: c.Count, Young: c.Young, Life: c.Life,
		Tick: cmp.Or(c.Tick, DefaultTick), Limit: cmp.Or(c.Limit, DefaultStreamLimit),
		Clock: client.Lab().Clock().Start(),
	}
	switch {
	case !order.Target.IsValid():
		return nil, fmt.Errorf("streams from %s: target is unset", client)
	case order.Count < 1:
		return nil, fmt.Errorf("streams from %s: count %d: want at least 1", client, order.Count)
	case order.Tick < 0 || order.Limit < 0 || order.Young < 0:
		return nil, fmt.Errorf("streams from %s: tick, limit or young is negative", client)
	case order.Young > 0 && order.Life <= 0:
		return nil, fmt.Errorf("streams from %s: life %v: want more than 0", client, order.Life)
	}
	return &Streams{client: client, order: order, sink: sink, ready: make(chan struct{})}, nil
}

// String returns what it does, for example "hold 200 streams to 192.168.1.1:80 from client1".
func (s *Streams) String() string {
	return fmt.Sprintf("hold %d streams to %s from %s", s.order.Count, s.order.Target, s.client)
}

// Ready returns a channel that is closed when all of Count are open.
func (s *Streams) Ready() <-chan struct{} { return s.ready }

// Run holds the streams until the context ends; then it waits for the answers that are due, and
// returns nil. It returns an error when the process ends before, or cannot open all. It may be
// called once.
func (s *Streams) Run(ctx context.Context) error {
	argument, err := json.Marshal(s.order)
	if err != nil {
		return fmt.Errorf("%s: encode order: %w", s, err)
	}
	out, err := startStream(ctx, s.client, streamsRoleName, []string{string(argument)})
	switch {
	case ctx.Err() != nil && err != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", s, err)
	}
	defer out.close()
	defer context.AfterFunc(ctx, out.stop)()
	for lines := bufio.NewScanner(out.output); ; {
		if !lines.Scan() {
			if err = lines.Err(); err == nil {
				// The end of the output is the end of the process.
				err = out.process.Wait(context.Background())
			}
			if err != nil {
				return fmt.Errorf("%s: %w; last lines: %q", s, err, out.process.Tail(5))
			}
			return nil
		}
		var record streamsRecord
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return fmt.Errorf("%s: decode record: %w", s, err)
		}
		if record.Ready {
			close(s.ready)
		} else {
			s.sink(record.Stream)
		}
	}
}

// streamsRole is the process. Its argument is a streamsOrder; it writes streamsRecords to standard
// output and closes all streams when standard input ends.
func streamsRole() lab.Role {
	return lab.Role{Name: streamsRoleName, Run: func(args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, have %d", len(args))
		}
		var order streamsOrder
		if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
			return fmt.Errorf("decode order: %w", err)
		}
		debug.SetGCPercent(800)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			// Whatever ends the input ends the streams.
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
		h := &holder{order: order, clock: lab.NewClock(order.Clock), stop: stop,
			out: json.NewEncoder(os.Stdout)}
		return h.run()
	}}
}

// holder is the inside of the process.
type holder struct {
	order streamsOrder
	clock lab.Clock
	stop  <-chan struct{}
	held  sync.WaitGroup

	mu  sync.Mutex
	out *json.Encoder
	err error // the first error of writing
}

// run opens all of Count, then young ones, until stop.
func (h *holder) run() error {
	for i := range h.order.Count {
		conn, s, err := h.open()
		if err != nil {
			return fmt.Errorf("open stream %d of %d: %w", i+1, h.order.Count, err)
		}
		// Spread over the tick, whatever the time that opening takes.
		first := h.order.Tick * time.Duration(i) / time.Duration(h.order.Count)
		h.held.Go(func() { h.hold(conn, s, first, 0) })
	}
	h.write(streamsRecord{Ready: true})
	if h.order.Young > 0 {
		h.addYoung()
	}
	<-h.stop
	h.held.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// addYoung opens further streams at their times until stop. One that cannot be opened, as in an
// outage, was never held.
func (h *holder) addYoung() {
	ticker := time.NewTicker(h.order.Young)
	defer ticker.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-ticker.C:
		}
		h.held.Go(func() {
			if conn, s, err := h.open(); err == nil {
				h.hold(conn, s, h.order.Tick, h.order.Life)
			}
		})
	}
}

// openLimit is how long opening a stream may take: no SYN is sent a second time.
const openLimit = 500 * time.Millisecond

// open opens a stream and has its first answer.
func (h *holder) open() (*kept, reports.Stream, error) {
	s := reports.Stream{Client: h.order.Client}
	dialer := net.Dialer{Timeout: openLimit, KeepAlive: -1}
	conn, err := dialer.Dial("tcp", h.order.Target.String())
	if err != nil {
		return nil, s, err
	}
	k := &kept{conn: conn, in: bufio.NewReaderSize(conn, maxAnswer)}
	if s.Server, err = k.ask(openLimit); err != nil {
		return nil, s, errors.Join(err, conn.Close())
	}
	s.Opened = h.clock.Now()
	return k, s, nil
}

// hold asks at every tick, the first time after a while, until stop, or until life is over if it is
// not zero, or until it breaks; then it records the stream.
func (h *holder) hold(k *kept, s reports.Stream, after, life time.Duration) {
	defer k.conn.Close()
	timer := time.NewTimer(after)
	defer timer.Stop()
	s.Outcome = reports.Answered
	for next := s.Opened + after; ; next += h.order.Tick {
		select {
		case <-h.stop:
			h.close(s)
			return
		case <-timer.C:
		}
		if life > 0 && next-s.Opened >= life {
			h.close(s)
			return
		}
		sent := h.clock.Now()
		if _, err := k.ask(h.order.Limit); err != nil {
			s.Broken = sent
			s.Outcome, s.Detail = judge(err)
			h.write(streamsRecord{Stream: s})
			return
		}
		timer.Reset(next + h.order.Tick - h.clock.Now())
	}
}

// close records a stream that did not break.
func (h *holder) close(s reports.Stream) {
	s.Closed = h.clock.Now()
	h.write(streamsRecord{Stream: s})
}

func (h *holder) write(r streamsRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = cmp.Or(h.err, h.out.Encode(r))
}

// kept is a connection that is kept.
type kept struct {
	conn net.Conn
	in   *bufio.Reader
}

// ask sends a request and returns the first line of the answer's body.
func (k *kept) ask(limit time.Duration) (string, error) {
	if err := k.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	request := "GET / HTTP/1.1\r\nHost: " + k.conn.RemoteAddr().String() +
		"\r\nConnection: keep-alive\r\n\r\n"
	if _, err := io.WriteString(k.conn, request); err != nil {
		return "", err
	}
	return readPage(k.in)
}
