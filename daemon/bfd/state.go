package bfd

// State is what a Session is (RFC 5880, Section 6.2). Zero is unset.
type State uint8

// The states. On the wire each is one less.
const (
	// AdminDown is before Start and after Stop. It says nothing about the path.
	AdminDown State = iota + 1
	// Down hears nothing, or nothing that it may believe yet.
	Down
	// Init hears the neighbour and does not know whether the neighbour hears this end.
	Init
	// Up is that both hear each other.
	Up
)

// Diag is why the sender of a packet has last changed its state (RFC 5880, Section 4.1). Zero is no
// reason. Those that have no name here are only ever received.
type Diag uint8

// The diagnostic codes. Of those a Session gives itself DiagExpired, DiagSignaled and
// DiagAdminDown.
const (
	DiagNone       Diag = iota // none
	DiagExpired                // control detection time expired
	DiagEcho                   // echo function failed
	DiagSignaled               // neighbour signalled session down
	DiagForwarding             // forwarding plane reset
	DiagPath                   // path down
	DiagConcat                 // concatenated path down
	DiagAdminDown              // administratively down
	DiagReverse                // reverse concatenated path down
	maxDiag        Diag = 31   // reserved
)

// Reason says why a Session changed its state. Zero is no reason.
type Reason uint8

// The reasons.
const (
	// ReasonStarted is Start.
	ReasonStarted Reason = iota + 1 // started
	// ReasonStopped is Stop.
	ReasonStopped // stopped
	// ReasonHeard is that the neighbour is there, and does not hear this end yet.
	ReasonHeard // neighbour heard
	// ReasonAnswered is that the neighbour hears this end.
	ReasonAnswered // neighbour answered
	// ReasonSilence is that nothing came for the detection time.
	ReasonSilence // neighbour silent
	// ReasonSignaled is that the neighbour said it is Down: it hears nothing, or began anew.
	ReasonSignaled // neighbour signalled down
	// ReasonAdminDown is that the neighbour's operator has ended its session.
	ReasonAdminDown // neighbour administratively down
)
