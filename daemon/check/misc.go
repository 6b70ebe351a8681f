package check

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// Misc finds a server healthy of which a script says so.
type Misc struct {
	// Script is run; never nil.
	Script Script
	// Timeout bounds a run; more than 0. A script that has to be killed takes the Script's grace on
	// top, which the Timeout of the Task must leave it.
	Timeout time.Duration
	// Dynamic takes the weight from the exit status: 2 and above are healthy with a weight that is 2
	// less. 0 is healthy with the configured weight, as without Dynamic.
	Dynamic bool
}

// Script runs a command that says by its exit status how a server is. It may be used by several
// goroutines.
type Script interface {
	// Run runs it once. At the timeout, and when ctx ends, it ends the command and all that it has
	// started, and then returns.
	Run(ctx context.Context, timeout time.Duration) ScriptExit
}

// ScriptExit is how a run ended.
type ScriptExit struct {
	// Status is the exit status, if the command ended by itself.
	Status int
	// Signal ended it; 0 if none did.
	Signal syscall.Signal
	// TimedOut says that it was still running at the timeout, however it then ended.
	TimedOut bool
	// Err says why it could not run, or was cut short; nil otherwise.
	Err error
	// Words say all that for a log, as in "exit status 1: no route".
	Words string
}

// Check implements Checker.
func (c Misc) Check(ctx context.Context) error {
	_, err := c.Weigh(ctx)
	return err
}

// Weigh implements Weigher. Its error is a *Failure. A command that is not there, or may not be
// run, fails the check; one for which this machine had no room was not run, and says nothing.
func (c Misc) Weigh(ctx context.Context) (Weight, error) {
	if err := ctx.Err(); err != nil {
		return Weight{}, &Failure{Reason: Timeout, Detail: "script not started in time"}
	}
	return c.judge(c.Script.Run(ctx, c.Timeout))
}

// judge is what an exit means.
func (c Misc) judge(e ScriptExit) (Weight, error) {
	fail := func(r Reason, detail string) (Weight, error) {
		if e.Words != "" {
			detail = e.Words
		}
		return Weight{}, &Failure{Reason: r, Detail: "script: " + detail}
	}
	switch {
	case e.TimedOut:
		return fail(Timeout, fmt.Sprintf("timed out after %s", c.Timeout))
	case outOfRoom(e.Err):
		return fail(Local, e.Err.Error())
	case isTimeout(e.Err):
		return fail(Timeout, "cut short")
	case e.Err != nil:
		return fail(NotRun, e.Err.Error())
	case e.Signal != 0:
		return fail(Signal, "killed by "+e.Signal.String())
	case e.Status == 0:
		return Weight{}, nil
	case c.Dynamic && e.Status >= 2 && e.Status <= 255:
		return Weight{Kind: Exactly, Value: int32(e.Status - 2)}, nil
	}
	return fail(Exit, fmt.Sprintf("exit status %d", e.Status))
}
