package check

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// maxHeader bounds the status line and header of an answer, in bytes.
	maxHeader = 64 << 10
	// maxPage bounds a body that is kept for a Regex, in bytes; others have no bound but time.
	maxPage = 4 << 20
)

// HTTP finds a server healthy that answers every URL as wanted. A redirect is an answer, and is not
// followed. Each attempt asks all URLs, so that a server is back after one good attempt.
type HTTP struct {
	// Target is where it connects to, anew for each URL.
	Target netip.AddrPort
	// Bind is where it connects from; zero is anywhere.
	Bind netip.AddrPort
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds each URL from connecting to the last byte; 0 leaves that to the context.
	Timeout time.Duration
	// Version is that of the request; zero is HTTP10.
	Version HTTPVersion
	// TLS makes it HTTPS; nil is without.
	TLS *TLS
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
	// Host is the Host header; empty is the target's address, with the port if that is not 80, or
	// 443 with TLS.
	Host string
	// Status are the accepted status codes; empty is 200 to 299.
	Status []StatusRange
	// Digest is the MD5 of the body in hexadecimal, as DigestOf counts it; empty is any body.
	Digest string
	// Regex is what the body must match, or must not; nil is any body.
	Regex *Regex
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
	x, err := c.open(ctx, u)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	p, err := c.ask(x, u)
	if err != nil {
		return err
	}
	if want := u.accepted(); !accepts(want, p.Status) {
		detail := fmt.Sprintf("HTTP %d, wanted %s", p.Status, ranges(want))
		return &Failure{Reason: Status, Detail: detail}
	}
	body, err := p.read(u.Regex != nil)
	if err != nil {
		return err
	}
	return u.judge(p, body)
}

// judge compares a page of an accepted status, whose body is there if u has a Regex.
func (u URL) judge(p *page, body []byte) error {
	if u.Digest != "" && !strings.EqualFold(p.Digest, u.Digest) {
		detail := fmt.Sprintf("HTTP body has digest %s, wanted %s", p.Digest,
			strings.ToLower(u.Digest))
		return &Failure{Reason: Digest, Detail: detail}
	}
	if u.Regex != nil {
		return u.Regex.judge(body)
	}
	return nil
}

// Page is what was got.
type Page struct {
	// Status is the status code.
	Status int
	// Digest is that of the body, as DigestOf counts it; Length is its length in bytes.
	Digest string
	Length int64
}

// Get gets one page as Check does, whatever its status, and reads it to its end. Its error is a
// *Failure.
func (c HTTP) Get(ctx context.Context, u URL) (Page, error) {
	x, err := c.open(ctx, u)
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = x.Close() }()
	p, err := c.ask(x, u)
	if err != nil {
		return Page{}, err
	}
	_, err = p.read(false)
	return p.Page, err
}

// DigestOf returns the digest of a body, as in URL.Digest: the MD5 in lower case hexadecimal of
// what is left when the transfer coding (chunked) is undone. keepalived counts the coding too,
// which differs only if HTTP11 is asked for.
func DigestOf(body []byte) string {
	sum := md5.Sum(body)
	return hex.EncodeToString(sum[:])
}

// open connects, and shakes hands for TLS.
func (c HTTP) open(ctx context.Context, u URL) (*exchange, error) {
	x, err := endpoint{c.Target, c.Bind, c.Dialer, c.Timeout}.open(ctx, "tcp")
	if err != nil || c.TLS == nil {
		return x, err
	}
	if err := c.TLS.begin(x, u.Host); err != nil {
		_ = x.Close()
		return nil, err
	}
	return x, nil
}

// ask sends the request and reads the answer up to its body.
func (c HTTP) ask(x *exchange, u URL) (*page, error) {
	if _, err := io.WriteString(x, c.request(u)); err != nil {
		return nil, x.broken(err, "send HTTP request", 0)
	}
	in := &meter{from: x, limit: maxHeader}
	answer, err := finalAnswer(bufio.NewReader(in))
	switch {
	case errors.Is(in.err, errLimit):
		detail := fmt.Sprintf("read HTTP answer: header of more than %d KiB", maxHeader>>10)
		return nil, &Failure{Reason: Malformed, Detail: detail}
	case err != nil:
		// Of a line that is cut short the library says only that it is malformed.
		return nil, x.broken(cmp.Or(in.err, err), "read HTTP answer", in.read)
	}
	in.limit = math.MaxInt64
	p := &page{Page: Page{Status: answer.StatusCode}, x: x, answer: answer}
	if c.TLS != nil && c.TLS.Compliant {
		p.end = in
	}
	return p, nil
}

// finalAnswer reads up to the body of the answer that is not of the 100s, which only come before it
// (RFC 9110, Section 15.2).
func finalAnswer(in *bufio.Reader) (*http.Response, error) {
	for {
		answer, err := http.ReadResponse(in, nil)
		if err != nil || answer.StatusCode/100 != 1 ||
			answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, err
		}
	}
}

func (c HTTP) request(u URL) string {
	host := u.Host
	if host == "" {
		usual := ":80"
		if c.TLS != nil {
			usual = ":443"
		}
		host = strings.TrimSuffix(c.Target.String(), usual)
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

// page is an answer whose body is still to come.
type page struct {
	Page
	x      *exchange
	answer *http.Response
	// end is what is read to its end after the body; nil is nothing.
	end io.Reader
}

// read reads the body, and returns it if it is to be kept. It is read to its end in any case: a
// server that cannot finish an answer is not well.
func (p *page) read(keep bool) ([]byte, error) {
	sum := md5.New()
	var kept bytes.Buffer
	var to io.Writer = sum
	in := &meter{from: p.answer.Body, limit: math.MaxInt64}
	if keep {
		to, in.limit = io.MultiWriter(sum, &kept), maxPage
	}
	n, err := io.Copy(to, in)
	if err != nil {
		return nil, p.x.broken(err, "read HTTP body", n)
	}
	p.Digest, p.Length = hex.EncodeToString(sum.Sum(nil)), n
	if p.end == nil {
		return kept.Bytes(), nil
	}
	if _, err := io.Copy(io.Discard, p.end); err != nil {
		return nil, p.x.broken(err, "end TLS session", n)
	}
	return kept.Bytes(), endedWell(p.x)
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
