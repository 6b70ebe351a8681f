package reports

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is the published schema.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// whole is a report in which every part of a recording has something.
func whole() Report {
	r := simulated()
	rec := &r.Recording
	rec.VRRP = VRRP{2, time.Second}
	rec.Calls = scheduled().Recording.Calls
	rec.Streams = []Stream{open(time.Second, 2*time.Second), brokeOff(time.Second, 2*time.Second)}
	rec.Pings = []Ping{{Sent: ms, Client: "client2", Flow: FlowUDP, Outcome: Answered},
		{Sent: 2 * ms, Client: "client2", Flow: FlowHeld, Outcome: Refused, Broke: true, Detail: "x"}}
	rec.Events = append([]Event{{0, FaultHold, "lb1", "x", ""}, {0, FaultRelease, "lb1", "x", ""}},
		rec.Events...)
	rec.Noise = &Noise{Verdict: Pass, Requests: 10, Late: 3}
	rec.Logs = map[string][]string{"lb1": {"a line"}}
	return r
}

// TestSchemaFitsReports: what is written is what the schema describes.
func TestSchemaFitsReports(t *testing.T) {
	s := compiled(t)
	for name, r := range map[string]Report{"passed": passed(), "failed": failed(),
		"unjudged": unjudged(), "simulated": simulated(), "broken off": brokenOffReport(),
		"soak": soakReport(), "scheduled": scheduled(), "whole": whole(),
		"empty": New(Recording{}, nil, nil)} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteJSON(&b, r); err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(&b)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(doc); err != nil {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSchemaRefuses: it is no schema that takes everything. What ReadJSON refuses for its form, the
// schema refuses too.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	var b bytes.Buffer
	if err := WriteJSON(&b, whole()); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new string }{
		{"another version", `"version":4`, `"version":5`},
		{"an unknown verdict", `"verdict":"pass"`, `"verdict":"ok"`},
		{"an unknown field", `"summary":`, `"new":1,"summary":`},
		{"no summary", `"summary":`, `"doc":`},
		{"an unknown kind", `"kind":"vip-add"`, `"kind":"vip"`},
		{"an unknown outcome", `"outcome":"timeout"`, `"outcome":"lost"`},
		{"an unknown flow", `"flow":"UDP"`, `"flow":"SCTP"`},
		{"a length below zero", `"length_ns":`, `"length_ns":-`},
		{"a time that is text", `"sent_ns":`, `"sent_ns":"1s","x":`},
		{"an unknown clock", `"clock":"virtual"`, `"clock":"sand"`},
		{"no date", `"started":"2026`, `"started":"yesterday 2026`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(b.String(), tt.old, tt.new, 1)
			if text == b.String() {
				t.Fatalf("the report lacks %s", tt.old)
			}
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(doc); err == nil {
				t.Error("the schema takes it")
			}
		})
	}
}

// TestSchemaKnowsEveryField: each field of each type stands in the schema, and nothing else does;
// and so do all kinds of events.
func TestSchemaKnowsEveryField(t *testing.T) {
	var schema struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(Schema), &schema); err != nil {
		t.Fatal(err)
	}
	compare := func(name string, of any, have map[string]any) {
		if diff := cmp.Diff(fieldsOf(of), slices.Sorted(maps.Keys(have))); diff != "" {
			t.Errorf("%s (-in Go +in the schema):\n%s", name, diff)
		}
	}
	compare("report", Report{}, schema.Properties)
	for name, of := range map[string]any{"recording": Recording{}, "finding": Finding{},
		"measure": Measure{}, "host": Host{}, "node": Node{}, "vip": VIP{}, "vrrp": VRRP{},
		"event": Event{}, "request": Request{}, "call": Call{}, "stream": Stream{}, "ping": Ping{},
		"noise": Noise{}} {
		compare(name, of, schema.Defs[name].Properties)
	}
	for _, kind := range kinds {
		if !strings.Contains(Schema, `"`+string(kind)+`"`) {
			t.Errorf("the schema lacks the kind %s", kind)
		}
		if kindNames[kind] == "" {
			t.Errorf("readers have no name for the kind %s", kind)
		}
	}
}

// fieldsOf are the names of a struct's fields in JSON.
func fieldsOf(of any) []string {
	var names []string
	typ := reflect.TypeOf(of)
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
