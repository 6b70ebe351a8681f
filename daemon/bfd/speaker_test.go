package bfd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

const (
	addrA = "192.168.1.2"
	addrB = "192.168.1.3"
)

// speaker is a Speaker that runs in a bubble, with what it has reported.
type speaker struct {
	*Speaker
	stop func() // ends Run and waits

	mu      sync.Mutex
	changes []Change
	logged  strings.Builder
}

// run starts a Speaker on a host, with sessions.
func run(t *testing.T, h *host, sessions ...Config) *speaker {
	t.Helper()
	s := &speaker{}
	log := slog.New(slog.NewTextHandler(s, nil))
	s.Speaker = NewSpeaker(log, func(c Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changes = append(s.changes, c)
	})
	s.net, s.random = h, func() float64 { return 0 }
	s.set(t, sessions...)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *speaker) set(t *testing.T, sessions ...Config) {
	t.Helper()
	if err := s.Set(sessions); err != nil {
		t.Fatal(err)
	}
}

// Write is for the log.
func (s *speaker) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged.Write(b)
}

// told returns the changes since the last call, as "name from -> to: reason", and when the last
// was.
func (s *speaker) told() ([]string, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	var at time.Time
	for _, c := range s.changes {
		lines = append(lines, fmt.Sprintf("%s %s -> %s: %s", c.Name, c.From, c.To, c.Reason))
		at = c.At
	}
	s.changes = nil
	return lines, at
}

// log returns what was logged since the last call, without its time.
func (s *speaker) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for line := range strings.Lines(s.logged.String()) {
		_, line, _ = strings.Cut(line, " ")
		lines = append(lines, strings.TrimSpace(line))
	}
	s.logged.Reset()
	return lines
}

// wantTold compares the changes since the last call.
func (s *speaker) wantTold(t *testing.T, want ...string) {
	t.Helper()
	got, _ := s.told()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// one returns where the only session stands.
func (s *speaker) one(t *testing.T) Status {
	t.Helper()
	all := s.States()
	if len(all) != 1 {
		t.Fatalf("%d sessions, want 1", len(all))
	}
	return all[0]
}

// to is a session with a neighbour.
func to(addr string, p Params) Config {
	return Config{Name: "b", Neighbor: netip.MustParseAddr(addr), Params: p}
}

var fast = Params{MinTx: 10 * time.Millisecond, MinRx: 10 * time.Millisecond, Multiplier: 3}

// pass lets time pass in a bubble and everything that is due happen.
func pass(d time.Duration) {
	bubbletest.Pass(d)
}

// TestDetection says that the loss of all packets is noticed at multiplier x interval after the
// last one, to the nanosecond.
func TestDetection(t *testing.T) {
	tests := []struct {
		name string
		a, b Params
		want time.Duration // how long a takes to miss b
	}{
		{"equal", fast, fast, 30 * time.Millisecond},
		{"b sends slowly", fast, Params{MinTx: 50 * time.Millisecond, Multiplier: 3},
			150 * time.Millisecond},
		{"a asks for slow packets",
			Params{MinTx: 10 * time.Millisecond, MinRx: 70 * time.Millisecond, Multiplier: 3}, fast,
			210 * time.Millisecond},
		{"the multiplier is the neighbour's",
			fast, Params{MinTx: 10 * time.Millisecond, Multiplier: 1}, 10 * time.Millisecond},
		{"the defaults", Params{}, Params{}, 50 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				air := newAir()
				a := run(t, air.host(addrA), to(addrB, tt.a))
				pass(100 * time.Millisecond) // so that it is always the same one that is heard
				b := run(t, air.host(addrB), to(addrA, tt.b))
				pass(10 * time.Second)
				a.wantTold(t, "b Down -> Init: neighbour heard", "b Init -> Up: neighbour answered")
				if got := a.one(t); got.State != Up || got.Detection != tt.want {
					t.Fatalf("got %s, detects in %s, want Up and %s",
						got.State, got.Detection, tt.want)
				}
				silent := netip.MustParseAddr(addrB)
				air.lose(func(from, _ netip.Addr) bool { return from == silent })
				last := a.one(t).HeardAt
				pass(time.Second)
				lines, at := a.told()
				if diff := cmp.Diff([]string{"b Up -> Down: neighbour silent"}, lines); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
				if got := at.Sub(last); got != tt.want {
					t.Errorf("noticed after %s, want %s", got, tt.want)
				}
				b.wantTold(t,
					"b Down -> Up: neighbour answered", "b Up -> Down: neighbour signalled down")
			})
		})
	}
}
