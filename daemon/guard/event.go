package guard

import (
	"fmt"
	"time"
)

// Event is something that happened to the guard. The set is closed: the types below.
type Event interface{ event() }

// Begin is the start of the guard. In any other state than its first it does nothing.
type Begin struct{}

// Claimed is that the worker claims something, or something else under the same name.
type Claimed struct{ Claim Claim }

// Released is that it claims that no more.
type Released struct{ Name string }

// Beat is that the worker works. Until its first beat it is not expected to.
type Beat struct{}

// Ready is that the worker has begun everything: what it does not claim by now it will not.
type Ready struct{}

// Ended is that the worker has ended.
type Ended struct {
	// Status is its exit status, or 128 and the signal's number.
	Status int
	// Signaled is that a signal has ended it.
	Signaled bool
}

// Inspected answers Inspect.
type Inspected struct {
	// Stopped is that somebody has stopped the worker. One that is not only has had no time, which
	// another would not have either, or hangs.
	Stopped bool
}

// Heard is that another master than the worker has been heard for a claim that is listened for.
type Heard struct{ Name string }

// Stop is that the guard has been told to stop. A second one does nothing.
type Stop struct{}

// Timeout is that Deadline has come.
type Timeout struct{}

func (Begin) event()     {}
func (Claimed) event()   {}
func (Released) event()  {}
func (Beat) event()      {}
func (Ready) event()     {}
func (Ended) event()     {}
func (Inspected) event() {}
func (Heard) event()     {}
func (Stop) event()      {}
func (Timeout) event()   {}

// Action is something to do, in the order given. The set is closed: the types below.
type Action interface {
	fmt.Stringer
	action()
}

// Start starts a worker; with Resume it is given the ledger, and goes on where the last one was.
type Start struct{ Resume bool }

// Inspect looks at why the worker is silent, and tells by Inspected.
type Inspect struct{}

// Kill ends the worker at once, Terminate asks it to stop.
type (
	Kill      struct{}
	Terminate struct{}
)

// Advertise sends the advert of a claim, Resign that of priority 0.
type (
	Advertise struct{ Claim Claim }
	Resign    struct{ Claim Claim }
)

// Listen has masters of the claim's virtual router told by Heard until it is withdrawn.
type Listen struct{ Claim Claim }

// Withdraw takes what a claim holds off the network.
type Withdraw struct{ Claim Claim }

// Exit ends the guard with that status.
type Exit struct{ Status int }

// Tell is for the log.
type Tell struct {
	// Text is what happened.
	Text string
	// Status is the worker's exit status, After how long something took or will take; zero if
	// that is not what it is about.
	Status int
	After  time.Duration
}

func (Start) action()     {}
func (Inspect) action()   {}
func (Kill) action()      {}
func (Terminate) action() {}
func (Advertise) action() {}
func (Resign) action()    {}
func (Listen) action()    {}
func (Withdraw) action()  {}
func (Exit) action()      {}
func (Tell) action()      {}

// String returns "start worker" or "resume worker".
func (a Start) String() string {
	if a.Resume {
		return "resume worker"
	}
	return "start worker"
}

// String returns "inspect worker".
func (Inspect) String() string { return "inspect worker" }

// String returns "kill worker".
func (Kill) String() string { return "kill worker" }

// String returns "terminate worker".
func (Terminate) String() string { return "terminate worker" }

// String returns, for example, "advertise VI_1".
func (a Advertise) String() string { return "advertise " + a.Claim.Name }

// String returns, for example, "resign VI_1".
func (a Resign) String() string { return "resign " + a.Claim.Name }

// String returns, for example, "listen for VI_1".
func (a Listen) String() string { return "listen for " + a.Claim.Name }

// String returns, for example, "withdraw VI_1".
func (a Withdraw) String() string { return "withdraw " + a.Claim.Name }

// String returns, for example, "exit 0".
func (a Exit) String() string { return fmt.Sprintf("exit %d", a.Status) }

// String returns, for example, "tell: worker ended, status 137".
func (a Tell) String() string {
	text := "tell: " + a.Text
	if a.Status != 0 {
		text += fmt.Sprintf(", status %d", a.Status)
	}
	if a.After != 0 {
		text += fmt.Sprintf(", %s", a.After)
	}
	return text
}
