package instance_test

import (
	"runtime"
	"testing"

	"github.com/tandemlb/tandem/daemon/instance"
)

// TestFootprint bounds what an instance takes of the heap before it runs: there are thousands.
func TestFootprint(t *testing.T) {
	const many, most = 500, 5200
	links := only((&simWire{}).join("192.168.1.11/24"))
	runners := make([]*instance.Runner, many)
	before := live()
	for i := range runners {
		var err error
		if runners[i], err = instance.New(manyGroup(0, i), links); err != nil {
			t.Fatal(err)
		}
	}
	each := (live() - before) / many
	runtime.KeepAlive(runners)
	t.Logf("%d bytes each", each)
	if each > most {
		t.Errorf("an instance takes %d bytes, want %d at most", each, most)
	}
}

// live returns how much of the heap is in use.
func live() int {
	runtime.GC()
	runtime.GC() // and what had a finalizer, or was pooled
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
