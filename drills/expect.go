package drills

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/tandemlb/tandem/internal/strict"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// Expectation is one demand of a drill by its key: of tolerances or of bounds.
type Expectation struct {
	Key string
	// Value is what the key takes: a time.Duration, an int, a Percent, a bool, Names, Times or Counts.
	Value any
}

// Percent is a share in percent.
type Percent float64

// Names are real servers in their order.
type Names []string

// Times are times of real servers, in the file's order.
type Times []ServerTime

// ServerTime is a time of one real server.
type ServerTime struct {
	Server string
	Time   time.Duration
}

// Counts are numbers of requests of real servers, in the file's order.
type Counts []ServerCount

// ServerCount is a number of requests of one real server.
type ServerCount struct {
	Server string
	Count  int
}

// demand is a key of expectations.
type demand struct {
	key, doc string
	// sample is a value of the type that the key takes.
	sample any
}

// tolerances are what a client may tolerate.
func tolerances() []demand {
	return []demand{
		{"outage", "the longest gap without an answer in the whole run", time.Second},
		{"fail_back", "the longest gap after the last heal", time.Second},
		{"latency", "95 % of the answers take no longer", time.Second},
		{"lost", "how many requests are not answered in the whole run: a number, or a share such as " +
			"0.5%", 1},
	}
}

// tolerance is the bound of an expectation of a client.
func (e Expectation) tolerance(client string) scenarios.Bound {
	switch e.Key {
	case "outage":
		return scenarios.ClientOutageWithin(client, e.Value.(time.Duration))
	case "fail_back":
		return scenarios.ClientFailBackWithin(client, e.Value.(time.Duration))
	case "latency":
		return scenarios.ClientLatencyWithin(client, e.Value.(time.Duration))
	}
	if share, ok := e.Value.(Percent); ok {
		return scenarios.ClientLosesShare(client, float64(share))
	}
	return scenarios.ClientLosesAtMost(client, e.Value.(int))
}

// bounds are the demands on the whole run: the bounds of package scenarios by their names. "The
// fault" is the first one.
func bounds() []demand {
	return []demand{
		{"outage_within", "the longest gap of any client from the fault to its heal", time.Second},
		{"fail_back_within", "the longest gap of any client after the fault's heal", time.Second},
		{"one_owner_within", "how long after the fault one director alone has every VIP, until the heal",
			time.Second},
		{"back_together_within", "how long after the fault's heal one director alone has every VIP",
			time.Second},
		{"nothing_lost_after", "how long after the fault requests may be lost, until its heal",
			time.Second},
		{"back_in_service_within", "how long after the fault's heal each real server answers again",
			Times{{"web1", time.Second}}},
		{"shares", "how many requests each real server has answered, exactly", Counts{{"web1", 20}}},
		{"order", "the real servers answer in this order, over and over", Names{"web1", "web2"}},
		{"predicted", "each request is answered by the real server that a model of the scheduler names",
			true},
	}
}

// bounds are the bounds of an expectation of the whole run, on a topology.
func (e Expectation) bounds(t topology.Topology) []scenarios.Bound {
	switch value := e.Value.(type) {
	case Times:
		var all []scenarios.Bound
		for _, v := range value {
			all = append(all, scenarios.BackInServiceWithin(v.Server, v.Time))
		}
		return all
	case Counts:
		want := map[string]int{}
		for _, c := range value {
			want[c.Server] = c.Count
		}
		return []scenarios.Bound{scenarios.Shares(want)}
	case Names:
		return []scenarios.Bound{scenarios.Order(value...)}
	case bool:
		return []scenarios.Bound{scenarios.Predicted(t)}
	}
	limit := e.Value.(time.Duration)
	switch e.Key {
	case "fail_back_within":
		return []scenarios.Bound{scenarios.FailBackWithin(limit)}
	case "one_owner_within":
		return []scenarios.Bound{scenarios.OneOwnerWithin(limit)}
	case "back_together_within":
		return []scenarios.Bound{scenarios.BackTogetherWithin(limit)}
	case "nothing_lost_after":
		return []scenarios.Bound{scenarios.NothingLostAfter(limit)}
	}
	return []scenarios.Bound{scenarios.OutageWithin(limit)}
}

// expectations reads a mapping of demands.
func (d *decoder) expectations(into *[]Expectation, known []demand) func(ast.Node, string) {
	return func(n ast.Node, path string) {
		var fields []strict.Field
		for _, k := range known {
			fields = append(fields, strict.Key(k.key, func(n ast.Node, path string) {
				if value, ok := d.value(k, n, path); ok {
					*into = append(*into, Expectation{k.key, value})
				}
			}))
		}
		d.Object(n, path, fields)
	}
}

// value reads the value of a demand; false: it is wrong, as d knows.
func (d *decoder) value(k demand, n ast.Node, path string) (any, bool) {
	switch k.sample.(type) {
	case time.Duration:
		var v time.Duration
		d.time(&v, 0)(n, path)
		return v, !d.Failed(path)
	case int:
		var v any
		strict.Scalar(d.Decoder, &v, "a whole number such as 10, or a share such as 0.5%",
			parseLost)(n, path)
		return v, v != nil
	case bool:
		var v bool
		if d.Yes(&v)(n, path); !d.Failed(path) && !v {
			d.Fail(n, path, "false: leave it out instead")
		}
		return v, v
	case Names:
		var v Names
		d.Sequence(n, path, func(path string, item ast.Node) {
			v = append(v, "")
			d.Text(&v[len(v)-1])(item, path)
		})
		return v, !d.Failed(path)
	case Times:
		var v Times
		d.Entries(n, path, strict.Dotted, func(server, path string, n ast.Node) {
			v = append(v, ServerTime{Server: server})
			d.time(&v[len(v)-1].Time, 0)(n, path)
		})
		return v, !d.Failed(path)
	}
	var v Counts
	d.Entries(n, path, strict.Dotted, func(server, path string, n ast.Node) {
		v = append(v, ServerCount{Server: server})
		d.Number(&v[len(v)-1].Count, 0, maxCount)(n, path)
	})
	return v, !d.Failed(path)
}

// parseLost reads a number of requests, or a share of them.
func parseLost(text string) (any, error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(share >= 0 && share <= 100) {
			return nil, errors.New("expected 0% to 100%")
		}
		return Percent(share), nil
	}
	count, err := strict.ParseDecimal(text)
	if err != nil || count < 0 {
		return nil, errors.New("expected 0 or more")
	}
	return count, nil
}

// servers are the real servers that an expectation names.
func (e Expectation) servers() []string {
	var names []string
	switch value := e.Value.(type) {
	case Names:
		names = value
	case Times:
		for _, v := range value {
			names = append(names, v.Server)
		}
	case Counts:
		for _, v := range value {
			names = append(names, v.Server)
		}
	}
	return names
}

// yaml is the value as it stands in a file.
func (e Expectation) yaml() any {
	switch value := e.Value.(type) {
	case time.Duration:
		return value.String()
	case Percent:
		return fmt.Sprintf("%g%%", float64(value))
	case Names:
		return []string(value)
	case Times:
		var all yaml.MapSlice
		for _, v := range value {
			all = append(all, yaml.MapItem{Key: v.Server, Value: v.Time.String()})
		}
		return all
	case Counts:
		var all yaml.MapSlice
		for _, v := range value {
			all = append(all, yaml.MapItem{Key: v.Server, Value: v.Count})
		}
		return all
	}
	return e.Value
}
