package drills

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tandemlb/tandem/internal/strict"
)

const schemaFile = "drill.schema.json"

func TestSchemaIsShipped(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, schemaFile, string(b))
}

// compiled is the shipped schema.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaFile, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance reads YAML as JSON's values.
func instance(t testing.TB, b []byte) any {
	t.Helper()
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(j))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAcceptsWhatParseDoes(t *testing.T) {
	schema := compiled(t)
	for _, file := range append(examples(t), "testdata/everything.drill.yml") {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		written, err := Marshal(mustParse(t, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{b, written} {
			if err := schema.Validate(instance(t, b)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func TestSchemaRefusesWhatParseDoes(t *testing.T) {
	schema := compiled(t)
	const good = "name: x\nhypothesis: {probes: {client1: {rate: 5}}}\n" +
		"method: [{at: 1s, fault: link-down, target: 'lb1:eth0', for: 2s}]\n" +
		"expectations: {bounds: {outage_within: 4s}}\n"
	for _, change := range [][2]string{
		{"", ""}, // the good one
		{"name: x", "nmae: x"},
		{"name: x", "name: X Y"},
		{"rate: 5", "rate: 0"},
		{"rate: 5", "rates: 5"},
		{"rate: 5", "tolerance: {lost: many}"},
		{"at: 1s, ", ""},
		{"at: 1s", "at: 1"},
		{"at: 1s", "at: -1s"},
		{"fault: link-down", "fault: link-dwon"},
		{"target: 'lb1:eth0', ", ""},
		{", for: 2s", ", observe: 1s"},
		{", for: 2s", ", settings: {x: y}"},
		{"4s}}", "4s}, survives: all}"},
		{"outage_within: 4s", "outage: 4s"},
		{"outage_within: 4s", "predicted: false"},
	} {
		text := []byte(strings.Replace(good, change[0], change[1], 1))
		_, err := Parse("x.drill.yml", text, nil)
		invalid := schema.Validate(instance(t, text))
		if want := change[0] != ""; (err != nil) != want || (invalid != nil) != want {
			t.Errorf("%q for %q: Parse says %v, the schema %v; want errors: %v", change[1], change[0], err,
				invalid, want)
		}
	}
}

// TestSchemaHasTheKeysOfParse compares the keys of each object.
func TestSchemaHasTheKeysOfParse(t *testing.T) {
	strictly, _, err := strict.Open("x", []byte("{}"), "a drill")
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{Decoder: strictly}
	tests := []struct {
		name   string
		fields []strict.Field
		schema object
	}{
		{"drill", d.drillFields(&Drill{}), drillProperties()},
		{"hypothesis", d.hypothesisFields(&Drill{}), hypothesisProperties()},
		{"probe", d.probeFields(&Probe{}), probeProperties()},
		{"expectations", d.expectationFields(&Drill{}), expectationProperties()},
		{"step", d.stepFields(&draft{}), stepProperties()},
	}
	for _, tt := range tests {
		var read, known []string
		for _, f := range tt.fields {
			read = append(read, f.Key)
		}
		for key := range tt.schema {
			known = append(known, key)
		}
		slices.Sort(read)
		slices.Sort(known)
		if diff := cmp.Diff(read, known); diff != "" {
			t.Errorf("%s (-Parse +schema):\n%s", tt.name, diff)
		}
	}
}
