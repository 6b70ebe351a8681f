package track_test

import (
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/track"
)

func FuzzParseNumber(f *testing.F) {
	for _, text := range []string{
		"", "5", "-254\n", "0x7fffffffffffffff", "x", "99999999999999999999",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := track.ParseNumber("F", text)
		if n < -1<<31 || n > 1<<31-1 || err != nil && n != 0 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	for _, text := range []string{"", "1 (init) S 0", "2 (a) b) Z 1", "3 (x", ")(", "( "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, ok := track.ParseStat(text); ok && !strings.Contains(text, "("+name+") ") {
			t.Errorf("got %q", name)
		}
	})
}
