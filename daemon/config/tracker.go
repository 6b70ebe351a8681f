package config

import (
	"net/netip"
	"time"
)

// Weight is what a tracker does to the priority of an instance: 0 puts it into fault.
type Weight struct {
	// Value is added while what is tracked is up (positive) or down (negative).
	Value int
	// Reverse turns the sign of Weight over; without one it swaps up and down.
	Reverse bool
}

// Track is the use of a tracker by an instance or a group.
type Track struct {
	// Pos is where the line starts.
	Pos Pos
	// Name is that of the tracker.
	Name string
	// Weight is the tracker's own unless HasWeight is set.
	Weight    Weight
	HasWeight bool
}

// Tracks are the trackers of an instance or a group.
type Tracks struct {
	Scripts, Files, Processes, BFDs []Track
}

// ScriptTracker is one vrrp_script: a command whose exit status counts.
type ScriptTracker struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them.
	Name string
	// Script is run every Interval, for at most Timeout. It is never nil.
	Script            *Script
	Interval, Timeout time.Duration
	// Weight of instances that name none.
	Weight Weight
	// Rise and Fall are how many results in a row count.
	Rise, Fall int
	// Account runs it; empty means the global one.
	Account Account
	// Failed is how it starts.
	Failed bool
}

// FileTracker is one track_file: a file with a number in it.
type FileTracker struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them, File the path.
	Name, File string
	// Weight of instances that name none.
	Weight Weight
	// Init writes InitValue to a file that is not there, or to any with Overwrite.
	Init      bool
	InitValue int
	Overwrite bool
}

// ProcessTracker is one vrrp_track_process: a number of processes.
type ProcessTracker struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them.
	Name string
	// Command is the name of the processes with their first arguments. It is never empty.
	Command []string
	// Match says how arguments are compared; empty means all of them.
	Match string
	// Weight of instances that name none.
	Weight Weight
	// Quorum and QuorumMax are how many there must be, and may be at most; QuorumMax is unlimited
	// unless HasQuorumMax is set.
	Quorum, QuorumMax int
	HasQuorumMax      bool
	// ForkDelay and TerminateDelay hold changes back.
	ForkDelay, TerminateDelay time.Duration
	// FullCommand compares the whole command line.
	FullCommand bool
}

// BFD is one bfd_instance: a session of RFC 5880.
type BFD struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them.
	Name string
	// Neighbor and Source are the ends; Source may be invalid.
	Neighbor, Source netip.Addr
	// MinRX, MinTX and IdleTX are the intervals of its packets.
	MinRX, MinTX, IdleTX time.Duration
	// Multiplier is after how many lost packets it is down.
	Multiplier int
	// Passive waits for the neighbour.
	Passive bool
	// TTL of what it sends; 0 means 255, or 64 with Multihop. MaxHops is what may be missing from
	// that in what it hears.
	TTL      uint8
	MaxHops  uint8
	Multihop bool
	// Weight of instances that name none.
	Weight Weight
	// VRRP and Checker are who is told; neither means both.
	VRRP, Checker bool
}

// TrackGroup is one track_group: instances that depend on static entries.
type TrackGroup struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them, Members are names of instances.
	Name    string
	Members []Member
}

// Member is the name of an instance in a group.
type Member struct {
	Pos  Pos
	Name string
}

// GARPGroup is one garp_group: interfaces that share a pace of announcements.
type GARPGroup struct {
	// Pos is where the block starts.
	Pos Pos
	// ARPInterval and NAInterval are the least times between two packets.
	ARPInterval, NAInterval time.Duration
	// Interfaces that it is about, at least one.
	Interfaces []string
}

// TLS is the client certificate of SSL_GET.
type TLS struct {
	// Pos is where the block starts.
	Pos Pos
	// Password is that of Key; all others are files in PEM.
	Password, CA, Certificate, Key string
}

const trackUsage = "NAME [weight N [reverse|noreverse]]"

// trackKeywords are the trackers of instances and groups.
func trackKeywords[T any](at func(*T) *Tracks) []keyword[T] {
	track := func(name, of string, limit int, field func(*Tracks) *[]Track) keyword[T] {
		parse := func(d *decoder, keyword string, ws []Word) (Track, bool) {
			return parseTrack(d, keyword, limit, ws)
		}
		return list(name, trackUsage, parse, (*Track).words,
			func(t *T) *[]Track { return field(at(t)) }, "depends on these "+of)
	}
	return []keyword[T]{
		track("track_script", "vrrp_script", 253, func(t *Tracks) *[]Track { return &t.Scripts }),
		track("track_file", "track_file", 254, func(t *Tracks) *[]Track { return &t.Files }),
		track("track_process", "vrrp_track_process", 254,
			func(t *Tracks) *[]Track { return &t.Processes }),
		track("track_bfd", "bfd_instance", 253, func(t *Tracks) *[]Track { return &t.BFDs }),
	}
}

func parseTrack(d *decoder, keyword string, limit int, ws []Word) (Track, bool) {
	t := Track{Pos: ws[0].Pos, Name: ws[0].kept()}
	if len(ws) == 1 {
		return t, true
	}
	value := number[int](-limit, limit)
	ok := d.options(keyword, ws[1:], options{
		"weight": {takes: 1, usage: value.usage, set: func(w Word) bool {
			t.HasWeight = true
			return into(value, w, &t.Weight.Value)
		}},
		"reverse":    {set: func(Word) bool { t.Weight.Reverse = true; return t.HasWeight }},
		"noreverse":  {set: func(Word) bool { return t.HasWeight }},
		"no_reverse": {set: func(Word) bool { return t.HasWeight }},
	})
	return t, ok
}

func (t *Track) words() []string {
	ws := []string{t.Name}
	if t.HasWeight {
		ws = append(append(ws, "weight"), weight(254).words(t.Weight)...)
	}
	return ws
}
