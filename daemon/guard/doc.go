// Package guard keeps a director from leaving a mess: the guard is the process that was started, the
// worker is its only child and does all the work. The guard owns nothing but a ledger of what the
// worker claims on the network, so that there is next to nothing in it that could fail.
//
//		          adverts, addresses, checks
//		worker ────────────────────────────────► network
//		  │  ▲                                      ▲
//		  │  │ what an earlier worker claimed       │ only while there is no worker:
//		  ▼  │                                      │ stand in, or hand over
//		guard ──────────────────────────────────────┘
//
//	  - A worker that dies, or is killed because it stood still, is replaced at once. Until the new
//	    one advertises for itself, the guard sends the adverts that the ledger holds: the peers
//	    notice nothing, and the kernel goes on forwarding.
//	  - One that dies again within a minute, or is not there in time, has its claims handed over:
//	    the guard resigns for it, waits for the successor, withdraws what it held, and starts it
//	    again after a while, as backup.
//	  - A worker whose guard dies stops by itself, as when it is told to.
//	  - If both die the kernel withdraws the addresses by itself, see instance.Config.Lease.
//
// Machine decides, Run drives it, Ledger is the worker's end.
package guard
