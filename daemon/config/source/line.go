package source

import (
	"sort"
	"strings"
)

// Line is one line of text, and where each piece of it comes from.
type Line struct {
	// Text is without the line's end. Comments are in it unless it comes from a variable.
	Text string
	// spans are the pieces, in order; the first starts at 0.
	spans []span
}

// span is a piece of a line that was written in one place.
type span struct {
	// start is where it starts in the line's text.
	start int
	// pos is the place of its first byte.
	pos Pos
	// whole is set if all its bytes have that place: nobody wrote them there.
	whole bool
	// variable is set if it was brought by a variable used at use, and pos does not say so yet:
	// few places are ever asked for.
	variable *variable
	use      Pos
}

// newLine returns a line written at a place.
func newLine(text string, at Pos) Line { return Line{text, []span{{pos: at}}} }

// Pos is the place of the byte at an index of Text, or of where a next one would be.
func (l Line) Pos(at int) Pos {
	if len(l.spans) == 0 {
		return Pos{}
	}
	return l.spans[l.find(at)].at(at)
}

// find is which piece holds the byte at an index.
func (l Line) find(at int) int {
	if len(l.spans) < 2 || at < l.spans[1].start {
		return 0
	}
	return sort.Search(len(l.spans), func(i int) bool { return l.spans[i].start > at }) - 1
}

func (s *span) at(at int) Pos {
	p := s.pos
	if !s.whole {
		p.Column += int32(at - s.start)
	}
	if s.variable != nil {
		p = p.brought(&origin{s.variable, s.use})
	}
	return p
}

// slice is the part of the line from i to j.
func (l Line) slice(i, j int) Line { return Line{l.Text[i:j], appendSpans(nil, 0, l, i, j, nil)} }

// within is the line as a use of a variable brings it; nil changes nothing.
func (l Line) within(via *origin) Line {
	if via == nil {
		return l
	}
	return Line{l.Text, appendSpans(nil, 0, l, 0, len(l.Text), via)}
}

// join is the line with another one after it.
func (l Line) join(m Line) Line {
	spans := appendSpans(nil, 0, l, 0, len(l.Text), nil)
	return Line{l.Text + m.Text, appendSpans(spans, len(l.Text), m, 0, len(m.Text), nil)}
}

// appendSpans appends the pieces of l from i to j to those of a line that has length so far.
func appendSpans(to []span, length int, l Line, i, j int, via *origin) []span {
	first := l.find(i)
	for k := first; k < len(l.spans) && (l.spans[k].start < j || k == first); k++ {
		to = append(to, l.spans[k])
		s := &to[len(to)-1]
		if s.start < i {
			if !s.whole {
				s.pos.Column += int32(i - s.start)
			}
			s.start = i
		}
		s.start += length - i
		if via != nil {
			s.pos, s.variable = s.pos.brought(via), nil
		}
	}
	return to
}

// trim is the line without blanks at both ends.
func (l Line) trim() Line {
	end := len(strings.TrimRight(l.Text, blanks))
	start := skipBlanks(l.Text[:end], 0)
	if start == 0 && end == len(l.Text) {
		return l
	}
	return l.slice(start, end)
}

// chunk is how much text of lines is allocated at once.
const chunk = 64 << 10

// builder builds lines one after another. Texts of finished lines stay valid, their spans only
// until the next line is started.
type builder struct {
	text  strings.Builder
	start int
	spans []span
	// quotes looks for quotes in what has been written of the line.
	quotes quotes
}

// begin starts a line.
func (b *builder) begin() {
	if b.text.Cap()-b.text.Len() < chunk/16 {
		b.text = strings.Builder{}
		b.text.Grow(chunk)
	}
	b.start, b.spans, b.quotes = b.text.Len(), b.spans[:0], quotes{}
}

func (b *builder) length() int { return b.text.Len() - b.start }

// copy writes the part of l from i to j.
func (b *builder) copy(l Line, i, j int, via *origin) {
	if i == j {
		return
	}
	b.spans = appendSpans(b.spans, b.length(), l, i, j, via)
	b.text.WriteString(l.Text[i:j])
}

// brought writes the whole of l, the value of a variable as it was defined.
func (b *builder) brought(l *Line, v *variable, use Pos) {
	if l.Text == "" {
		return
	}
	length := b.length()
	for i := range l.spans {
		b.spans = append(b.spans, l.spans[i])
		s := &b.spans[len(b.spans)-1]
		s.start += length
		s.variable, s.use = v, use
	}
	b.text.WriteString(l.Text)
}

// literal writes text that nobody wrote, in a way that none of it starts a comment.
func (b *builder) literal(text string, at Pos) {
	if text == "" {
		return
	}
	b.spans = append(b.spans, span{start: b.length(), pos: at, whole: true})
	if strings.ContainsAny(text, comments) && !b.quotes.after(b.text.String()[b.start:]) {
		text = escapeComments.Replace(text)
	}
	b.text.WriteString(text)
}

var escapeComments = strings.NewReplacer("#", `\#`, "!", `\!`)

// line is what has been written since begin.
func (b *builder) line() Line { return Line{b.text.String()[b.start:], b.spans} }
