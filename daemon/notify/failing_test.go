package notify

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

// TestFailingScripts follows what is said of scripts that fail, for one instance and for several,
// until each has run well, or is configured no more.
func TestFailingScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		failure := errors.New("exit status 1")
		s := &stage{run: func(context.Context, Script) error { return failure }}
		n := New(Options{Run: s.play})
		a, b := Subject{Kind: Instance, Name: "A"}, Subject{Kind: Instance, Name: "B"}
		c := Config{Rules: map[Subject]Rules{
			a: {Any: command("/all")}, b: {Any: command("/all"), Master: command("/own")},
		}}
		configure(t, n, c)
		end := begin(n)
		defer end()
		tell := func(s Subject) {
			n.Tell(Event{Subject: s, State: Master})
			bubbletest.Pass(time.Second)
		}
		expect := func(when string, want ...FailedScript) {
			t.Helper()
			if diff := cmp.Diff(want, n.Stats().Failing); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
		const text = "exit status 1"
		expect("at first")
		tell(a)
		one := FailedScript{Script: "/all", Since: at(0), Last: at(0), Error: text, Subject: a}
		expect("one has failed", one)
		tell(b)
		own := FailedScript{Script: "/own", Since: at(1), Last: at(1), Error: text, Subject: b}
		expect("both have failed", FailedScript{Script: "/all", Since: at(0), Last: at(1),
			Error: text, Subject: b, Others: 1}, own)
		tell(a)
		expect("again", FailedScript{Script: "/all", Since: at(0), Last: at(2), Error: text,
			Subject: a, Others: 1}, own)
		failure = nil
		tell(a)
		all := FailedScript{Script: "/all", Since: at(1), Last: at(1), Error: text, Subject: b}
		expect("one has run well", all, own)
		configure(t, n, Config{Rules: map[Subject]Rules{b: {Any: command("/all")}}})
		expect("configured no more", all)
		tell(b)
		expect("all have run well")
	})
}

// TestEndedScriptIsNoFailure ends a script with the daemon.
func TestEndedScriptIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{run: sleep(time.Hour)}
		n := New(Options{Run: s.play})
		a := Subject{Kind: Instance, Name: "A"}
		configure(t, n, Config{Rules: map[Subject]Rules{a: {Any: command("/all")}}})
		end := begin(n)
		n.Tell(Event{Subject: a, State: Master})
		synctest.Wait()
		_ = end()
		if got := n.Stats(); len(got.Failing) > 0 || got.Scripts.Failed != 1 {
			t.Errorf("got %+v, want it ended and no failure of its own", got)
		}
	})
}

// TestFailingReader follows a reader that ends at once, and then stays.
func TestFailingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var works atomic.Bool
		s := &stage{}
		s.run = func(ctx context.Context, _ Script) error {
			if !works.Load() {
				return errors.New("exit status 3")
			}
			<-ctx.Done()
			return nil
		}
		n := New(Options{Run: s.play})
		configure(t, n, Config{FIFOs: []FIFO{
			{Path: t.TempDir() + "/fifo", VRRP: true, Script: command("/read")},
		}})
		end := begin(n)
		defer end()
		bubbletest.Pass(10 * time.Second)
		f := n.Stats().FIFOs[0]
		if !f.ReaderFailing.Equal(began) || f.ReaderError != "exit status 3" {
			t.Errorf("got %+v, want it to fail since %s", f, began)
		}
		works.Store(true)
		bubbletest.Pass(3 * lastRetry)
		if f = n.Stats().FIFOs[0]; !f.ReaderFailing.IsZero() || f.ReaderError != "" {
			t.Errorf("got %+v, want a reader that works", f)
		}
	})
}

// TestConditions tells of conditions: those told of in a FIFO that has asked for them, a script and
// a mail for each that is raised, and one for its end.
func TestConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, office := &stage{}, &postOffice{}
		n := New(Options{Run: s.play, Dial: office.dial})
		a := Subject{Kind: Condition, Name: "A"}
		configure(t, n, Config{
			Rules: map[Subject]Rules{
				a:                 {Mail: true},
				{Kind: Condition}: {Condition: command("/wrong")},
			},
			Mail: Mail{Server: "mail:25", From: "a@b", To: []string{"c@d"}},
		})
		end := begin(n)
		for _, e := range []Event{
			{Subject: a, State: Cleared, Condition: "stalled"},
			{Subject: a, State: Raised, Condition: "split_brain", Reason: "two masters"},
			{Subject: a, State: Raised, Condition: "stalled"},
			{Subject: a, State: Cleared, Condition: "split_brain"},
			{Subject: Subject{Kind: Condition, Name: "/x"}, State: Raised, Condition: "script_failed"},
		} {
			n.Tell(e)
			synctest.Wait()
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		want := []string{"/wrong CONDITION /x RAISED script_failed TANDEM_SEQ=5"}
		if diff := cmp.Diff(want, s.called()); diff != "" {
			t.Errorf("scripts (-want +got):\n%s", diff)
		}
		var subjects []string
		_, mails := office.seen()
		for _, m := range mails {
			_, rest, _ := strings.Cut(m, "Subject: ")
			subject, _, _ := strings.Cut(rest, "\n")
			subjects = append(subjects, subject)
		}
		want = []string{"[] split_brain of A is RAISED", "[] stalled of A is RAISED",
			"[] split_brain of A is CLEARED"}
		if diff := cmp.Diff(want, subjects); diff != "" {
			t.Errorf("mails (-want +got):\n%s", diff)
		}
	})
}

func TestConditionsInFIFOs(t *testing.T) {
	e := Event{Subject: Subject{Kind: Condition, Name: "A"}, State: Raised, Condition: "stalled"}
	if got := e.Line(); got != "CONDITION \"A\" RAISED stalled\n" {
		t.Errorf("Line: got %q", got)
	}
	for _, f := range []FIFO{{VRRP: true, LVS: true}, {Conditions: true}} {
		if f.wants(Condition) != f.Conditions {
			t.Errorf("%+v wants conditions: %v", f, f.wants(Condition))
		}
	}
}
