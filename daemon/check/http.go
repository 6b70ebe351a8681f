package check

import (
	"bufio"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxHeader bounds the status line and header of an answer, in bytes.
const maxHeader = 64 << 10

// HTTP finds a server healthy that answers every URL as wanted. A redirect is an answer, and is not
// followed.
type HTTP struct {
	// Target is where it connects to, anew for each URL.
	Target netip.AddrPort
	// Bind is where it connects from; zero is anywhere.
	Bind netip.AddrPort
	// Timeout bounds each URL from connecting to the last byte; 0 leaves that to the context.
	Timeout time.Duration
	// Version is that of the request; zero is HTTP10.
	Version HTTPVersion
	// URLs are asked in order, up to the first that fails.
	URLs []URL
}

// HTTPVersion is the version of a request.
type HTTPVersion uint8

// HTTP10Close is HTTP10 with the header "Connection: close", which HTTP11 always has.
const (
	HTTP10 HTTPVersion = iota + 1
	HTTP10Close
	HTTP11
)

// URL is one request and the answer that is wanted.
type URL struct {
	// Path is the request's target; it starts with a slash.
	Path string
	// Host is the Host header; empty is the target's address, with the port if that is not 80.
	Host string
	// Status are the accepted status codes; empty is 200 to 299.
	Status []StatusRange
	// Digest is the MD5 of the body in hexadecimal; empty is any body.
	Digest string
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct {
	First, Last int
}

// String returns "200-299", or "200" for a range of one.
func (r StatusRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Check implements Checker. Its error is a *Failure, whose detail starts with the URL if there are
// several.
func (c HTTP) Check(ctx context.Context) error {
	for _, u := range c.URLs {
		err := c.checkURL(ctx, u)
		var f *Failure
		if len(c.URLs) > 1 && errors.As(err, &f) {
			f.Detail = u.Path + ": " + f.Detail
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c HTTP) checkURL(ctx context.Context, u URL) error {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	conn, err := dial(ctx, c.Target, c.Bind, c.Timeout)
	if err != nil {
		return err
	}
	unblock := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		unblock()
		_ = conn.Close()
	}()
	if _, err := io.WriteString(conn, c.request(u)); err != nil {
		return c.broken(err, "send HTTP request", 0)
	}
	return c.judge(conn, u)
}

func (c HTTP) request(u URL) string {
	host := u.Host
	if host == "" {
		host = strings.TrimSuffix(c.Target.String(), ":80")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/%s\r\n", u.Path, c.Version.number())
	fmt.Fprintf(&b, "Host: %s\r\nUser-Agent: tandemd\r\n", host)
	if c.Version == HTTP10Close || c.Version == HTTP11 {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

func (v HTTPVersion) number() string {
	if v == HTTP11 {
		return "1.1"
	}
	return "1.0"
}

// judge reads the answer. The body is read to its end in any case: a server that cannot finish an
// answer is not well.
func (c HTTP) judge(conn net.Conn, u URL) error {
	in := &meter{from: conn, limit: maxHeader}
	answer, err := http.ReadResponse(bufio.NewReader(in), nil)
	switch {
	case errors.Is(in.err, errLimit):
		detail := fmt.Sprintf("read HTTP answer: header of more than %d KiB", maxHeader>>10)
		return &Failure{Reason: Malformed, Detail: detail}
	case err != nil:
		// Of a line that is cut short the library says only that it is malformed.
		return c.broken(cmp.Or(in.err, err), "read HTTP answer", in.read)
	}
	if want := u.accepted(); !accepts(want, answer.StatusCode) {
		detail := fmt.Sprintf("HTTP status %d, want %s", answer.StatusCode, ranges(want))
		return &Failure{Reason: Status, Detail: detail}
	}
	in.limit = math.MaxInt64
	sum := md5.New()
	n, err := io.Copy(sum, answer.Body)
	if err != nil {
		return c.broken(err, "read HTTP body", n)
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if u.Digest != "" && !strings.EqualFold(got, u.Digest) {
		detail := fmt.Sprintf("HTTP body has digest %s, want %s", got, strings.ToLower(u.Digest))
		return &Failure{Reason: Digest, Detail: detail}
	}
	return nil
}

var errLimit = errors.New("too long")

// meter reads up to limit bytes from a connection, counts them, and keeps the error that ended it.
type meter struct {
	from        io.Reader
	read, limit int64
	err         error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.read >= m.limit {
		m.err = errLimit
		return 0, m.err
	}
	n, err := m.from.Read(p[:min(int64(len(p)), m.limit-m.read)])
	m.read += int64(n)
	m.err = err
	return n, err
}

// broken returns the failure for an exchange that err ended after n bytes of it came in.
func (c HTTP) broken(err error, what string, n int64) error {
	switch {
	case isTimeout(err):
		within := "in time"
		if c.Timeout > 0 {
			within = "within " + c.Timeout.String()
		}
		detail := fmt.Sprintf("%s: not complete %s (%d bytes)", what, within, n)
		return &Failure{Reason: Timeout, Detail: detail}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		detail := fmt.Sprintf("%s: connection closed after %d bytes", what, n)
		return &Failure{Reason: Closed, Detail: detail}
	}
	return &Failure{Reason: Malformed, Detail: what, Err: err}
}

func (u URL) accepted() []StatusRange {
	if len(u.Status) == 0 {
		return []StatusRange{{200, 299}}
	}
	return u.Status
}

func accepts(rs []StatusRange, code int) bool {
	for _, r := range rs {
		if r.First <= code && code <= r.Last {
			return true
		}
	}
	return false
}

func ranges(rs []StatusRange) string {
	words := make([]string, len(rs))
	for i, r := range rs {
		words[i] = r.String()
	}
	return strings.Join(words, " ")
}
