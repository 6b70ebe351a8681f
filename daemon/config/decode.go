package config

import "fmt"

// decoder turns a tree into a Config and collects what there is to say about it.
type decoder struct {
	language *language
	diags    Diagnostics
}

func (d *decoder) report(g Diagnostic) { d.diags = append(d.diags, g) }

func (d *decoder) fail(p Pos, format string, args ...any) {
	d.report(Diagnostic{Pos: p, Severity: Error, Text: fmt.Sprintf(format, args...)})
}

// failTwice fails about something that was first somewhere else.
func (d *decoder) failTwice(p, first Pos, format string, args ...any) {
	d.report(Diagnostic{p, Error, fmt.Sprintf(format, args...), first})
}

func (d *decoder) warn(p Pos, format string, args ...any) {
	d.report(Diagnostic{Pos: p, Severity: Warning, Text: fmt.Sprintf(format, args...)})
}

// warnTwice warns about something that was first somewhere else.
func (d *decoder) warnTwice(p, first Pos, format string, args ...any) {
	d.report(Diagnostic{p, Warning, fmt.Sprintf(format, args...), first})
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

// name reads the one word between a keyword and its block.
func (d *decoder) name(n *Node) string {
	s, _ := arguments(d, n, text("one name"))
	return s
}
