package agentx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Kind is the type of a Packet (RFC 2741, Section 6.1). Zero is unset.
type Kind uint8

// The kinds that a subagent sends and gets.
const (
	Open       Kind = 1  // open
	Close      Kind = 2  // close
	Register   Kind = 3  // register
	Unregister Kind = 4  // unregister
	Get        Kind = 5  // get
	GetNext    Kind = 6  // get-next
	GetBulk    Kind = 7  // get-bulk
	TestSet    Kind = 8  // test-set
	CommitSet  Kind = 9  // commit-set
	UndoSet    Kind = 10 // undo-set
	CleanupSet Kind = 11 // cleanup-set
	Notify     Kind = 12 // notify
	Ping       Kind = 13 // ping
	Response   Kind = 18 // response
)

// The errors of a Response.
const (
	noError        = 0
	genErr         = 5
	commitFailed   = 14
	undoFailed     = 15
	notWritable    = 17
	requestDenied  = 267
	reasonShutdown = 5 // of a Close
)

const (
	version = 1
	// headerLength is in bytes.
	headerLength = 20
	// MaxPayload is the most bytes of a payload that are read: far more than any master sends.
	MaxPayload = 1 << 20
	// maxOID is the most numbers of an OID (RFC 2578, Section 3.5).
	maxOID = 128

	flagNonDefaultContext = 1 << 3
	flagNetworkOrder      = 1 << 4
)

// Range is a search range: Get wants the variable Start; GetNext and GetBulk want the first one
// behind it, or itself if Included is set, that is before End, if that is not empty.
type Range struct {
	Start, End OID
	Included   bool
}

// Packet is an AgentX PDU. The fields behind Context are each of some kinds only.
type Packet struct {
	Kind                     Kind
	Session, Transaction, ID uint32
	// Context is empty for the default one.
	Context string
	// Timeout is in seconds, 0 means the master's; of Open and Register.
	Timeout uint8
	// Name is the subagent's of an Open, and the subtree's of Register and Unregister; Text
	// describes the subagent.
	Name OID
	Text string
	// Priority is that of Register and Unregister: 1 to 255, the lowest counts most.
	Priority uint8
	// Reason is that of a Close.
	Reason uint8
	// UpTime, in hundredths of a second, Error and Index, of the wrong Binding from 1, are of a
	// Response.
	UpTime       uint32
	Error, Index uint16
	// Ranges are of Get, GetNext and GetBulk; NonRepeaters and MaxRepetitions of the last.
	Ranges                       []Range
	NonRepeaters, MaxRepetitions uint16
	// Bindings are of Response, Notify and TestSet.
	Bindings []Binding
}

var (
	errShort = errors.New("too short")
	errLong  = errors.New("too long")
)

// ReadPacket reads one packet. Its error is io.EOF if there is no more, else it says what is wrong:
// what follows cannot be read then.
func ReadPacket(r io.Reader) (Packet, error) {
	var header [headerLength]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return Packet{}, err
	}
	length := orderOf(header[2]).Uint32(header[16:])
	if length > MaxPayload {
		return Packet{}, fmt.Errorf("read packet of %d bytes: %w: expected at most %d", length,
			errLong, MaxPayload)
	}
	b := append(header[:], make([]byte, length)...)
	if _, err := io.ReadFull(r, b[headerLength:]); err != nil {
		return Packet{}, fmt.Errorf("read packet: %w", err)
	}
	return Parse(b)
}

func orderOf(flags byte) binary.ByteOrder {
	if flags&flagNetworkOrder != 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Parse reads a packet that b is, in either byte order. It keeps nothing of b.
func Parse(b []byte) (Packet, error) {
	var p Packet
	if len(b) < headerLength {
		return p, fmt.Errorf("parse header: %w", errShort)
	}
	if b[0] != version {
		return p, fmt.Errorf("parse header: version %d: expected %d", b[0], version)
	}
	r := reader{order: orderOf(b[2]), left: b[4:]}
	p.Kind = Kind(b[1])
	p.Session, p.Transaction, p.ID = r.number(), r.number(), r.number()
	if length := r.number(); int(length) != len(r.left) {
		return p, fmt.Errorf("parse header: payload of %d bytes: expected %d", len(r.left), length)
	}
	if b[2]&flagNonDefaultContext != 0 {
		p.Context = r.text()
	}
	p.payload(&r)
	if r.err == nil && len(r.left) > 0 {
		r.err = errLong
	}
	if r.err != nil {
		return p, fmt.Errorf("parse %s: %w", p.Kind, r.err)
	}
	return p, nil
}

// payload reads what is behind the header and the context.
func (p *Packet) payload(r *reader) {
	switch p.Kind {
	case Open:
		p.Timeout = r.bytes(4)[0]
		p.Name, _ = r.oid()
		p.Text = r.text()
	case Close:
		p.Reason = r.bytes(4)[0]
	case Register, Unregister:
		b := r.bytes(4)
		p.Timeout, p.Priority = b[0], b[1]
		if b[2] != 0 && r.err == nil {
			r.err = errors.New("range of subtrees: expected a single one")
		}
		p.Name, _ = r.oid()
	case GetBulk:
		p.NonRepeaters, p.MaxRepetitions = r.short(), r.short()
		p.Ranges = r.ranges()
	case Get, GetNext:
		p.Ranges = r.ranges()
	case Response:
		p.UpTime, p.Error, p.Index = r.number(), r.short(), r.short()
		p.Bindings = r.bindings()
	case TestSet, Notify:
		p.Bindings = r.bindings()
	case CommitSet, UndoSet, CleanupSet, Ping:
	default:
		r.left = nil // of no known shape
	}
}

// Append appends p to b in network byte order. An OID of more than 128 numbers is cut.
func (p *Packet) Append(b []byte) []byte {
	start := len(b)
	flags := byte(flagNetworkOrder)
	if p.Context != "" {
		flags |= flagNonDefaultContext
	}
	b = append(b, version, byte(p.Kind), flags, 0)
	for _, n := range []uint32{p.Session, p.Transaction, p.ID, 0} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	if p.Context != "" {
		b = appendText(b, p.Context)
	}
	switch p.Kind {
	case Open:
		b = appendText(appendOID(append(b, p.Timeout, 0, 0, 0), p.Name, false), p.Text)
	case Close:
		b = append(b, p.Reason, 0, 0, 0)
	case Register, Unregister:
		b = appendOID(append(b, p.Timeout, p.Priority, 0, 0), p.Name, false)
	case GetBulk:
		b = binary.BigEndian.AppendUint16(b, p.NonRepeaters)
		b = appendRanges(binary.BigEndian.AppendUint16(b, p.MaxRepetitions), p.Ranges)
	case Get, GetNext:
		b = appendRanges(b, p.Ranges)
	case Response:
		b = binary.BigEndian.AppendUint32(b, p.UpTime)
		b = binary.BigEndian.AppendUint16(b, p.Error)
		b = appendBindings(binary.BigEndian.AppendUint16(b, p.Index), p.Bindings)
	case TestSet, Notify:
		b = appendBindings(b, p.Bindings)
	case CommitSet, UndoSet, CleanupSet, Ping:
	}
	binary.BigEndian.PutUint32(b[start+16:], uint32(len(b)-start-headerLength))
	return b
}

// internet is what the prefix of an OID stands for, but for its last number.
func internet() [4]uint32 { return [4]uint32{1, 3, 6, 1} }

func appendOID(b []byte, o OID, included bool) []byte {
	o = o[:min(len(o), maxOID)]
	var prefix, include byte
	i := internet()
	if len(o) > len(i) && o.Begins(i[:]) && 0 < o[4] && o[4] < 256 {
		prefix, o = byte(o[4]), o[5:]
	}
	if included {
		include = 1
	}
	b = append(b, byte(len(o)), prefix, include, 0)
	for _, n := range o {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	return append(b, make([]byte, padding(len(s)))...)
}

// padding is what makes so many bytes a multiple of 4.
func padding(n int) int { return -n & 3 }

func appendRanges(b []byte, rs []Range) []byte {
	for _, r := range rs {
		b = appendOID(appendOID(b, r.Start, r.Included), r.End, false)
	}
	return b
}

func appendBindings(b []byte, all []Binding) []byte {
	for _, v := range all {
		b = binary.BigEndian.AppendUint16(b, uint16(v.Value.Type))
		b = appendOID(append(b, 0, 0), v.Name, false)
		switch v.Value.Type {
		case Integer, Counter32, Gauge32, TimeTicks:
			b = binary.BigEndian.AppendUint32(b, uint32(v.Value.Number))
		case Counter64:
			b = binary.BigEndian.AppendUint64(b, v.Value.Number)
		case OctetString, IPAddress, Opaque:
			b = appendText(b, v.Value.Text)
		case ObjectID:
			b = appendOID(b, v.Value.ID, false)
		case Null, NoSuchObject, NoSuchInstance, EndOfMIBView:
		}
	}
	return b
}

// reader reads the parts of a payload. After an error all it returns is zero.
type reader struct {
	order binary.ByteOrder
	left  []byte
	err   error
}

// bytes returns the next n bytes, or as many zeros.
func (r *reader) bytes(n int) []byte {
	if r.err == nil && n > len(r.left) {
		r.err = errShort
	}
	if r.err != nil {
		return make([]byte, min(n, 8))
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) short() uint16  { return r.order.Uint16(r.bytes(2)) }
func (r *reader) number() uint32 { return r.order.Uint32(r.bytes(4)) }

func (r *reader) text() string {
	n := int(r.number())
	if r.err == nil && n > len(r.left) {
		r.err = errShort
	}
	if r.err != nil {
		return ""
	}
	s := string(r.bytes(n))
	r.bytes(padding(n))
	return s
}

func (r *reader) oid() (o OID, included bool) {
	b := r.bytes(4)
	n, prefix, included := int(b[0]), b[1], b[2] != 0
	if r.err == nil && (n > maxOID || 4*n > len(r.left)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil, false
	}
	if prefix != 0 {
		i := internet()
		o = append(slices.Grow(o, len(i)+1+n), append(i[:], uint32(prefix))...)
	}
	for range n {
		o = append(o, r.number())
	}
	return o, included
}

func (r *reader) ranges() []Range {
	var rs []Range
	for r.err == nil && len(r.left) > 0 {
		var s Range
		s.Start, s.Included = r.oid()
		s.End, _ = r.oid()
		rs = append(rs, s)
	}
	return rs
}

func (r *reader) bindings() []Binding {
	var all []Binding
	for r.err == nil && len(r.left) > 0 {
		var v Binding
		v.Value.Type = Type(r.short())
		r.bytes(2)
		v.Name, _ = r.oid()
		r.value(&v.Value)
		all = append(all, v)
	}
	return all
}

func (r *reader) value(v *Value) {
	switch v.Type {
	case Integer, Counter32, Gauge32, TimeTicks:
		v.Number = uint64(r.number())
	case Counter64:
		v.Number = r.order.Uint64(r.bytes(8))
	case OctetString, IPAddress, Opaque:
		v.Text = r.text()
	case ObjectID:
		v.ID, _ = r.oid()
	case Null, NoSuchObject, NoSuchInstance, EndOfMIBView:
	default:
		if r.err == nil {
			r.err = fmt.Errorf("type %d: not known", v.Type)
		}
	}
}
