package lab

import "testing"

func TestVirtualSource(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"time-travel-clock\n":          true,
		"time-travel-clock-external\n": false,
		"timer\n":                      false,
		"tsc\n":                        false,
		"":                             false,
	}
	for name, want := range tests {
		if got := virtualSource(name); got != want {
			t.Errorf("virtualSource(%q) = %v, want %v", name, got, want)
		}
	}
}
