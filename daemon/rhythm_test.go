package daemon

import (
	"testing"
	"time"
)

func TestUntilNext(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, tt := range []struct{ past, every, want time.Duration }{
		{0, time.Second, time.Second},
		{time.Millisecond, time.Second, 999 * time.Millisecond},
		{-time.Millisecond, time.Second, time.Millisecond},
		{700 * time.Millisecond, 500 * time.Millisecond, 300 * time.Millisecond},
	} {
		if got := untilNext(at.Add(tt.past), tt.every); got != tt.want {
			t.Errorf("%s after a point, every %s: %s, want %s", tt.past, tt.every, got, tt.want)
		}
	}
}
