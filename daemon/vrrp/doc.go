// Package vrrp decides what a VRRP router does: it reads and writes adverts (VRRPv2 of RFC 3768
// and VRRPv3 of RFC 9568) and turns what happened into what to do. It never does anything itself:
// no socket, no clock, no goroutine, no log.
//
// A Machine is one virtual router. A Group is one or more of them that move together; a driver
// only needs Groups, because a Group of one behaves as its Machine does.
//
//	             Startup                 timer ran out, socket drained
//	Initialize ───────────► Backup ─────────────────────────────────────► Master
//	     ▲                  │  ▲  ◄─────────────────────────────────────  │
//	     │                  │  │    higher advert, or slept too long      │
//	     │            Fault │  │ Recovered                                │
//	     │                  ▼  │                                   Fault  │
//	     │                  Fault ◄───────────────────────────────────────┘
//	     └─ Shutdown from anywhere; Leave from Master once a successor is heard
//
// A Startup that resumes goes from Initialize to Master at once, and so does the owner of the
// addresses. A graceful Fault leaves Master as Leave does. Conditions keep what is wrong on the
// network for as long as it is.
//
// RFC 9568 calls the master the Active Router; here it is the master, as in keepalived.
package vrrp

//go:generate go tool stringer -type=State,Reason -linecomment -output=state_names.go
//go:generate go tool stringer -type=DropReason,ChecksumForm,AuthType -linecomment -output=names.go
//go:generate go tool stringer -type=AnnounceCause -linecomment -output=cause_names.go
//go:generate go tool stringer -type=ConditionKind -linecomment -output=condition_names.go
