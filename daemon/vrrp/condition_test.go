package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	compareAddrs = cmpopts.EquateComparable(netip.Addr{})
	peer4        = netip.MustParseAddr("192.168.1.3")
)

// TestConditions lets a condition begin, last and end.
func TestConditions(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	c := NewConditions(Config{Version: V3, Priority: 100, Interval: time.Second})
	if got := c.Deadline(); !got.IsZero() || c.Expire(at(0)) != nil || len(c.Active()) != 0 {
		t.Fatalf("new: deadline %v, active %v, want none", got, c.Active())
	}
	e := Evidence{From: peer4, Priority: 50, Got: "2s", Want: "1s"}
	if !c.Note(at(0), ConditionTwoMasters, Evidence{From: peer4}) || !c.Note(at(time.Second),
		ConditionInterval, Evidence{}) || c.Note(at(2*time.Second), ConditionInterval, e) {
		t.Error("Note: want the first of each kind to be new, and no other")
	}
	want := []Condition{
		{ConditionInterval, at(time.Second), at(2 * time.Second), 2, e},
		{ConditionTwoMasters, at(0), at(0), 1, Evidence{From: peer4}},
	}
	if diff := cmp.Diff(want, c.Active(), compareAddrs); diff != "" {
		t.Errorf("Active (-want +got):\n%s", diff)
	}
	silence := 3*time.Second + 609375*time.Microsecond // three intervals and the skew
	if got := c.Deadline(); !got.Equal(at(silence)) {
		t.Errorf("Deadline = %v, want %v", got.Sub(start), silence)
	}
	if over := c.Expire(at(silence - 1)); over != nil {
		t.Errorf("Expire before the deadline = %v, want none", over)
	}
	if diff := cmp.Diff(want[1:], c.Expire(at(silence)), compareAddrs); diff != "" {
		t.Errorf("Expire at the deadline (-want +got):\n%s", diff)
	}
	if got, want := c.Deadline(), at(2*time.Second+silence); !got.Equal(want) {
		t.Errorf("Deadline of the other = %v, want %v", got, want)
	}
	if !c.Note(at(20*time.Second), ConditionTwoMasters, Evidence{}) {
		t.Error("Note of what was over: want it to be new")
	}
	if over := c.Expire(at(time.Hour)); len(over) != 2 || !c.Deadline().IsZero() {
		t.Errorf("Expire at last = %v, want both", over)
	}
}

// TestConditionOfSlowPeer waits for the adverts of a peer that sends them rarely.
func TestConditionOfSlowPeer(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := NewConditions(Config{Version: V3, Priority: 100, Interval: 10 * time.Millisecond})
	c.Note(start, ConditionInterval, Evidence{Interval: 10 * time.Second})
	if over := c.Expire(start.Add(30 * time.Second)); over != nil {
		t.Errorf("Expire within three of its intervals = %v, want none", over)
	}
	if over := c.Expire(start.Add(37 * time.Second)); len(over) != 1 {
		t.Errorf("Expire after them = %v, want it", over)
	}
}

func drop(r DropReason) Drop { return Drop{r, peer4, 7, time.Second, "2s", "1s"} }

var full = Evidence{peer4, 7, time.Second, "2s", "1s"}

// shown are actions and the conditions that they show; zero: none.
var shown = []struct {
	action   Action
	kind     ConditionKind
	evidence Evidence
}{
	{drop(DropInterval), ConditionInterval, full},
	{Mismatch(drop(DropInterval)), ConditionInterval, full},
	{drop(DropVersion), ConditionVersion, full},
	{drop(DropAuthType), ConditionAuthType, full},
	{drop(DropPassword), ConditionPassword, full},
	{drop(DropAddresses), ConditionAddresses, full},
	{Mismatch(drop(DropAddresses)), ConditionAddresses, full},
	{Mismatch(drop(DropLinkLocal)), ConditionAddresses, full},
	{drop(DropTTL), ConditionTTL, full},
	{drop(DropDestination), ConditionDestination, full},
	{drop(DropPeer), ConditionStranger, full},
	{drop(DropLooped), ConditionLooped, full},
	{Drop{Reason: DropChecksum, From: peer4}, ConditionChecksum, Evidence{From: peer4}},
	{Drop{Reason: DropShort, From: peer4}, ConditionMalformed, Evidence{From: peer4}},
	{Drop{Reason: DropLong, From: peer4}, ConditionMalformed, Evidence{From: peer4}},
	{Drop{Reason: DropType, From: peer4}, ConditionMalformed, Evidence{From: peer4}},
	{Drop{Reason: DropNoAddress, From: peer4}, ConditionMalformed, Evidence{From: peer4}},
	{Drop{Reason: DropFamily, From: peer4}, ConditionMalformed, Evidence{From: peer4}},
	{Mismatch(drop(DropTwoOwners)), ConditionTwoOwners, full},
	{drop(DropVRID), 0, Evidence{}},
	{drop(DropOwner), 0, Evidence{}},
	{drop(DropFlood), 0, Evidence{}},
	{Contested{peer4, 7}, ConditionTwoMasters, Evidence{From: peer4, Priority: 7}},
	{Stalled{2 * time.Second}, ConditionStalled, Evidence{Got: "2s"}},
	{SendAdvert{100}, 0, Evidence{}},
	{PriorityChanged{100, 50}, 0, Evidence{}},
	{Transition{Backup, Master, ReasonSilence}, 0, Evidence{}},
}

// TestConditionOfAction gives each action the condition that it shows.
func TestConditionOfAction(t *testing.T) {
	seen := map[DropReason]bool{}
	for _, tt := range shown {
		if d, ok := tt.action.(Drop); ok {
			seen[d.Reason] = true
		}
		if m, ok := tt.action.(Mismatch); ok {
			seen[m.Reason] = true
		}
		t.Run(tt.action.String(), func(t *testing.T) {
			c := NewConditions(Config{Version: V3, Priority: 100, Interval: time.Second})
			kind, began := c.NoteAction(time.Time{}, tt.action)
			if kind != tt.kind || began != (tt.kind != 0) {
				t.Fatalf("NoteAction = %v, %v, want %v", kind, began, tt.kind)
			}
			if kind == 0 {
				return
			}
			if diff := cmp.Diff(tt.evidence, c.Active()[0].Evidence, compareAddrs); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
			if again, began := c.NoteAction(time.Time{}, tt.action); again != kind || began {
				t.Errorf("NoteAction again = %v, %v, want %v, not new", again, began, kind)
			}
		})
	}
	for _, r := range DropReasons() {
		if !seen[r] {
			t.Errorf("no row for %v", r.String())
		}
	}
}

func TestConditionKindNames(t *testing.T) {
	for k := ConditionInterval; k <= ConditionTwoOwners; k++ {
		if s := k.String(); strings.HasPrefix(s, "Condition") {
			t.Errorf("ConditionKind(%d) = %q, want words", k, s)
		}
	}
}
