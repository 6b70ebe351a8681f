package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCorpus reads configurations such as distributions, platforms and people write. The golden of
// each is what is said of it and its canonical form, which must be read as the same Config.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.conf")
	if err != nil || len(files) < 40 {
		t.Fatalf("find corpus: %v, %d files, want at least 40", err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, ds := Parse(filepath.Base(file), readFile(t, file))
			got := ds.String()
			if ds.Err() == nil {
				got = fmt.Sprintf("%s-- config --\n%s", ds, c)
				checkRoundTrip(t, c)
			}
			golden := strings.TrimSuffix(file, ".conf") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(readFile(t, golden)), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
