package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"
)

// WriteJUnit writes reports as one JUnit file, a suite for each report and a test case for each
// finding. An inconclusive finding becomes <skipped> with its reason: the readers in common use
// (Jenkins, GitLab, GitHub's reporters) show it apart from what passed and do not call it a failure
// of what was tested, as they would an <error>. That the job must not be green is the exit status's
// matter. A report without findings has one skipped case, so that no suite is empty.
func WriteJUnit(w io.Writer, reports []Report) error {
	file := junitFile{Name: "tandem"}
	for i := range reports {
		file.Suites = append(file.Suites, suiteOf(&reports[i]))
	}
	for _, s := range file.Suites {
		file.Tests += s.Tests
		file.Failures += s.Failures
		file.Skipped += s.Skipped
	}
	b, err := xml.MarshalIndent(file, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	}
	if err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	return nil
}

type junitFile struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Output     string          `xml:"system-out"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func suiteOf(r *Report) junitSuite {
	rec := &r.Recording
	s := junitSuite{
		Name:      rec.Scenario + " " + rec.Director,
		Time:      strconv.FormatFloat(rec.Length.Seconds(), 'f', 3, 64),
		Timestamp: rec.Started.UTC().Format(time.RFC3339),
		Properties: []junitProperty{
			{"director", rec.Director},
			{"seed", strconv.FormatUint(rec.Seed, 10)},
			{"kernel", rec.Host.Kernel},
			{"clock", rec.Host.Clock},
			{"command", rec.Command},
		},
		Output: r.Summary,
	}
	if rec.Host.Virtual() {
		s.Properties = append(s.Properties, junitProperty{"checksum", Checksum(*r)})
	}
	if meaning := clockMeaning(rec.Host); meaning != "" {
		s.Output += fmt.Sprintf("\nSeed %d, %s: %s.", rec.Seed, clockName(rec.Host), meaning)
	}
	class := "tandem." + rec.Scenario + "." + rec.Director
	for _, f := range r.Findings {
		s.add(class, f)
	}
	if len(r.Findings) == 0 {
		s.add(class, Finding{Bound: "verdict", Verdict: Inconclusive, Detail: "nothing was judged"})
	}
	return s
}

// add appends the test case of a finding. The suite's whole time is the run's, so cases have none.
func (s *junitSuite) add(class string, f Finding) {
	c := junitCase{Class: class, Name: f.Bound, Time: "0.000"}
	s.Tests++
	switch f.Verdict {
	case Pass:
	case Fail:
		c.Failure = &junitMessage{"observed " + f.Observed + ", limit " + f.Limit, reason(f)}
		s.Failures++
	default:
		c.Skipped = &junitMessage{Message: "inconclusive: " + reason(f)}
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// reason is why a finding is no pass, in one line.
func reason(f Finding) string {
	switch {
	case f.Detail != "":
		return f.Detail
	case f.Doc != "":
		return f.Doc
	}
	return "no reason was given"
}
