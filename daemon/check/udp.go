package check

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	// randomPayload is how many bytes are sent if none are given.
	randomPayload = 32
	// shownBytes bounds what of an answer is shown.
	shownBytes = 16
)

// UDP finds a server healthy that answers a datagram as wanted, or, if no answer is required, of
// which nobody says within Timeout that it cannot be reached. Answers from elsewhere are not seen.
type UDP struct {
	// Target is where it sends to.
	Target netip.AddrPort
	// Bind is where it sends from; zero is anywhere.
	Bind netip.AddrPort
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds the check; 0 leaves that to the context.
	Timeout time.Duration
	// Payload is what is sent; nil is 32 random bytes.
	Payload []byte
	// Reply is what must be answered; nil is anything, or nothing at all.
	Reply *UDPReply
}

// UDPReply is the answer that is wanted.
type UDPReply struct {
	// Start is how it starts: as far as it goes, if it is shorter. Its zero value is anything.
	Start BytePattern
	// Min and Max bound its length in bytes; a Max of 0 is 255.
	Min, Max int
}

// BytePattern is bytes of which some digits may be any.
type BytePattern struct {
	// Bytes are compared where Mask has a bit; both are of one length.
	Bytes, Mask []byte
}

// ParseBytePattern reads bytes of two hexadecimal digits each, of which x or X is any. Blanks
// between them mean nothing. Empty is the pattern of nothing.
func ParseBytePattern(text string) (BytePattern, error) {
	digits := strings.Join(strings.Fields(text), "")
	known := strings.Map(func(r rune) rune {
		if r == 'x' || r == 'X' {
			return '0'
		}
		return r
	}, digits)
	wanted := strings.Map(func(r rune) rune {
		if r == 'x' || r == 'X' {
			return '0'
		}
		return 'f'
	}, digits)
	b, err := hex.DecodeString(known)
	if err != nil {
		return BytePattern{}, fmt.Errorf("parse bytes %q: %w", text, err)
	}
	mask, err := hex.DecodeString(wanted)
	if err != nil {
		return BytePattern{}, fmt.Errorf("parse bytes %q: %w", text, err)
	}
	return BytePattern{Bytes: b, Mask: mask}, nil
}

// String returns the digits, with x for any.
func (p BytePattern) String() string {
	digits := []byte(hex.EncodeToString(p.Bytes))
	for i, m := range []byte(hex.EncodeToString(p.Mask)) {
		if m == '0' {
			digits[i] = 'x'
		}
	}
	return string(digits)
}

// Matches says whether b starts so, as far as it goes.
func (p BytePattern) Matches(b []byte) bool {
	for i := range min(len(b), len(p.Bytes)) {
		if (b[i]^p.Bytes[i])&p.Mask[i] != 0 {
			return false
		}
	}
	return true
}

// Check implements Checker. Its error is a *Failure.
func (c UDP) Check(ctx context.Context) error {
	x, err := endpoint{c.Target, c.Bind, c.Dialer, c.Timeout}.open(ctx, "udp")
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	payload := c.Payload
	if payload == nil {
		payload = make([]byte, randomPayload)
		_, _ = rand.Read(payload) // never fails
	}
	if _, err := x.Write(payload); err != nil {
		return x.unsent(err, "datagram")
	}
	b := make([]byte, c.most()+1)
	n, err := x.Read(b)
	switch {
	case err == nil:
		return c.judge(b[:n])
	case isTimeout(err) && c.Reply == nil && !errors.Is(ctx.Err(), context.Canceled):
		return nil
	}
	return x.unanswered(err, "datagram", 0)
}

// most is the length of the longest answer.
func (c UDP) most() int {
	if c.Reply == nil || c.Reply.Max == 0 {
		return 255
	}
	return c.Reply.Max
}

// judge compares an answer, of which what is longer than wanted may be cut off.
func (c UDP) judge(b []byte) error {
	if c.Reply == nil {
		return nil
	}
	detail := ""
	switch {
	case len(b) > c.most():
		detail = fmt.Sprintf("answer of more than %d bytes", c.most())
	case len(b) < c.Reply.Min:
		detail = fmt.Sprintf("answer of %d bytes, wanted %d at least", len(b), c.Reply.Min)
	case !c.Reply.Start.Matches(b):
		detail = fmt.Sprintf("answer starts with %x, wanted %s",
			b[:min(len(b), max(shownBytes, len(c.Reply.Start.Bytes)))], c.Reply.Start)
	default:
		return nil
	}
	return &Failure{Reason: Reply, Detail: detail}
}

// unsent returns the failure for a datagram that could not be sent. The network may have spoken
// already, of an earlier one or as it looked for the way.
func (x *exchange) unsent(err error, what string) *Failure {
	detail := fmt.Sprintf("send %s to %s", what, x.target)
	if f := fromNetwork(err, detail); f != nil {
		return f
	}
	if isTimeout(err) {
		return &Failure{Reason: Timeout, Detail: detail + ": not " + x.within()}
	}
	return &Failure{Reason: Local, Detail: detail, Err: err}
}

// unanswered returns the failure for a datagram that got no answer but ignored ones that did not
// fit.
func (x *exchange) unanswered(err error, what string, ignored int) *Failure {
	detail := fmt.Sprintf("%s to %s", what, x.target)
	if f := fromNetwork(err, detail); f != nil {
		return f
	}
	if !isTimeout(err) {
		return &Failure{Reason: Local, Detail: detail, Err: err}
	}
	detail = fmt.Sprintf("%s: no answer %s", detail, x.within())
	if ignored > 0 {
		detail += fmt.Sprintf(" (%d that did not fit)", ignored)
	}
	return &Failure{Reason: Timeout, Detail: detail}
}
