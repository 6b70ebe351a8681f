// Package live keeps a lab up, so that whoever may can look at it, run programs on its nodes and
// break it, from any terminal and as often as they like. It never measures and never judges.
//
//	tandem lab exec ─┐                 keeper, an ordinary process        guest kernel, where needed
//	tandem fault    ─┼─ unix socket ─▶ Server ─▶ Here ─▶ lab.Lab
//	tandem lab shell─┘             └─▶ Relay ── one line, many streams ──▶ Server ─▶ Here ─▶ lab.Lab
//
// The lab lives in its keeper: when that ends, however it ends, nothing of the lab is left but a
// socket that nobody answers, which the next keeper of that name replaces.
package live

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Lab is a lab that is up. Here is one in this process, Remote one in another; both do the same.
// Its errors are of type *Failure where what was asked for is why.
type Lab interface {
	// Status is how the lab is now.
	Status(ctx context.Context) (Status, error)
	// Exec runs a program on a node to its end and returns its exit status, 128 and the signal's
	// number for one that a signal ended. The end of the context ends the program and all that it
	// has started. Streams.Input may be read once more after Exec has returned.
	Exec(ctx context.Context, r ExecRequest, s Streams) (status int, err error)
	// Log is the last lines of output of the programs of a node.
	Log(ctx context.Context, r LogRequest) ([]string, error)
	// Capture writes what passes interfaces as pcapng to Streams.Output until the context or the
	// time asked for ends, or a Control comes. Started, if set, is called when it has begun.
	Capture(ctx context.Context, r CaptureRequest, s Streams) (Captured, error)
	// Inject injects a fault and returns it, as List would, when it has taken hold.
	Inject(ctx context.Context, r InjectRequest) (Fault, error)
	// Heal heals faults and returns those that it has healed, in that order: the last one first.
	Heal(ctx context.Context, r HealRequest) ([]Fault, error)
}

// ExecRequest asks for a program to be run on a node.
type ExecRequest struct {
	Node string `json:"node"`
	// Args are the program, looked up in PATH if it has no slash, and its arguments.
	Args []string `json:"args"`
	// Dir is the working directory; empty, or not there: that of the lab. Env is added to the lab's
	// environment.
	Dir string   `json:"dir,omitempty"`
	Env []string `json:"env,omitempty"`
	// Terminal is the size of the terminal that the program gets; nil: it gets none.
	Terminal *Window `json:"terminal,omitempty"`
	// Detach returns as soon as the program runs, with status 0. It then has no input, and what it
	// writes is kept as lines of the node.
	Detach bool `json:"detach,omitempty"`
}

// Window is a terminal's size.
type Window struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

// Streams are what connects a program, or a capture, with who asked for it. Each may be nil.
type Streams struct {
	Input          io.Reader
	Output, Errors io.Writer
	Control        <-chan Control
	// Started is called when the program runs, or the capture has begun.
	Started func()
}

// Control is something that happens to a program from outside: a signal, a new size of its
// terminal.
type Control struct {
	Signal unix.Signal
	Window *Window
}

// LogRequest asks for the last lines of a node's programs.
type LogRequest struct {
	Node string `json:"node"`
	// Lines is how many; 0: all that are kept.
	Lines int `json:"lines"`
}

// CaptureRequest asks for what passes interfaces.
type CaptureRequest struct {
	// Targets are selectors, each of a node with or without an interface: "lb1:eth0", "web*",
	// "@master". Without one, all interfaces of the topology are meant.
	Targets []string `json:"targets"`
	// For is how long; 0: until it is stopped.
	For time.Duration `json:"for,omitempty"`
}

// Captured is what a capture has brought.
type Captured struct {
	// Interfaces are the interfaces that were listened to, as the file names them.
	Interfaces []string `json:"interfaces"`
	Packets    int      `json:"packets"`
	// Dropped is how many packets the kernel had no room for.
	Dropped int `json:"dropped"`
}

// InjectRequest asks for a fault.
type InjectRequest struct {
	// Kind is the name of a kind of fault, or what begins only one, or a word of only one.
	Kind string `json:"kind"`
	// Target is a selector of one node or several, which the fault then strikes at once.
	Target   string            `json:"target"`
	Settings map[string]string `json:"settings,omitempty"`
	// For is when it heals by itself; 0: never.
	For time.Duration `json:"for,omitempty"`
}

// HealRequest asks for faults to be healed.
type HealRequest struct {
	// ID is the number of the fault; 0: every fault.
	ID int `json:"id"`
}

// Fault is a fault that holds, or held.
type Fault struct {
	// ID is its number in this lab, from 1.
	ID   int    `json:"id"`
	Kind string `json:"kind"`
	// Targets are what it strikes, without selectors: "lb1", "lb1:eth0".
	Targets []string `json:"targets"`
	// Settings are those that it was given.
	Settings map[string]string `json:"settings,omitempty"`
	// Since is when it was injected. Heals is when it heals by itself; zero: never.
	Since time.Time `json:"since"`
	Heals time.Time `json:"heals,omitzero"`
	// Problem is why it did not heal when it should have.
	Problem string `json:"problem,omitempty"`
}

// Reason says whose matter a failure is.
type Reason string

// The reasons.
const (
	// Usage: what was asked for makes no sense, or is not there.
	Usage Reason = "usage"
	// NoProgram: the program to run is not there.
	NoProgram Reason = "no-program"
	// Lacks: the kernel that the lab is in lacks something.
	Lacks Reason = "lacks"
	// Failed: it was tried, and did not work.
	Failed Reason = "failed"
)

// Failure is why a lab did not do what it was asked.
type Failure struct {
	Reason Reason `json:"reason"`
	Text   string `json:"text"`
}

// Error returns the text.
func (f *Failure) Error() string { return f.Text }

// failure makes a Failure, whose text is formatted.
func failure(reason Reason, format string, args ...any) *Failure {
	return &Failure{reason, fmt.Sprintf(format, args...)}
}
