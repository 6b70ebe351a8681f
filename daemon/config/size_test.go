package config

import (
	"testing"
	"unsafe"
)

// TestSizes holds what there are tens of thousands of to its size.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, most uintptr
	}{
		{"Pos", unsafe.Sizeof(Pos{}), 24},
		{"RealServer", unsafe.Sizeof(RealServer{}), 96},
		{"Check", unsafe.Sizeof(Check{}), 64},
	} {
		if tt.size > tt.most {
			t.Errorf("%s has %d bytes, want at most %d", tt.name, tt.size, tt.most)
		}
	}
}
