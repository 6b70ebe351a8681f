package check_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/check"
)

// ends is a script that always ends so.
type ends check.ScriptExit

func (e ends) Run(context.Context, time.Duration) check.ScriptExit { return check.ScriptExit(e) }

func TestMisc(t *testing.T) {
	for _, tt := range []struct {
		name    string
		exit    ends
		dynamic bool
		weight  check.Weight
		reason  check.Reason
		want    string
	}{
		{"good", ends{}, false, check.Weight{}, 0, "<nil>"},
		{"bad", ends{Status: 1}, false, check.Weight{}, check.Exit, "script: exit status 1"},
		{"bad with words", ends{Status: 1, Words: "exit status 1: no route"}, false,
			check.Weight{}, check.Exit, "script: exit status 1: no route"},
		{"2 is bad", ends{Status: 2}, false, check.Weight{}, check.Exit, "script: exit status 2"},
		{"dynamic 0", ends{}, true, check.Weight{}, 0, "<nil>"},
		{"dynamic 1", ends{Status: 1}, true, check.Weight{}, check.Exit,
			"script: exit status 1"},
		{"dynamic 2", ends{Status: 2}, true, exactly(0), 0, "<nil>"},
		{"dynamic 12", ends{Status: 12}, true, exactly(10), 0, "<nil>"},
		{"dynamic 255", ends{Status: 255}, true, exactly(253), 0, "<nil>"},
		{"dynamic out of range", ends{Status: 256}, true, check.Weight{}, check.Exit,
			"script: exit status 256"},
		{"killed", ends{Status: -1, Signal: syscall.SIGSEGV}, true, check.Weight{},
			check.Signal, "script: killed by segmentation fault"},
		{"late", ends{TimedOut: true}, false, check.Weight{}, check.Timeout,
			"script: timed out after 1s"},
		{"late, and then content", ends{TimedOut: true, Status: 12}, true, check.Weight{},
			check.Timeout, "script: timed out after 1s"},
		{"cut short", ends{Err: fmt.Errorf("run x: %w", context.Canceled)}, false,
			check.Weight{}, check.Timeout, "script: cut short"},
		{"not there", ends{Err: fmt.Errorf("run /x: %w", os.ErrNotExist)}, false,
			check.Weight{}, check.NotRun, "script: run /x: file does not exist"},
		{"no room", ends{Err: fmt.Errorf("run /x: %w", unix.EAGAIN)}, false,
			check.Weight{}, check.Local, "script: run /x: resource temporarily unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.Misc{Script: tt.exit, Timeout: time.Second, Dynamic: tt.dynamic}
			w, err := c.Weigh(t.Context())
			if w != tt.weight || check.ReasonOf(err) != tt.reason || fmt.Sprint(err) != tt.want {
				t.Errorf("weight %s, %s: %v; want %s, %s: %s", w, check.ReasonOf(err), err,
					tt.weight, tt.reason, tt.want)
			}
			if again := c.Check(t.Context()); fmt.Sprint(again) != tt.want {
				t.Errorf("Check says %v, want %s", again, tt.want)
			}
		})
	}
}

func TestMiscNotStartedAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := check.Misc{Script: ends{Err: errors.New("was run")}}.Check(ctx)
	if check.ReasonOf(err) != check.Timeout {
		t.Errorf("error %v, want %s", err, check.Timeout)
	}
}

// told is a Source that says what it was told.
type told struct {
	up     bool
	weight check.Weight
	why    string
}

func (s told) State() (bool, check.Weight, string) { return s.up, s.weight, s.why }

func TestKnown(t *testing.T) {
	up := check.Known{Source: told{up: true, weight: added(3)}, Reason: check.File}
	if w, err := up.Weigh(t.Context()); w != added(3) || err != nil {
		t.Errorf("weight %s, error %v, want +3 and none", w, err)
	}
	down := check.Known{Source: told{why: "neighbour is down", weight: added(3)},
		Reason: check.Session}
	w, err := down.Weigh(t.Context())
	if w != (check.Weight{}) || check.ReasonOf(err) != check.Session ||
		err.Error() != "neighbour is down" || down.Check(t.Context()) == nil {
		t.Errorf("weight %s, error %v, want none and that the neighbour is down", w, err)
	}
}

func TestAll(t *testing.T) {
	good, bad := check.Misc{Script: ends{}}, check.Misc{Script: ends{Status: 1}}
	for _, tt := range []struct {
		all  check.All
		want check.Reason
	}{
		{nil, 0}, {check.All{good, good}, 0}, {check.All{good, bad, good}, check.Exit},
	} {
		if got := check.ReasonOf(tt.all.Check(t.Context())); got != tt.want {
			t.Errorf("%d checkers: %s, want %s", len(tt.all), got, tt.want)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range check.Reasons() {
		if name := r.String(); seen[name] || name == "" {
			t.Errorf("reason %d is called %q, which is empty or another's", r, name)
		} else {
			seen[name] = true
		}
	}
	if got := check.Reason(0).String(); got != "Reason(0)" {
		t.Errorf("zero is %q", got)
	}
	if got := check.Reason(200).String(); got != "Reason(200)" {
		t.Errorf("200 is %q", got)
	}
}
