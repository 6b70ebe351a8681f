package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The clocks of a Host.
const (
	// RealClock: times are the machine's own, which its load can have moved.
	RealClock = "real"
	// VirtualClock: times are those of a simulated clock that stands still while the machine works, so
	// that its load cannot have moved them.
	VirtualClock = "virtual"
)

// Virtual says whether the run's times are those of a simulated clock.
func (h Host) Virtual() bool { return h.Clock == VirtualClock }

// WithoutHost returns a report with a zero Host, the one section that two equal runs may differ
// in. The report that it is given stays as it is.
func WithoutHost(r Report) Report {
	r.Recording.Host = Host{}
	return r
}

// Checksum returns the SHA-256, in 64 hexadecimal digits, of a report's JSON form without its
// Host: equal runs have equal ones, and so have a report and what ReadJSON makes of its JSON form.
// A report that has no JSON form, for its Started is past the year 9999, has none: "".
func Checksum(r Report) string {
	b, err := json.Marshal(WithoutHost(r))
	if err != nil {
		return ""
	}
	// A byte that is no UTF-8 is written as an escape, but as itself once it was read back.
	b = bytes.ReplaceAll(b, []byte(`\ufffd`), []byte("\ufffd"))
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// shortChecksum is as many digits of a Checksum as are compared by eye.
func shortChecksum(r *Report) string {
	sum := Checksum(*r)
	return sum[:min(len(sum), 16)]
}

// clockName is "virtual time" or "real time"; "" where the recording does not say.
func clockName(h Host) string {
	if h.Clock == "" {
		return ""
	}
	return h.Clock + " time"
}

// clockMeaning says what a clock means for the times of a run.
func clockMeaning(h Host) string {
	switch h.Clock {
	case VirtualClock:
		return "times of a simulated clock, which machine load cannot move"
	case RealClock:
		return "times of the machine's clock, which its load can move"
	}
	return ""
}

// hostText says in sentences on what, when and for how long a run took place.
func hostText(rec *Recording) string {
	h := rec.Host
	parts := []string{"Kernel " + orElse(h.Kernel, "not known")}
	if h.Guest {
		parts[0] += " (a guest)"
	}
	if h.CPUs > 0 {
		parts = append(parts, plural(h.CPUs, "CPU"))
	}
	if name := clockName(h); name != "" {
		parts = append(parts, name)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Versions)) {
		parts = append(parts, name+" "+h.Versions[name])
	}
	text := strings.Join(parts, ", ") + "."
	if !rec.Started.IsZero() {
		began := wallClock(rec.Started)
		if h.Virtual() {
			began += " of the simulated clock"
		}
		text += fmt.Sprintf(" Began %s, lasted %s.", began, shown(rec.Length))
	}
	return text + realText(h)
}

// realText says when and for how long a run took place by the clock on the wall, if that is known
// and not the run's own clock.
func realText(h Host) string {
	var parts []string
	if !h.RealStarted.IsZero() {
		parts = append(parts, "began "+wallClock(h.RealStarted))
	}
	if h.RealLength > 0 {
		parts = append(parts, "took "+shown(h.RealLength))
	}
	if len(parts) == 0 || !h.Virtual() {
		return ""
	}
	return " In real time it " + strings.Join(parts, " and ") + "."
}

func wallClock(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
