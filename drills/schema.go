package drills

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// object is a part of a JSON schema.
type object = map[string]any

// schemaDraft is the dialect of Schema.
const schemaDraft = "https://json-schema.org/draft/2020-12/schema"

// Schema returns the JSON schema of drill files, for editors: what is wrong by it, Parse refuses too.
// Parse knows more, for example which nodes there are.
func Schema() ([]byte, error) {
	schema := object{
		"$schema":     schemaDraft,
		"title":       "A drill of Tandem (*" + Suffix + ")",
		"description": "Hypothesis, faults at times, and what is expected.",
		"$defs": object{
			"time": object{"type": "string", "pattern": timePattern,
				"description": "A time with its unit such as 1s, 300ms or 1m30s."},
			"name": object{"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 63},
			"node": object{"type": "string", "minLength": 1},
		},
	}
	for key, value := range strictObject(drillProperties(), "name") {
		schema[key] = value
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return b.Bytes(), nil
}

// timePattern is a time of Go without a sign.
const timePattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

// strictObject is an object that has no other keys than these.
func strictObject(properties object, required ...string) object {
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// ref is a definition, with what it means here.
func ref(name, doc string) object {
	return object{"$ref": "#/$defs/" + name, "description": doc}
}

func drillProperties() object {
	presets := []string{}
	for _, name := range topology.Presets() {
		presets = append(presets, "preset:"+name)
	}
	return object{
		"name": ref("name", "What reports call the drill."),
		"doc":  object{"type": "string", "description": "What happens and what must hold."},
		"topology": object{
			"description": "preset:NAME, the name of a topology file, or a topology as it stands; " +
				"without it preset:" + defaultTopology + ".",
			"anyOf": []object{{"enum": presets}, {"type": "string", "minLength": 1},
				{"type": "object"}},
		},
		"globals": object{"type": "array", "items": object{"type": "string"},
			"description": "Lines of global_defs that every director has."},
		"limit":        ref("time", "How long the whole run may take."),
		"recovery":     ref("time", "How long each thing may take to be as before, at the end."),
		"hypothesis":   strictObject(hypothesisProperties()),
		"method":       object{"type": "array", "items": stepSchema()},
		"expectations": strictObject(expectationProperties()),
	}
}

func hypothesisProperties() object {
	return object{"probes": object{
		"type":                 "object",
		"description":          "Clients by the names of their nodes.",
		"additionalProperties": strictObject(probeProperties()),
	}}
}

func probeProperties() object {
	return object{
		"target": object{"type": "string",
			"description": "ADDRESS:PORT; without it the first service, or port 80 of the first VIP."},
		"rate": object{"type": "integer", "minimum": 1, "maximum": 1000,
			"description": "Requests a second."},
		"pause":     ref("time", "How long each request stops after its first line."),
		"tolerance": strictObject(demandProperties(tolerances())),
	}
}

func expectationProperties() object {
	return object{
		"survives": object{"enum": []Survival{Faults, Heals}, "description": "faults: each one costs " +
			"clients no more than it does alone, and after each heal all is as before; heals: only that."},
		"bounds": strictObject(demandProperties(bounds())),
		"invariants": object{"type": "array", "items": object{"type": "string"},
			"description": "Invariants that the drill is about."},
	}
}

func demandProperties(all []demand) object {
	properties := object{}
	for _, d := range all {
		properties[d.key] = d.schema()
	}
	return properties
}

// schema is that of the demand's value.
func (d demand) schema() object {
	values := func(of object) object {
		return object{"type": "object", "additionalProperties": of, "description": d.doc}
	}
	switch d.sample.(type) {
	case time.Duration:
		return ref("time", d.doc)
	case int:
		return object{"description": d.doc, "anyOf": []object{{"type": "integer", "minimum": 0},
			{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)? *%?$`}}}
	case bool:
		return object{"const": true, "description": d.doc}
	case Names:
		return object{"type": "array", "items": object{"$ref": "#/$defs/node"}, "description": d.doc}
	case Times:
		return values(object{"$ref": "#/$defs/time"})
	}
	return values(object{"type": "integer", "minimum": 0})
}

// stepSchema is that of one step of the method.
func stepSchema() object {
	step := strictObject(stepProperties(), "at")
	var does []object
	for _, key := range actions() {
		required := []string{key}
		if key == "fault" {
			required = append(required, "target")
		}
		does = append(does, object{"required": required})
	}
	step["oneOf"] = does
	var rules []object
	for _, k := range faults.Kinds() {
		names := []string{}
		for _, p := range k.Parameters() {
			names = append(names, p.Name)
		}
		takes := object{"maxProperties": 0}
		if len(names) > 0 {
			takes = object{"propertyNames": object{"enum": names}}
		}
		rules = append(rules, object{
			"if":   object{"properties": object{"fault": object{"const": k.String()}}, "required": []string{"fault"}},
			"then": object{"properties": object{"settings": takes}},
		})
	}
	step["allOf"] = rules
	return step
}

func stepProperties() object {
	kinds := []string{}
	for _, k := range faults.Kinds() {
		kinds = append(kinds, k.String())
	}
	count := func(most int, doc string) object {
		return object{"type": "integer", "minimum": 1, "maximum": most, "description": doc}
	}
	return object{
		"at":    ref("time", "When it begins, a second after the steady state."),
		"fault": object{"enum": kinds, "description": "What is broken."},
		"target": object{"type": "string", "minLength": 1, "description": "NODE, NODE:INTERFACE or " +
			"NODE:ADDRESS, where NODE may be a glob, @master, @backup or @directors."},
		"settings": object{"type": "object", "description": "Parameters of the fault.",
			"additionalProperties": object{"type": []string{"string", "number", "boolean"}}},
		"for":     ref("time", "How long the fault lasts; without it, until a step heals it, or to the end."),
		"name":    object{"type": "string", "description": "What the heal of the fault calls it."},
		"heal":    object{"type": "string", "description": "The name of the fault that is healed."},
		"observe": ref("time", "How long the run goes on at least."),
		"requests": strictObject(object{"client": object{"$ref": "#/$defs/node"},
			"count": count(maxCount, "Sent one strictly after another.")}, "client", "count"),
		"calls": strictObject(object{"client": object{"$ref": "#/$defs/node"},
			"count":     count(maxCount, "Connections that are opened one after another."),
			"sources":   count(200, "From how many addresses."),
			"addresses": count(200, "To how many addresses of a service by firewall mark."),
			"hold":      count(1000, "How many are open at most."),
		}, "client", "count"),
		"reload": strictObject(object{"change": object{"enum": changeNames(),
			"description": "What the file differs in that every director is told to load."},
			"server": object{"$ref": "#/$defs/node"}}, "change"),
	}
}
