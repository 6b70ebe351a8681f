package check

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// RegexOptions are how a Regex is matched.
type RegexOptions struct {
	// Names are options of PCRE as keepalived spells them. See NewRegex for those that can be had.
	Names []string
	// NoMatch wants the body not to match.
	NoMatch bool
	// MinOffset and MaxOffset bound the byte at which a match starts; 0 is no bound.
	MinOffset, MaxOffset int
}

// Regex is a regular expression that a body must match, or must not.
type Regex struct {
	text    string
	options RegexOptions
	re      *regexp.Regexp
	// firstLine wants the match to start in the first line.
	firstLine bool
}

// flagsOf are the flags that options of PCRE stand for; "" are those that change nothing here:
// they are about how PCRE goes about it, or about what this syntax (RE2) does not have.
var flagsOf = map[string]string{
	"caseless": "i", "multiline": "m", "dotall": "s", "ungreedy": "U",
	"dollar_endonly": "", "firstline": "", "utf": "",
	"alt_circumflex": "", "alt_verbnames": "", "auto_callout": "", "dupnames": "",
	"match_unset_backref": "", "never_backslash_c": "", "never_ucp": "", "never_utf": "",
	"no_auto_capture": "", "no_auto_possess": "", "no_dotstar_anchor": "",
	"no_start_optimize": "", "use_offset_limit": "",
}

// NewRegex returns the regular expression in text, whose syntax is RE2's (package regexp/syntax):
// PCRE's without backreferences and lookaround, matched in linear time. As in PCRE, $ without the
// options multiline and dollar_endonly also matches before a newline that ends the body. An error
// says what of text or options cannot be had; those are allow_empty_class, alt_bsux, extended and
// ucp, and names that are none.
func NewRegex(text string, o RegexOptions) (*Regex, error) {
	if o.MinOffset < 0 || o.MaxOffset < 0 {
		return nil, fmt.Errorf("compile regex %q: offset below 0", text)
	}
	r := &Regex{text: text, options: o}
	flags, endOnly := "", false
	for _, name := range o.Names {
		flag, known := flagsOf[name]
		if !known {
			return nil, fmt.Errorf("compile regex %q: option %s is not supported", text, name)
		}
		flags += flag
		r.firstLine = r.firstLine || name == "firstline"
		endOnly = endOnly || name == "dollar_endonly"
	}
	if flags != "" {
		flags = "(?" + flags + ")"
	}
	tree, err := syntax.Parse(flags+text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("compile regex %q: %w", text, err)
	}
	if !endOnly {
		softenEnd(tree)
	}
	expression := "(" + tree.String() + ")"
	if o.MinOffset > 0 {
		// Given the bytes from the one before the first that counts, this finds the earliest start,
		// and ^ and \b see what is before them.
		expression = `\A(?s:.)(?s:.*?)` + expression
	}
	r.re, err = regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("compile regex %q: %w", text, err)
	}
	return r, nil
}

// softenEnd lets each $ match before the newline at the end too.
func softenEnd(re *syntax.Regexp) {
	for i, sub := range re.Sub {
		if sub.Op == syntax.OpEndText && sub.Flags&syntax.WasDollar != 0 {
			re.Sub[i] = softEnd()
			continue
		}
		softenEnd(sub)
	}
	if re.Op == syntax.OpEndText && re.Flags&syntax.WasDollar != 0 {
		*re = *softEnd()
	}
}

func softEnd() *syntax.Regexp {
	end, err := syntax.Parse(`\n?\z`, syntax.Perl)
	if err != nil {
		panic(err) // a constant
	}
	return end
}

// String returns the expression as the operator wrote it.
func (r *Regex) String() string { return r.text }

// Equal says whether s is matched alike; nil equals nil alone.
func (r *Regex) Equal(s *Regex) bool {
	if r == nil || s == nil {
		return r == s
	}
	return r.text == s.text && r.options.NoMatch == s.options.NoMatch &&
		r.options.MinOffset == s.options.MinOffset &&
		r.options.MaxOffset == s.options.MaxOffset &&
		slices.Equal(r.options.Names, s.options.Names)
}

// match returns the first byte at which body matches; -1 if it does not.
func (r *Regex) match(body []byte) int {
	skip := max(r.options.MinOffset-1, 0)
	if skip > len(body) {
		return -1
	}
	found := r.re.FindSubmatchIndex(body[skip:])
	if found == nil {
		return -1
	}
	start := skip + found[2]
	late := r.options.MaxOffset > 0 && start > r.options.MaxOffset
	if line := bytes.IndexByte(body, '\n'); r.firstLine && line >= 0 && start > line {
		late = true
	}
	if late {
		return -1
	}
	return start
}

// judge returns a *Failure if body is not as wanted.
func (r *Regex) judge(body []byte) error {
	at := r.match(body)
	switch {
	case r.options.NoMatch && at >= 0:
		detail := fmt.Sprintf("HTTP body matches %q at byte %d, wanted no match", r.text, at)
		return &Failure{Reason: Pattern, Detail: detail}
	case !r.options.NoMatch && at < 0:
		detail := fmt.Sprintf("HTTP body of %d bytes does not match %q%s", len(body), r.text,
			r.bounds())
		return &Failure{Reason: Pattern, Detail: detail}
	}
	return nil
}

// bounds says where a match may start; empty if anywhere.
func (r *Regex) bounds() string {
	var words []string
	if r.options.MinOffset > 0 {
		words = append(words, fmt.Sprintf("from byte %d", r.options.MinOffset))
	}
	if r.options.MaxOffset > 0 {
		words = append(words, fmt.Sprintf("up to byte %d", r.options.MaxOffset))
	}
	if len(words) == 0 {
		return ""
	}
	return " " + strings.Join(words, " ")
}
