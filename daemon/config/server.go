package config

import (
	"net/netip"
	"time"
)

// VirtualServer is one virtual_server: an IPVS service with its real servers.
type VirtualServer struct {
	// Pos is where the block starts.
	Pos Pos
	// Address and Protocol identify the service; the pair is unique in a Config. Port 0 is every
	// port, and only valid with persistence.
	Address  netip.AddrPort
	Protocol Protocol
	// Scheduler and Forward are always set. Forward is the one of all its real servers.
	Scheduler Scheduler
	Forward   Forward
	// Persistence keeps a client on its real server for that long; whole seconds, 0 means off.
	Persistence time.Duration
	// Quorum is the sum of weights of live real servers needed to be up (at least 1), Hysteresis
	// what is needed more to come up and less to go down.
	Quorum, Hysteresis int
	// QuorumUp and QuorumDown are run when the quorum is gained or lost; nil means nothing.
	QuorumUp, QuorumDown *Script
	// Alpha starts real servers as down until their first successful check.
	Alpha bool
	// Omega runs the down scripts when the daemon stops.
	Omega bool
	// SorryServer takes the traffic while the quorum is lost; invalid means none.
	SorryServer netip.AddrPort
	// SorryInhibit keeps the sorry server in the table with weight 0 while it is not needed.
	SorryInhibit bool
	// RealServers are in the order of the file; addresses are unique within the service.
	RealServers []RealServer
}

// RealServer is one real_server. What it did not set is inherited from its virtual server.
type RealServer struct {
	// Pos is where the block starts.
	Pos Pos
	// Address is of the family of the virtual server unless that forwards by tunnel. Its port is
	// the virtual server's if none was given.
	Address netip.AddrPort
	// Weight is 0 to 65535; 0 takes no new connections.
	Weight int
	// InhibitOnFailure gives it weight 0 while it is down, instead of taking it out.
	InhibitOnFailure bool
	// Alpha starts it as down until its first successful check.
	Alpha bool
	// NotifyUp and NotifyDown are run when it changes; nil means nothing.
	NotifyUp, NotifyDown *Script
	// Checks are its health checks; it is up while all of them succeed. None means always up.
	Checks []Check
}

// Check is one health check of one real server, with everything inherited filled in.
type Check struct {
	// Pos is where the block starts.
	Pos Pos
	// Kind says which checker it is.
	Kind CheckKind
	// Target is where it connects to: the real server unless connect_ip or connect_port say else.
	Target netip.AddrPort
	// Bind is the local address to connect from; an invalid address and port 0 mean any.
	Bind netip.AddrPort
	// ConnectTimeout bounds each attempt.
	ConnectTimeout time.Duration
	// DelayLoop is the time between two checks; more than 0.
	DelayLoop time.Duration
	// Retry is how many attempts after the first failure, DelayBeforeRetry apart, decide that it is
	// down.
	Retry            int
	DelayBeforeRetry time.Duration
	// Warmup is the upper bound of the random delay of the first check; 0 means at once.
	Warmup time.Duration
	// Alpha starts the check as failed until its first success.
	Alpha bool
	// HTTP has the rest for CheckHTTP; nil for the others.
	HTTP *HTTPCheck
}

// HTTPCheck is what an HTTP_GET asks for and expects.
type HTTPCheck struct {
	// Version is the request's version.
	Version HTTPVersion
	// URLs are checked one after the other; all must be as expected. At least one.
	URLs []URL
}

// URL is one url block.
type URL struct {
	// Path starts with a slash.
	Path string
	// Host is the Host header: virtualhost of the url, the checker, the real server or the virtual
	// server, the first that is given. Empty means the target's address.
	Host string
	// Digest is the MD5 of the body in lower case hexadecimal; empty means not compared.
	Digest string
	// Status are the accepted codes; never empty: 200-299 unless given.
	Status []StatusRange
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct {
	First, Last int
}

// Accepts says whether code is in one of the ranges of the url.
func (u *URL) Accepts(code int) bool {
	for _, r := range u.Status {
		if r.First <= code && code <= r.Last {
			return true
		}
	}
	return false
}

// Protocol is the transport protocol of a virtual server.
type Protocol uint8

// The protocols of IPVS.
const (
	TCP Protocol = iota + 1
	UDP
	SCTP
)

// Scheduler is an IPVS scheduler by its kernel name, such as "wlc".
type Scheduler string

// String returns the kernel's name.
func (s Scheduler) String() string { return string(s) }

// schedulers are the kernel's, in the order of keepalived's manual.
var schedulers = []string{
	"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "sed", "nq", "fo", "ovf", "twos",
}

// Forward is how packets reach the real servers.
type Forward uint8

// The forwarding methods of IPVS: masquerading, direct routing, IP tunnel.
const (
	NAT Forward = iota + 1
	DR
	TUN
)

// CheckKind is the kind of a health check.
type CheckKind uint8

// The kinds that are carried out.
const (
	CheckTCP CheckKind = iota + 1
	CheckHTTP
)

// HTTPVersion is the version of a health check's request.
type HTTPVersion uint8

// HTTP10 is the default. HTTP10Close is 1.0 with "Connection: close".
const (
	HTTP10 HTTPVersion = iota + 1
	HTTP10Close
	HTTP11
)

var (
	protocols    = names[Protocol]{{TCP, "TCP"}, {UDP, "UDP"}, {SCTP, "SCTP"}}
	forwards     = names[Forward]{{NAT, "NAT"}, {DR, "DR"}, {TUN, "TUN"}}
	checkKinds   = names[CheckKind]{{CheckTCP, "TCP_CHECK"}, {CheckHTTP, "HTTP_GET"}}
	httpVersions = names[HTTPVersion]{{HTTP10, "1.0"}, {HTTP10Close, "1.0C"}, {HTTP11, "1.1"}}
	states       = names[State]{{StateMaster, "MASTER"}, {StateBackup, "BACKUP"}}
	authTypes    = names[AuthType]{{AuthPassword, "PASS"}, {AuthHeader, "AH"}}
)

// String returns the word of the configuration language, "unset" for zero.
func (p Protocol) String() string { return protocols.name(p) }

// String returns the word of the configuration language, "unset" for zero.
func (f Forward) String() string { return forwards.name(f) }

// String returns the word of the configuration language, "unset" for zero.
func (k CheckKind) String() string { return checkKinds.name(k) }

// String returns the word of the configuration language, "unset" for zero.
func (v HTTPVersion) String() string { return httpVersions.name(v) }

// String returns the word of the configuration language, "unset" for zero.
func (s State) String() string { return states.name(s) }

// String returns the word of the configuration language, "unset" for AuthNone.
func (t AuthType) String() string { return authTypes.name(t) }

// names pairs the values of an enumeration with their words.
type names[T comparable] []struct {
	value T
	word  string
}

func (n names[T]) name(v T) string {
	for _, e := range n {
		if e.value == v {
			return e.word
		}
	}
	return "unset"
}

func (n names[T]) words() []string {
	var ws []string
	for _, e := range n {
		ws = append(ws, e.word)
	}
	return ws
}

func (n names[T]) value(word string) (T, bool) {
	for _, e := range n {
		if e.word == word {
			return e.value, true
		}
	}
	var zero T
	return zero, false
}
