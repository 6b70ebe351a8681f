// Package agentx is a subagent of RFC 2741: it has a master agent, such as net-snmp's snmpd, serve
// variables to managers and send them notifications. It only reads: nothing can be set through it,
// and it knows nothing of what the variables mean.
package agentx

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

//go:generate go tool stringer -type=Type,Kind -linecomment -output=names.go

// OID is the name of a variable, or the beginning of names.
type OID []uint32

// String returns the numbers with dots between them, without one before them.
func (o OID) String() string {
	var b strings.Builder
	for i, n := range o {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String()
}

// With returns o with more numbers behind it. Neither shares memory with it.
func (o OID) With(more ...uint32) OID { return slices.Concat(o, more) }

// Begins says whether o is p, or p with more behind it.
func (o OID) Begins(p OID) bool { return len(o) >= len(p) && slices.Equal(o[:len(p)], p) }

// Type is the type of a Value (RFC 2741, Section 5.4). Zero is that there is no value.
type Type uint16

// The types.
const (
	Integer        Type = 2   // INTEGER
	OctetString    Type = 4   // OCTET STRING
	Null           Type = 5   // NULL
	ObjectID       Type = 6   // OBJECT IDENTIFIER
	IPAddress      Type = 64  // IpAddress
	Counter32      Type = 65  // Counter32
	Gauge32        Type = 66  // Gauge32
	TimeTicks      Type = 67  // TimeTicks
	Opaque         Type = 68  // Opaque
	Counter64      Type = 70  // Counter64
	NoSuchObject   Type = 128 // noSuchObject
	NoSuchInstance Type = 129 // noSuchInstance
	EndOfMIBView   Type = 130 // endOfMibView
)

// Value is what a variable has. The zero value is none.
type Value struct {
	Type Type
	// Number is that of the numeric types; of an Integer it is the two's complement.
	Number uint64
	// Text are the bytes of OctetString, IPAddress and Opaque.
	Text string
	// ID is the value of an ObjectID.
	ID OID
}

// Int returns an INTEGER.
func Int(n int) Value { return Value{Type: Integer, Number: uint64(uint32(int32(n)))} }

// Gauge returns a Gauge32, which Unsigned32 is too; what is too large is the largest.
func Gauge(n uint64) Value { return Value{Type: Gauge32, Number: min(n, 1<<32-1)} }

// Count returns a Counter32, which begins again at 0 after its largest.
func Count(n uint64) Value { return Value{Type: Counter32, Number: n & (1<<32 - 1)} }

// Count64 returns a Counter64.
func Count64(n uint64) Value { return Value{Type: Counter64, Number: n} }

// Ticks returns TimeTicks of so many hundredths of a second, modulo 2^32.
func Ticks(n uint64) Value { return Value{Type: TimeTicks, Number: n & (1<<32 - 1)} }

// Text returns an OCTET STRING.
func Text(s string) Value { return Value{Type: OctetString, Text: s} }

// IPv4 returns an IpAddress; of what is no IPv4 address it is 0.0.0.0.
func IPv4(a netip.Addr) Value {
	if !a.Is4() {
		a = netip.IPv4Unspecified()
	}
	return Value{Type: IPAddress, Text: string(a.AsSlice())}
}

// ID returns an OBJECT IDENTIFIER.
func ID(o OID) Value { return Value{Type: ObjectID, ID: o} }

// Binding is a variable with its value.
type Binding struct {
	Name  OID
	Value Value
}

// Tree is what managers may read. Its methods may be called by one goroutine at a time.
type Tree interface {
	// Get returns the value of a variable; one of no Type is that there is no such variable.
	Get(name OID) Value
	// Next returns the first variable behind name, or name itself if included is set; one of no
	// Type is that there is none.
	Next(name OID, included bool) Binding
}
