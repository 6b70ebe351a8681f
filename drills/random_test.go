package drills

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/topology"
)

func TestRandomIsAFile(t *testing.T) {
	for _, beyond := range []bool{false, true} {
		for seed := range uint64(20) {
			d, err := Random(mustPreset(t, "fig7"), seed, 10*time.Minute, beyond)
			if err != nil {
				t.Fatal(err)
			}
			if d.Ends() != 10*time.Minute {
				t.Errorf("seed %d ends at %s, want 10m", seed, d.Ends())
			}
			b, err := Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Parse("random.drill.yml", b, nil)
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, b)
			}
			if diff := cmp.Diff(d, back, values); diff != "" {
				t.Errorf("seed %d (-want +got):\n%s", seed, diff)
			}
			again, err := Random(mustPreset(t, "fig7"), seed, 10*time.Minute, beyond)
			if diff := cmp.Diff(d, again, values); diff != "" || err != nil {
				t.Errorf("seed %d, twice: %v (-first +second):\n%s", seed, err, diff)
			}
		}
	}
}

// TestRandomLedgerOfSeed holds what a seed has always drawn: a report's seed must give its run again.
func TestRandomLedgerOfSeed(t *testing.T) {
	d, err := Random(mustPreset(t, "fig7"), 42, 2*time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/random-42.txt", strings.Join(d.Ledger(), "\n")+"\n")
}

func TestRandomHasNothingToDraw(t *testing.T) {
	_, err := Random(topology.Topology{Name: "none"}, 1, time.Hour, false)
	if err == nil || !strings.Contains(err.Error(), "--beyond draws others") {
		t.Errorf("error %v", err)
	}
}
