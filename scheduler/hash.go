package scheduler

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// fold makes one number of an address (the XOR of its words).
func fold(a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	b := a.As16()
	var sum uint32
	for i := 0; i < len(b); i += 4 {
		sum ^= binary.BigEndian.Uint32(b[i:])
	}
	return sum
}

// hash32 is the kernel's hash of a number to so many bits (linux/hash.h).
func hash32(v uint32, bits int) uint32 { return v * 0x61C88647 >> (32 - bits) }

// bucketBits are those of the tables of dh and sh in Debian's kernels (CONFIG_IP_VS_DH_TAB_BITS,
// CONFIG_IP_VS_SH_TAB_BITS).
const bucketBits = 8

// buckets is dh and sh: a table of 256 buckets, filled round after round with the servers. With dh,
// the destination's address chooses the bucket, and each server has one in a round; with sh, the
// client's does, and each has as many as its weight, but at least one (ip_vs_dh.c, ip_vs_sh.c).
type buckets struct {
	bySource bool
	table    [1 << bucketBits]*server
}

func (b *buckets) changed(m *Model, what change, _ *server) {
	// A change of weight means nothing to dh.
	if what == added || what == edited && b.bySource {
		b.rebuild(m)
	}
}

func (b *buckets) rebuild(m *Model) {
	clear(b.table[:])
	if len(m.servers) == 0 {
		return
	}
	at, had := 0, 0
	for i := range b.table {
		s := m.servers[at]
		b.table[i] = s
		if had++; !b.bySource || had >= s.Weight {
			at, had = (at+1)%len(m.servers), 0
		}
	}
}

func (b *buckets) choose(m *Model, f Flow) *server {
	if !b.bySource {
		return able(b.table[hash32(fold(f.To), bucketBits)])
	}
	h := hash32(fold(f.From.Addr())+m.port(f), bucketBits)
	if s := able(b.table[h]); s != nil || !m.options.Fallback {
		return s
	}
	// The search starts at twice the hash, because the kernel adds it once too often.
	for off := range uint32(len(b.table)) {
		from := (off + h) % uint32(len(b.table))
		if s := able(b.table[(from+h)%uint32(len(b.table))]); s != nil {
			return s
		}
	}
	return nil
}

// String says how large the table is.
func (b *buckets) String() string { return fmt.Sprintf("%d buckets", len(b.table)) }

// port is the part of the client's port in a hash.
func (m *Model) port(f Flow) uint32 {
	if m.options.HashPort {
		return uint32(f.From.Port())
	}
	return 0
}

// able returns s if it may be chosen, else nil.
func able(s *server) *server {
	if s == nil || !s.able() {
		return nil
	}
	return s
}

// maglevSize is that of the table of mh in Debian's kernels (CONFIG_IP_VS_MH_TAB_INDEX 12), and
// maglevBits what limits the turns of a server there.
const (
	maglevSize = 4093
	maglevBits = 6
)

// The keys of the two hashes of mh (ip_vs_mh.c).
const (
	maglevKey1 = 2654435761
	maglevKey2 = 2654446892
)

// maglev is mh: a table in which each server has its share in places of its own choice, so that
// few clients move when a server comes or leaves (ip_vs_mh.c).
type maglev struct {
	table [maglevSize]*server
}

func (g *maglev) changed(m *Model, what change, _ *server) {
	if what != removed {
		g.rebuild(m)
	}
}

// rebuild lets the servers take places in turn, as many a round as their weight has parts. The
// weight that counts is the last one that was not 0: a server that drains keeps its places, and its
// clients are refused or, with fallback, sent elsewhere.
func (g *maglev) rebuild(m *Model) {
	clear(g.table[:])
	turns := maglevTurns(m.servers)
	place := make([]uint32, len(m.servers))
	skip := make([]uint32, len(m.servers))
	all := 0
	for i, s := range m.servers {
		v := fold(s.Addr.Addr()) + uint32(s.Addr.Port())
		place[i] = siphash13(v, maglevKey1) % maglevSize
		skip[i] = siphash13(v, maglevKey2)%(maglevSize-1) + 1
		all += turns[i]
	}
	if all == 0 {
		return
	}
	for n := 0; n < maglevSize; {
		for i, s := range m.servers {
			for range turns[i] {
				for g.table[place[i]] != nil {
					place[i] = (place[i] + skip[i]) % maglevSize
				}
				g.table[place[i]] = s
				if n++; n == maglevSize {
					return
				}
			}
		}
	}
}

// maglevTurns says how many places each server takes in a round.
func maglevTurns(servers []*server) []int {
	divisor, heaviest := 0, 0
	for _, s := range servers {
		divisor, heaviest = gcd(divisor, s.lastWeight), max(heaviest, s.lastWeight)
	}
	divisor = max(divisor, 1)
	shift := max(0, bits.Len(uint(heaviest/divisor))-maglevBits)
	turns := make([]int, len(servers))
	for i, s := range servers {
		if turns[i] = s.lastWeight / divisor >> shift; turns[i] == 0 && s.lastWeight != 0 {
			turns[i] = 1
		}
	}
	return turns
}

func (g *maglev) choose(m *Model, f Flow) *server {
	v := fold(f.From.Addr()) + m.port(f)
	h := siphash13(v, maglevKey1) % maglevSize
	if s := able(g.table[h]); s != nil || !m.options.Fallback {
		return s
	}
	for off := range uint32(maglevSize) {
		from := (off + h) % maglevSize
		if s := able(g.table[siphash13(v+from, maglevKey1)%maglevSize]); s != nil {
			return s
		}
	}
	return nil
}

// String says how large the table is.
func (g *maglev) String() string { return fmt.Sprintf("%d places", maglevSize) }

// siphash13 is the low half of SipHash-1-3 of a number of four bytes, with both halves of the key
// the same: what a kernel of 64 bits calls hsiphash (lib/siphash.c). The algorithm is Aumasson's and
// Bernstein's, "SipHash: a fast short-input PRF", 2012.
func siphash13(v uint32, key uint64) uint32 {
	v0, v1 := 0x736f6d6570736575^key, 0x646f72616e646f6d^key
	v2, v3 := 0x6c7967656e657261^key, 0x7465646279746573^key
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	word := uint64(4)<<56 | uint64(v)
	v3 ^= word
	round()
	v0 ^= word
	v2 ^= 0xff
	for range 3 {
		round()
	}
	return uint32(v0 ^ v1 ^ v2 ^ v3)
}
