package faults

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCatalogue demands that every kind is whole, and stands where it belongs.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for i, s := range catalogue {
		switch {
		case s.kind != Kind(i+1):
			t.Errorf("%s stands at %d, is declared as %d", s.name, i+1, s.kind)
		case s.name == "" || seen[s.name]:
			t.Errorf("kind %d: name %q", i+1, s.name)
		case !strings.HasSuffix(s.doc, ".") || s.build == nil || s.form == "":
			t.Errorf("%s lacks something: doc %q, form %q", s.name, s.doc, s.form)
		case i > 0 && s.family != catalogue[i-1].family && s.family != catalogue[i-1].family+1:
			t.Errorf("%s: family %s stands behind %s", s.name, s.family, catalogue[i-1].family)
		}
		seen[s.name] = true
		v := values{parameters: s.parameters}
		s.build(request{kind: s.kind, node: "lb1", detail: "eth0"}, &v)
		if v.err != nil {
			t.Errorf("%s: a default is no value: %v", s.name, v.err)
		}
	}
	if last := ConfigBroken; int(last) != len(catalogue) {
		t.Errorf("%d kinds are declared, %d in the catalogue", last, len(catalogue))
	}
}

func TestUnknownKind(t *testing.T) {
	for _, k := range []Kind{0, -1, Kind(len(catalogue) + 1)} {
		if k.Doc() != "" || k.Family() != 0 || k.Form() != "" || k.Parameters() != nil || k.Needs() != nil {
			t.Errorf("%s knows something", k)
		}
		if want := fmt.Sprintf("Kind(%d)", int(k)); k.String() != want {
			t.Errorf("%s, want %s", k, want)
		}
	}
	if got := Family(99).String(); got != "Family(99)" {
		t.Error(got)
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		kind     Kind
		settings Settings
		says     string // empty: all is well
	}{
		{LinkDelay, nil, ""},
		{LinkDelay, Settings{"delay": "3ms", "direction": "in"}, ""},
		{LinkDelay, Settings{"delay": "3"}, `parameter delay "3": want a time`},
		{LinkDelay, Settings{"delay": "-3ms"}, "want a time"},
		{LinkDelay, Settings{"delay": "0s"}, "want a time"},
		{LinkDelay, Settings{"direction": "up"}, `parameter direction "up": want out, in, both`},
		{LinkDelay, Settings{"share": "3%"}, `it has no parameter "share"; it has delay, direction`},
		{LinkDown, Settings{"share": "3%"}, `it has no parameter "share"`},
		{LinkJitter, Settings{"delay": "3ms"}, "want no more than the delay, 3ms"},
		{LinkLoss, Settings{"share": "0"}, "want a percentage"},
		{LinkLoss, Settings{"share": "101%"}, "want a percentage"},
		{LinkLoss, Settings{"share": "NaN"}, "want a percentage"},
		{LinkLoss, Settings{"share": "0.5"}, ""},
		{LinkRate, Settings{"rate": "10kbit"}, ""},
		{LinkRate, Settings{"rate": "10"}, "want a rate"},
		{LinkRate, Settings{"rate": "10bit"}, "want a rate"},
		{LinkRate, Settings{"rate": "x Mbit"}, "want a rate"},
		{LinkFlapping, Settings{"up": "100%"}, "want less than 100%"},
		{LinkMTU, Settings{"mtu": "1500"}, "want a number from 68 to 1499"},
		{RogueRouter, Settings{"priority": "0"}, "want a number from 1 to 255"},
	} {
		_, err := New(test.kind, "lb1:eth0", test.settings)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s %v: %v, want %q", test.kind, test.settings, err, test.says)
		}
	}
}

func TestRate(t *testing.T) {
	v := values{parameters: []Parameter{{Name: "rate"}}}
	for text, want := range map[string]uint64{"1kbit": 1000, "1.5Mbit": 1_500_000, "2Gbit": 2e9,
		"5000bit": 5000} {
		v.given = Settings{"rate": text}
		if got := v.rate("rate"); got != want || v.err != nil {
			t.Errorf("%s is %d (%v), want %d", text, got, v.err, want)
		}
	}
	v.given = Settings{"time": "1s"}
	v.parameters = []Parameter{{Name: "time"}}
	if got := v.duration("time"); got != time.Second || v.err != nil {
		t.Errorf("%s (%v)", got, v.err)
	}
}

// TestDocs compares docs/faults.md with the catalogue; -update writes it.
func TestDocs(t *testing.T) {
	const file = "../docs/faults.md"
	want := document()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/faults.md is not of this catalogue; write it with "+
			"go test ./faults -run TestDocs -update (-want +got):\n%s", diff)
	}
}

// document is docs/faults.md.
func document() string {
	var b strings.Builder
	b.WriteString(`# Faults

What a lab can break. Each fault returns from its injection when it has taken hold, seen where it
shows, and each comes with its heal, which returns when it is undone. A target is a node of the
topology, NODE:INTERFACE or NODE:ADDRESS. What a fault needs of the kernel beside network namespaces,
veth and bridges stands behind its sentence; ` + "`tandem doctor`" + ` says what a kernel has.

This page is made from the program's own table.
`)
	for _, f := range Families() {
		fmt.Fprintf(&b, "\n## %s\n", strings.ToUpper(f.String()[:1])+f.String()[1:])
		for _, s := range catalogue {
			if s.family == f {
				b.WriteString(section(s))
			}
		}
	}
	return b.String()
}

func section(s spec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s %s\n\n%s\n", s.name, s.form, fold(s.doc))
	if len(s.needs) > 0 {
		var names []string
		for _, c := range s.needs {
			names = append(names, c.String())
		}
		fmt.Fprintf(&b, "Needs: %s.\n", strings.Join(names, ", "))
	}
	if s.ipv4 {
		b.WriteString("Of IPv4 only: a lab of IPv6 refuses it.\n")
	}
	if len(s.parameters) == 0 {
		return b.String()
	}
	b.WriteString("\n| parameter | what | default | form |\n|---|---|---|---|\n")
	for _, p := range s.parameters {
		form := strings.ReplaceAll(p.Form, "|", `\|`)
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.Name, p.Doc, p.Default, form)
	}
	return b.String()
}

// fold breaks a text into lines of up to 100 characters.
func fold(text string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > 100 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(slices.Concat(lines, []string{line}), "\n")
}
