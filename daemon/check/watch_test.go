package check

import (
	"testing"
	"unsafe"
)

// TestWatchIsSmall holds a watch to its size: there are tens of thousands, and the next size of
// memory that there is has 16 bytes more.
func TestWatchIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(watch{}); size > 112 {
		t.Errorf("a watch has %d bytes, want at most 112", size)
	}
}
