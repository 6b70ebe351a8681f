package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// maxReply bounds all that an SMTP server says in one check, in bytes.
	maxReply = 64 << 10
	// shownReply bounds what of a reply is shown, in bytes.
	shownReply = 100
)

// SMTP finds a mail server healthy that greets with 220 and answers HELO with 250. Replies may have
// several lines (RFC 5321, Section 4.2.1). It ends with QUIT, whatever the answer to that.
type SMTP struct {
	// Target is where it connects to.
	Target netip.AddrPort
	// Bind is where it connects from; zero is anywhere.
	Bind netip.AddrPort
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds the check from connecting to QUIT; 0 leaves that to the context.
	Timeout time.Duration
	// Helo is the name that it gives, without blanks; empty is this machine's end of the connection
	// as an address literal (RFC 5321, Section 4.1.3).
	Helo string
	// Extended begins with EHLO, and says HELO only if that is not known.
	Extended bool
}

// Check implements Checker. Its error is a *Failure.
func (c SMTP) Check(ctx context.Context) error {
	x, err := endpoint{c.Target, c.Bind, c.Dialer, c.Timeout}.open(ctx, "tcp")
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	t := &talk{x: x, in: &meter{from: x, limit: maxReply}}
	t.lines = bufio.NewReader(t.in)
	if err := t.expect("SMTP banner", 220); err != nil {
		return err
	}
	if err := t.greet(c.name(x), c.Extended); err != nil {
		return err
	}
	_, _, err = t.say("QUIT")
	if ReasonOf(err) == Timeout {
		return err
	}
	return nil // it has proved to be well, and may leave as it likes
}

func (c SMTP) name(x *exchange) string {
	if c.Helo != "" {
		return c.Helo
	}
	local, err := netip.ParseAddrPort(x.local())
	switch {
	case err != nil:
		return "localhost"
	case local.Addr().Unmap().Is4():
		return "[" + local.Addr().Unmap().String() + "]"
	}
	return "[IPv6:" + local.Addr().WithZone("").String() + "]"
}

// talk is a conversation by SMTP.
type talk struct {
	x     *exchange
	in    *meter
	lines *bufio.Reader
}

// greet introduces this side.
func (t *talk) greet(name string, extended bool) error {
	if extended {
		code, text, err := t.say("EHLO " + name)
		if err != nil || code == 250 {
			return err
		}
		if code != 500 && code != 501 && code != 502 && code != 504 && code != 550 {
			return unwanted("answer to EHLO", code, text, 250)
		}
	}
	code, text, err := t.say("HELO " + name)
	if err != nil || code == 250 {
		return err
	}
	return unwanted("answer to HELO", code, text, 250)
}

// say sends a command and reads the reply.
func (t *talk) say(command string) (code int, text string, err error) {
	verb, _, _ := strings.Cut(command, " ")
	if _, err := t.x.Write([]byte(command + "\r\n")); err != nil {
		return 0, "", t.x.broken(err, "send "+verb, 0)
	}
	return t.reply("answer to " + verb)
}

// expect reads a reply that must have this code.
func (t *talk) expect(what string, want int) error {
	code, text, err := t.reply(what)
	if err != nil || code == want {
		return err
	}
	return unwanted(what, code, text, want)
}

func unwanted(what string, code int, text string, want int) *Failure {
	detail := fmt.Sprintf("%s is %d, wanted %d", what, code, want)
	if text != "" {
		detail += ": " + text
	}
	return &Failure{Reason: Reply, Detail: detail}
}

// reply reads the lines of one reply, and returns its code and the text of its last line. Its error
// is a *Failure.
func (t *talk) reply(what string) (code int, text string, err error) {
	before := t.in.read
	for {
		line, err := t.lines.ReadString('\n')
		if err != nil {
			return 0, "", t.unread(err, what, t.in.read-before)
		}
		line = strings.TrimRight(line, "\r\n")
		next, last := parseReply(line)
		if next == 0 || code != 0 && next != code {
			detail := fmt.Sprintf("%s is not SMTP: %q", what, shown(line))
			return 0, "", &Failure{Reason: Malformed, Detail: detail}
		}
		code = next
		if last {
			return code, shown(line[min(4, len(line)):]), nil
		}
	}
}

// parseReply returns the code of a line, 0 if it has none, and whether the reply ends with it.
func parseReply(line string) (code int, last bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(line[:3], 10, 16)
	if err != nil || n < 200 || n > 599 {
		return 0, false
	}
	return int(n), len(line) == 3 || line[3] == ' '
}

// unread returns the failure for a reply of which only n bytes came.
func (t *talk) unread(err error, what string, n int64) *Failure {
	switch {
	case errors.Is(err, errLimit):
		detail := fmt.Sprintf("%s: more than %d KiB", what, maxReply>>10)
		return &Failure{Reason: Malformed, Detail: detail}
	case isTimeout(err) && n == 0:
		return &Failure{Reason: Timeout, Detail: fmt.Sprintf("no %s %s", what, t.x.within())}
	}
	return t.x.broken(err, "read "+what, n)
}

// shown is what came from a server as a log can show it.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, text[:min(len(text), shownReply)])
}
