// Package reports holds what a run recorded, measures it, judges it and shows it. It is pure: it
// reads and writes values and bytes, never a clock, a kernel or a network.
package reports

import (
	"net/netip"
	"time"
)

// Recording is everything that one run of a scenario recorded: all that judging needs, so that a
// stored run can be judged again without a lab. Every time in it is an offset from the run's start
// on one monotonic clock.
type Recording struct {
	// Scenario is the scenario's name, Doc its one-sentence description.
	Scenario string `json:"scenario"`
	Doc      string `json:"doc"`
	// Director is what ran on the directors: "tandemd", "keepalived" or a command.
	Director string `json:"director"`
	Seed     uint64 `json:"seed"`
	// Started is the wall-clock time of offset zero by the run's own clock: in virtual time that of
	// the simulated clock.
	Started time.Time `json:"started"`
	// Length is the offset at which recording ended.
	Length time.Duration `json:"length_ns"`
	// Host describes the kernel and machine that the run took place on.
	Host Host `json:"host"`
	// Command is the command line that runs the same again.
	Command string `json:"command"`
	// Diagram is the topology as an SVG element; empty: none.
	Diagram string `json:"diagram,omitempty"`
	// Nodes are the topology's nodes in its order.
	Nodes []Node `json:"nodes"`
	// VIPs are the virtual addresses watched.
	VIPs []VIP `json:"vips"`
	// VRRP are the settings of the topology's directors; zero: not known.
	VRRP VRRP `json:"vrrp,omitzero"`
	// Events are in order of At.
	Events []Event `json:"events"`
	// Requests are in order of Sent.
	Requests []Request `json:"requests"`
	// Calls are in order of Opened; none in most runs.
	Calls []Call `json:"calls,omitempty"`
	// Streams are in no order; none in most runs.
	Streams []Stream `json:"streams,omitempty"`
	// Pings are in order of Sent; none in most runs.
	Pings []Ping `json:"pings,omitempty"`
	// Noise is what the same scenario showed with its faults left out; nil: no such run was made.
	Noise *Noise `json:"noise,omitempty"`
	// Logs are the last lines of each node's processes, by node; only kept when something is wrong.
	Logs map[string][]string `json:"logs,omitempty"`
}

// Host describes where a run took place. It is the one section that two equal runs may differ in.
type Host struct {
	// Kernel is the release of the kernel that carried the network; Guest says that it ran as a guest.
	Kernel string `json:"kernel"`
	Guest  bool   `json:"guest"`
	CPUs   int    `json:"cpus"`
	// Clock is RealClock or VirtualClock; empty: not known.
	Clock string `json:"clock"`
	// RealStarted is the wall-clock time at which the run began, on whatever clock the run took place;
	// zero: not known.
	RealStarted time.Time `json:"real_started,omitzero"`
	// RealLength is the wall time that the run took; zero: not known.
	RealLength time.Duration `json:"real_length_ns,omitempty"`
	// Versions are the versions of what took part, by name.
	Versions map[string]string `json:"versions,omitempty"`
}

// Node is a node of the topology as reports need it.
type Node struct {
	Name string `json:"name"`
	// Role is "client", "director" or "real-server".
	Role string `json:"role"`
}

// VIP is a watched virtual address.
type VIP struct {
	Name string     `json:"name"`
	Addr netip.Addr `json:"addr"`
}

// Kind is what an Event is about.
type Kind string

// The kinds of events. The fields that each uses stand beside it.
const (
	// StepBegin: a step of the scenario begins. Subject: the step's name.
	StepBegin Kind = "step"
	// FaultInject: a fault is asked for, or in old recordings has taken hold. Node, Subject: the
	// fault; Detail: target.
	FaultInject Kind = "fault-inject"
	// FaultHeal: a fault is undone, verified. The same fields.
	FaultHeal Kind = "fault-heal"
	// VIPAdd: the kernel of Node now holds the VIP in Subject (its address).
	VIPAdd Kind = "vip-add"
	// VIPRemove: the kernel of Node no longer holds the VIP in Subject.
	VIPRemove Kind = "vip-remove"
	// State: the VRRP state of Node as its adverts on the wire show it. Subject: "master" (it
	// advertises) or "silent" or "leaving" (priority 0); Detail: the virtual router, then a comma and
	// what may change, its priority.
	State Kind = "state"
	// AdvertGap: an advert of Node came late, though its sender never counted as silent. Subject: the
	// network and virtual router; Detail: the time since the last one, as time.Duration prints it.
	AdvertGap Kind = "advert-gap"
	// Claim: a frame from Node's interface said that it has the VIP in Subject, and the last one that
	// said so came from another node or MAC address. Detail: the MAC address, a space, and
	// ClaimAnnounced or ClaimAnswered.
	Claim Kind = "claim"
	// Bridge: the switch of a network now sends frames for a director's MAC address, or for that of a
	// virtual router, to Node. Subject: the MAC address; Detail: the network.
	Bridge Kind = "bridge"
	// TableSet: the IPVS table of Node is another one than before. Detail: the whole Table, as its
	// String prints it; empty: it has no service.
	TableSet Kind = "table"
	// Note: something worth reading. Node may be empty.
	Note Kind = "note"
)

// The ways of a Claim.
const (
	// ClaimAnnounced: the frame was for everybody, asked for by nobody.
	ClaimAnnounced = "announced"
	// ClaimAnswered: it was an answer.
	ClaimAnswered = "answered"
)

// Event is one thing that happened.
type Event struct {
	At      time.Duration `json:"at_ns"`
	Kind    Kind          `json:"kind"`
	Node    string        `json:"node,omitempty"`
	Subject string        `json:"subject,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// Outcome is how a request ended.
type Outcome string

// The outcomes of a request. Only Answered counts as service.
const (
	Answered Outcome = "answered"
	// Late: answered, but after the limit: not service.
	Late Outcome = "late"
	// Refused: the connection was refused or reset.
	Refused Outcome = "refused"
	// Timeout: nothing came within the limit.
	Timeout Outcome = "timeout"
	// Failed: anything else, in Detail.
	Failed Outcome = "failed"
)

// Request is one probe request on a connection of its own.
type Request struct {
	// Sent is the planned time of sending, on the probe's fixed schedule.
	Sent time.Duration `json:"sent_ns"`
	// Latency is the time to the end of the answer, or to the failure.
	Latency time.Duration `json:"latency_ns"`
	Client  string        `json:"client"`
	Outcome Outcome       `json:"outcome"`
	// Server is the real server that answered, by its own word; empty when none did.
	Server string `json:"server,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Late is how late the probe itself was, beyond what it tolerates: the machine's doing and not
	// the network's. Zero: in time.
	Late time.Duration `json:"late_ns,omitempty"`
}

// Verdict is the judgement of a bound or a run. The zero Verdict is unset.
type Verdict string

// The verdicts, as DESIGN.md, principle 5.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Finding is the judgement of one bound.
type Finding struct {
	// Bound is the bound's name, Doc what it demands, in one sentence.
	Bound   string  `json:"bound"`
	Doc     string  `json:"doc"`
	Verdict Verdict `json:"verdict"`
	// Observed and Limit are printed values, for example "3.412s" and "3.664s".
	Observed string `json:"observed"`
	Limit    string `json:"limit"`
	// Detail explains a verdict that is not pass.
	Detail string `json:"detail,omitempty"`
}

// Report is a judged Recording.
type Report struct {
	// Version is the version of this format; see FormatVersion.
	Version   int       `json:"version"`
	Verdict   Verdict   `json:"verdict"`
	Summary   string    `json:"summary"`
	Findings  []Finding `json:"findings"`
	Measures  []Measure `json:"measures"`
	Recording Recording `json:"recording"`
}

// Measure is one measured figure that no bound judges, or that a bound judges beside others.
type Measure struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Doc   string `json:"doc,omitempty"`
}
