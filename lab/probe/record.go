package probe

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/reports"
)

// httpRecord is one line of a probe's process. Recording must not cost the probe its rate, least of
// all in a guest kernel where a system call is dear: the lines are cheap to write and to read, and
// several go in one piece.
type httpRecord struct {
	// Ready: the schedule has begun. Nothing else is set then.
	Ready   bool
	Request reports.Request
	// Late is how late the probe itself was.
	Late time.Duration
}

// readyLine is the line of a record that is Ready.
const readyLine = "ready"

// append appends the record's line:
//
//	SENT LATENCY LATE REQUEST-LATE OUTCOME "CLIENT" "SERVER" "DETAIL"
//
// Times are nanoseconds, texts as Go quotes them.
func (r httpRecord) append(b []byte) []byte {
	if r.Ready {
		return append(b, readyLine+"\n"...)
	}
	q := r.Request
	for _, d := range []time.Duration{q.Sent, q.Latency, r.Late, q.Late} {
		b = append(strconv.AppendInt(b, int64(d), 10), ' ')
	}
	b = append(b, q.Outcome...)
	for _, text := range []string{q.Client, q.Server, q.Detail} {
		b = strconv.AppendQuote(append(b, ' '), text)
	}
	return append(b, '\n')
}

// parseRecord reads what append wrote, without the line's end.
func parseRecord(line string) (httpRecord, error) {
	if line == readyLine {
		return httpRecord{Ready: true}, nil
	}
	var r httpRecord
	q := &r.Request
	rest := line
	for _, d := range []*time.Duration{&q.Sent, &q.Latency, &r.Late, &q.Late} {
		var number string
		number, rest, _ = strings.Cut(rest, " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return r, fmt.Errorf("decode record %q: %w", line, err)
		}
		*d = time.Duration(n)
	}
	outcome, rest, _ := strings.Cut(rest, " ")
	q.Outcome = reports.Outcome(outcome)
	for _, text := range []*string{&q.Client, &q.Server, &q.Detail} {
		quoted, err := strconv.QuotedPrefix(rest)
		if err == nil {
			*text, err = strconv.Unquote(quoted)
		}
		if err != nil {
			return r, fmt.Errorf("decode record %q: %w", line, err)
		}
		rest = strings.TrimPrefix(rest[len(quoted):], " ")
	}
	return r, nil
}

const (
	// recordDelay is how long a record may wait for others to go with it, recordsFull how many bytes
	// of them go at once.
	recordDelay = 20 * time.Millisecond
	recordsFull = 32 << 10
)

// write writes one record soon, together with others; that the probe is ready is written at once.
func (p *prober) write(r httpRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := len(p.full) == 0
	p.full = r.append(p.full)
	switch {
	case r.Ready || len(p.full) >= recordsFull:
		p.send()
	case !first:
	case p.flush == nil:
		p.flush = time.AfterFunc(recordDelay, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.send()
		})
	default:
		p.flush.Reset(recordDelay)
	}
}

// send writes the records that wait. Its caller holds the lock.
func (p *prober) send() {
	if len(p.full) == 0 {
		return
	}
	_, err := p.out.Write(p.full)
	p.full = p.full[:0]
	if p.err == nil {
		p.err = err
	}
}

// failure writes what waits and returns the first error of writing.
func (p *prober) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send()
	return p.err
}
