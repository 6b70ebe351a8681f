package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocs keeps what is generated from the language fresh.
func TestDocs(t *testing.T) {
	for file, want := range map[string]string{
		"compatibility.md":   compatibility(),
		"man/tandemd.conf.5": manual(),
	} {
		file = filepath.Join("../../docs", file)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, string(readFile(t, file))); diff != "" {
			t.Errorf("%s: expected it as -update writes it (-want +got)\n%s", file, diff)
		}
	}
}

// chapter is one kind of block with its keywords, each once.
type chapter struct {
	scope    string
	keywords []Keyword
}

// chapters are the language in the order of the registry. A block that stands in two others is
// described once, as it is where it does most.
func chapters() []chapter {
	var cs []chapter
	at, known := map[string]int{}, map[[2]string]int{}
	for _, k := range Keywords() {
		c, ok := at[k.Scope]
		if !ok {
			c = len(cs)
			at[k.Scope] = c
			cs = append(cs, chapter{scope: k.Scope})
		}
		id := [2]string{k.Scope, k.Name}
		i, twice := known[id]
		if !twice {
			known[id] = len(cs[c].keywords)
			cs[c].keywords = append(cs[c].keywords, k)
		} else if k.Support < cs[c].keywords[i].Support {
			cs[c].keywords[i] = k
		}
	}
	return cs
}

// summary counts the different words by the best that is done with each.
func summary() (words int, by map[Support]int) {
	best := map[string]Support{}
	for _, k := range Keywords() {
		if s, seen := best[k.Name]; !seen || k.Support < s {
			best[k.Name] = k.Support
		}
	}
	by = map[Support]int{}
	for _, s := range best {
		by[s]++
	}
	return len(best), by
}

const compatibilityIntro = `# Compatibility with keepalived.conf

Generated from the tables that read the language; ` + "`go test ./daemon/config -update`" + ` writes it anew.

Every keyword of keepalived 2.4 is read and checked. What this version does with each:

- **works**: does what it says.
- **no effect needed**: is checked and changes nothing, and nothing is missed; the reason stands
  with it. ` + "`tandemd -t`" + ` notes it.
- **no effect yet**: is checked and changes nothing in this version. ` + "`tandemd -t`" + ` warns and ends
  with 5.
- **refused**: the file is not run, because it would not do what the file says.

`

func compatibility() string {
	var b strings.Builder
	b.WriteString(compatibilityIntro)
	words, by := summary()
	fmt.Fprintf(&b, "Of %d words, %d work in at least one block, %d need no effect, %d have none "+
		"yet, %d are refused.\n", words, by[Works], by[Needless], by[Pending], by[Refused])
	for _, c := range chapters() {
		fmt.Fprintf(&b, "\n## %s\n\n| keyword | value | default | meaning | here |\n"+
			"|---|---|---|---|---|\n", title(c.scope))
		for _, k := range c.keywords {
			value := k.Usage
			if k.Block {
				value = "{ " + strings.TrimPrefix(value, "no value") + " }"
			}
			here := k.Support.String() + prefixed(": ", k.Why)
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, cell(value),
				cell(k.Default), cell(k.Doc), cell(here))
		}
	}
	return b.String()
}

func title(scope string) string {
	if scope == "the file" {
		return "Outside of all blocks"
	}
	return "`" + scope + "`"
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "{  }", "{ }").Replace(s)
}

const manualIntro = `.\" Generated from the tables that read the language.
.TH TANDEMD.CONF 5 "" Tandem "Tandem manual"
.SH NAME
tandemd.conf \- configuration of tandemd, in the language of keepalived.conf
.SH DESCRIPTION
A file is a list of statements, each a keyword and its values on one line.
A statement may open a block with a brace, and its closing brace ends it.
What follows # or ! is a comment, unless it stands in double quotes or behind a backslash.
Words with blanks in them stand in double quotes.
In commands single quotes and backslashes count as well.
.PP
The order of blocks and of statements does not matter, but for what follows.
.SH "INCLUDES, CONDITIONS, VARIABLES AND SEQUENCES"
These stand at the start of a line, or after a brace, and are carried out from top to bottom.
.TP
.B include \fIPATTERN\fP
Reads the files that match, in the order of their names.
The pattern has the wildcards and braces of a shell, and is relative to the file that it stands in.
What is not there is a warning; includer, includem, includew, includeb and includea, and
include_check in global_defs, make errors of it.
.TP
.B @\fIID\fP, @^\fIID\fP
Leaves the rest of the line out unless the config id is ID, or if it is.
Option \-i gives it; option \-\-peer\-id gives that of the file of \-\-peer.
.TP
.B $\fINAME\fP=\fIVALUE\fP
Defines a variable, used as $NAME or ${NAME}.
A backslash at the end of the line makes the next line part of the value.
Always there are ${_PWD}, the directory of the file; ${_INSTANCE}, the config id; ${_ENV VAR}, of
the environment; ${_RANDOM [MIN [MAX]]}; ${_HASH} and ${_BANG}, the signs of comments.
.TP
.B \(tiSEQ(\fINAME\fP, [\fISTART\fP, [\fISTEP\fP,]] \fIEND\fP)
Repeats the rest of the line with the variable counting; \(tiSEQx counts in hexadecimal.
.TP
.B \(tiLST(\fINAME\fP, \fIVALUE\fP, ...)
Repeats the rest of the line with each value.
{NAME, ...} and {VALUE, ...} in the place of both set several variables at a time.
.SH KEYWORDS
Each keyword below is followed by the form of its values, by what holds without it, and by what
this version does with it, unless it does what it says.
.SH FILES
/etc/keepalived/keepalived.conf
`

func manual() string {
	var b strings.Builder
	b.WriteString(manualIntro)
	for _, c := range chapters() {
		fmt.Fprintf(&b, ".SH \"%s\"\n", roff(strings.ToUpper(strings.Trim(title(c.scope), "`"))))
		for _, k := range c.keywords {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(k.Name), roff(sentence(k.Doc)))
			if k.Block {
				b.WriteString("Opens a block.\n")
			}
			if k.Usage != "no value" {
				fmt.Fprintf(&b, "Value: %s.\n", roff(k.Usage))
			}
			if k.Default != "" {
				fmt.Fprintf(&b, "Default: %s.\n", roff(k.Default))
			}
			if !k.Effective() {
				fmt.Fprintf(&b, ".br\n.I %s\n", roff(sentence(k.Support.String()+
					prefixed(": ", k.Why))+"."))
			}
		}
	}
	b.WriteString(".SH \"SEE ALSO\"\n.BR keepalived.conf (5)\n")
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// roff takes the meaning off what roff(7) would read.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "~", `\(ti`, "^", `\(ha`,
		"'", `\(aq`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
