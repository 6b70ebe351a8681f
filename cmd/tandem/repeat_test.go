package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scenarios"
)

// TestRunOptions: repeated runs that are spread strike all over the interval between two adverts, and
// each says how to run it again.
func TestRunOptions(t *testing.T) {
	found, err := scenarios.Find("fig5-director-killed", "fig6-rr")
	if err != nil {
		t.Fatal(err)
	}
	noise := &reports.Noise{Verdict: reports.Pass}
	b := &batch{command: "tandem drill run %s --seed 3",
		noise: map[string]*reports.Noise{found[0].Name: noise}}
	b.options.seed, b.options.repeat = 3, 4
	for _, spread := range []bool{false, true} {
		b.options.spread = spread
		var got []string
		for i := range 8 {
			o := b.runOptions(found[i/4], i)
			if o.Seed != 3 || (o.Noise == noise) != (i < 4) {
				t.Errorf("run %d: %+v", i, o)
			}
			got = append(got, fmt.Sprint(o.Phase, strings.TrimPrefix(o.Command, "tandem drill run")))
		}
		want := []string{"0s", "0s", "0s", "0s", "0s", "0s", "0s", "0s"}
		if spread {
			want = []string{"0s", "250ms", "500ms", "750ms", "0s", "250ms", "500ms", "750ms"}
		}
		for i := range want {
			phase := " --phase " + want[i]
			if want[i] == "0s" {
				phase = ""
			}
			want[i] += fmt.Sprintf(" %s --seed 3%s", found[i/4].Name, phase)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("spread %v (-want +got):\n%s", spread, diff)
		}
	}
}
