package track_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/track"
)

func TestConfigureRefuses(t *testing.T) {
	good := track.Script{Name: "a", Interval: time.Second,
		Command: script.Command{Args: []string{"x"}}}
	change := func(f func(*track.Script)) track.Config {
		s := good
		f(&s)
		return track.Config{Scripts: []track.Script{s}}
	}
	for want, c := range map[string]track.Config{
		"track script: no name":       change(func(s *track.Script) { s.Name = "" }),
		"track script a: interval 0s": change(func(s *track.Script) { s.Interval = 0 }),
		"track script a: timeout -1s": change(func(s *track.Script) { s.Timeout = -time.Second }),
		"track script a: rise -1, fall 0": change(func(s *track.Script) {
			s.Rise = -1
		}),
		"track script a: named twice":            {Scripts: []track.Script{good, good}},
		`track file f: path "x" is not absolute`: {Files: []track.File{{Name: "f", Path: "x"}}},
		"track process p: no command":            {Processes: []track.Process{{Name: "p"}}},
		"track process p: match ParamMatch(9)": {Processes: []track.Process{
			{Name: "p", Command: []string{"x"}, Match: 9}}},
		"track process p: a number or time below 0": {Processes: []track.Process{
			{Name: "p", Command: []string{"x"}, Quorum: -1}}},
		"track interface eth0: named twice": {Interfaces: []string{"eth0", "eth0"}},
	} {
		t.Run(want, func(t *testing.T) {
			s := track.New(func(track.Change) {})
			before := track.Config{Interfaces: []string{"eth9"}}
			if err := s.Configure(before); err != nil {
				t.Fatal(err)
			}
			if err := s.Configure(c); err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if all := s.Snapshot(); len(all) != 1 || all[0].Name != "eth9" {
				t.Errorf("trackers after it: %+v", all)
			}
		})
	}
}

func TestInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, track.New, track.Config{Interfaces: []string{"eth0", "eth1"}})
		defer s.stop()
		s.SetInterface("eth0", true)
		s.SetInterface("eth0", true)
		s.SetInterface("eth2", true)
		s.expect("interface eth0 up at 0s: link up")
		s.SetInterface("eth0", false)
		s.expect("interface eth0 down at 0s: link down")
		s.configure(track.Config{Interfaces: []string{"eth1", "eth2"}})
		uses := []track.Use{}
		for _, name := range []string{"eth0", "eth1", "eth2"} {
			uses = append(uses, track.Use{Key: track.Key{Kind: track.InterfaceKind, Name: name},
				Weight: track.Weight{Value: 7}})
		}
		var got []track.State
		for _, in := range s.Influences(uses) {
			if in.Weight.Value != 7 {
				t.Errorf("influence %+v", in)
			}
			got = append(got, in.State)
		}
		want := []track.State{track.Unknown, track.Unknown, track.Up}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states of eth0, eth1 and eth2 (-want +got):\n%s", diff)
		}
	})
}

// TestReportMayAsk checks that a report can use the Set.
func TestReportMayAsk(t *testing.T) {
	var s *track.Set
	states := 0
	s = track.New(func(track.Change) { states = len(s.Snapshot()) })
	if err := s.Configure(track.Config{Interfaces: []string{"eth0"}}); err != nil {
		t.Fatal(err)
	}
	s.SetInterface("eth0", true)
	if states != 1 {
		t.Errorf("%d trackers, want 1", states)
	}
}
