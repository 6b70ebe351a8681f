package config

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

// narrow is a writer that has room for so many bytes.
type narrow struct {
	strings.Builder
	room int
}

var errFull = errors.New("full")

func (n *narrow) Write(b []byte) (int, error) {
	fits := min(len(b), n.room)
	n.room -= fits
	n.Builder.Write(b[:fits])
	if fits < len(b) {
		return fits, errFull
	}
	return fits, nil
}

// TestWriteTellsOfItsWriter writes to what takes all, and to what does not.
func TestWriteTellsOfItsWriter(t *testing.T) {
	var text strings.Builder
	writeServers(&text, 3, 100)
	c, ds := Parse("a.conf", []byte(text.String()))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	whole := c.String()
	for _, room := range []int{0, 10_000, len(whole)} {
		n := &narrow{room: room}
		want := errFull
		if room == len(whole) {
			want = nil
		}
		if err := c.Write(n); !errors.Is(err, want) || n.String() != whole[:room] {
			t.Errorf("room for %d bytes: got %d, %v, want %v", room, n.Len(), err, want)
		}
	}
}

// TestWriteMakesLittleGarbage writes few real servers and many: what is allocated for each is
// little.
func TestWriteMakesLittleGarbage(t *testing.T) {
	const most = 2048
	of := func(reals int) uint64 {
		var text strings.Builder
		writeServers(&text, 1, reals)
		c, ds := Parse("a.conf", []byte(text.String()))
		if err := ds.Err(); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = c.Write(io.Discard)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := of(10), of(1010); (many-few)/1000 > most {
		t.Errorf("got %d bytes for each real server, want at most %d", (many-few)/1000, most)
	}
}
