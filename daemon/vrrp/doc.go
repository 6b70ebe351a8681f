// Package vrrp decides what a VRRP router does: it reads and writes adverts (VRRPv2 of RFC 3768
// and VRRPv3 of RFC 9568) and turns what happened into what to do. It never does anything itself:
// no socket, no clock, no goroutine, no log.
//
// A Machine is one virtual router. A Group is one or more of them that move together; a driver
// only needs Groups, because a Group of one behaves as its Machine does.
//
//	                        ┌────────────┐
//	    ┌─────── in Fault ──┤ Initialize ├── owner alone, or resumes ──┐
//	    │                   └─────┬──────┘                             │
//	    │                         │ Startup                            │
//	    ▼       Recovered         ▼         silence, resignation,      ▼
//	┌───────┐ ─────────────► ┌────────┐     or preemption         ┌────────┐
//	│ Fault │                │ Backup │ ────────────────────────► │ Master │
//	└───────┘ ◄───────────── └────────┘ ◄──────────────────────── └────────┘
//	    ▲         Fault                     higher advert, stall,      │
//	    │                                   sync group, StepDown       │
//	    └────────────────────────────── Fault ─────────────────────────┘
//
//	Shutdown leads from anywhere to Initialize, and so does Leave.
//
// A backup believes in silence only once its socket is drained, and never before the Startup's
// NotBefore; one of a Group when all are ready. The owner of the addresses goes from Fault to
// Master at once, too, unless it has met a higher owner and conceded.
//
// A master resigns, by an advert of priority 0, when it goes to Fault or Initialize or steps down,
// but not when it stalls or is outranked. By Leave and by a graceful Fault it is Master, and has
// its VIPs, until it hears its successor or has waited long enough; one that is outranked is Backup
// at once and lets go of its VIPs 100 ms later. In all else the VIPs are there in Master only.
//
// Conditions keep what is wrong on the network for as long as it is.
//
// RFC 9568 calls the master the Active Router; here it is the master, as in keepalived.
package vrrp

//go:generate go tool stringer -type=State,Reason -linecomment -output=state_names.go
//go:generate go tool stringer -type=DropReason,ChecksumForm,AuthType -linecomment -output=names.go
//go:generate go tool stringer -type=AnnounceCause -linecomment -output=cause_names.go
//go:generate go tool stringer -type=ConditionKind -linecomment -output=condition_names.go
