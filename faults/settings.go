package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parameter is one setting that faults of a kind take.
type Parameter struct {
	// Name is as in Settings, Doc says in a few words what it is, Default is what holds without it.
	Name, Doc, Default string
	// Form is what its values look like: TIME, PERCENT, RATE or NUMBER, or the words that it may be,
	// each but the last with "|" behind it.
	Form string
}

// The forms of a parameter's values that are no words.
const (
	// FormTime is a time of more than zero, for example "50ms".
	FormTime = "TIME"
	// FormPercent is a percentage of more than zero, for example "2.5%"; the sign may be left out.
	FormPercent = "PERCENT"
	// FormRate is bits a second, for example "1.5Mbit".
	FormRate = "RATE"
	// FormNumber is a whole number, not negative.
	FormNumber = "NUMBER"
)

// Settings are values of a kind's parameters by name, for example "delay": "50ms". What is not named
// has its default; nil: everything.
type Settings map[string]string

// values reads settings. It keeps the first error.
type values struct {
	parameters []Parameter
	given      Settings
	err        error
}

// text returns a setting as it is. A parameter that the kind does not have is a mistake of this
// program.
func (v *values) text(name string) string {
	for _, p := range v.parameters {
		if p.Name != name {
			continue
		}
		if value, ok := v.given[name]; ok {
			return value
		}
		return p.Default
	}
	panic("faults: no parameter " + name)
}

func (v *values) fail(name, want string) {
	if v.err == nil {
		v.err = fmt.Errorf("parameter %s %q: want %s", name, v.text(name), want)
	}
}

// names lists the parameters, for who named another one.
func (v *values) names() string {
	if len(v.parameters) == 0 {
		return ""
	}
	var names []string
	for _, p := range v.parameters {
		names = append(names, p.Name)
	}
	return "; it has " + strings.Join(names, ", ")
}

// duration reads a FormTime.
func (v *values) duration(name string) time.Duration {
	d, err := time.ParseDuration(v.text(name))
	if err != nil || d <= 0 || d > time.Hour {
		v.fail(name, `a time of up to an hour, such as "50ms"`)
	}
	return d
}

// share reads a FormPercent as a share of one.
func (v *values) share(name string) float64 {
	p, err := strconv.ParseFloat(strings.TrimSuffix(v.text(name), "%"), 64)
	if err != nil || !(p > 0 && p <= 100) {
		v.fail(name, `a percentage of more than 0 and up to 100, such as "2.5%"`)
	}
	return p / 100
}

// rateUnits are the units of a FormRate, longest first.
var rateUnits = []struct {
	name string
	bits float64
}{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// rate reads a FormRate in bits a second.
func (v *values) rate(name string) uint64 {
	text := v.text(name)
	for _, unit := range rateUnits {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(number, 64)
		if err == nil && f*unit.bits >= 1000 && f*unit.bits <= 30e9 {
			return uint64(f * unit.bits)
		}
		break
	}
	v.fail(name, `a rate from 1kbit to 30Gbit, such as "1.5Mbit"`)
	return 0
}

// number reads a FormNumber within bounds.
func (v *values) number(name string, least, most int) int {
	n, err := strconv.Atoi(v.text(name))
	if err != nil || n < least || n > most {
		v.fail(name, fmt.Sprintf("a number from %d to %d", least, most))
	}
	return n
}

// word reads one of the words of a parameter's form.
func (v *values) word(name string) string {
	text := v.text(name)
	for _, p := range v.parameters {
		if p.Name == name && !slices.Contains(strings.Split(p.Form, "|"), text) {
			v.fail(name, strings.ReplaceAll(p.Form, "|", ", "))
		}
	}
	return text
}
