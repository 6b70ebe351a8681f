package reports

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strconv"
	"strings"
)

// maxChoices is how many of the first calls are shown one by one.
const maxChoices = 60

// The sizes of the strip of choices: a column for each call, a row for each real server.
const (
	choiceWidth  = 13.0
	choiceHeight = 20.0
	choiceLabel  = 58.0
	choiceFoot   = 18.0
)

// choicesView is what was chosen for the calls of a recording.
type choicesView struct {
	ID, Name, Doc string
	Strip         template.HTML
	Shares        []choiceShare
	// AsPredicted is "120 of 120 as predicted".
	AsPredicted string
	Exact       bool
	Shown       int
	// Counted is how many calls Shares are of; Total is all.
	Counted, Total int
}

// choiceShare is one real server: how many calls it took, and how many it should have taken.
type choiceShare struct {
	Server string
	Took   int
	// Expected is a number; "–" where there is no model.
	Expected string
	// Percent is of the calls that are counted.
	Percent int
	Class   string
}

// Width is that of its bar: two units for each percent.
func (s choiceShare) Width() int { return 2 * s.Percent }

// choicesOf returns nil for a recording without calls.
func choicesOf(rec *Recording, id string) *choicesView {
	if len(rec.Calls) == 0 {
		return nil
	}
	servers := callServers(rec)
	v := &choicesView{ID: id, Name: rec.Scenario, Doc: rec.Doc,
		Strip: template.HTML(drawChoices(rec, servers)), Shown: min(len(rec.Calls), maxChoices)}
	right := rec.asPredicted()
	v.AsPredicted = fmt.Sprintf("%d of %d as predicted", right, len(rec.Calls))
	v.Exact = right == len(rec.Calls)
	if !rec.modelled() {
		v.AsPredicted, v.Exact = "drawn by lot", true
	}
	counted := rec.callsOfFirstStep()
	v.Counted, v.Total = len(counted), len(rec.Calls)
	for i, name := range servers {
		s := choiceShare{Server: name, Class: choiceClass(i), Expected: "–"}
		expected := 0
		for _, c := range counted {
			if c.Server == name {
				s.Took++
			}
			if c.Predicted == name {
				expected++
			}
		}
		if rec.modelled() {
			s.Expected = strconv.Itoa(expected)
		}
		s.Percent = (s.Took*100 + len(counted)/2) / len(counted)
		v.Shares = append(v.Shares, s)
	}
	return v
}

// modelled says that a model has predicted calls: one that never has any choice to predict is none.
func (r *Recording) modelled() bool {
	return slices.ContainsFunc(r.Calls, func(c Call) bool { return c.Predicted != "" })
}

// callsOfFirstStep are those of the first step that has any: later the real servers may be others.
func (r *Recording) callsOfFirstStep() []Call {
	for _, w := range Steps(r) {
		if !w.Contains(r.Calls[0].Opened) {
			continue
		}
		end := slices.IndexFunc(r.Calls, func(c Call) bool { return !w.Contains(c.Opened) })
		if end > 0 {
			return r.Calls[:end]
		}
	}
	return r.Calls
}

// asPredicted counts the calls that the predicted server took.
func (r *Recording) asPredicted() int {
	right := 0
	for _, c := range r.Calls {
		if c.Server == c.Predicted {
			right++
		}
	}
	return right
}

// callServers are the real servers that took a call or should have, in order of their names, and ""
// for none, if there was such a call, at the end.
func callServers(rec *Recording) []string {
	seen := map[string]bool{}
	for _, n := range rec.Nodes {
		if n.Role == "real-server" {
			seen[n.Name] = true
		}
	}
	refused := false
	for _, c := range rec.Calls {
		for _, name := range []string{c.Server, c.Predicted} {
			if name != "" {
				seen[name] = true
			}
		}
		refused = refused || c.Server == "" || rec.modelled() && c.Predicted == ""
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	if refused {
		names = append(names, "")
	}
	return names
}

// choiceClass is the colour of the i-th real server.
func choiceClass(i int) string {
	if i > 3 {
		return "other"
	}
	return fmt.Sprintf("d%d", i)
}

// drawChoices draws the first calls from left to right, each in the row of the real server that
// took it. One that another server should have taken has a mark where that is.
func drawChoices(rec *Recording, servers []string) string {
	shown := rec.Calls[:min(len(rec.Calls), maxChoices)]
	width := choiceLabel + choiceWidth*maxChoices
	floor := choiceHeight * float64(len(servers))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="timeline choices" viewBox="0 0 %s %s" role="img" aria-label="%s">`+
		"\n", num(width), num(floor+choiceFoot), html.EscapeString(choicesInWords(rec)))
	for i, name := range servers {
		label := name
		if name == "" {
			label = "refused"
		}
		top := choiceHeight * float64(i)
		fmt.Fprintf(&b, `<text class="lanelabel" x="0" y="%s">%s</text>`+"\n", num(top+15),
			html.EscapeString(label))
		fmt.Fprintf(&b, `<path class="rule" d="M%s %sH%s"/>`+"\n", num(choiceLabel),
			num(top+choiceHeight), num(width))
	}
	box := func(class string, call, row int, title string) {
		fmt.Fprintf(&b, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`+
			"\n", class, num(choiceLabel+choiceWidth*float64(call)+1), num(choiceHeight*float64(row)+3),
			num(choiceWidth-2), num(choiceHeight-6), html.EscapeString(title))
	}
	for i, c := range shown {
		row := slices.Index(servers, c.Server)
		class := choiceClass(row)
		if c.Server == "" {
			class = "nobody"
		}
		title := fmt.Sprintf("connection %d from %s: %s", i+1, c.From, orNone(c.Server))
		if c.Server != c.Predicted && rec.modelled() {
			title += ", predicted " + orNone(c.Predicted)
			box("nobody", i, slices.Index(servers, c.Predicted), title)
			class = "lost"
		}
		box(class, i, row, title)
	}
	for n := 10; n <= len(shown); n += 10 {
		fmt.Fprintf(&b, `<text class="tick" text-anchor="middle" x="%s" y="%s">%d</text>`+"\n",
			num(choiceLabel+choiceWidth*(float64(n)-0.5)), num(floor+14), n)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func choicesInWords(rec *Recording) string {
	names := make([]string, 0, maxChoices)
	for _, c := range rec.Calls[:min(len(rec.Calls), maxChoices)] {
		names = append(names, orNone(c.Server))
	}
	return "chosen in this order: " + strings.Join(names, " ")
}

func orNone(server string) string {
	if server == "" {
		return "none"
	}
	return server
}
