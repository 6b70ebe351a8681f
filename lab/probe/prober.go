package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// httpRoleName is the name of the HTTP probe's role.
const httpRoleName = "http-probe"

// maxAnswer is how much of an answer's body is read.
const maxAnswer = 4096

// httpRole is the process of an HTTP probe. Its argument is an httpOrder; it writes httpRecords to
// standard output and ends its schedule when standard input ends.
func httpRole() lab.Role {
	return lab.Role{Name: httpRoleName, Run: func(args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, have %d", len(args))
		}
		var order httpOrder
		if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
			return fmt.Errorf("decode order: %w", err)
		}
		// Collecting garbage seldom keeps the schedule even; a probe holds little.
		debug.SetGCPercent(800)
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			// Whatever ends the input ends the schedule.
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
		p := &prober{order: order, clock: lab.NewClock(order.Clock), out: os.Stdout}
		if order.Serial > 0 {
			return p.serial(stop)
		}
		return p.schedule(stop)
	}}
}

// prober is the inside of a probe's process.
type prober struct {
	order httpOrder
	clock lab.Clock

	mu  sync.Mutex
	out io.Writer
	// full are records not yet written, flush writes them in time; nil before the first.
	full  []byte
	flush *time.Timer
	err   error // the first error of writing
}

// schedule sends requests at the planned times until stop. Those that are due by then are sent, and
// the outcome of all is awaited.
func (p *prober) schedule(stop <-chan struct{}) error {
	interval := time.Second / time.Duration(p.order.Rate)
	var out sync.WaitGroup
	first, end := p.clock.Now()+interval, time.Duration(math.MaxInt64)
	p.write(httpRecord{Ready: true})
	for planned := first; planned < end; planned += interval {
		if p.stopped(stop, planned) {
			end = min(end, p.clock.Now())
		}
		if planned < end {
			out.Go(func() { p.write(p.probe(planned)) })
		}
	}
	out.Wait()
	return p.failure()
}

// stopped waits until a time, or stop, and reports whether stop has come. When both have, either
// may be seen, so that also a schedule that is always late ends soon.
func (p *prober) stopped(stop <-chan struct{}, until time.Duration) bool {
	timer := time.NewTimer(until - p.clock.Now())
	defer timer.Stop()
	select {
	case <-stop:
		return true
	case <-timer.C:
		return false
	}
}

// serial sends requests one after another.
func (p *prober) serial(stop <-chan struct{}) error {
	p.write(httpRecord{Ready: true})
	for range p.order.Serial {
		select {
		case <-stop:
			return p.failure()
		default:
			p.write(p.probe(p.clock.Now()))
		}
	}
	return p.failure()
}

// probe sends the request that was planned for a time and returns what became of it.
func (p *prober) probe(planned time.Duration) httpRecord {
	begun := p.clock.Now()
	server, err := p.ask(time.Now().Add(p.order.Limit))
	ended := p.clock.Now()
	r := reports.Request{Sent: planned, Latency: ended - planned, Client: p.order.Client}
	r.Outcome, r.Detail = judge(err)
	if err == nil {
		r.Server = server
		if r.Latency > p.order.Limit {
			r.Outcome = reports.Late
		}
	}
	// Late to send, or late to notice that the limit was over.
	late := max(begun-planned, ended-begun-p.order.Limit)
	if late > p.order.Tolerance {
		r.Late = late
		r.Detail = strings.TrimSuffix(fmt.Sprintf("probe late by %v; %s", late, r.Detail), "; ")
	}
	return httpRecord{Request: r, Late: late}
}

// errStatus is an answer that is no service.
type errStatus struct{ status string }

// Error returns the status line's text.
func (e errStatus) Error() string { return "status " + e.status }

// ask makes a connection, sends a request and returns the first line of the answer's body.
func (p *prober) ask(deadline time.Time) (string, error) {
	if speak, other := conversations[p.order.Protocol]; other {
		return p.converse(speak, deadline)
	}
	// Without keep-alive probes each connection costs four system calls less.
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
	target := p.order.Target.String()
	conn, err := dialer.Dial("tcp", target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	const first = "GET / HTTP/1.1\r\n"
	request := first + "Host: " + target + "\r\nConnection: close\r\n\r\n"
	if p.order.Pause > 0 {
		if _, err := io.WriteString(conn, first); err != nil {
			return "", err
		}
		time.Sleep(p.order.Pause)
		request = request[len(first):]
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return "", err
	}
	return readPage(conn)
}

// readPage reads an answer and returns the first line of its body.
func readPage(from io.Reader) (string, error) {
	answer, err := http.ReadResponse(bufio.NewReaderSize(from, maxAnswer), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", errStatus{answer.Status}
	}
	server, _, _ := strings.Cut(string(body), "\n")
	return server, nil
}

// judge returns the outcome that an error of ask means, and what is to be said beside it.
func judge(err error) (reports.Outcome, string) {
	var timeout net.Error
	switch {
	case err == nil:
		return reports.Answered, ""
	case errors.As(err, &timeout) && timeout.Timeout():
		return reports.Timeout, ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return reports.Refused, "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reports.Refused, "connection reset"
	}
	return reports.Failed, err.Error()
}
