package drills

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Marshal returns a drill as a file that Parse reads back to an equal one. It names no other file: a
// topology that is no preset stands in it.
func Marshal(d Drill) ([]byte, error) {
	doc := yaml.MapSlice{{Key: "name", Value: d.Name}}
	add := func(key string, value any, has bool) {
		if has {
			doc = append(doc, yaml.MapItem{Key: key, Value: value})
		}
	}
	add("doc", d.Doc, d.Doc != "")
	network, err := topologyItem(d.Topology)
	if err != nil {
		return nil, fmt.Errorf("marshal drill %s: %w", d.Name, err)
	}
	add("topology", network, true)
	add("globals", d.Globals, len(d.Globals) > 0)
	add("limit", d.Limit.String(), d.Limit > 0)
	add("recovery", d.Recovery.String(), d.Recovery > 0)
	if len(d.Probes) > 0 {
		var probes yaml.MapSlice
		for _, p := range d.Probes {
			probes = append(probes, probeItem(p))
		}
		add("hypothesis", yaml.MapSlice{{Key: "probes", Value: probes}}, true)
	}
	var method []yaml.MapSlice
	for _, s := range d.Method {
		method = append(method, stepItem(s))
	}
	add("method", method, len(method) > 0)
	expected := d.expected()
	add("expectations", expected, len(expected) > 0)
	b, err := yaml.MarshalWithOptions(doc, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("marshal drill %s: %w", d.Name, err)
	}
	return b, nil
}

// topologyItem is preset:NAME, or the topology as it stands in its own file.
func topologyItem(t topology.Topology) (any, error) {
	for _, name := range topology.Presets() {
		if preset, err := topology.Preset(name); err == nil && reflect.DeepEqual(preset, t) {
			return "preset:" + name, nil
		}
	}
	b, err := topology.Marshal(t)
	if err != nil {
		return nil, err
	}
	var item yaml.MapSlice
	err = yaml.UnmarshalWithOptions(b, &item, yaml.UseOrderedMap())
	return item, err
}

func probeItem(p Probe) yaml.MapItem {
	m := yaml.MapSlice{{Key: "target", Value: p.Target.String()}}
	if p.Rate > 0 {
		m = append(m, yaml.MapItem{Key: "rate", Value: p.Rate})
	}
	if p.Pause > 0 {
		m = append(m, yaml.MapItem{Key: "pause", Value: p.Pause.String()})
	}
	if len(p.Tolerances) > 0 {
		m = append(m, yaml.MapItem{Key: "tolerance", Value: expectationItems(p.Tolerances)})
	}
	return yaml.MapItem{Key: p.Client, Value: m}
}

func expectationItems(all []Expectation) yaml.MapSlice {
	var m yaml.MapSlice
	for _, e := range all {
		m = append(m, yaml.MapItem{Key: e.Key, Value: e.yaml()})
	}
	return m
}

// stepItem is a step of the method.
func stepItem(s Step) yaml.MapSlice {
	m := yaml.MapSlice{{Key: "at", Value: s.At.String()}}
	add := func(key string, value any, has bool) {
		if has {
			m = append(m, yaml.MapItem{Key: key, Value: value})
		}
	}
	add("name", s.Name, s.Name != "")
	add("heal", s.Heals, s.Heals != "")
	switch do := s.Do.(type) {
	case scenarios.Inject:
		add("fault", do.Kind.String(), true)
		add("target", do.Target, true)
		var settings yaml.MapSlice
		for _, name := range slices.Sorted(maps.Keys(do.Settings)) {
			settings = append(settings, yaml.MapItem{Key: name, Value: do.Settings[name]})
		}
		add("settings", settings, len(settings) > 0)
		add("for", s.For.String(), s.For > 0)
	case scenarios.Observe:
		add("observe", do.For.String(), true)
	case scenarios.Requests:
		add("requests", yaml.MapSlice{{Key: "client", Value: do.Client},
			{Key: "count", Value: do.Count}}, true)
	case scenarios.Calls:
		add("calls", callsItem(do), true)
	case scenarios.Reloads:
		reload := yaml.MapSlice{{Key: "change", Value: do.Files[0].Change.String()}}
		if do.Files[0].Server != "" {
			reload = append(reload, yaml.MapItem{Key: "server", Value: do.Files[0].Server})
		}
		add("reload", reload, true)
	}
	return m
}

func callsItem(c scenarios.Calls) yaml.MapSlice {
	m := yaml.MapSlice{{Key: "client", Value: c.Client}}
	for _, part := range []struct {
		key   string
		value int
	}{{"count", c.Count}, {"sources", c.Sources}, {"addresses", c.Addresses}, {"hold", c.Hold}} {
		if part.value > 0 {
			m = append(m, yaml.MapItem{Key: part.key, Value: part.value})
		}
	}
	return m
}

// expected are the expectations of the whole run.
func (d Drill) expected() yaml.MapSlice {
	var m yaml.MapSlice
	if d.Survives != "" {
		m = append(m, yaml.MapItem{Key: "survives", Value: string(d.Survives)})
	}
	if len(d.Bounds) > 0 {
		m = append(m, yaml.MapItem{Key: "bounds", Value: expectationItems(d.Bounds)})
	}
	if len(d.Invariants) > 0 {
		m = append(m, yaml.MapItem{Key: "invariants", Value: d.Invariants})
	}
	return m
}
