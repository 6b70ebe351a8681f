package drills

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// randomRate is the rate of the client of a random drill: often enough to see an outage, and seldom
// enough for hours.
const randomRate = 20

// Random draws a drill of a length from a seed: of the same arguments always the same one. It begins
// with calm, has episodes of faults that the topology survives (beyond: any), and ends with a calm in
// which all must be as before. See scenarios.Chance.
func Random(t topology.Topology, seed uint64, length time.Duration, beyond bool) (Drill, error) {
	chance := scenarios.Chance{Topology: t, Length: length, Rate: randomRate, Beyond: beyond}
	plan, err := chance.Plan(seed)
	if err != nil {
		return Drill{}, err
	}
	d := Drill{
		Name:     shorten(fmt.Sprintf("random-%s-%d", t.Name, seed)),
		Topology: t,
		Survives: Faults,
	}
	what := "Each costs clients no more than it does alone, and after each heal all is as before."
	if beyond {
		d.Name = shorten(fmt.Sprintf("beyond-%s-%d", t.Name, seed))
		d.Survives = Heals
		what = "They may cost what they will, but after each heal all is as before."
	}
	d.Doc = fmt.Sprintf("%d faults in %s, drawn from the seed %d. %s", len(plan), length, seed, what)
	if clients := t.NodesOf(topology.Client); len(clients) > 0 {
		p := Probe{Probe: scenarios.Probe{Client: clients[0].Name, Rate: randomRate}}
		p.Target, _ = targetOf(t)
		d.Probes = []Probe{p}
	}
	for _, act := range plan {
		d.Method = append(d.Method, Step{At: act.At, For: act.For, Do: act.Step})
	}
	if end := d.Ends(); end < length {
		d.Method = append(d.Method, Step{At: end, Do: scenarios.Observe{For: length - end}})
	}
	return d, nil
}

// shorten makes a name of what may be too long for one.
func shorten(name string) string { return name[:min(len(name), 63)] }

// Ledger is what the method does, one line a step.
func (d Drill) Ledger() []string {
	var lines []string
	for _, s := range d.Method {
		text := fmt.Sprintf("t+%s", s.At)
		switch {
		case s.Heals != "":
			text += " heal " + s.Heals
		case s.For > 0:
			text += fmt.Sprintf(" %s for %s", s.Do, s.For)
		default:
			text += fmt.Sprintf(" %s", s.Do)
		}
		lines = append(lines, text)
	}
	return lines
}
