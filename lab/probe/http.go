package probe

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// The defaults of HTTPConfig.
const (
	DefaultRate      = 100
	DefaultLimit     = 250 * time.Millisecond
	DefaultTolerance = 20 * time.Millisecond
)

// HTTPConfig says what an HTTP probe asks, and how often.
type HTTPConfig struct {
	// Target is the address and port that is asked, by HTTP for "/".
	Target netip.AddrPort
	// Protocol is that of the request, on a fresh connection or from a fresh port.
	Protocol topology.Protocol
	// Rate is how many requests a second are sent, whatever becomes of them; 0: DefaultRate.
	Rate int
	// Limit is how long a request may take; 0: DefaultLimit.
	Limit time.Duration
	// Pause is how long each request stops after its first line, as that of a client far away or
	// slow does: whatever happens to a connection meanwhile happens in the middle of a request. 0:
	// not at all.
	Pause time.Duration
	// Tolerance is how late the probe itself may be before its requests say so; 0:
	// DefaultTolerance.
	Tolerance time.Duration
}

// HTTP is an open-loop client: it sends requests on a fixed schedule, each on a fresh TCP
// connection, and never waits for one answer before it sends the next. Every planned request is
// recorded, also those that the probe could not send in time; their Detail begins with "probe late
// by", which speaks of the machine and not of the network. It runs as a process of its own on the
// client's node, so that nothing but the machine disturbs its timing.
type HTTP struct {
	client *lab.Node
	config httpOrder
	sink   func(reports.Request)
	ready  chan struct{}

	mu       sync.Mutex
	change   signal
	sent     int           // requests recorded
	answered int           // requests answered since the last that was not
	late     time.Duration // the greatest delay of the probe's own
}

// NewHTTP returns a probe from a client's node that hands each request to sink once its outcome is
// known, from one goroutine; the order is that of the outcomes. The program must call lab.Main with
// Roles.
func NewHTTP(
	client *lab.Node, c HTTPConfig, sink func(reports.Request),
) (*HTTP, error) {
	order, err := newHTTPOrder(client, c)
	if err != nil {
		return nil, err
	}
	return &HTTP{client: client, config: order, sink: sink, ready: make(chan struct{})}, nil
}

// httpOrder is what a probe's process is told, as JSON.
type httpOrder struct {
	Client    string            `json:"client"`
	Target    netip.AddrPort    `json:"target"`
	Protocol  topology.Protocol `json:"protocol,omitempty"`
	Rate      int               `json:"rate"`
	Limit     time.Duration     `json:"limit"`
	Pause     time.Duration     `json:"pause,omitempty"`
	Tolerance time.Duration     `json:"tolerance"`
	// Clock is the start of the lab's clock.
	Clock time.Duration `json:"clock"`
	// Serial, if not 0, asks for so many requests one after another, whatever the Rate.
	Serial int `json:"serial,omitempty"`
}

// newHTTPOrder validates a configuration and fills in its defaults.
func newHTTPOrder(client *lab.Node, c HTTPConfig) (httpOrder, error) {
	order := httpOrder{
		Client:    client.Name(),
		Target:    c.Target,
		Protocol:  c.Protocol,
		Rate:      cmp.Or(c.Rate, DefaultRate),
		Limit:     cmp.Or(c.Limit, DefaultLimit),
		Pause:     c.Pause,
		Tolerance: cmp.Or(c.Tolerance, DefaultTolerance),
		Clock:     client.Lab().Clock().Start(),
	}
	switch {
	case !order.Target.IsValid():
		return order, fmt.Errorf("probe from %s: target is unset", client)
	case order.Rate < 0:
		return order, fmt.Errorf("probe from %s: rate %d is negative", client, order.Rate)
	case order.Limit < 0:
		return order, fmt.Errorf("probe from %s: limit %v is negative", client, order.Limit)
	case order.Pause < 0 || order.Pause >= order.Limit:
		return order, fmt.Errorf("probe from %s: pause %v is not 0 to less than the limit, %v", client,
			order.Pause, order.Limit)
	}
	return order, nil
}

// String returns what the probe does, for example "probe http://192.168.1.1:80 from client1".
func (h *HTTP) String() string {
	return fmt.Sprintf("probe %s://%s from %s", h.config.Protocol, h.config.Target, h.client)
}

// Ready returns a channel that is closed when the schedule has begun.
func (h *HTTP) Ready() <-chan struct{} { return h.ready }

// Run sends requests until the context ends, then waits for the outcome of those that are out and
// returns nil. It returns an error when the probe's process ends before. It may be called once.
func (h *HTTP) Run(ctx context.Context) error {
	// The end of the context is the end of the schedule, not of the process.
	out, err := startHTTP(ctx, h.client, h.config)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", h, err)
	}
	defer out.close()
	stop := context.AfterFunc(ctx, out.stop)
	defer stop()
	err = out.each(func(r httpRecord) {
		if r.Ready {
			close(h.ready)
			return
		}
		h.sink(r.Request)
		h.count(r)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", h, err)
	}
	return nil
}

// count keeps what AwaitAnswered and Lateness tell.
func (h *HTTP) count(r httpRecord) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent++
	h.answered++
	if r.Request.Outcome != reports.Answered {
		h.answered = 0
	}
	h.late = max(h.late, r.Late)
	h.change.notify()
}

// AwaitAnswered waits until the probe has got n answers in a row, counted from the call. The
// requests may have been sent before it.
func (h *HTTP) AwaitAnswered(ctx context.Context, n int) error {
	h.mu.Lock()
	first := h.sent
	h.mu.Unlock()
	for {
		h.mu.Lock()
		reached := h.answered >= n && h.sent-first >= n
		changed := h.change.wait()
		h.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: await %d answers: %w", h, n, context.Cause(ctx))
		}
	}
}

// Lateness returns the greatest time by which the probe itself was late so far, sending or
// noticing.
func (h *HTTP) Lateness() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

// Serial sends n requests from a client's node strictly one after another, each on a fresh TCP
// connection, and returns them in this order: who answered is what the scheduler decided. Rate
// means nothing here. A request without an answer does not end the series.
func Serial(
	ctx context.Context, client *lab.Node, c HTTPConfig, n int,
) ([]reports.Request, error) {
	order, err := newHTTPOrder(client, c)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, fmt.Errorf("probe from %s: %d requests: want at least 1", client, n)
	}
	order.Serial = n
	out, err := startHTTP(ctx, client, order)
	if err != nil {
		return nil, err
	}
	defer out.close()
	defer context.AfterFunc(ctx, out.stop)()
	var requests []reports.Request
	err = out.each(func(r httpRecord) {
		if !r.Ready {
			requests = append(requests, r.Request)
		}
	})
	if err == nil && len(requests) < n {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("probe http://%s from %s: %w", c.Target, client, err)
	}
	return requests, err
}

// stream is a probe's process and the pipes to it.
type stream struct {
	process *lab.Process
	input   *os.File // closing it ends the schedule
	output  *os.File
	once    sync.Once
}

// startHTTP starts a probe's process on a node.
func startHTTP(ctx context.Context, client *lab.Node, order httpOrder) (*stream, error) {
	argument, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("encode order: %w", err)
	}
	return startStream(ctx, client, httpRoleName, []string{string(argument)})
}

// startStream starts a role of this package on a node, with pipes to it and from it.
func startStream(
	ctx context.Context, node *lab.Node, role string, args []string,
) (*stream, error) {
	theirInput, input, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer theirInput.Close()
	output, theirOutput, err := os.Pipe()
	if err != nil {
		input.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer theirOutput.Close()
	process, err := node.StartRole(ctx, role, lab.Command{
		Args:   args,
		Stdin:  theirInput,
		Stdout: theirOutput,
	})
	if err != nil {
		return nil, errors.Join(err, input.Close(), output.Close())
	}
	return &stream{process: process, input: input, output: output}, nil
}

// each calls fn with every record until the process has ended, and returns an error if it ended in
// any other way than being stopped or having done all.
func (s *stream) each(fn func(httpRecord)) error {
	lines := bufio.NewScanner(s.output)
	for lines.Scan() {
		record, err := parseRecord(lines.Text())
		if err != nil {
			return err
		}
		fn(record)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read records: %w", err)
	}
	// The end of the output is the end of the process.
	if err := s.process.Wait(context.Background()); err != nil {
		return fmt.Errorf("run probe: %w; last lines: %q", err, s.process.Tail(5))
	}
	return nil
}

// stop tells the process to send no more requests. A second call does nothing.
func (s *stream) stop() { s.once.Do(func() { s.input.Close() }) }

// close ends the process, if it is still there, and releases the pipes.
func (s *stream) close() {
	s.stop()
	// It has ended, unless reading its records has failed before.
	_ = s.process.Kill()
	s.output.Close()
}
