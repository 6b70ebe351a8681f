package netif_test

import (
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// TestAlarm sets an alarm again and again: earlier, later, and to what is past.
func TestAlarm(t *testing.T) {
	rang := make(chan time.Time, 10)
	a := netif.NewAlarm(func() { rang <- time.Now() })
	defer a.Close()
	const soon = 20 * time.Millisecond
	for _, tt := range []struct {
		name string
		sets []time.Duration
		want time.Duration
	}{
		{"once", []time.Duration{soon}, soon},
		{"again", []time.Duration{soon}, soon},
		{"later", []time.Duration{soon, 2 * soon}, 2 * soon},
		{"sooner", []time.Duration{time.Hour, soon}, soon},
		{"past", []time.Duration{time.Hour, -time.Second}, 0},
		{"now", []time.Duration{0}, 0},
	} {
		begin := time.Now()
		for _, d := range tt.sets {
			a.Set(d)
		}
		select {
		case at := <-rang:
			if took := at.Sub(begin); took < tt.want {
				t.Errorf("%s: rang after %s, want %s", tt.name, took, tt.want)
			}
		case <-time.After(limit):
			t.Fatalf("%s: did not ring", tt.name)
		}
	}
	a.Set(time.Hour)
	a.Close()
	a.Close()
	a.Set(0)
	if n := len(rang); n != 0 {
		t.Errorf("rang %d times more than it was set", n)
	}
}
