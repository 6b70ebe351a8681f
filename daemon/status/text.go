package status

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// minWidth is the narrowest terminal that Text takes seriously.
const minWidth = 80

// Text writes s for somebody at a terminal of that many columns, at least 80: first what is wrong,
// then everything. It is plain text, in which no name can hide a control sequence. A word that is
// longer than a line is not broken, so that it can be copied.
func Text(w io.Writer, s *Snapshot, width int) error {
	t := &text{now: s.Time, width: max(width, minWidth)}
	t.daemon(s)
	t.problems(s)
	t.instances(s.Instances)
	t.services(s.Services)
	t.repairs(s.Table)
	t.trackers(s.Trackers)
	t.notify(&s.Notify)
	if _, err := w.Write(t.b.Bytes()); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// text is a page that is being written.
type text struct {
	b     bytes.Buffer
	now   time.Time
	width int
}

// line writes a line; what is too long goes on further in.
func (t *text) line(indent int, format string, args ...any) {
	t.wrap(strings.Repeat(" ", indent), indent+2, printable(fmt.Sprintf(format, args...)))
}

// wrap writes words after a prefix, on as many lines as they need; those after the first are
// indented.
func (t *text) wrap(prefix string, indent int, words string) {
	line := prefix
	empty := true
	for _, word := range strings.Fields(words) {
		if !empty && columns(line)+1+columns(word) > t.width {
			t.put(line)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	t.put(line)
}

func (t *text) put(line string) {
	t.b.WriteString(strings.TrimRight(line, " "))
	t.b.WriteByte('\n')
}

// title begins a section.
func (t *text) title(name string) {
	t.b.WriteByte('\n')
	t.put(name)
}

// ago is the time since then; a dash if that is not known.
func (t *text) ago(then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	return short(t.now.Sub(then))
}

// short is d in its two largest units: 5s, 2m 5s, 3h 4m, 12d 3h.
func short(d time.Duration) string {
	d = max(d, 0)
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		n := d / u.size
		if n == 0 && u.name != "s" {
			continue
		}
		if i == len(units)-1 {
			return fmt.Sprintf("%d%s", n, u.name)
		}
		next := units[i+1]
		return fmt.Sprintf("%d%s %d%s", n, u.name, d%u.size/next.size, next.name)
	}
	return ""
}

// columns is how wide s is, if each of its characters is one column.
func columns(s string) int { return utf8.RuneCountInString(s) }

// printable returns s without characters that would move a cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

func (t *text) daemon(s *Snapshot) {
	d := &s.Daemon
	t.line(0, "tandemd %s on %s, pid %d, up %s; %s", d.Version, d.Router, d.PID, t.ago(d.Started),
		t.now.Format("2006-01-02 15:04:05 -0700"))
	r := &d.Reloads
	switch {
	case r.Last.IsZero():
		t.line(0, "config %s, not reloaded", d.Config)
	case r.Error == "":
		t.line(0, "config %s, reloaded %s ago (%d applied, %d refused)", d.Config, t.ago(r.Last),
			r.Applied, r.Refused)
	default:
		t.line(0, "config %s, reload REFUSED %s ago (%d applied, %d refused):", d.Config,
			t.ago(r.Last), r.Applied, r.Refused)
		for l := range strings.Lines(r.Error) {
			t.line(4, "%s", l)
		}
	}
}

// problems says what somebody has to look at: the conditions, and what the rest of the snapshot
// tells of at length.
func (t *text) problems(s *Snapshot) {
	conditions, others := s.worstFirst(), s.problems()
	if len(conditions)+len(others) == 0 {
		t.title("NO PROBLEMS KNOWN")
		return
	}
	t.title("PROBLEMS")
	count := map[string]int{}
	for i, c := range conditions {
		if count[c.Name]++; count[c.Name] > maxNames {
			if i == len(conditions)-1 || conditions[i+1].Name != c.Name {
				t.line(2, "%s of %d more", c.Name, count[c.Name]-maxNames)
			}
			continue
		}
		about := ""
		if c.Subject != "" {
			about = ", " + c.Subject
		}
		t.line(2, "%s%s, for %s:", c.Name, about, t.ago(c.Since))
		t.line(4, "%s", c.Evidence)
	}
	for _, p := range others {
		t.line(2, "%s", p)
	}
}

// instances is a table with a line or more for each instance.
func (t *text) instances(all []Instance) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"VRRP", "INTERFACE", "VRID", "STATE", "FOR", "PRIORITY", "NOTE"}}
	for i := range all {
		n := &all[i]
		rows = append(rows, []string{
			n.Name, n.Interface, fmt.Sprint(n.VRID), max(n.State, Init).String(), t.ago(n.Since),
			ratio(n.Priority, n.BasePriority), n.note(),
		})
	}
	t.b.WriteByte('\n')
	t.table(0, rows, func(row int) {
		if row > 0 {
			t.trouble(&all[row-1])
		}
	})
}

// ratio is what is, and what should be if that is not the same.
func ratio(is, should int) string {
	if is == should {
		return fmt.Sprint(is)
	}
	return fmt.Sprintf("%d of %d", is, should)
}

// note says in a few words why the state is what it is.
func (i *Instance) note() string {
	switch {
	case i.State == Master:
		return i.Reason
	case i.State == Backup && i.Leader.IsValid():
		return fmt.Sprintf("follows %s, %d%s", i.Leader, i.LeaderPriority, i.patience())
	case i.State == Backup:
		return "no master heard"
	case len(i.Faults) > 0:
		return strings.Join(i.Faults, "; ")
	}
	return i.Reason
}

// patience says why a backup lets a master of lower priority be, if it does.
func (i *Instance) patience() string {
	switch {
	case i.Priority <= i.LeaderPriority:
		return ""
	case i.Preempt:
		return "; will take over"
	}
	return "; nopreempt"
}

// trouble writes what is not as it should be with an instance.
func (t *text) trouble(i *Instance) {
	var parts []string
	if i.Group != "" {
		parts = append(parts, "sync group "+i.Group)
	}
	if len(i.VIPs) > 0 {
		parts = append(parts, i.list())
	}
	if len(parts) > 0 {
		t.line(2, "%s", strings.Join(parts, "; "))
	}
	if i.State != Fault && len(i.Faults) > 0 {
		t.line(2, "FAULTS: %s", strings.Join(i.Faults, "; "))
	}
	var counts []string
	count := func(n uint64, what string) {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(i.Contested, "of another master")
	for _, c := range byReason(i.Traffic.Dropped) {
		count(c.n, "refused for "+c.reason)
	}
	for _, c := range byReason(i.Traffic.Mismatched) {
		count(c.n, "with "+c.reason)
	}
	if len(counts) > 0 {
		t.line(2, "adverts heard: %s", strings.Join(counts, ", "))
	}
	if i.Restored > 0 {
		t.line(2, "VIPs put back that others had deleted: %d", i.Restored)
	}
	if i.Stalls > 0 {
		t.line(2, "stalled %d times, up to %s", i.Stalls, i.LongestStall.Round(time.Millisecond))
	}
	if i.Errors > 0 {
		t.line(2, "kernel refused %d times: %s", i.Errors, i.LastError)
	}
}

// list names the VIPs; those that are not where they should be have a word to it.
func (i *Instance) list() string {
	var all []string
	for _, v := range i.VIPs {
		name := v.Prefix.String()
		if v.Prefix.IsSingleIP() {
			name = v.Prefix.Addr().String()
		}
		if v.Device != i.Interface {
			name += " on " + v.Device
		}
		switch {
		case i.State == Master && !v.Held:
			name += " (MISSING)"
		case i.State != Master && v.Held:
			name += " (STILL HERE)"
		}
		all = append(all, name)
	}
	return "VIP " + strings.Join(all, ", ")
}

// reasonCount is one of the counters by reason.
type reasonCount struct {
	reason string
	n      uint64
}

// byReason returns the counters, the largest first.
func byReason(m map[string]uint64) []reasonCount {
	var all []reasonCount
	for r, n := range m {
		all = append(all, reasonCount{r, n})
	}
	slices.SortFunc(all, func(a, b reasonCount) int {
		switch {
		case a.n > b.n:
			return -1
		case a.n < b.n:
			return 1
		}
		return strings.Compare(a.reason, b.reason)
	})
	return all
}

func (t *text) trackers(all []Tracker) {
	if len(all) == 0 {
		return
	}
	rows := [][]string{{"TRACKER", "KIND", "HEALTH", "FOR", "NOTE"}}
	for _, r := range all {
		rows = append(rows, []string{r.Name, r.Kind, r.Health.String(), t.ago(r.Since), r.Reason})
	}
	t.b.WriteByte('\n')
	t.table(0, rows, nil)
}

// notify is one line, and more where something was lost.
func (t *text) notify(n *Notify) {
	t.b.WriteByte('\n')
	t.line(0, "%d events told", n.Events)
	for _, d := range n.deliveries() {
		if d.lost() > 0 || d.Waiting > 0 {
			t.line(2, "%s: %d done, %d FAILED, %d DROPPED, %d waiting", d.to, d.Done, d.Failed,
				d.Dropped, d.Waiting)
			if d.Error != "" {
				t.line(4, "%s ago: %s", t.ago(d.ErrorAt), d.Error)
			}
		}
	}
}

// delivery is a Delivery and where to.
type delivery struct {
	to string
	*Delivery
}

func (n *Notify) deliveries() []delivery {
	all := []delivery{{"scripts", &n.Scripts}, {"mail", &n.Mail}}
	for i := range n.FIFOs {
		all = append(all, delivery{"fifo " + n.FIFOs[i].Path, &n.FIFOs[i].Delivery})
	}
	return all
}

// table writes rows in columns, the last of which may go on over several lines. A first cell that
// is too long has a line to itself. After is called behind each row, unless it is nil.
func (t *text) table(indent int, rows [][]string, after func(row int)) {
	last := len(rows[0]) - 1
	widths := make([]int, last+1)
	for _, row := range rows {
		for c, cell := range row {
			widths[c] = max(widths[c], columns(printable(cell)))
		}
	}
	others := indent + 2*last
	for _, w := range widths[1:last] {
		others += w
	}
	// The last column gets a third of the line, if it needs that much.
	room := max(t.width-others-min(widths[last], t.width/3), columns(rows[0][0]))
	widths[0] = 0
	for _, row := range rows {
		if w := columns(printable(row[0])); w <= room {
			widths[0] = max(widths[0], w)
		}
	}
	for r, row := range rows {
		line := strings.Repeat(" ", indent)
		for c, cell := range row[:last] {
			cell = printable(cell)
			if c == 0 && columns(cell) > widths[0] {
				t.put(line + cell)
				cell = ""
			}
			line += cell + strings.Repeat(" ", max(widths[c]-columns(cell), 0)+2)
		}
		t.wrap(line, columns(line), printable(row[last]))
		if after != nil {
			after(r)
		}
	}
}
