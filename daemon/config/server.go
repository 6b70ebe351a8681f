package config

import (
	"net/netip"
	"time"
)

// VirtualServer is one virtual_server: one or more IPVS services that share real servers.
type VirtualServer struct {
	// Pos is where the block starts.
	Pos Pos
	// Address and Protocol identify the service. Port 0 is every port, and only valid with
	// persistence. No two servers of a Config have one of their Keys in common.
	Address  netip.AddrPort
	Protocol Protocol
	// Mark or Group identify it instead: a firewall mark with Family, or the name of a ServerGroup.
	// Protocol is then that of the members with an address; a mark has none.
	Mark  uint32
	Group string
	// Family is that of a service by mark, and set there: as given, or else that of the first real
	// server. In a group it is that of marks which name none.
	Family Family
	// Members are those of Group, each mark with its family; nil without one.
	Members []ServiceRange
	// Scheduler and Forward are always set. Forward is that of real servers which have none of
	// their own.
	Scheduler Scheduler
	Forward   Forward
	// Tunnel is the encapsulation of TUN.
	Tunnel Tunnel
	// OnePacket schedules each datagram by itself; only with UDP or a mark. Hashed is a flag that
	// the kernel keeps for itself. Flags are the scheduler's; SourceHash and Maglev name some of
	// them, and mean nothing to any but sh and mh.
	OnePacket, Hashed  bool
	Flags              SchedulerFlags
	SourceHash, Maglev HashFlags
	// Persistence keeps a client on its real server for that long; whole seconds, 0 means off.
	Persistence time.Duration
	// Granularity is the prefix length that clients are told apart by, at most 32 in IPv4; less
	// than 1 is the whole address. Engine is the persistence engine, sip or empty. Neither is set
	// without Persistence.
	Granularity int
	Engine      string
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
	// SorryForward is how packets reach the sorry server; unset means as Forward. SorryTunnel is the
	// encapsulation then.
	SorryForward Forward
	SorryTunnel  Tunnel
	// Alert sends mail when a real server changes; unset means as Alerts say.
	Alert Switch
	// SuspendOnBackup checks only while an address of it is on this machine; never set with a mark.
	SuspendOnBackup bool
	// SNMPName is the name in SNMP; empty means the address.
	SNMPName string
	// RealServers are in the order of the file; addresses are unique within the service.
	RealServers []RealServer
}

// RealServer is one real_server. What it did not set is inherited from its virtual server.
type RealServer struct {
	// Pos is where the block starts.
	Pos Pos
	// Address is of the family of the virtual server unless it is reached by a tunnel. Its port is
	// the virtual server's if none was given, and 0 if that has none. Where packets keep their port,
	// which is all but NAT, the port of a server of a mark or a group only matters to checks.
	Address netip.AddrPort
	// Weight is 0 to 65535; 0 takes no new connections.
	Weight int
	// Checks are its health checks; it is up while all of them succeed. None means always up.
	Checks []Check
	*RealServerSettings
}

// RealServerSettings are what many real servers have in common. In a Config they are never nil, and
// those that are alike may be one: they are only to be read.
type RealServerSettings struct {
	// InhibitOnFailure gives it weight 0 while it is down, instead of taking it out.
	InhibitOnFailure bool
	// Alpha starts it as down until its first successful check.
	Alpha bool
	// NotifyUp and NotifyDown are run when it changes; nil means nothing.
	NotifyUp, NotifyDown *Script
	// Forward is how packets reach it; unset means as the virtual server's. Tunnel is the
	// encapsulation then.
	Forward Forward
	Tunnel  Tunnel
	// UpperThreshold and LowerThreshold are the numbers of connections at which it gets no more,
	// and gets them again; 0 means none.
	UpperThreshold, LowerThreshold int
	// Alert sends mail when it changes; unset means as the virtual server's.
	Alert Switch
	// SNMPName is the name in SNMP; empty means the address.
	SNMPName string
}

// Check is one health check of one real server, with everything inherited filled in.
type Check struct {
	// Pos is where the block starts.
	Pos Pos
	// Target is where it connects to: the real server unless connect_ip or connect_port say else.
	Target netip.AddrPort
	*CheckSettings
}

// CheckSettings are what many checks have in common, as RealServerSettings are of real servers.
type CheckSettings struct {
	// Kind says which checker it is.
	Kind CheckKind
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
	// BindInterface is the interface to connect from; empty means any. Mark is the firewall mark of
	// its packets; 0 means none.
	BindInterface string
	Mark          uint32
	// LogAllFailures logs each failure, not only those that change the real server.
	LogAllFailures bool
	// The rest, by kind; nil for the others.
	HTTP *HTTPCheck // CheckHTTP and CheckSSL
	Misc *MiscCheck
	SMTP *SMTPCheck
	DNS  *DNSCheck
	UDP  *UDPCheck
	File *FileCheck
	// BFD is the name of the session for CheckBFD.
	BFD string
}

// MiscCheck runs a command.
type MiscCheck struct {
	// Script says by its exit status what it found. It is never nil.
	Script *Script
	// Timeout bounds a run.
	Timeout time.Duration
	// Dynamic takes the weight from the exit status.
	Dynamic bool
	// Account runs it; empty means the global one.
	Account Account
}

// SMTPCheck speaks with a mail server.
type SMTPCheck struct {
	// Helo is the name given in HELO; empty means smtp_helo_name.
	Helo string
	// Hosts are checked instead of the real server; nil means that.
	Hosts []SMTPHost
}

// SMTPHost is one address to check.
type SMTPHost struct {
	Target, Bind   netip.AddrPort
	BindInterface  string
	Mark           uint32
	ConnectTimeout time.Duration
}

// DNSCheck asks a name server.
type DNSCheck struct {
	// Type is that of the record, such as SOA; Name is whose.
	Type, Name string
}

// UDPCheck sends a datagram.
type UDPCheck struct {
	// Payload is what is sent, in hexadecimal; empty means something random.
	Payload string
	// RequireReply waits for an answer that starts with Reply: hexadecimal with x for any digit;
	// empty means any.
	RequireReply bool
	Reply        string
	// MinReply and MaxReply bound the answer's length in bytes.
	MinReply, MaxReply int
}

// FileCheck takes the weight from a file.
type FileCheck struct {
	// Tracker is the name of a track_file.
	Tracker string
	// Weight is the tracker's own unless HasWeight is set.
	Weight    Weight
	HasWeight bool
}

// HTTPCheck is what an HTTP_GET asks for and expects.
type HTTPCheck struct {
	// Version is the request's version.
	Version HTTPVersion
	// URLs are checked one after the other; all must be as expected. At least one.
	URLs []URL
	// SNI sends the host's name, or SNIName unless empty, in the TLS handshake.
	SNI     bool
	SNIName string
	// FastRecovery does not check the other URLs again after one that failed.
	FastRecovery bool
	// TLSCompliant wants the end of the TLS session to be as it should.
	TLSCompliant bool
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
	// Regex is what the page must match; RegexNoMatch must not. Empty means anything.
	Regex        string
	RegexNoMatch bool
	// RegexPos is where the regex stands; zero if there is none.
	RegexPos Pos
	// RegexOptions are PCRE's; MinOffset and MaxOffset are where a match may start, MaxOffset
	// only unless 0; Stack are PCRE's stack sizes, start and most.
	RegexOptions         []string
	MinOffset, MaxOffset int
	Stack                []string
	// TLSCompliant wants the end of the TLS session to be as it should.
	TLSCompliant bool
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

// ServerGroup is one virtual_server_group: services that share real servers.
type ServerGroup struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among them, Members at least one.
	Name    string
	Members []ServiceRange
}

// ServiceRange is one line of a ServerGroup: a range of addresses and a port, or a firewall mark.
type ServiceRange struct {
	// Pos is where the line starts.
	Pos Pos
	// First and Last are the ends of the range, both included; invalid with a Mark.
	First, Last netip.Addr
	// Port is 0 for every port.
	Port uint16
	// Mark is the firewall mark with Family if one is given; 0 means none.
	Mark   uint32
	Family Family
}
