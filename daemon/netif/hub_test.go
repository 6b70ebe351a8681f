package netif

import (
	"maps"
	"slices"
	"testing"
)

// TestNewsOfAFirstLook has news come while an interface is looked at for the first time: it is looked
// at again, whatever the news is about.
func TestNewsOfAFirstLook(t *testing.T) {
	h := newHub(nil)
	h.users["eth0"], h.users["eth1"], h.users["eth2"] = 1, 1, 1
	h.states["eth1"], h.states["eth2"] = State{Index: 1}, State{Index: 2}
	old := map[string]bool{}
	h.mark(old, func(s State) bool { return s.Index == 2 })
	got := slices.Sorted(maps.Keys(old))
	if want := []string{"eth0", "eth2"}; !slices.Equal(got, want) {
		t.Errorf("to be looked at: %v, want %v", got, want)
	}
}
