package bfd

import (
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// BenchmarkReceived measures what a packet costs that comes to a session that is Up, from its bytes
// on, and one look at all sessions of a Speaker that has a hundred.
func BenchmarkReceived(b *testing.B) {
	air := newAir()
	s := NewSpeaker(slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	s.net = air.host(addrA)
	var sessions []Config
	for i := range 100 {
		c := to(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).String(), Params{})
		c.Name = c.Neighbor.String()
		sessions = append(sessions, c)
	}
	if err := s.Set(sessions); err != nil {
		b.Fatal(err)
	}
	var listening sync.WaitGroup
	defer listening.Wait()
	defer s.closeOld()
	defer s.end()
	s.round(&listening)
	p := s.sorted()[50]
	up := Packet{
		State: Init, Multiplier: 3, Mine: 7, Yours: p.status.Discriminator,
		MinTx: time.Hour, MinRx: time.Hour,
	}
	d := datagram{payload: must(up.Append(nil)), ttl: ttlDirect}
	b.Run("packet", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.deliver(door{}, d)
		}
	})
	if p.session.State() != Up {
		b.Fatalf("the session is %s, want Up", p.session.State())
	}
	b.Run("look at all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.round(&listening)
		}
	})
}
