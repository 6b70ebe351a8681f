package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const ruleUsage = "[not] [from PREFIX] [to PREFIX] [table T] [preference N] …"

// Rule is one rule of virtual_rules or static_rules, as iproute2 writes it.
type Rule struct {
	// Pos is where the line starts.
	Pos Pos
	// Not inverts what the rule selects.
	Not bool
	// From and To are the packets' addresses; invalid means all.
	From, To netip.Prefix
	// Table is as iproute2 writes it; empty means that the rule does something else.
	Table string
	// Preference is given if HasPreference is set; without it keepalived makes one up.
	Preference    uint32
	HasPreference bool
	// Options are the rest, in the order of the file.
	Options []RouteOption
	// NoTrack keeps a rule that somebody deletes from costing an instance its mastership.
	NoTrack bool
	// TrackGroup are the instances that depend on a static rule; empty means none.
	TrackGroup string
}

// ruleValues are the options of a rule with a value, by what the value is.
var ruleValues = map[string]func(string) bool{
	"tos": isWord, "dsfield": isWord, "fwmark": isMark, "realms": isWord, "iif": isDevice,
	"dev": isDevice, "oif": isDevice, "tunnel-id": isMetric, "uidrange": isRange,
	"protocol": isWord, "ipproto": isWord, "ip_proto": isWord, "sport": isRange, "dport": isRange,
	"goto": isMetric, "suppress_prefixlength": isMetric, "suppress_prefixlen": isMetric,
	"sup_pl": isMetric, "suppress_ifgroup": isWord, "sup_group": isWord,
}

// ruleFlags are the options of a rule without a value.
var ruleFlags = []string{
	"l3mdev", "nop", "inet", "inet6", "blackhole", "prohibit", "unreachable",
}

// isMark is a number, perhaps with a mask.
func isMark(s string) bool {
	mark, mask, masked := strings.Cut(s, "/")
	return isMetric(mark) && (!masked || isMetric(mask))
}

// isRange is a number, or two with a dash between them.
func isRange(s string) bool {
	first, last, several := strings.Cut(s, "-")
	return isMetric(first) && (!several || isMetric(last))
}

// parseRule reads one line.
func parseRule(d *decoder, keyword string, ws []Word) (Rule, bool) {
	r := Rule{Pos: ws[0].Pos}
	p := ruleReader{d: d, keyword: keyword, rest: ws, rule: &r}
	for len(p.rest) > 0 {
		if !p.option() {
			return r, false
		}
	}
	if r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is4() != r.To.Addr().Is4() {
		d.fail(r.Pos, "%s %q: expected from and to of one family", keyword, ws[0].Text)
		return r, false
	}
	if !r.HasPreference {
		d.warn(r.Pos, "%s %q: expected a preference; without it the place of the rule is anywhere",
			keyword, ws[0].Text)
	}
	return r, true
}

// ruleReader reads the words of one rule.
type ruleReader struct {
	d       *decoder
	keyword string
	rest    []Word
	rule    *Rule
}

func (p *ruleReader) fail(w Word, expected string) bool {
	p.d.fail(w.Pos, "%s %q: expected %s", p.keyword, w.Text, expected)
	return false
}

// option reads one option and says whether it was understood.
func (p *ruleReader) option() bool {
	w := p.rest[0]
	p.rest = p.rest[1:]
	r := p.rule
	switch {
	case w.Text == "not":
		r.Not = true
		return true
	case w.Text == "no_track":
		r.NoTrack = true
		return true
	case slices.Contains(ruleFlags, w.Text):
		r.Options = append(r.Options, RouteOption{Name: w.kept()})
		return true
	case !contains(ruleNames, w.Text) && ruleValues[w.Text] == nil:
		return p.fail(w, ruleUsage)
	case len(p.rest) == 0:
		return p.fail(w, "a value after it")
	}
	v := p.rest[0]
	p.rest = p.rest[1:]
	return p.value(w, v)
}

// ruleNames are the options of a rule with a field of their own.
var ruleNames = []string{
	"from", "to", "table", "lookup", "priority", "preference", "pref", "order", "track_group",
}

func (p *ruleReader) value(w, v Word) bool {
	r := p.rule
	switch w.Text {
	case "from":
		return p.prefix(v, &r.From)
	case "to":
		return p.prefix(v, &r.To)
	case "table", "lookup":
		r.Table = v.kept()
		return v.Text != "" || p.fail(v, "a table")
	case "track_group":
		r.TrackGroup = v.kept()
		return v.Text != "" || p.fail(v, "the name of a track_group")
	case "priority", "preference", "pref", "order":
		n, err := strconv.ParseUint(v.Text, 0, 32)
		r.Preference, r.HasPreference = uint32(n), true
		return err == nil || p.fail(v, "a whole number from 0 to 4294967295")
	}
	r.Options = append(r.Options, RouteOption{w.kept(), v.kept()})
	return ruleValues[w.Text](v.Text) || p.fail(v, "a value that "+w.Text+" can have")
}

func (p *ruleReader) prefix(v Word, at *netip.Prefix) bool {
	if v.Text == "all" || v.Text == "any" || v.Text == "default" {
		return true
	}
	prefix, bad := parsePrefix(v.Text)
	if bad != "" {
		p.d.fail(v.Pos, "%s %q: %s", p.keyword, v.Text, bad)
	}
	*at = prefix
	return bad == ""
}

// words is the line that parseRule reads.
func (r *Rule) words() []string {
	var ws []string
	if r.Not {
		ws = append(ws, "not")
	}
	for _, o := range [][2]string{
		{"from", prefixWord(r.From)}, {"to", prefixWord(r.To)}, {"table", r.Table},
	} {
		if o[1] != "" {
			ws = append(ws, o[0], o[1])
		}
	}
	if r.HasPreference {
		ws = append(ws, "preference", strconv.FormatUint(uint64(r.Preference), 10))
	}
	for _, o := range r.Options {
		ws = append(ws, o.words()...)
	}
	if r.NoTrack {
		ws = append(ws, "no_track")
	}
	if r.TrackGroup != "" {
		ws = append(ws, "track_group", r.TrackGroup)
	}
	if len(ws) == 0 {
		ws = []string{"from", "all"}
	}
	return ws
}

func prefixWord(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
