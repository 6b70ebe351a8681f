package config

import (
	"maps"
	"slices"
)

// option is a word on a line of a list, with the words it takes after it: none or one.
type option struct {
	takes int
	// set gets the word taken (or the option itself) and says whether it fits usage.
	set   func(Word) bool
	usage string
	// idle options are known and change nothing yet.
	idle bool
}

// options are all that a line knows, by name.
type options map[string]option

// options reads the words of a line and says whether all were understood.
func (d *decoder) options(keyword string, ws []Word, known options) bool {
	good := true
	for len(ws) > 0 {
		w := ws[0]
		ws = ws[1:]
		o, ok := known[w.Text]
		if !ok {
			names := slices.Sorted(maps.Keys(known))
			hint := ""
			if c, near := nearest(w.Text, names); near {
				hint = " (did you mean " + c + "?)"
			}
			d.fail(w.Pos, "%s %q: expected one of %s%s", keyword, w.Text, orList(names), hint)
			return false
		}
		if o.idle {
			d.warn(w.Pos, "%s %q: has no effect yet in this version", keyword, w.Text)
		}
		value := w
		if o.takes > 0 {
			if len(ws) == 0 {
				d.fail(w.Pos, "%s %q: expected a value after it", keyword, w.Text)
				return false
			}
			value, ws = ws[0], ws[1:]
		}
		if o.set != nil && !o.set(value) {
			usage := o.usage
			if usage == "" {
				usage = "a value that " + w.Text + " can have"
			}
			d.fail(value.Pos, "%s %q: expected %s", w.Text, value.Text, usage)
			good = false
		}
	}
	return good
}
