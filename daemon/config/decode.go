package config

import (
	"fmt"
	"net/netip"
)

// decoder turns a tree into a Config and collects what there is to say about it.
type decoder struct {
	language *language
	diags    Diagnostics
	// said is what diags has: what a sequence repeats is said once.
	said map[remark]bool
	// count is how much has been said, by severity.
	count [Error + 1]int
	// seen are the keywords of the blocks that are being read, outermost first; see blockReader.
	seen []seenKeyword
	// hints counts the unknown names.
	hints int
	// spare are the blocks, by their table, whose memory the next one may have; see passing.
	spare map[any]any
	// reals and places are the memory of the virtual server read last, for the next one.
	reals  []realBlock
	places map[netip.AddrPort]Pos
	// lastReal and lastChecks are the settings read last, of checks by their kind; see sharedReal.
	lastReal   *RealServerSettings
	lastChecks map[CheckKind]*CheckSettings
	// roomLeft is memory for real servers, and roomUsed how many had some; see roomForReals.
	roomLeft []RealServer
	roomUsed int
}

// mostSaid bounds what is said of one configuration, by severity.
const mostSaid = 10000

// full says whether there have been so many errors that nothing more is read.
func (d *decoder) full() bool { return d.count[Error] > mostSaid }

// remark is a text, the place that it is about, and where that is used.
type remark struct {
	text    string
	at, use place
}

// place is a Pos without the way to it.
type place struct {
	file         string
	line, column int32
}

func placeOf(p Pos) place { return place{p.File(), p.Line, p.Column} }

// report adds what has not been said yet.
func (d *decoder) report(g Diagnostic) {
	key := remark{g.Text, placeOf(g.Pos), placeOf(g.Pos.Use())}
	if d.count[g.Severity] > mostSaid || d.said[key] {
		return
	}
	if d.said == nil {
		d.said = map[remark]bool{}
	}
	d.said[key] = true
	if d.count[g.Severity]++; d.count[g.Severity] > mostSaid {
		g.Text = fmt.Sprintf("file: expected at most %d %ss; the others are left out", mostSaid,
			g.Severity)
	}
	d.diags = append(d.diags, g)
}

func (d *decoder) fail(p Pos, format string, args ...any) {
	d.report(Diagnostic{Pos: p, Severity: Error, Text: fmt.Sprintf(format, args...)})
}

// failTwice fails about something that was first somewhere else.
func (d *decoder) failTwice(p, first Pos, format string, args ...any) {
	d.report(Diagnostic{
		Pos: p, Severity: Error, Text: fmt.Sprintf(format, args...), First: first,
	})
}

func (d *decoder) warn(p Pos, format string, args ...any) {
	d.report(Diagnostic{Pos: p, Severity: Warning, Text: fmt.Sprintf(format, args...)})
}

// warnTwice warns about something that was first somewhere else.
func (d *decoder) warnTwice(p, first Pos, format string, args ...any) {
	d.report(Diagnostic{
		Pos: p, Severity: Warning, Text: fmt.Sprintf(format, args...), First: first,
	})
}

func (d *decoder) note(p Pos, format string, args ...any) {
	d.report(Diagnostic{Pos: p, Severity: Note, Text: fmt.Sprintf(format, args...)})
}

// misfit reports that the argument with index bad is not of the form that usage describes.
func (d *decoder) misfit(n *Node, bad int, usage string, choices []string) {
	args := n.Args()
	if bad >= len(args) {
		d.fail(n.Pos(), "%s: expected %s", quoteArgs(n), usage)
		return
	}
	w := args[bad]
	hint := ""
	if c, ok := nearest(w.Text, choices); ok {
		hint = fmt.Sprintf(" (did you mean %s?)", c)
	}
	d.fail(w.Pos, "%s %q: expected %s%s", n.Keyword(), w.Text, usage, hint)
}

// unknown reports a keyword that its block does not have. What stands in its own block is skipped.
func (d *decoder) unknown(n *Node, scope string, names []string) {
	word, hint := n.Keyword(), ""
	if near, ok := nearest(word, names); ok {
		hint = fmt.Sprintf(" (did you mean %s?)", near)
	} else if elsewhere := d.language.scopesOf(word); len(elsewhere) > 0 {
		hint = "; this one belongs in " + orList(elsewhere)
	}
	if n.HasBlock() {
		hint += "; its block is skipped"
	}
	d.fail(n.Pos(), "%s: expected a keyword of %s%s", quoteArgs(n), scope, hint)
}

func orList(words []string) string {
	s := ""
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			s += " or "
		case i > 0:
			s += ", "
		}
		s += w
	}
	return s
}

// noArguments reports words between a keyword and its block.
func (d *decoder) noArguments(n *Node) {
	for _, w := range n.Args() {
		d.fail(w.Pos, "%s %q: expected { after the keyword", n.Keyword(), w.Text)
	}
}

var oneName = text("one name")

// name reads the one word between a keyword and its block.
func (d *decoder) name(n *Node) string {
	s, _ := arguments(d, n, oneName)
	return s
}
