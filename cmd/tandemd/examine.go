package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
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
	found, err := examine(c.file, config.Options{ID: c.id, CheckIncludes: c.checkIncludes})
	if err == nil && c.peer != "" {
		found.compare(c.peer, config.Options{ID: c.peerID, CheckIncludes: c.checkIncludes})
	}
	if err == nil {
		err = found.write(out, c.format)
	}
	if err == nil && c.dump && found.verdict != daemon.Unusable {
		err = found.config.Write(stdout)
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
	// said are the lines of diagnostics: the daemon says again what the file's reader has said, and
	// the two directors may have one file.
	said map[string]bool
}

// add adds what has not been said yet.
func (f *findings) add(ds config.Diagnostics) {
	for _, d := range ds {
		if line := d.String(); !f.said[line] {
			f.said[line] = true
			f.diagnostics = append(f.diagnostics, d)
		}
	}
}

// examine reads the file, and asks the daemon what it thinks of it: it looks at the machine too.
func examine(file string, o config.Options) (*findings, error) {
	f := &findings{said: map[string]bool{}}
	var ds config.Diagnostics
	f.config, ds = config.Load(file, o)
	f.add(ds)
	var said strings.Builder
	var err error
	if f.verdict, err = daemon.Examine(file, o, &said); err != nil {
		return nil, err
	}
	f.add(config.ParseDiagnostics(said.String()))
	f.diagnostics.Sort()
	if f.verdict == daemon.Restricted && f.diagnostics.Worst() < config.Warning {
		f.verdict = daemon.Usable
	}
	return f, nil
}

// compare adds what the peer's file, read with its config id, says that cannot be beside this one.
func (f *findings) compare(file string, o config.Options) {
	peer, ds := config.Load(file, o)
	if f.config != nil && f.verdict != daemon.Unusable && ds.Err() == nil {
		ds = append(ds, f.config.Compare(peer)...)
	}
	switch {
	case ds.Worst() == config.Error:
		f.verdict = daemon.Unusable
	case ds.Worst() == config.Warning:
		f.verdict = max(f.verdict, daemon.Restricted)
	}
	f.add(ds)
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
	jsonOrigin
	Severity string      `json:"severity"`
	Text     string      `json:"text"`
	First    *jsonOrigin `json:"first,omitempty"`
}

// jsonOrigin is a place of use, and the steps that led there.
type jsonOrigin struct {
	jsonPlace
	Trace []jsonStep `json:"trace,omitempty"`
}

type jsonStep struct {
	jsonPlace
	Text string `json:"text"`
}

type jsonPlace struct {
	File   string `json:"file"`
	Line   int32  `json:"line"`
	Column int32  `json:"column"`
}

func placeOf(p config.Pos) jsonPlace { return jsonPlace{p.File(), p.Line, p.Column} }

func originOf(p config.Pos) jsonOrigin {
	o := jsonOrigin{jsonPlace: placeOf(p.Use())}
	for _, s := range p.Trace() {
		o.Trace = append(o.Trace, jsonStep{placeOf(s.Pos), s.Text})
	}
	return o
}

func (f *findings) writeJSON(w io.Writer) error {
	j := jsonFindings{Verdict: f.verdict.String(), Diagnostics: []jsonFinding{}}
	for _, d := range f.diagnostics {
		finding := jsonFinding{
			jsonOrigin: originOf(d.Pos), Severity: d.Severity.String(), Text: d.Text,
		}
		if !d.First.IsZero() {
			first := originOf(d.First)
			finding.First = &first
		}
		j.Diagnostics = append(j.Diagnostics, finding)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(j)
}
