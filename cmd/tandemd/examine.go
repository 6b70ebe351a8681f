package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/config"
)

// test is -t: it says what there is to say about the configuration, and returns the exit status.
func test(c command, stdout, stderr io.Writer) int {
	c.warn(stderr)
	out := stderr
	if c.format == formatJSON {
		out = stdout
	}
	if c.testLog != "" {
		f, err := os.Create(c.testLog)
		if err != nil {
			fmt.Fprintf(stderr, "tandemd: write what -t says: %v\n", err)
			return exitTestUnusable
		}
		defer f.Close()
		out = f
	}
	found, err := examine(c.file, c.id)
	if err == nil && c.peer != "" {
		found.compare(c.peer)
	}
	if err == nil {
		err = found.write(out, c.format)
	}
	if err == nil && c.dump && found.verdict != daemon.Unusable {
		_, err = io.WriteString(stdout, found.config.String())
	}
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: write what -t says: %v\n", err)
		return exitTestUnusable
	}
	return testStatus(found.verdict)
}

// testStatus is the exit status of -t.
func testStatus(v daemon.Verdict) int {
	switch v {
	case daemon.Usable:
		return exitOK
	case daemon.Restricted:
		return exitTestRestricted
	case daemon.Unsafe:
		return exitTestUnsafe
	case daemon.Unusable:
	}
	return exitTestUnusable
}

// findings are what -t says.
type findings struct {
	verdict     daemon.Verdict
	config      *config.Config // nil if the file cannot be read
	diagnostics config.Diagnostics
}

// examine reads the file, and asks the daemon what it thinks of it: it looks at the machine too.
func examine(file, id string) (*findings, error) {
	f := &findings{}
	f.config, f.diagnostics = config.Load(file, config.Options{ID: id})
	var said strings.Builder
	var err error
	if f.verdict, err = daemon.Examine(file, id, &said); err != nil {
		return nil, err
	}
	for _, d := range config.ParseDiagnostics(said.String()) {
		if !slices.ContainsFunc(f.diagnostics, func(known config.Diagnostic) bool {
			return known.String() == d.String()
		}) {
			f.diagnostics = append(f.diagnostics, d)
		}
	}
	f.diagnostics.Sort()
	if f.verdict == daemon.Restricted && f.diagnostics.Worst() < config.Warning {
		f.verdict = daemon.Usable
	}
	return f, nil
}

// compare adds what the peer's file says that cannot be beside this one.
func (f *findings) compare(file string) {
	peer, ds := config.Load(file, config.Options{})
	if f.config != nil && f.verdict != daemon.Unusable && ds.Err() == nil {
		ds = append(ds, f.config.Compare(peer)...)
	}
	switch {
	case ds.Worst() == config.Error:
		f.verdict = daemon.Unusable
	case ds.Worst() == config.Warning:
		f.verdict = max(f.verdict, daemon.Restricted)
	}
	f.diagnostics = append(f.diagnostics, ds...)
	f.diagnostics.Sort()
}

// write writes them all; on a terminal with their lines.
func (f *findings) write(w io.Writer, format string) error {
	if format == formatJSON {
		return f.writeJSON(w)
	}
	text := f.diagnostics.String()
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		text = f.diagnostics.Explain(readOrNothing)
	}
	_, err := io.WriteString(w, text)
	return err
}

func readOrNothing(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return text
}

// jsonFindings is the form of --format json.
type jsonFindings struct {
	Verdict     string        `json:"verdict"`
	Diagnostics []jsonFinding `json:"diagnostics"`
}

type jsonFinding struct {
	jsonPlace
	Severity string     `json:"severity"`
	Text     string     `json:"text"`
	First    *jsonPlace `json:"first,omitempty"`
}

type jsonPlace struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func placeOf(p config.Pos) jsonPlace { return jsonPlace{p.File, p.Line, p.Column} }

func (f *findings) writeJSON(w io.Writer) error {
	j := jsonFindings{Verdict: f.verdict.String(), Diagnostics: []jsonFinding{}}
	for _, d := range f.diagnostics {
		finding := jsonFinding{
			jsonPlace: placeOf(d.Pos), Severity: d.Severity.String(), Text: d.Text,
		}
		if !d.First.IsZero() {
			first := placeOf(d.First)
			finding.First = &first
		}
		j.Diagnostics = append(j.Diagnostics, finding)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(j)
}
