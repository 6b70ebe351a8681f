package reports

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"slices"
	"strings"
)

// safeDiagram returns a drawing with nothing in it but shapes, text and style, since a report may
// come from anywhere. What is no such drawing becomes nothing.
func safeDiagram(svg string) string {
	d := xml.NewDecoder(strings.NewReader(svg))
	var b strings.Builder
	var open []string
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ""
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			if !slices.Contains(drawingElements, name) || (len(open) == 0) != (name == "svg") ||
				len(open) == 0 && b.Len() > 0 {
				return ""
			}
			open = append(open, name)
			b.WriteString("<" + name)
			for _, a := range tok.Attr {
				if slices.Contains(drawingAttributes, a.Name.Local) && local(a.Value) {
					b.WriteString(" " + a.Name.Local + `="` + html.EscapeString(a.Value) + `"`)
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			open = open[:len(open)-1]
			b.WriteString("</" + tok.Name.Local + ">")
		case xml.CharData:
			text := string(tok)
			if len(open) == 0 || open[len(open)-1] == "style" && !local(text) {
				continue
			}
			b.WriteString(html.EscapeString(text))
		}
	}
	return b.String()
}

// local says that a value refers to nothing outside.
func local(value string) bool {
	value = strings.ToLower(value)
	return !strings.Contains(value, "url(") && !strings.Contains(value, "@import") &&
		!strings.Contains(value, "script:") && !strings.Contains(value, `\`)
}

// What a drawing may be made of.
var (
	drawingElements = []string{"svg", "g", "title", "desc", "style", "rect", "circle", "ellipse",
		"line", "path", "polyline", "polygon", "text", "tspan"}
	drawingAttributes = []string{"class", "viewBox", "width", "height", "role", "x", "y", "x1", "y1",
		"x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "points", "transform", "text-anchor", "fill",
		"fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "font-size",
		"font-family", "font-weight", "opacity"}
)
