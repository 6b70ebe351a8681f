package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/reports"
)

// invoke carries out a command line in this process.
func invoke(args ...string) (stdout, stderr string, status int) {
	var out, diag bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&diag)
	err := root.ExecuteContext(context.Background())
	status = exitPass
	if err != nil {
		status = exitUsage
		var exit exitError
		if errors.As(err, &exit) {
			status = exit.status
		}
		if !errors.As(err, &exit) || exit.err != nil {
			fmt.Fprintln(&diag, err)
		}
	}
	return out.String(), diag.String(), status
}

// drillText writes a file into a directory of its own and returns its name.
func drillText(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// oneFault is a drill of 15 s with three faults, of which the second one alone is of web2.
const oneFault = `name: three-servers
hypothesis: {probes: {client1: {rate: 20}}}
method:
  - {at: 0s, fault: server-stopped, target: web1, for: 6s}
  - {at: 12s, fault: server-stopped, target: web2, for: 6s}
  - {at: 24s, fault: server-stopped, target: web3, for: 6s}
expectations: {survives: faults}
`

func TestDrillFilesOnTheCommandLine(t *testing.T) {
	good := drillText(t, "good.drill.yml", oneFault)
	bad := drillText(t, "bad.drill.yml", "nmae: x\nmethod: [{at: 1s, fault: link-dwon}]\n")
	taken := drillText(t, "taken.drill.yml", strings.Replace(oneFault, "three-servers", "fig6-rr", 1))
	tests := []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"validate", []string{"drill", "validate", good}, exitPass,
			[]string{good + ": ok: three-servers: 3 faults in 30s"}},
		{"validate, everything at once", []string{"drill", "validate", bad, good, "none.drill.yml"},
			exitFail, []string{bad + `:1:1: nmae: unknown key`, bad + `:2:26: method[0].fault: unknown`,
				"ok: three-servers", "none.drill.yml: no such file"}},
		{"list", []string{"drill", "list", "--dir", filepath.Dir(good)}, exitPass,
			[]string{"three-servers"}},
		{"list with a bad one", []string{"drill", "list", "--dir", filepath.Dir(bad)}, exitFail,
			[]string{"nmae"}},
		{"list of nothing", []string{"drill", "list", "--dir", t.TempDir()}, exitUsage,
			[]string{"there is no *.drill.yml"}},
		{"schema", []string{"drill", "schema"}, exitPass, []string{`"link-down"`}},
		{"run of a bad one", []string{"drill", "run", bad}, exitUsage, []string{"unknown key"}},
		{"run of two of a name", []string{"drill", "run", good, good}, exitUsage,
			[]string{`two files have the name "three-servers"`}},
		{"run of a name that is taken", []string{"drill", "run", taken}, exitUsage,
			[]string{`"fig6-rr" is that of a drill`}},
		{"random and a name", []string{"drill", "run", "--random", "fig6-rr"}, exitUsage,
			[]string{"give --random, or names"}},
		{"random and too short", []string{"drill", "run", "--random", "--for", "3s"}, exitUsage,
			[]string{"3s is too short for the first one"}},
		{"random and nowhere", []string{"drill", "run", "--random", "-t", "preset:fig8"}, exitUsage,
			[]string{"fig7"}},
		{"replay of nothing", []string{"drill", "replay", t.TempDir()}, exitInconclusive,
			[]string{"there is no report.json in it", "runs/latest"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, diag, status := invoke(tt.args...)
			if status != tt.status {
				t.Errorf("exit status %d, want %d\n%s", status, tt.status, diag)
			}
			for _, says := range tt.says {
				if !strings.Contains(out+diag, says) {
					t.Errorf("no word on %q in\n%s", says, out+diag)
				}
			}
		})
	}
}

// TestVirtualRandomTwice: the same seed gives the same faults at the same times, and the same run.
func TestVirtualRandomTwice(t *testing.T) {
	needVirtual(t)
	runs := drillVirtual(t, "--random", "--for", "45s", "--seed", "7", "--repeat", "2")
	if len(runs) != 2 {
		t.Fatalf("%d runs, want 2", len(runs))
	}
	if diff := cmp.Diff(faultsOf(t, runs[0].dir), faultsOf(t, runs[1].dir)); diff != "" {
		t.Errorf("ledgers (-first +second):\n%s", diff)
	}
	if len(faultsOf(t, runs[0].dir)) < 2 {
		t.Errorf("faults %v, want some", faultsOf(t, runs[0].dir))
	}
	runs[0].equal(t, runs[1])
}

// faultsOf is the ledger of faults that a run recorded.
func faultsOf(t *testing.T, dir string) []string {
	t.Helper()
	r, err := readReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range reports.Faults(&r.Recording) {
		lines = append(lines, fmt.Sprintf("%s to %s %s %s", f.From, f.To, f.Label(), f.Detail))
	}
	return lines
}

// blindDirector is a tandemd that never asks whether web2 is well.
const blindDirector = `#!/bin/sh
for file; do :; done
sed '/real_server 192.168.2.12/,/^    }/{/^        [A-Z_]* {/,/^        }/d}' "$file" > "$file.blind"
exec %s -n -l -D -f "$file.blind"
`

// TestVirtualShrinksAndReplays: of three faults the one is left that a broken director does not see;
// the drill that is left gives the same run again.
func TestVirtualShrinksAndReplays(t *testing.T) {
	needVirtual(t)
	director := drillText(t, "blind", fmt.Sprintf(blindDirector, tandemd(t)))
	if err := os.Chmod(director, 0o755); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	cmd := tandem(t, "drill", "run", drillText(t, "three.drill.yml", oneFault), "--time", "virtual",
		"--shrink", "--director", director, "--out", out)
	text, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFail {
		t.Fatalf("%v, want exit status %d\n%s", err, exitFail, text)
	}
	shrunk := filepath.Join(out, "latest", "shrunk")
	d, err := readDrill(filepath.Join(out, "latest", "three-servers-shrunk.drill.yml"))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := []string{"t+6s inject server-stopped on web2 for 6s"}
	if diff := cmp.Diff(want, d.Ledger()); diff != "" {
		t.Errorf("shrunk (-want +got):\n%s\n%s", diff, text)
	}
	cmd = tandem(t, "drill", "replay", shrunk, "--out", t.TempDir())
	if text, _ = cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitFail ||
		!strings.Contains(string(text), "replayed three-servers-shrunk: fail, the same to the last byte") {
		t.Errorf("replay: exit status %d\n%s", cmd.ProcessState.ExitCode(), text)
	}
}

// TestVirtualDrillOutlastsItsLimit: it is broken off and healed, and what was seen is kept.
func TestVirtualDrillOutlastsItsLimit(t *testing.T) {
	needVirtual(t)
	file := drillText(t, "long.drill.yml", "name: too-long\nlimit: 15s\n"+
		"hypothesis: {probes: {client1: {rate: 20, tolerance: {outage: 100ms}}}}\n"+
		"method: [{at: 1s, fault: director-frozen, target: '@master'}, {at: 2s, observe: 13s}]\n")
	out := t.TempDir()
	cmd := tandem(t, "drill", "run", file, "--time", "virtual", "--out", out)
	text, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != exitInconclusive {
		t.Errorf("exit status %d, want %d\n%s", status, exitInconclusive, text)
	}
	r, err := readReport(filepath.Join(out, "latest"))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	last := r.Findings[len(r.Findings)-1]
	if !strings.Contains(last.Detail, "the drill has outlasted its limit of 15s") {
		t.Errorf("the last finding is %+v", last)
	}
	all := reports.Faults(&r.Recording)
	if len(all) != 1 || !all[0].Healed || all[0].Length() < 8*time.Second {
		t.Errorf("faults %+v, want one that held to the limit and was healed", all)
	}
	if len(r.Recording.Requests) < 100 {
		t.Errorf("%d requests are left of what was seen", len(r.Recording.Requests))
	}
}
