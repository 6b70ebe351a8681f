package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// attributeHead is the length of an attribute's header, nestedAttribute the flag of one that holds
// others (struct nlattr in linux/netlink.h).
const (
	attributeHead   = 4
	nestedAttribute = 0x8000
)

// attributes is a message being written. Package netlink, which could do it, allocates some fifty
// times for each destination, of which a table has thousands.
type attributes []byte

// bytes writes an attribute, filled up to four bytes.
func (a *attributes) bytes(typ uint16, data ...byte) {
	copy(a.make(typ, len(data)), data)
}

// make writes an attribute of zeros, and returns where its data goes.
func (a *attributes) make(typ uint16, length int) []byte {
	at := len(*a) + attributeHead
	*a = binary.NativeEndian.AppendUint16(*a, uint16(attributeHead+length))
	*a = binary.NativeEndian.AppendUint16(*a, typ)
	for range (length + 3) / 4 {
		*a = append(*a, 0, 0, 0, 0)
	}
	return (*a)[at : at+length]
}

func (a *attributes) uint8(typ uint16, v uint8) { a.make(typ, 1)[0] = v }

func (a *attributes) uint16(typ, v uint16) { binary.NativeEndian.PutUint16(a.make(typ, 2), v) }

// port writes a number of 16 bits as the network has it.
func (a *attributes) port(typ, v uint16) { binary.BigEndian.PutUint16(a.make(typ, 2), v) }

func (a *attributes) uint32(typ uint16, v uint32) {
	binary.NativeEndian.PutUint32(a.make(typ, 4), v)
}

// string writes a string with the zero behind it.
func (a *attributes) string(typ uint16, s string) { copy(a.make(typ, len(s)+1), s) }

// addr writes an address as the network has it.
func (a *attributes) addr(typ uint16, addr netip.Addr) {
	if addr.Is4() {
		b := addr.As4()
		copy(a.make(typ, len(b)), b[:])
		return
	}
	b := addr.As16()
	copy(a.make(typ, len(b)), b[:])
}

// begin begins an attribute that holds those written until end, which takes what begin returns.
func (a *attributes) begin(typ uint16) (at int) {
	at = len(*a)
	a.make(typ|nestedAttribute, 0)
	return at
}

func (a *attributes) end(at int) {
	binary.NativeEndian.PutUint16((*a)[at:], uint16(len(*a)-at))
}

var errShort = errors.New("too short")

// attributeReader reads attributes one after the other. What it returns shares the memory of what
// it reads. The first error ends it, and stays in err.
type attributeReader struct {
	rest []byte
	// typ and data are those of the attribute at hand.
	typ  uint16
	data []byte
	err  error
}

// next goes to the next attribute; false after the last, and after an error.
func (r *attributeReader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if len(r.rest) < attributeHead {
		r.err = errShort
		return false
	}
	length := int(binary.NativeEndian.Uint16(r.rest))
	if length < attributeHead || length > len(r.rest) {
		r.err = fmt.Errorf("attribute of %d bytes in %d", length, len(r.rest))
		return false
	}
	r.typ = binary.NativeEndian.Uint16(r.rest[2:]) &^ nestedAttribute
	r.data = r.rest[attributeHead:length]
	r.rest = r.rest[min((length+3)&^3, len(r.rest)):]
	return true
}

// sized returns the data if it has that length; else an error is noted, and it returns zeros.
func (r *attributeReader) sized(length int) []byte {
	if len(r.data) != length {
		r.err = fmt.Errorf("attribute %d of %d bytes, want %d", r.typ, len(r.data), length)
		return make([]byte, length)
	}
	return r.data
}

func (r *attributeReader) uint8() uint8   { return r.sized(1)[0] }
func (r *attributeReader) uint16() uint16 { return binary.NativeEndian.Uint16(r.sized(2)) }
func (r *attributeReader) uint32() uint32 { return binary.NativeEndian.Uint32(r.sized(4)) }
func (r *attributeReader) uint64() uint64 { return binary.NativeEndian.Uint64(r.sized(8)) }

// string returns the data up to the zero behind it, if there is one.
func (r *attributeReader) string() string {
	if n := len(r.data); n > 0 && r.data[n-1] == 0 {
		return string(r.data[:n-1])
	}
	return string(r.data)
}

// nested returns a reader of the attributes in this one.
func (r *attributeReader) nested() attributeReader { return attributeReader{rest: r.data} }
