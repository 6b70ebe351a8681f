package build

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// progress tells people how far a build is: a line for each step, and while it compiles one line
// that is written over on a terminal, else a line for every tenth of the way.
type progress struct {
	w        io.Writer
	terminal bool
	last     int // the percentage that was shown last
	open     int // the length of the line that is to be written over
}

// newProgress writes to w; nil: nowhere.
func newProgress(w io.Writer) *progress {
	if w == nil {
		w = io.Discard
	}
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

const progressName = "virtual-time kernel"

// step says what is done next.
func (p *progress) step(format string, args ...any) {
	p.end()
	fmt.Fprintf(p.w, "%s: %s\n", progressName, fmt.Sprintf(format, args...))
	p.last = -1
}

// count says how much is done of a total that is an estimate: it never says 100 %.
func (p *progress) count(done, total int) {
	percent := min(done*100/max(total, 1), 99)
	if percent == p.last || !p.terminal && p.last >= 0 && percent/10 == p.last/10 {
		return
	}
	p.last = percent
	line := fmt.Sprintf("%s: compiled %d %% (%d of about %d files)", progressName, percent, done,
		max(done, total))
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.open-len(line))))
	p.open = len(line)
}

// end closes a line that was to be written over.
func (p *progress) end() {
	if p.open > 0 {
		fmt.Fprintln(p.w)
		p.open = 0
	}
}
