package drills

import (
	"github.com/tandemlb/tandem/scenarios"
)

// rule is an invariant as a drill names it.
type rule struct {
	name string
	// applies says whether it means anything for a scenario.
	applies func(scenarios.Scenario) bool
	bound   func(scenarios.Scenario) scenarios.Bound
}

// rules are all invariants in the order of reports.
func rules() []rule {
	var all []rule
	for _, r := range scenarios.Invariants() {
		all = append(all, rule{r.Name, r.Applies, r.Bound})
	}
	return all
}

// ruleOf returns the invariant of a name.
func ruleOf(name string) (rule, bool) {
	for _, r := range rules() {
		if r.name == name {
			return r, true
		}
	}
	return rule{}, false
}
