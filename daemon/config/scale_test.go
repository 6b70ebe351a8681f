package config

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestTimeGrowsLinearly compares a file with one ten times its size: what is quadratic would take a
// hundred times as long. It counts the processor's time, for the machine may be busy.
func TestTimeGrowsLinearly(t *testing.T) {
	best := func(services, reals int) time.Duration {
		var text bytes.Buffer
		writeServers(&text, services, reals)
		least := time.Hour
		for range 3 {
			start := processorTime(t)
			if _, ds := Parse("size", text.Bytes()); ds.Err() != nil {
				t.Fatal(ds.Err())
			}
			least = min(least, processorTime(t)-start)
		}
		return least
	}
	for _, tt := range []struct {
		name          string
		few, many     int
		reals, riches int
	}{
		{"services", 100, 1000, 4, 4},
		{"real servers of one", 1, 1, 1000, 10000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			few, many := best(tt.few, tt.reals), best(tt.many, tt.riches)
			if many > 40*max(few, time.Millisecond) {
				t.Errorf("ten times the size: took %s, not %s", many, few)
			}
		})
	}
}

// TestNesting reads 10,000 blocks in each other.
func TestNesting(t *testing.T) {
	deep := "vrrp_script a {\n" + strings.Repeat("a {\n", 10000)
	const (
		tooDeep = "expected at most 64 blocks in each other"
		tooMany = "expected fewer mistakes up to here"
	)
	for _, tt := range []struct{ name, text, want string }{
		{"open", deep, tooDeep},
		{"open and closed", deep + strings.Repeat("}\n", 10001), tooDeep},
		{"in one line", strings.Repeat("a { ", 10000), tooDeep},
		{"closed only", strings.Repeat("}\n", 10000), tooMany},
		{"without keywords", strings.Repeat("{", 10000), tooMany},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ds := Parse("deep", []byte(tt.text))
			if len(ds) > 100 || !strings.Contains(ds.String(), tt.want) {
				t.Errorf("got %d diagnostics, want at most 100 with %q\n%.300s",
					len(ds), tt.want, ds)
			}
		})
	}
}
