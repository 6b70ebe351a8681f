package config

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

// Tunnel is an encapsulation.
type Tunnel struct {
	// Type is ipip, gue or gre; empty means ipip.
	Type string
	// Port is that of gue; 0 for the others.
	Port uint16
	// Checksum is csum, nocsum or remcsum; empty means the kernel's.
	Checksum string
}

// SchedulerFlags are the flags of a scheduler by number.
type SchedulerFlags struct {
	One, Two, Three bool
}

// HashFlags are those of the schedulers sh and mh.
type HashFlags struct {
	// Port hashes the port too, Fallback takes another server for one that has no weight.
	Port, Fallback bool
}

// Family is that of a service by firewall mark. Zero is unset.
type Family uint8

// The two families.
const (
	IPv4 Family = iota + 1
	IPv6
)

// CheckKind is the kind of a health check.
type CheckKind uint8

// The kinds.
const (
	CheckTCP CheckKind = iota + 1
	CheckHTTP
	CheckSSL
	CheckMisc
	CheckSMTP
	CheckDNS
	CheckUDP
	CheckPing
	CheckFile
	CheckBFD
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
	protocols  = names[Protocol]{{TCP, "TCP"}, {UDP, "UDP"}, {SCTP, "SCTP"}}
	forwards   = names[Forward]{{NAT, "NAT"}, {DR, "DR"}, {TUN, "TUN"}}
	families   = names[Family]{{IPv4, "inet"}, {IPv6, "inet6"}}
	checkKinds = names[CheckKind]{
		{CheckTCP, "TCP_CHECK"}, {CheckHTTP, "HTTP_GET"}, {CheckSSL, "SSL_GET"},
		{CheckMisc, "MISC_CHECK"}, {CheckSMTP, "SMTP_CHECK"}, {CheckDNS, "DNS_CHECK"},
		{CheckUDP, "UDP_CHECK"}, {CheckPing, "PING_CHECK"}, {CheckFile, "FILE_CHECK"},
		{CheckBFD, "BFD_CHECK"},
	}
	httpVersions = names[HTTPVersion]{{HTTP10, "1.0"}, {HTTP10Close, "1.0C"}, {HTTP11, "1.1"}}
	states       = names[State]{{StateMaster, "MASTER"}, {StateBackup, "BACKUP"}}
	authTypes    = names[AuthType]{{AuthPassword, "PASS"}, {AuthHeader, "AH"}}
)

// String returns the word of the configuration language, "unset" for zero.
func (p Protocol) String() string { return protocols.name(p) }

// String returns the word of the configuration language, "unset" for zero.
func (f Forward) String() string { return forwards.name(f) }

// String returns the word of the configuration language, "unset" for zero.
func (f Family) String() string { return families.name(f) }

// String returns the word of the configuration language, "unset" for zero.
func (k CheckKind) String() string { return checkKinds.name(k) }

// String returns the word of the configuration language, "unset" for zero.
func (v HTTPVersion) String() string { return httpVersions.name(v) }

// String returns the word of the configuration language, "unset" for zero.
func (s State) String() string { return states.name(s) }

// String returns the word of the configuration language, "unset" for AuthNone.
func (t AuthType) String() string { return authTypes.name(t) }

// unsetWord is the name of a value that is none of an enumeration.
const unsetWord = "unset"

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
	return unsetWord
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
