package probe

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// DefaultFlowRate is how many pings of each flow class are sent in a second: few, so that they take
// nothing from other probes, and enough to tell outages to 50 ms.
const DefaultFlowRate = 20

// FlowsConfig says what flow classes a client measures beside new TCP connections. A target that is
// unset leaves its class out; one at least must be set.
type FlowsConfig struct {
	// ICMP is an address that answers echo requests, usually a VIP.
	ICMP netip.Addr
	// UDP is where an echo server listens; see StartEcho.
	UDP netip.AddrPort
	// Held is an HTTP service that keeps connections: one is held, with a request at a time. When it
	// breaks another one is opened.
	Held netip.AddrPort
	// Rate is how many pings of each class are sent in a second, of Held at most; 0: DefaultFlowRate.
	Rate int
	// Limit is how long an answer may take to count as one; 0: DefaultLimit.
	Limit time.Duration
	// Patience is how long an answer on the held connection may take before it counts as broken: long
	// enough for TCP to send again what an outage has swallowed; 0: DefaultStreamLimit.
	Patience time.Duration
}

// Flows sends few small pings of several flow classes from a client. UDP and ICMP are open loops on
// a fixed schedule; on the held connection the next request waits for the answer to the one before.
// It runs as a process of its own on the client's node.
type Flows struct {
	client *lab.Node
	order  flowsOrder
	sink   func(reports.Ping)
	ready  chan struct{}
}

// flowsOrder is what the process is told, as JSON.
type flowsOrder struct {
	Client   string         `json:"client"`
	ICMP     netip.Addr     `json:"icmp"`
	UDP      netip.AddrPort `json:"udp"`
	Held     netip.AddrPort `json:"held"`
	Rate     int            `json:"rate"`
	Limit    time.Duration  `json:"limit"`
	Patience time.Duration  `json:"patience"`
	// Clock is the start of the lab's clock.
	Clock time.Duration `json:"clock"`
}

// flowsRecord is one line of the process, as JSON.
type flowsRecord struct {
	// Ready: the schedules have begun. Nothing else is set then.
	Ready bool         `json:"ready,omitempty"`
	Ping  reports.Ping `json:"ping"`
}

// NewFlows returns a probe from a client's node that hands each ping to sink once its outcome is
// known, from one goroutine; the order is that of the outcomes. The program must call lab.Main with
// Roles.
func NewFlows(client *lab.Node, c FlowsConfig, sink func(reports.Ping)) (*Flows, error) {
	order := flowsOrder{
		Client: client.Name(), ICMP: c.ICMP, UDP: c.UDP, Held: c.Held,
		Rate: cmp.Or(c.Rate, DefaultFlowRate), Limit: cmp.Or(c.Limit, DefaultLimit),
		Patience: cmp.Or(c.Patience, DefaultStreamLimit), Clock: client.Lab().Clock().Start(),
	}
	switch {
	case !order.ICMP.IsValid() && !order.UDP.IsValid() && !order.Held.IsValid():
		return nil, fmt.Errorf("flows from %s: no target is set: set one of ICMP, UDP and Held", client)
	case order.Rate < 0 || order.Limit < 0 || order.Patience < 0:
		return nil, fmt.Errorf("flows from %s: rate, limit or patience is negative", client)
	}
	return &Flows{client: client, order: order, sink: sink, ready: make(chan struct{})}, nil
}

// String returns what the probe does, for example "ping by ICMP, UDP from client2".
func (f *Flows) String() string {
	var classes []string
	if f.order.ICMP.IsValid() {
		classes = append(classes, "ICMP")
	}
	if f.order.UDP.IsValid() {
		classes = append(classes, "UDP")
	}
	if f.order.Held.IsValid() {
		classes = append(classes, "a held connection")
	}
	return fmt.Sprintf("ping by %s from %s", strings.Join(classes, ", "), f.client)
}

// Ready returns a channel that is closed when the schedules have begun.
func (f *Flows) Ready() <-chan struct{} { return f.ready }

// Run sends pings until the context ends, then waits for the outcome of those that are out, for no
// longer than the limit, and returns nil. It returns an error when the process ends before. It may
// be called once.
func (f *Flows) Run(ctx context.Context) error {
	argument, err := json.Marshal(f.order)
	if err != nil {
		return fmt.Errorf("%s: encode order: %w", f, err)
	}
	out, err := startStream(ctx, f.client, flowsRoleName, []string{string(argument)})
	switch {
	case ctx.Err() != nil && err != nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", f, err)
	}
	defer out.close()
	defer context.AfterFunc(ctx, out.stop)()
	lines := bufio.NewScanner(out.output)
	for lines.Scan() {
		var record flowsRecord
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return fmt.Errorf("%s: decode record: %w", f, err)
		}
		if record.Ready {
			close(f.ready)
		} else {
			f.sink(record.Ping)
		}
	}
	if err = lines.Err(); err == nil {
		// The end of the output is the end of the process.
		err = out.process.Wait(context.Background())
	}
	if err != nil {
		return fmt.Errorf("%s: %w; last lines: %q", f, err, out.process.Tail(5))
	}
	return nil
}

// StartEcho starts a server on a node that sends back every datagram that comes for an address and
// port, behind the node's name, and returns when it listens. The node need not have the address
// yet, or any more: a VIP comes and goes.
func StartEcho(ctx context.Context, n *lab.Node, on netip.AddrPort) (*lab.Process, error) {
	p, err := n.StartRole(ctx, echoRoleName, lab.Command{Args: []string{n.Name(), on.String()}})
	if err != nil {
		return nil, fmt.Errorf("start echo on %s: %w", n, err)
	}
	err = p.AwaitLine(ctx, func(text string) bool { return strings.HasPrefix(text, echoListens) })
	if err != nil {
		return nil, fmt.Errorf("start echo on %s: %w", n, errors.Join(err, p.Kill()))
	}
	return p, nil
}
