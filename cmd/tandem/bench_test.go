package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/bench"
)

func TestBenchRefusesBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"bench", "vrrp", "--only", "fuel"},
		{"bench", "vrrp", "--format", "yaml"},
		{"bench", "vrrp", "now"},
		{"bench", bench.CarryOutName, "{"},
		{"bench", "ipvs", "--only", "fuel"},
		{"bench", "ipvs", "--format", "yaml"},
		{"bench", "ipvs", "now"},
		{"bench", bench.CarryOutIPVSName, "{"},
	} {
		if got := run(context.Background(), args); got != exitUsage {
			t.Errorf("%q: got exit status %d, want %d", args, got, exitUsage)
		}
	}
}

// TestBenchExitStatus: a miss on virtual time fails, one on this machine's clock does not, and what
// could not be measured is inconclusive.
func TestBenchExitStatus(t *testing.T) {
	missed := func(virtual bool) []bench.Target {
		return []bench.Target{{What: "one", Met: true}, {What: "another", Virtual: virtual}}
	}
	for _, c := range []struct {
		name    string
		results bench.Results
		broken  error
		want    int
	}{
		{"all met", bench.Results{}, nil, exitPass},
		{"missed on this clock", bench.Results{Targets: missed(false)}, nil, exitPass},
		{"missed on virtual time", bench.Results{Targets: missed(true)}, nil, exitFail},
		{"not measured", bench.Results{Problems: []string{"no root"}}, nil, exitInconclusive},
		{"missed, and not all measured",
			bench.Results{Targets: missed(true), Problems: []string{"no root"}}, nil, exitFail},
		{"interrupted", bench.Results{}, context.Canceled, exitInconclusive},
	} {
		c.results.Directors = []string{"tandemd"}
		var out bytes.Buffer
		o := benchOptions{format: "json", out: t.TempDir()}
		err := finishBench(&out, o, &c.results, c.broken)
		got := exitPass
		if err != nil {
			exit := exitError{status: exitUsage}
			errors.As(err, &exit)
			got = exit.status
		}
		if got != c.want {
			t.Errorf("%s: got exit status %d (%v), want %d", c.name, got, err, c.want)
		}
		kept, err := os.ReadFile(filepath.Join(o.out, "results.json"))
		if c.broken == nil && (err != nil || !bytes.Equal(kept, out.Bytes()) || !json.Valid(kept)) {
			t.Errorf("%s: kept %q, %v; want what was printed", c.name, kept, err)
		}
	}
}

func TestBenchPrintsTheTable(t *testing.T) {
	var out bytes.Buffer
	o := benchOptions{format: "table", out: t.TempDir()}
	if err := finishBench(&out, o, &bench.Results{Directors: []string{"tandemd"}}, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "T is tandemd") {
		t.Errorf("got %q, want the table", out.String())
	}
}
