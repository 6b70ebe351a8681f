package bfd

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bubble runs f in a bubble with two speakers that have just come Up: a has the session "b", b the
// session "a". Nothing has been told or logged since.
func bubble(t *testing.T, f func(t *testing.T, air *air, a, b *speaker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		air := newAir()
		a := run(t, air.host(addrA), to(addrB, fast))
		pass(100 * time.Millisecond)
		back := to(addrA, fast)
		back.Name = "a"
		b := run(t, air.host(addrB), back)
		pass(10 * time.Second)
		a.wantTold(t, "b Down -> Init: neighbour heard", "b Init -> Up: neighbour answered")
		b.wantTold(t, "a Down -> Up: neighbour answered")
		f(t, air, a, b)
		a.stop()
		b.stop()
		for name, h := range air.hosts {
			if doors := h.opened(); len(doors) > 0 {
				t.Errorf("%s has ears at %v, want none", name, doors)
			}
		}
	})
}

// TestReload says what is kept over Set: all but the ends may change, and the session stays Up.
func TestReload(t *testing.T) {
	slower := fast
	slower.MinTx, slower.MinRx = 40*time.Millisecond, 20*time.Millisecond
	tests := []struct {
		name   string
		change func(*Config)
		status func(*Status) // what is another then
		dials  int
	}{
		{"nothing", func(*Config) {}, func(*Status) {}, 1},
		{"name", func(c *Config) { c.Name = "new" }, func(s *Status) { s.Config.Name = "new" }, 1},
		{"times", func(c *Config) { c.Params = slower }, func(s *Status) {
			s.Config.Params = slower
			s.Interval, s.Detection = 40*time.Millisecond, 60*time.Millisecond
		}, 1},
		{"ttl", func(c *Config) { c.TTL = 254; c.MaxHops = 1 }, func(s *Status) {
			s.Config.TTL, s.Config.MaxHops = 254, 1
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, air *air, a, b *speaker) {
				want := a.one(t)
				c := want.Config
				tt.change(&c)
				if tt.name == "ttl" { // the neighbour has to agree
					back := b.one(t).Config
					back.MaxHops = 1
					b.set(t, back)
				}
				a.set(t, c)
				pass(time.Second)
				a.wantTold(t)
				b.wantTold(t)
				got := a.one(t)
				tt.status(&want)
				for _, s := range []*Status{&got, &want} {
					s.HeardAt, s.Sent, s.Received = time.Time{}, 0, 0
				}
				if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" {
					t.Errorf("status (-want +got):\n%s", diff)
				}
				if got := air.hosts[netip.MustParseAddr(addrA)].dials; got != tt.dials {
					t.Errorf("dialled %d times, want %d", got, tt.dials)
				}
			})
		})
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

// TestRemoved tells the neighbour that a session has ended, and begins it anew as another one.
func TestRemoved(t *testing.T) {
	bubble(t, func(t *testing.T, air *air, a, b *speaker) {
		before := a.one(t)
		a.set(t)
		pass(5 * time.Second)
		a.wantTold(t)
		b.wantTold(t, "a Up -> Down: neighbour administratively down")
		if got := b.one(t).Heard; got.State != 0 {
			t.Errorf("got %v, want the neighbour forgotten", got)
		}
		if doors := air.hosts[netip.MustParseAddr(addrA)].opened(); len(doors) > 0 {
			t.Errorf("ears at %v, want none", doors)
		}
		a.set(t, before.Config)
		pass(10 * time.Second)
		if got := a.one(t); got.State != Up || got.Discriminator == before.Discriminator {
			t.Errorf("got %s with discriminator %d, want Up with another than %d",
				got.State, got.Discriminator, before.Discriminator)
		}
	})
}

// TestStopped tells the neighbour that Run ends.
func TestStopped(t *testing.T) {
	bubble(t, func(t *testing.T, _ *air, a, b *speaker) {
		a.stop()
		synctest.Wait()
		a.wantTold(t)
		b.wantTold(t, "a Up -> Down: neighbour administratively down")
		if got := a.one(t); got.State != AdminDown || got.Reason != ReasonStopped {
			t.Errorf("got %s: %s, want AdminDown: stopped", got.State, got.Reason)
		}
		pass(time.Minute)
		b.wantTold(t)
	})
}

// TestRestarted has a neighbour begin anew without a word: it is Down at once, and Up again.
func TestRestarted(t *testing.T) {
	bubble(t, func(t *testing.T, air *air, a, b *speaker) {
		air.lose(func(_, _ netip.Addr) bool { return true })
		config := b.one(t).Config
		b.stop()
		air.lose(nil)
		again := run(t, air.hosts[netip.MustParseAddr(addrB)], config)
		synctest.Wait() // no time passes
		a.wantTold(t, "b Up -> Down: neighbour signalled down", "b Down -> Up: neighbour answered")
		again.wantTold(t, "a Down -> Init: neighbour heard", "a Init -> Up: neighbour answered")
		again.stop()
	})
}

// TestDrained says that a packet that is in the socket when the time is over counts.
func TestDrained(t *testing.T) {
	bubble(t, func(t *testing.T, air *air, a, b *speaker) {
		e := air.hosts[netip.MustParseAddr(addrA)].ear(door{})
		air.mu.Lock()
		e.late = true
		air.mu.Unlock()
		before := a.one(t).Received
		pass(10 * time.Second)
		a.wantTold(t)
		if got := a.one(t).Received; got < before+900 {
			t.Errorf("received %d more packets, want 900 or more", got-before)
		}
	})
}

// TestDeaf has everything fail that can: the ear, then the sockets that are to replace it. It is
// said once, tried every second, and all is well when they work again.
func TestDeaf(t *testing.T) {
	bubble(t, func(t *testing.T, air *air, a, b *speaker) {
		h := air.hosts[netip.MustParseAddr(addrA)]
		h.fail(errors.New("no descriptors"), nil)
		h.ear(door{}).fail(errors.New("network down"))
		pass(5 * time.Second)
		a.wantTold(t, "b Up -> Down: neighbour silent")
		want := []string{
			`level=ERROR msg="BFD cannot be heard" err="network down"`,
			`level=ERROR msg="BFD cannot be heard" err="no descriptors"`,
		}
		if diff := cmp.Diff(want, a.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if got := a.one(t).Err; got != "no descriptors" {
			t.Errorf("error %q, want no descriptors", got)
		}
		h.fail(nil, nil)
		pass(10 * time.Second)
		a.wantTold(t, "b Down -> Up: neighbour answered") // b has heard a all the time
		if got := a.one(t); got.Err != "" {
			t.Errorf("error %q, want none", got.Err)
		}
	})
}

// TestDeafAndPassive opens the ear again although no session has anything to do.
func TestDeafAndPassive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAir().host(addrA)
		a := run(t, h, to(addrB, Params{Passive: true}))
		pass(time.Hour)
		h.ear(door{}).fail(errors.New("network down"))
		pass(time.Second)
		if doors := h.opened(); len(doors) != 1 {
			t.Errorf("ears at %v, want one", doors)
		}
		a.stop()
	})
}

// TestDumb has sending fail: it is counted, said once, and the socket is opened anew.
func TestDumb(t *testing.T) {
	bubble(t, func(t *testing.T, air *air, a, b *speaker) {
		h := air.hosts[netip.MustParseAddr(addrA)]
		h.fail(nil, errors.New("no route"))
		pass(5 * time.Second)
		b.wantTold(t, "a Up -> Down: neighbour silent")
		a.wantTold(t, "b Up -> Down: neighbour signalled down", "b Down -> Init: neighbour heard")
		if diff := cmp.Diff([]string{
			`level=WARN msg="BFD cannot be sent" bfd=b err="no route"`}, a.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if got := a.one(t); got.Err != "no route" || got.SendErrors < 5 || h.dials < 4 {
			t.Errorf("error %q, %d times, dialled %d times; want no route, 5, 4 or more",
				got.Err, got.SendErrors, h.dials)
		}
		h.fail(nil, nil)
		pass(10 * time.Second)
		b.wantTold(t, "a Down -> Up: neighbour answered")
		if got := a.one(t); got.Err != "" || got.State != Up {
			t.Errorf("got %s, error %q, want Up and none", got.State, got.Err)
		}
	})
}

// TestLateSocket has a session whose sockets cannot be opened at first.
func TestLateSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		air := newAir()
		h := air.host(addrA)
		h.fail(errors.New("no address"), nil)
		a := run(t, h, to(addrB, fast))
		b := run(t, air.host(addrB), to(addrA, fast))
		pass(3500 * time.Millisecond)
		if got := a.one(t); got.State != Down || got.Err != "no address" {
			t.Errorf("got %s, error %q, want Down and no address", got.State, got.Err)
		}
		want := []string{
			`level=ERROR msg="BFD cannot be heard" err="no address"`,
			`level=WARN msg="BFD cannot be sent" bfd=b err="no address"`,
		}
		if diff := cmp.Diff(want, a.log()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		h.fail(nil, nil)
		pass(5 * time.Second)
		for _, s := range []*speaker{a, b} {
			if got := s.one(t); got.State != Up {
				t.Errorf("got %s, want Up", got.State)
			}
		}
		a.stop()
		b.stop()
	})
}
