package reports

import "time"

// Flow is a class of traffic, by what has to go on for it to get through.
type Flow string

// The flow classes. Requests are FlowNew, the others Pings.
const (
	// FlowNew: a new TCP connection for each request.
	FlowNew Flow = "new TCP"
	// FlowHeld: requests on a TCP connection that is kept.
	FlowHeld Flow = "established TCP"
	// FlowUDP: datagrams that are sent back, each from a port of its own.
	FlowUDP Flow = "UDP"
	// FlowICMP: echo requests to a VIP.
	FlowICMP Flow = "ICMP"
)

// Ping is one small question of a light probe, and whether it came back.
type Ping struct {
	// Sent is when it was sent, by the probe's schedule; of FlowHeld when it was really sent.
	Sent    time.Duration `json:"sent_ns"`
	Latency time.Duration `json:"latency_ns"`
	Client  string        `json:"client"`
	Flow    Flow          `json:"flow"`
	Outcome Outcome       `json:"outcome"`
	// Broke says that it was the end of the connection that it was sent on; of FlowHeld only.
	Broke  bool   `json:"broke,omitempty"`
	Detail string `json:"detail,omitempty"`
}
