package vrrp

// State is what a Machine is (RFC 9568, Section 6.4, and keepalived's Fault). Zero is unset.
type State uint8

// The states.
const (
	// Initialize is before Startup and after Shutdown.
	Initialize State = iota + 1
	// Backup listens to the master.
	Backup
	// Master has the VIPs and says so.
	Master
	// Faulty cannot take part: its interface is down, for example.
	Faulty // Fault
)

// Reason says why a Machine changed its state. Zero is no reason.
type Reason uint8

// The reasons.
const (
	// ReasonStartup is Startup.
	ReasonStartup Reason = iota + 1 // startup
	// ReasonOwner is the right of priority 255 to begin as master.
	ReasonOwner // address owner
	// ReasonSilence is that no advert came for the master-down interval.
	ReasonSilence // master silent
	// ReasonResigned is that the master advertised priority 0.
	ReasonResigned // master resigned
	// ReasonPreempt is that only lower adverts came for the master-down interval.
	ReasonPreempt // higher than master
	// ReasonOutranked is an advert of a higher priority, or of the same from a higher address.
	ReasonOutranked // outranked
	// ReasonStall is that the Machine slept longer than a backup waits.
	ReasonStall // stalled
	// ReasonGroup is that another member of the Group had to change.
	ReasonGroup // sync group
	// ReasonLinkDown is that the interface is down, without carrier or absent.
	ReasonLinkDown // link down
	// ReasonNoSource is that the interface has no address to send from.
	ReasonNoSource // no source address
	// ReasonSocket is that the socket cannot be opened or read.
	ReasonSocket // socket failed
	// ReasonTracker is that something tracked has failed.
	ReasonTracker // tracker failed
	// ReasonRecovered is the end of a Fault.
	ReasonRecovered // recovered
	// ReasonSuccessor is that a leaving master has heard its successor.
	ReasonSuccessor // successor heard
	// ReasonNoSuccessor is that it has waited for one long enough.
	ReasonNoSuccessor // no successor
	// ReasonShutdown is Shutdown, or Leave when there is nothing to hand over.
	ReasonShutdown // shutdown
	// ReasonResumed is Startup with Resume.
	ReasonResumed // resumed
	// ReasonSteppedDown is StepDown.
	ReasonSteppedDown // stepped down
	// ReasonNoPeer is Config.FaultNoPeer.
	ReasonNoPeer // no unicast peer
)
