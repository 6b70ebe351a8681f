package bfd

// Event is something that happened to a Session. The set is closed: the types below.
type Event interface{ event() }

// Start begins a Session that is AdminDown. In any other state it does nothing.
type Start struct{}

// Stop ends it: the neighbour is told once, and nothing is sent after that. A second Stop does
// nothing.
type Stop struct{}

// Timeout tells that Deadline has come. Before it, it does nothing.
type Timeout struct{}

// Received is a packet that Parse accepted and that is for this Session.
type Received struct{ Packet Packet }

// Drained answers Drain: every packet that the socket held has been given in Received.
type Drained struct{}

// SetParams changes them. One that is Up stays so. The Params must be valid.
type SetParams struct{ Params Params }

func (Start) event()     {}
func (Stop) event()      {}
func (Timeout) event()   {}
func (Received) event()  {}
func (Drained) event()   {}
func (SetParams) event() {}
