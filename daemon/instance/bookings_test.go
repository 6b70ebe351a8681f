package instance

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestBookings adds, replaces and takes away at random, and finds the first one first each time.
func TestBookings(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Now()
	var b bookings
	var want []time.Time
	for range 20_000 {
		at := begin.Add(time.Duration(random.IntN(1000)))
		switch n := random.IntN(5); {
		case n < 2 || len(want) == 0:
			b.push(booking{at: at})
			want = append(want, at)
		case n == 2:
			b.replace(booking{at: at})
			want[0] = at
		default:
			b.pop()
			want = want[1:]
		}
		slices.SortFunc(want, time.Time.Compare)
		if len(b) != len(want) || len(b) > 0 && !b[0].at.Equal(want[0]) {
			t.Fatalf("%d bookings, want %d; first %v, want %v", len(b), len(want), b[0].at, want[0])
		}
	}
}
