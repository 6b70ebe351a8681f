package reports

import (
	"net/netip"
	"time"
)

// Call is one connection that a client opened to hear its server's name, and kept.
type Call struct {
	// ID is unique among the calls of its client.
	ID     int            `json:"id"`
	Client string         `json:"client"`
	From   netip.AddrPort `json:"from"`
	To     netip.AddrPort `json:"to"`
	// Opened is when it was begun, Answered when its outcome was known.
	Opened   time.Duration `json:"opened_ns"`
	Answered time.Duration `json:"answered_ns"`
	Outcome  Outcome       `json:"outcome"`
	// Server is the real server that answered, by its own word; empty when none did.
	Server string `json:"server,omitempty"`
	// Predicted is the real server that a model of the scheduler chose; empty: none.
	Predicted string `json:"predicted,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Closed is when the client closed it, by an RST if Reset; zero: never.
	Closed time.Duration `json:"closed_ns,omitempty"`
	Reset  bool          `json:"reset,omitempty"`
}
