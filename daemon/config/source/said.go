package source

import (
	"regexp"
	"strconv"
	"strings"
)

// saidForm is a line of what String writes. It is compiled by those few who read such lines, not at
// each start of the daemon.
const saidForm = `^(.*?):(\d+):(\d+): (note|warning|error): (.*)$`

// severityNames are the severities by their names.
var severityNames = map[string]Severity{"note": Note, "warning": Warning, "error": Error}

// ParseDiagnostics reads what String of Diagnostics wrote. Lines of another form are left out.
func ParseDiagnostics(text string) Diagnostics {
	var ds Diagnostics
	var steps []Step
	join := func() {
		if len(ds) > 0 {
			ds[len(ds)-1].join(steps)
		}
		steps = nil
	}
	form := regexp.MustCompile(saidForm)
	for line := range strings.Lines(text) {
		d, ok := parseDiagnostic(form, strings.TrimSuffix(line, "\n"))
		switch {
		case !ok:
		case d.isStep():
			steps = append(steps, Step{d.Pos, d.Text})
		default:
			join()
			ds = append(ds, d)
		}
	}
	join()
	return ds
}

// parseDiagnostic reads one line of the form.
func parseDiagnostic(form *regexp.Regexp, line string) (Diagnostic, bool) {
	m := form.FindStringSubmatch(line)
	if m == nil {
		return Diagnostic{}, false
	}
	number, errLine := strconv.ParseInt(m[2], 10, 32)
	column, errColumn := strconv.ParseInt(m[3], 10, 32)
	at := At(m[1], int(number), int(column))
	return Diagnostic{Pos: at, Severity: severityNames[m[4]], Text: m[5]},
		errLine == nil && errColumn == nil
}

// isStep says whether the line belongs to the diagnostic before it.
func (d *Diagnostic) isStep() bool {
	return d.Severity == Note && (d.Text == includedHere || d.Text == otherHere ||
		strings.HasPrefix(d.Text, definedHere))
}

// join is the inverse of Trace.
func (d *Diagnostic) join(steps []Step) {
	for i, s := range steps {
		if s.Text == otherHere {
			d.First = traced(s.Pos, steps[i+1:])
			steps = steps[:i]
			break
		}
	}
	d.Pos = traced(d.Pos, steps)
}
