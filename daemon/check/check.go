// Package check asks real servers whether they are well, and decides from the answers when one is
// up or down. It never touches the kernel's table, and knows nothing of virtual services.
package check

import (
	"context"
	"errors"
	"fmt"
)

// Checker asks once. Check returns nil if the server is healthy, and otherwise why it is not; it
// returns soon after ctx ends. A Checker may be used by several goroutines.
type Checker interface {
	Check(ctx context.Context) error
}

// Reason is why a check failed, as a label. Zero is unset.
type Reason uint8

// The reasons: a closed set, fit to be labels of metrics.
const (
	// Timeout is no answer, or not the whole of it, in time.
	Timeout Reason = iota + 1
	// Refused and Unreachable are what the server's kernel and the network said.
	Refused
	Unreachable
	// Closed is a connection that ended too early.
	Closed
	// Malformed is what is not of the protocol, or is without end.
	Malformed
	// Status, Digest and Pattern are an HTTP answer that is not as wanted.
	Status
	Digest
	Pattern
	// Reply is an answer by SMTP, DNS or UDP that is not as wanted.
	Reply
	// Handshake is TLS that could not begin, or did not end as it should; Certificate is one that
	// cannot be trusted.
	Handshake
	Certificate
	// Exit and Signal are how a script ended; NotRun is one that could not be started.
	Exit
	Signal
	NotRun
	// File and Session are a tracked file and a BFD session that say so.
	File
	Session
	// Local is a fault on this side, such as no free descriptor or a bind address that is not
	// there: the server was never asked.
	Local
	// Failed is all that is known of an error that is no Failure.
	Failed
)

var reasonNames = [...]string{
	Timeout: "timeout", Refused: "refused", Unreachable: "unreachable", Closed: "closed",
	Malformed: "malformed", Status: "status", Digest: "digest", Pattern: "pattern",
	Reply: "reply", Handshake: "handshake", Certificate: "certificate", Exit: "exit",
	Signal: "signal", NotRun: "not-run", File: "file", Session: "session", Local: "local",
	Failed: "failed",
}

// String returns the label.
func (r Reason) String() string {
	if int(r) < len(reasonNames) && r != 0 {
		return reasonNames[r]
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// Reasons returns all of them.
func Reasons() []Reason {
	var all []Reason
	for r := Timeout; r <= Failed; r++ {
		all = append(all, r)
	}
	return all
}

// Failure is the error of the checkers in this package.
type Failure struct {
	Reason Reason
	// Detail is what happened, for a log.
	Detail string
	// Err is the cause; nil if the server answered, but not as wanted.
	Err error
}

// Error returns the detail and the cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Detail
	}
	return fmt.Sprintf("%s: %v", f.Detail, f.Err)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// All finds a server healthy that each of its checkers does. They are asked in order, up to the
// first that fails; none at all is healthy.
type All []Checker

// Check implements Checker; its error is that of the checker that failed.
func (a All) Check(ctx context.Context) error {
	for _, c := range a {
		if err := c.Check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ReasonOf returns the reason of a failed check: Failed for an error that is no Failure, zero for
// nil.
func ReasonOf(err error) Reason {
	var f *Failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.Reason
	}
	return Failed
}
