// Package status is what a director says of itself: one Snapshot, and several views of it. The
// views are JSON, text for a terminal, and keepalived's dump files; package metrics has that of
// Prometheus. It is pure: it looks nothing up and changes nothing.
package status

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

//go:generate go tool stringer -type=State,Health -linecomment -output=names.go

// Schema is the version of the JSON view. It grows when a field changes its meaning or goes away,
// not when one is added.
const Schema = 1

// Snapshot is a director at one moment. Lists are in the order of the configuration, and nil when
// empty. Counters count from the start of the daemon.
type Snapshot struct {
	// Schema is Schema; JSON sets it.
	Schema int       `json:"schema"`
	Time   time.Time `json:"time"`
	Daemon Daemon    `json:"daemon"`
	// Conditions are what is wrong now, the worst first.
	Conditions []Condition `json:"conditions,omitempty"`
	Instances  []Instance  `json:"instances,omitempty"`
	Trackers   []Tracker   `json:"trackers,omitempty"`
	Services   []Service   `json:"services,omitempty"`
	// Table is what was done to the kernel's table; nil without services.
	Table  *Table `json:"table,omitempty"`
	Notify Notify `json:"notify"`
}

// Daemon is the process.
type Daemon struct {
	// Router is the name of this director.
	Router  string    `json:"router"`
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Config  string    `json:"config"`
	Started time.Time `json:"started"`
	Reloads Reloads   `json:"reloads"`
}

// Reloads are the attempts to take over a new configuration.
type Reloads struct {
	// Applied and Refused count them.
	Applied uint64 `json:"applied"`
	Refused uint64 `json:"refused"`
	// Last is when the last one was, zero if there was none; Error is why it was refused, empty if
	// it was not.
	Last  time.Time `json:"last,omitzero"`
	Error string    `json:"error,omitempty"`
}

// Condition is something that is wrong, as long as it is.
type Condition struct {
	// Name is one of a fixed set: see the constants.
	Name string `json:"name"`
	// Subject is the instance, tracker or service that it is about; empty is the daemon.
	Subject string    `json:"subject,omitempty"`
	Since   time.Time `json:"since"`
	// Evidence is what was seen, in words.
	Evidence string `json:"evidence"`
}

// The names of conditions.
const (
	// SplitBrain is that another router is master too.
	SplitBrain = "split_brain"
	// AddressConflict is that another station has a VIP of this master too.
	AddressConflict = "address_conflict"
	// PeerMismatch is that a peer's adverts are believed though its configuration differs.
	PeerMismatch = "peer_mismatch"
	// AdvertsLost is that our adverts do not leave this machine.
	AdvertsLost = "adverts_lost"
	// AdvertRejected is that adverts for our virtual router are refused.
	AdvertRejected = "advert_rejected"
	// Stalled is that the daemon did not get to run in time.
	Stalled = "stalled"
	// KernelRefused is that the kernel did not do what was asked.
	KernelRefused = "kernel_refused"
	// ScriptFailed is that a script of the configuration cannot run, or fails.
	ScriptFailed = "script_failed"
)

// Conditions are the names of conditions, the worst first.
func Conditions() []string {
	return []string{SplitBrain, AddressConflict, AdvertsLost, KernelRefused, Stalled, AdvertRejected,
		PeerMismatch, ScriptFailed}
}

// State is what an instance is. Zero is unset.
type State uint8

// The states, in the order of keepalived's numbers, which begin at 0.
const (
	Init   State = iota + 1 // INIT
	Backup                  // BACKUP
	Master                  // MASTER
	Fault                   // FAULT
)

// Code is keepalived's number of the state: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT. Unset counts as
// INIT.
func (s State) Code() int { return max(int(s), 1) - 1 }

// MarshalText returns the word; unset is INIT.
func (s State) MarshalText() ([]byte, error) { return []byte(max(s, Init).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(text []byte) error {
	return unmarshal(s, text, Init, Fault)
}

// Health is whether something works. Zero is that it is not known yet.
type Health uint8

// What is known of something's health.
const (
	Unknown Health = iota // UNKNOWN
	Up                    // UP
	Down                  // DOWN
)

// MarshalText returns the word.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Health) UnmarshalText(text []byte) error { return unmarshal(h, text, Unknown, Down) }

// unmarshal sets value to the one from first to last whose word is text.
func unmarshal[T interface {
	~uint8
	fmt.Stringer
}](value *T, text []byte, first, last T) error {
	for v := first; v <= last; v++ {
		if v.String() == string(text) {
			*value = v
			return nil
		}
	}
	return fmt.Errorf("read %T: unknown word %q", *value, text)
}

// Instance is one virtual router.
type Instance struct {
	Name string `json:"name"`
	// Group is its sync group; empty is none.
	Group     string `json:"group,omitempty"`
	Interface string `json:"interface"`
	VRID      int    `json:"vrid"`
	// Version of VRRP, 2 or 3; IPv6 is the family.
	Version int  `json:"version"`
	IPv6    bool `json:"ipv6,omitempty"`
	// State, since when and why.
	State  State     `json:"state"`
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
	// Running is since when it takes part, as backup or master; zero is that it does not.
	// MasterReason is why it became master the last time; empty is that it never did.
	Running      time.Time `json:"running_since,omitzero"`
	MasterReason string    `json:"master_reason,omitempty"`
	// Faults are all reasons why it cannot take part; empty if it can.
	Faults []string `json:"faults,omitempty"`
	// BasePriority is the configured one, Priority what trackers have made of it.
	BasePriority int `json:"base_priority"`
	Priority     int `json:"priority"`
	// Interval is between two adverts, in nanoseconds.
	Interval time.Duration `json:"advert_interval_ns,omitempty"`
	// Source is where its adverts come from; Leader the master that a backup follows, with its
	// priority. Both may be invalid.
	Source         netip.Addr `json:"source,omitzero"`
	Leader         netip.Addr `json:"leader,omitzero"`
	LeaderPriority int        `json:"leader_priority,omitempty"`
	// Preempt says whether it takes over from a master of lower priority.
	Preempt bool `json:"preempt"`
	// VIPs are those of the configuration.
	VIPs []VIP `json:"vips,omitempty"`
	// Traffic counts adverts.
	Traffic Traffic `json:"adverts"`
	// LastDropped is the last reason in Traffic.Dropped; empty for none.
	LastDropped string `json:"last_dropped,omitempty"`
	// BecameMaster and ReleasedMaster count transitions to and from master.
	BecameMaster   uint64 `json:"became_master"`
	ReleasedMaster uint64 `json:"released_master"`
	// Contested counts adverts of other masters heard as master.
	Contested uint64 `json:"contested"`
	// Restored counts VIPs that somebody had deleted and that were put back.
	Restored uint64 `json:"vips_restored"`
	// Stalls counts late steps; LongestStall is in nanoseconds.
	Stalls       uint64        `json:"stalls"`
	LongestStall time.Duration `json:"longest_stall_ns,omitempty"`
	// Errors counts refusals of the kernel; LastError is the last one, or empty.
	Errors    uint64 `json:"errors"`
	LastError string `json:"last_error,omitempty"`
}

// VIP is a virtual address.
type VIP struct {
	Prefix netip.Prefix `json:"prefix"`
	Device string       `json:"device"`
	// Excluded says that it is not in adverts.
	Excluded bool `json:"excluded,omitempty"`
	// Held says that it is on Device now.
	Held bool `json:"held"`
}

// Traffic counts adverts.
type Traffic struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// ZeroSent and ZeroReceived are those of priority 0 among them.
	ZeroSent     uint64 `json:"zero_sent"`
	ZeroReceived uint64 `json:"zero_received"`
	// Dropped are adverts that were not believed, by reason; Mismatched those that were although
	// they differ from the configuration.
	Dropped    map[string]uint64 `json:"dropped,omitempty"`
	Mismatched map[string]uint64 `json:"mismatched,omitempty"`
}

// held counts the VIPs that are on their devices.
func (i *Instance) held() int {
	n := 0
	for _, v := range i.VIPs {
		if v.Held {
			n++
		}
	}
	return n
}

// Tracker is something that instances depend on.
type Tracker struct {
	// Kind is script, file, process or interface.
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Health Health    `json:"health"`
	Since  time.Time `json:"since,omitzero"`
	// Reason is why it is as it is, or the value of a file.
	Reason string `json:"reason,omitempty"`
	// Runs, Failures and Skipped count a script's runs: those that ended, those of them that failed,
	// and those left out because the one before went on.
	Runs     uint64 `json:"runs,omitempty"`
	Failures uint64 `json:"failures,omitempty"`
	Skipped  uint64 `json:"skipped,omitempty"`
}

// Service is one virtual service.
type Service struct {
	// Name is the address and port, the mark or the group; Protocol is TCP, UDP or SCTP.
	Name      string `json:"name"`
	Protocol  string `json:"protocol,omitempty"`
	Scheduler string `json:"scheduler,omitempty"`
	// Health is that of the quorum: down means that too few servers are up.
	Health Health `json:"health"`
	// Sorry says that the sorry server has the traffic.
	Sorry bool `json:"sorry,omitempty"`
	// Error is why the kernel's table is not what is wanted; empty if it is.
	Error   string   `json:"error,omitempty"`
	Servers []Server `json:"servers,omitempty"`
	// Flow is what the kernel has carried for it; nil is that it does not say.
	Flow *Flow `json:"traffic,omitempty"`
}

// Server is one real server of a service.
type Server struct {
	// Name is its address and port.
	Name string `json:"name"`
	// Forward is masq, route or tunnel.
	Forward string    `json:"forward"`
	Health  Health    `json:"health"`
	Since   time.Time `json:"since,omitzero"`
	// Reason is what the last check said, FailedChecks how many of its checks fail.
	Reason       string `json:"reason,omitempty"`
	FailedChecks int    `json:"failed_checks,omitempty"`
	// Wanted is the weight that it should have, Weight the one in the kernel's table; nil is that
	// it is not in there.
	Wanted *int `json:"wanted,omitempty"`
	Weight *int `json:"weight,omitempty"`
	// Active and Inactive are the kernel's connections, Persistent the clients that it will bring to
	// the server again.
	Active     int `json:"active"`
	Inactive   int `json:"inactive"`
	Persistent int `json:"persistent,omitempty"`
	// Flow is what the kernel has carried to and from it; nil is that it does not say.
	Flow *Flow `json:"traffic,omitempty"`
	// Override is the weight that an operator has given it; nil is none.
	Override *Override `json:"override,omitempty"`
	// Failures counts the attempts of its checks that failed since the start, by reason.
	Failures map[string]uint64 `json:"check_failures,omitempty"`
}

// Override is the weight of a server by an operator's word. Weight 0 drains it.
type Override struct {
	Weight int       `json:"weight"`
	Since  time.Time `json:"since"`
}

// Flow is what the kernel has carried since it has a service or server in its table, and what it
// carries a second, of which it takes the mean of the last few. In is from clients, Out is to them:
// 0 where servers answer by themselves, as with route and tunnel.
type Flow struct {
	Connections    uint64 `json:"connections"`
	PacketsIn      uint64 `json:"packets_in"`
	PacketsOut     uint64 `json:"packets_out"`
	BytesIn        uint64 `json:"bytes_in"`
	BytesOut       uint64 `json:"bytes_out"`
	ConnectionRate uint64 `json:"connections_per_second"`
	PacketRateIn   uint64 `json:"packets_in_per_second"`
	PacketRateOut  uint64 `json:"packets_out_per_second"`
	ByteRateIn     uint64 `json:"bytes_in_per_second"`
	ByteRateOut    uint64 `json:"bytes_out_per_second"`
}

// Table is what was done to the kernel's table of virtual services since the start.
type Table struct {
	// Changes counts operations for something else that was wanted, Repairs those because somebody
	// else had changed the table, Failures those that failed.
	Changes  uint64 `json:"changes"`
	Repairs  uint64 `json:"repairs"`
	Failures uint64 `json:"failures"`
	// Synced says that the table was what is wanted at the last look.
	Synced bool `json:"synced"`
}

// Notify is what became of events.
type Notify struct {
	// Events is the number of the last one.
	Events  uint64   `json:"events"`
	Scripts Delivery `json:"scripts"`
	Mail    Delivery `json:"mail"`
	FIFOs   []FIFO   `json:"fifos,omitempty"`
	// LostLogs counts lines of the log about them that a slow log has cost.
	LostLogs uint64 `json:"lost_log_lines,omitempty"`
}

// FIFO is one named pipe.
type FIFO struct {
	Path string `json:"path"`
	Delivery
	// Restarts counts how often its reader has ended by itself.
	Restarts uint64 `json:"reader_restarts,omitempty"`
}

// Delivery counts what became of messages.
type Delivery struct {
	Done    uint64 `json:"done"`
	Failed  uint64 `json:"failed"`
	Dropped uint64 `json:"dropped"`
	// Retries counts attempts that failed and were made again.
	Retries uint64 `json:"retries,omitempty"`
	Waiting int    `json:"waiting"`
	// Error is the last failure, or empty, and ErrorAt when it was.
	Error   string    `json:"error,omitempty"`
	ErrorAt time.Time `json:"error_at,omitzero"`
}

// lost counts what was not delivered.
func (d *Delivery) lost() uint64 { return d.Failed + d.Dropped }

// KeepTraffic gives the services of s what those of before, a little older, have carried: what the
// kernel says of the connections of their servers, and of weights.
func (s *Snapshot) KeepTraffic(before *Snapshot) {
	type key struct{ name, protocol, server string }
	services, servers := map[key]*Service{}, map[key]*Server{}
	for i := range before.Services {
		v := &before.Services[i]
		services[key{v.Name, v.Protocol, ""}] = v
		for j := range v.Servers {
			servers[key{v.Name, v.Protocol, v.Servers[j].Name}] = &v.Servers[j]
		}
	}
	for i := range s.Services {
		v := &s.Services[i]
		if was := services[key{v.Name, v.Protocol, ""}]; was != nil {
			v.Flow = was.Flow
		}
		for j := range v.Servers {
			r := &v.Servers[j]
			if was := servers[key{v.Name, v.Protocol, r.Name}]; was != nil {
				r.Flow, r.Weight = was.Flow, was.Weight
				r.Active, r.Inactive, r.Persistent = was.Active, was.Inactive, was.Persistent
			}
		}
	}
}

// worstFirst returns the conditions, sorted by name as Conditions are, then by age.
func (s *Snapshot) worstFirst() []Condition {
	order := Conditions()
	return slices.SortedStableFunc(slices.Values(s.Conditions), func(a, b Condition) int {
		x, y := slices.Index(order, a.Name), slices.Index(order, b.Name)
		if x != y {
			return x - y
		}
		return a.Since.Compare(b.Since)
	})
}
