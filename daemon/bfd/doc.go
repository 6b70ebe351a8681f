// Package bfd tells within milliseconds whether a neighbour can still be reached, by Bidirectional
// Forwarding Detection: RFC 5880 in asynchronous mode, over one hop (RFC 5881) or several (RFC
// 5883). It never changes a route, an address or a priority, and knows neither echo packets nor
// authentication.
//
// A Session is the protocol for one neighbour and pure: it takes what happened and the time and
// returns what to do. A Speaker has the sockets and the clock, and keeps Sessions over reloads.
//
//	                       Start                      neighbour is Down
//	    ┌───────────┐ ──────────────► ┌──────┐ ────────────────────────► ┌──────┐
//	    │ AdminDown │                 │ Down │                           │ Init │
//	    └───────────┘ ◄────────────── └──────┘ ◄──────────────────────── └──────┘
//	          ▲            Stop         ▲  │    silence, neighbour is        │
//	          │                         │  │          AdminDown              │
//	          │      silence, neighbour │  │ neighbour            neighbour  │
//	          │    is Down or AdminDown │  │ is Init        is Init or Up    │
//	          │                         │  ▼                                 │
//	          │         Stop          ┌──────┐                               │
//	          └────────────────────── │  Up  │ ◄─────────────────────────────┘
//	                                  └──────┘
//
//	Stop leads from Init to AdminDown, too.
//
// Silence is that no packet came for the detection time: the neighbour's multiplier times the
// longer of the interval that it offers and the one that this end asks for. It is believed once the
// socket is drained, and not at all by one that was itself late, which listens for another
// detection time first.
//
// The timers of a session that is not Up are at least a second. The change to faster ones is told
// by a Poll Sequence as soon as it is Up, and so is any other; see Session.
package bfd

//go:generate go tool stringer -type=State,Diag,Reason,DropReason -linecomment -output=names.go
