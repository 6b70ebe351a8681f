package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
)

// TestControl: nothing of the catalogue is broken in its control run, nor awaited for that; what is
// there without it stays.
func TestControl(t *testing.T) {
	for _, s := range Catalogue() {
		c := Control(s, 1)
		if c.Plan != nil || len(c.Bounds) > 0 || c.Name == s.Name || len(c.Steps) == 0 {
			t.Fatalf("%s: %+v", s.Name, c)
		}
		if _, ok := c.Steps[0].(Steady); !ok {
			t.Errorf("%s begins with %q", c.Name, c.Steps[0])
		}
		for _, step := range c.Steps {
			text := step.String()
			for _, word := range []string{"inject", "reload", "heal", "takeover", "two owners"} {
				if strings.Contains(text, word) {
					t.Errorf("%s: %s", c.Name, text)
				}
			}
		}
	}
	var got []string
	for _, step := range Control(fig5DirectorKilled(), 1).Steps {
		got = append(got, step.String())
	}
	want := []string{"reach the steady state", "observe for 1s", "observe for 6.5s",
		"await 50 answers in a row", "await the fail-back", "await 100 answers in a row",
		"await the fail-back"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestControlRunIsJudged: the finding on a control run says how that went; of none there is none.
func TestControlRunIsJudged(t *testing.T) {
	control := reports.Report{Verdict: reports.Fail, Summary: "It broke.",
		Recording: *recordingOfAnnals(t, []string{"10 ", "20 ", "30 ", "40 "}, "")}
	n := NoiseOf(Scenario{Topology: preset("fig7")}, control)
	if n.Outage != 3500*time.Millisecond || n.Lost != 35 {
		t.Errorf("noise %+v, want what was lost at the takeover that nothing caused", n)
	}
	for _, tt := range []struct {
		name  string
		noise *reports.Noise
		want  string
	}{
		{"none", nil, ""},
		{"good", &reports.Noise{Verdict: reports.Pass}, "pass "},
		{"bad", &n, "fail It broke."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, f := range Judge(Scenario{}, &reports.Recording{Noise: tt.noise}) {
				got += string(f.Verdict) + " " + f.Detail
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestPhase: a run may wait after its steady state; the scenario's own steps stay as they are.
func TestPhase(t *testing.T) {
	s := fig5DirectorKilled()
	own := len(s.Steps)
	steps := Options{Phase: time.Second}.steps(s)
	if len(steps) != own+1 || len(s.Steps) != own || steps[1].String() != "observe for 1s" ||
		steps[2].String() != s.Steps[1].String() {
		t.Errorf("steps %v of %v", steps, s.Steps)
	}
	if steps := (Options{}).steps(s); len(steps) != own {
		t.Errorf("steps %v without a phase", steps)
	}
}
