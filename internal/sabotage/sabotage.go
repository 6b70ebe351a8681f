// Package sabotage makes broken directors of a good one, so that the lab can be seen to notice: it
// runs tandemd and spoils its configuration, or what it does, from outside. It is for tests only,
// and never part of a program that is installed.
package sabotage

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// Saboteur is one way in which a director can be broken.
type Saboteur struct {
	// Name is what a command line calls it; Doc says in one sentence what it breaks.
	Name, Doc string
	// Node is the director that it spoils, by its router_id; empty: each.
	Node string
	// edit spoils the text of a configuration, whenever it is read; nil: it stays.
	edit func(text string) string
	// live spoils what happens until the context ends; nil: nothing.
	live func(v *victim, ctx context.Context) error
	// reload is called before the director is told to load its configuration anew, leave after it has
	// been asked to stop and has; nil: nothing.
	reload, leave func(v *victim) error
}

// Healthy is the saboteur that spoils nothing.
const Healthy = "nothing"

// Saboteurs returns every saboteur, the one that spoils nothing first.
func Saboteurs() []Saboteur {
	all := []Saboteur{{Name: Healthy, Doc: "Nothing is spoilt."}}
	return append(append(all, clerks()...), vandals()...)
}

// clerks spoil configurations: what a director does is right for what it was told, which is not
// what it should have been told.
func clerks() []Saboteur {
	return []Saboteur{
		{Name: "wrong-skew", Node: "lb2",
			Doc:  "The backup reckons its skew time as if it had a much lower priority.",
			edit: replace(`(?m)^(\s*priority) \d+`, "${1} 20")},
		{Name: "late-takeover", Node: "lb2",
			Doc:  "The backup waits for five adverts in place of three.",
			edit: replace(`(?m)^(\s*)advert_int `, "${1}down_timer_adverts 5\n${1}advert_int ")},
		{Name: "early-takeover", Node: "lb2",
			Doc:  "The backup waits for two adverts in place of three.",
			edit: replace(`(?m)^(\s*)advert_int `, "${1}down_timer_adverts 2\n${1}advert_int ")},
		{Name: "priority-ignored", Node: "lb1",
			Doc:  "The best director does not take back from a worse one.",
			edit: replace(`(?m)^(\s*)priority `, "${1}nopreempt\n${1}priority ")},
		{Name: "vip-forgotten", Node: "lb2",
			Doc:  "The backup has another address in place of the inner VIP.",
			edit: replace(`(?m)^(\s*)192\.168\.2\.1$`, "${1}192.168.2.77")},
		{Name: "inner-left-behind",
			Doc:  "The VIPs are in no sync group.",
			edit: replace(`(?ms)^vrrp_sync_group .*?^}\n`, "")},
		{Name: "never-removed",
			Doc: "Real servers are not checked.",
			edit: replace(`(?ms)^ {8}(HTTP_GET|TCP_CHECK|SSL_GET|MISC_CHECK) \{.*?^ {8}\}\n`,
				"")},
		{Name: "slow-check",
			Doc:  "Real servers are checked a thousand times as seldom as configured.",
			edit: replace(`(?m)^(\s*delay_loop) 1$`, "${1} 1000")},
		{Name: "weights-swapped",
			Doc: "The first weight is the third's, and the other way round.",
			edit: func(text string) string {
				return strings.NewReplacer("weight 3\n", "weight 1\n", "weight 1\n",
					"weight 3\n").Replace(text)
			}},
		{Name: "other-scheduler",
			Doc:  "Every service has the scheduler sh.",
			edit: replace(`(?m)^(\s*lb_algo) \S+`, "${1} sh")},
	}
}

// replace makes an edit of a regular expression.
func replace(pattern, by string) func(string) string {
	find := regexp.MustCompile(pattern)
	return func(text string) string { return find.ReplaceAllString(text, by) }
}

// Find returns the saboteur of a name. The error for an unknown name lists the names.
func Find(name string) (Saboteur, error) {
	var names []string
	for _, s := range Saboteurs() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Saboteur{}, fmt.Errorf("find saboteur %q: there are %s", name, strings.Join(names, ", "))
}

// routerID finds whose configuration a text is.
var routerID = regexp.MustCompile(`(?m)^\s*router_id (\S+)`)

// nodeOf is the node whose configuration a text is; empty: it does not say.
func nodeOf(text string) string {
	if m := routerID.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// spoils says whether the saboteur has anything to do with the node of a configuration.
func (s Saboteur) spoils(text string) bool { return s.Node == "" || s.Node == nodeOf(text) }

// Edit is a configuration as the director gets to read it.
func (s Saboteur) Edit(text string) string {
	if s.edit == nil || !s.spoils(text) {
		return text
	}
	return s.edit(text)
}
