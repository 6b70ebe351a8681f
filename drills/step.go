package drills

import (
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/internal/strict"
	"github.com/tandemlb/tandem/scenarios"
)

// draft is a step of the method as it is being read: what it does is one of its parts.
type draft struct {
	name, heals string
	at, long    time.Duration
	inject      scenarios.Inject
	observe     scenarios.Observe
	requests    scenarios.Requests
	calls       scenarios.Calls
	reload      scenarios.Reload
	seen        map[string]bool // the keys that it has
}

// actions are the keys that say what a step does; it has exactly one of them.
func actions() []string {
	return []string{"fault", "heal", "observe", "requests", "calls", "reload"}
}

// step reads one step of the method.
func (d *decoder) step(n ast.Node, path string) Step {
	one := draft{seen: map[string]bool{}}
	d.Object(n, path, d.stepFields(&one))
	if d.Failed(path) {
		return Step{}
	}
	var does []string
	for _, key := range actions() {
		if one.seen[key] {
			does = append(does, key)
		}
	}
	if len(does) != 1 {
		d.Fail(n, path, "it has %d of these: expected one of %s", len(does), strict.OneOf(actions()))
		return Step{}
	}
	if !one.seen["at"] {
		d.Fail(n, path, "expected a key at, the time when it begins, such as 5s")
	}
	if does[0] == "fault" && !one.seen["target"] {
		d.Fail(n, path, "expected a key target: a node, NODE:INTERFACE or NODE:ADDRESS, where NODE may "+
			"be a glob, @master, @backup or @directors")
	}
	for _, key := range []string{"target", "settings", "for", "name"} {
		if one.seen[key] && does[0] != "fault" {
			d.Add(strict.Dotted(path, key), "only a fault has it")
		}
	}
	return one.step(does[0])
}

func (one draft) step(does string) Step {
	s := Step{Name: one.name, At: one.at, For: one.long}
	switch does {
	case "fault":
		s.Do = one.inject
	case "heal":
		s.Heals = one.heals
	case "observe":
		s.Do = one.observe
	case "requests":
		s.Do = one.requests
	case "calls":
		s.Do = one.calls
	case "reload":
		s.Do = scenarios.Reloads{Files: []scenarios.Reload{one.reload}}
	}
	return s
}

func (d *decoder) stepFields(one *draft) []strict.Field {
	object := func(fields func() []strict.Field) func(ast.Node, string) {
		return func(n ast.Node, path string) { d.Object(n, path, fields()) }
	}
	fields := []strict.Field{
		strict.Key("at", d.time(&one.at, 0)),
		strict.Key("fault", d.kindNamed(&one.inject.Kind)),
		strict.Key("target", d.Text(&one.inject.Target)),
		strict.Key("settings", d.settings(&one.inject)),
		strict.Key("for", d.time(&one.long, time.Millisecond)),
		strict.Key("name", d.Text(&one.name)),
		strict.Key("heal", d.Text(&one.heals)),
		strict.Key("observe", d.time(&one.observe.For, time.Millisecond)),
		strict.Key("requests", object(func() []strict.Field {
			return []strict.Field{
				strict.Key("client", d.Text(&one.requests.Client)),
				strict.Key("count", d.Number(&one.requests.Count, 1, maxCount)),
			}
		})),
		strict.Key("calls", object(func() []strict.Field {
			return []strict.Field{
				strict.Key("client", d.Text(&one.calls.Client)),
				strict.Key("count", d.Number(&one.calls.Count, 1, maxCount)),
				strict.Key("sources", d.Number(&one.calls.Sources, 1, 200)),
				strict.Key("addresses", d.Number(&one.calls.Addresses, 1, 200)),
				strict.Key("hold", d.Number(&one.calls.Hold, 1, 1000)),
			}
		})),
		strict.Key("reload", object(func() []strict.Field {
			return []strict.Field{
				strict.Key("change", strict.Scalar(d.Decoder, &one.reload.Change,
					strict.OneOf(changeNames()), parseChange)),
				strict.Key("server", d.Text(&one.reload.Server)),
			}
		})),
	}
	for i, f := range fields {
		fields[i] = strict.Key(f.Key, func(n ast.Node, path string) {
			one.seen[f.Key] = true
			f.Read(n, path)
		})
	}
	return fields
}

// settings returns a reader for the parameters of a fault. Which there are, its kind says.
func (d *decoder) settings(into *scenarios.Inject) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		into.Settings = faults.Settings{}
		d.Entries(n, path, strict.Dotted, func(key, path string, value ast.Node) {
			text, ok := strict.TextOf(value)
			if b, yes := value.(*ast.BoolNode); yes {
				text, ok = b.GetToken().Value, true
			}
			if !ok {
				d.Fail(value, path, "%s: expected a plain value", strict.KindOf(value))
				return
			}
			into.Settings[key] = text
		})
	}
}

func changeNames() []string {
	var names []string
	for _, c := range scenarios.Changes() {
		names = append(names, c.String())
	}
	return names
}

func parseChange(name string) (scenarios.Change, error) {
	i := slices.Index(changeNames(), name)
	if i < 0 {
		return 0, strict.Problems{{Text: "unknown"}}
	}
	return scenarios.Changes()[i], nil
}
