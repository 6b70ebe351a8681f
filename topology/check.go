package topology

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/internal/strict"
)

// Protocol is what clients and real servers of a service speak. The zero Protocol is HTTP.
type Protocol int

// The protocols. DNS and Echo go by UDP, SCTP by itself, the others by TCP.
const (
	HTTP Protocol = iota
	HTTPS
	SMTP
	DNS
	// Echo answers each datagram by what it holds (RFC 862), behind the name of the server.
	Echo
	// SCTP is an association for each request, in which the server says what Echo does: back what it
	// was told, behind its own name.
	SCTP
)

var protocolNames = []string{HTTP: "http", HTTPS: "https", SMTP: "smtp", DNS: "dns", Echo: "echo",
	SCTP: "sctp"}

// String returns the name, for example "http"; "unknown" for what is no Protocol.
func (p Protocol) String() string { return nameOf(protocolNames, int(p)) }

// UDP says whether it goes by UDP.
func (p Protocol) UDP() bool { return p == DNS || p == Echo }

// Transport is what carries it, as keepalived.conf and the kernel's tables name that: TCP, UDP or SCTP.
func (p Protocol) Transport() string {
	switch {
	case p == SCTP:
		return "SCTP"
	case p.UDP():
		return "UDP"
	}
	return "TCP"
}

// Speaks says whether any service is of a protocol.
func (t *Topology) Speaks(p Protocol) bool {
	return slices.ContainsFunc(t.Services, func(s Service) bool { return s.Protocol == p })
}

// ParseProtocol returns the protocol of a name.
func ParseProtocol(name string) (Protocol, error) {
	i, err := indexOf(protocolNames, name)
	return Protocol(i), err
}

// CheckKind is the kind of a health check. The zero CheckKind is no check.
type CheckKind int

// The health checks that generated configuration can ask for: keepalived.conf's TCP_CHECK,
// HTTP_GET, SSL_GET, SMTP_CHECK, MISC_CHECK, DNS_CHECK, UDP_CHECK, PING_CHECK and FILE_CHECK.
const (
	TCPCheck CheckKind = iota + 1
	HTTPCheck
	SSLCheck
	SMTPCheck
	MiscCheck
	DNSCheck
	UDPCheck
	PingCheck
	FileCheck
)

var checkNames = []string{"none", "tcp", "http", "ssl", "smtp", "misc", "dns", "udp", "ping",
	"file"}

// String returns the name, for example "tcp"; "none" for the zero CheckKind and "unknown" for what
// is no CheckKind.
func (k CheckKind) String() string { return nameOf(checkNames, int(k)) }

// parseCheckKind returns the check of a name.
func parseCheckKind(name string) (CheckKind, error) {
	i, err := indexOf(checkNames[TCPCheck:], name)
	return CheckKind(i) + TCPCheck, err
}

// Check is a health check's kind and times; keepalived.conf's delay_loop, connect_timeout,
// retry and delay_before_retry.
type Check struct {
	Kind             CheckKind
	DelayLoop        time.Duration
	ConnectTimeout   time.Duration
	Retry            int
	DelayBeforeRetry time.Duration
	// Page wants the right page too, by its digest, and not its status alone: of HTTPCheck and
	// SSLCheck only.
	Page bool
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

// indexOf is the place of a name; the error lists all of them.
func indexOf(names []string, name string) (int, error) {
	i := slices.Index(names, name)
	if i < 0 {
		return 0, fmt.Errorf("%q: expected %s%s", name, strict.OneOf(names),
			strict.DidYouMean(name, names))
	}
	return i, nil
}
