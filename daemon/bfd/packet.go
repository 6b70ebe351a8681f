package bfd

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The layout of a packet (RFC 5880, Section 4.1):
//
//	0        version (3 bits), diagnostic (5 bits)
//	1        state (2 bits), poll, final, control plane independent, authentication, demand,
//	         multipoint
//	2        detection multiplier
//	3        length, of all this and the authentication section
//	4 …      sender's discriminator
//	8 …      receiver's discriminator
//	12 …     desired min TX interval, in microseconds like the others
//	16 …     required min RX interval
//	20 …     required min echo RX interval
const (
	version       = 1
	packetLen     = 24
	minAuthLen    = 2
	versionShift  = 5
	stateShift    = 6
	bitPoll       = 1 << 5
	bitFinal      = 1 << 4
	bitControl    = 1 << 3
	bitAuth       = 1 << 2
	bitDemand     = 1 << 1
	bitMultipoint = 1 << 0
	maxInterval   = (1<<32 - 1) * time.Microsecond
)

// Packet is a BFD control packet without authentication.
type Packet struct {
	// State is the sender's, and Diag why it has it.
	State State
	Diag  Diag
	// Poll asks for an answer, which has Final. No packet has both (RFC 5880, Section 6.5); one
	// that does is read all the same.
	Poll, Final bool
	// ControlIndependent says that the sender's BFD outlives its control plane.
	ControlIndependent bool
	// Demand says that the sender would rather not hear periodic packets.
	Demand bool
	// Multiplier is after how many of the sender's intervals it may be taken for dead; not 0.
	Multiplier uint8
	// Mine is the sender's discriminator, not 0, and Yours the receiver's; 0 means that the sender
	// does not know it.
	Mine, Yours uint32
	// MinTx is the least interval in which the sender would like to send, MinRx the least in which
	// it can receive (0: it wants no periodic packets), MinEchoRx the same of echo packets (0:
	// none). They are whole microseconds, at most 4294.967295 s.
	MinTx, MinRx, MinEchoRx time.Duration
}

// Parse reads the packet b. Bytes after the length that it states mean nothing. Every error is a
// DropReason; b is not kept.
//
// RFC 5880, Section 6.8.6: the order of its tests is that of the text, but for the bit of the
// authentication section, which is tested before what only a session could tell.
func Parse(b []byte) (Packet, error) {
	if len(b) < packetLen {
		return Packet{}, DropShort
	}
	if b[0]>>versionShift != version {
		return Packet{}, DropVersion
	}
	auth, length := b[1]&bitAuth != 0, int(b[3])
	switch {
	case length < packetLen, auth && length < packetLen+minAuthLen:
		return Packet{}, DropShort
	case length > len(b):
		return Packet{}, DropLength
	case b[2] == 0:
		return Packet{}, DropMultiplier
	case b[1]&bitMultipoint != 0:
		return Packet{}, DropMultipoint
	case auth:
		return Packet{}, DropAuth
	}
	p := Packet{
		State: State(b[1]>>stateShift) + AdminDown, Diag: Diag(b[0]) & maxDiag,
		Poll: b[1]&bitPoll != 0, Final: b[1]&bitFinal != 0,
		ControlIndependent: b[1]&bitControl != 0, Demand: b[1]&bitDemand != 0,
		Multiplier: b[2],
		Mine:       binary.BigEndian.Uint32(b[4:]), Yours: binary.BigEndian.Uint32(b[8:]),
		MinTx: microseconds(b[12:]), MinRx: microseconds(b[16:]), MinEchoRx: microseconds(b[20:]),
	}
	switch {
	case p.Mine == 0:
		return Packet{}, DropMine
	case p.Yours == 0 && p.State != Down && p.State != AdminDown:
		return Packet{}, DropYours
	}
	return p, nil
}

func microseconds(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

// Append appends the wire form of p to b and returns the longer slice. It fails when p cannot be
// said on the wire, or Parse would refuse it: an interval out of range or between two microseconds,
// a multiplier or discriminator of zero, an unknown state, both Poll and Final.
func (p Packet) Append(b []byte) ([]byte, error) {
	if err := p.encodable(); err != nil {
		return b, fmt.Errorf("encode packet: %w", err)
	}
	flags := byte(p.State-AdminDown) << stateShift
	for _, f := range []struct {
		set bool
		bit byte
	}{
		{p.Poll, bitPoll}, {p.Final, bitFinal}, {p.ControlIndependent, bitControl},
		{p.Demand, bitDemand},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	b = append(b, version<<versionShift|byte(p.Diag), flags, p.Multiplier, packetLen)
	b = binary.BigEndian.AppendUint32(b, p.Mine)
	b = binary.BigEndian.AppendUint32(b, p.Yours)
	for _, d := range []time.Duration{p.MinTx, p.MinRx, p.MinEchoRx} {
		b = binary.BigEndian.AppendUint32(b, uint32(d/time.Microsecond))
	}
	return b, nil
}

// encodable says what the wire form of p would lose, or why nobody would believe it.
func (p Packet) encodable() error {
	switch {
	case p.State < AdminDown || p.State > Up:
		return fmt.Errorf("state %d: want %s to %s", p.State, AdminDown, Up)
	case p.Diag > maxDiag:
		return fmt.Errorf("diagnostic %d: want 0 to %d", p.Diag, uint8(maxDiag))
	case p.Poll && p.Final:
		return fmt.Errorf("poll and final: want one of them")
	case p.Multiplier == 0:
		return DropMultiplier
	case p.Mine == 0:
		return DropMine
	case p.Yours == 0 && p.State != Down && p.State != AdminDown:
		return DropYours
	}
	for _, d := range []time.Duration{p.MinTx, p.MinRx, p.MinEchoRx} {
		if d < 0 || d > maxInterval || d%time.Microsecond != 0 {
			return fmt.Errorf("interval %s: want 0 to %s in microseconds", d, maxInterval)
		}
	}
	return nil
}
