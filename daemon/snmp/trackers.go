package snmp

import (
	"strings"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
)

// tracked is one line of an instance's or a sync group's block of trackers.
type tracked struct {
	owner, number int
	name          string
	weight        config.Weight
}

// trackers is what keepalived's MIB has of what instances and sync groups depend on.
func (v *View) trackers(instances []instance) []part {
	var parts []part
	c := v.Config
	// The numbers of tables: of the trackers of instances, and those of sync groups.
	for _, k := range []struct {
		instance, group uint32
		of              func(*config.Tracks) []config.Track
		own             map[string]config.Weight
	}{
		{5, 15, func(t *config.Tracks) []config.Track { return t.Scripts }, weights(c.Scripts,
			func(t *config.ScriptTracker) (string, config.Weight) { return t.Name, t.Weight })},
		{12, 16, func(t *config.Tracks) []config.Track { return t.Files }, weights(c.Files,
			func(t *config.FileTracker) (string, config.Weight) { return t.Name, t.Weight })},
		{17, 19, func(t *config.Tracks) []config.Track { return t.BFDs }, weights(c.BFDs,
			func(t *config.BFD) (string, config.Weight) { return t.Name, t.Weight })},
		{20, 22, func(t *config.Tracks) []config.Track { return t.Processes }, weights(c.Processes,
			func(t *config.ProcessTracker) (string, config.Weight) { return t.Name, t.Weight })},
	} {
		var ofInstances, ofGroups []tracked
		for i := range instances {
			ofInstances = append(ofInstances, lines(i+1, k.of(&instances[i].config.Tracks), k.own)...)
		}
		for i := range c.SyncGroups {
			ofGroups = append(ofGroups, lines(i+1, k.of(&c.SyncGroups[i].Tracks), k.own)...)
		}
		parts = append(parts, trackTable(enterprise(2, k.instance, 1), 2, ofInstances),
			trackTable(enterprise(2, k.group, 1), 2, ofGroups))
	}
	var ofInstances, ofGroups []tracked
	for i := range instances {
		ofInstances = append(ofInstances, v.links(i+1, instances[i].config.TrackInterfaces)...)
	}
	for i := range c.SyncGroups {
		ofGroups = append(ofGroups, v.links(i+1, c.SyncGroups[i].TrackInterfaces)...)
	}
	parts = append(parts, trackTable(enterprise(2, 4, 1), 1, ofInstances),
		trackTable(enterprise(2, 14, 1), 1, ofGroups))
	return append(parts, v.scripts(), v.files(), v.sessions(), v.processes())
}

func weights[T any](
	all []T, of func(*T) (string, config.Weight),
) map[string]config.Weight {
	out := make(map[string]config.Weight, len(all))
	for i := range all {
		name, w := of(&all[i])
		out[name] = w
	}
	return out
}

// lines are those of one block; own are the weights of trackers.
func lines(owner int, all []config.Track, own map[string]config.Weight) []tracked {
	var out []tracked
	for i, t := range all {
		w := own[t.Name]
		if t.HasWeight {
			w = t.Weight
		}
		out = append(out, tracked{owner, i + 1, t.Name, w})
	}
	return out
}

// links are tracked interfaces; those that the machine has not are left out, as they have no
// number.
func (v *View) links(owner int, all []config.TrackInterface) []tracked {
	var out []tracked
	for _, t := range all {
		if n := v.Links[t.Name].Index; n > 0 {
			out = append(out, tracked{owner, n, t.Name, config.Weight{Value: t.Weight,
				Reverse: t.Reverse}})
		}
	}
	return out
}

// trackTable has name, weight and reverse as its columns, from first on.
func trackTable(entry agentx.OID, first uint32, all []tracked) part {
	return newTable(entry, all,
		func(t *tracked) agentx.OID { return index(t.owner, t.number) },
		[]column[tracked]{
			{first, func(t *tracked) agentx.Value { return agentx.Text(t.name) }},
			{first + 1, func(t *tracked) agentx.Value { return agentx.Int(t.weight.Value) }},
			{first + 2, func(t *tracked) agentx.Value { return truth(t.weight.Reverse) }},
		})
}

// health returns what is known of the trackers of a kind, by name.
func (v *View) health(kind string) map[string]status.Health {
	all := map[string]status.Health{}
	for _, t := range v.Snapshot.Trackers {
		if t.Kind == kind {
			all[t.Name] = t.Health
		}
	}
	return all
}

func (v *View) scripts() part {
	type row = nth[config.ScriptTracker]
	health := v.health("script")
	return newTable(enterprise(2, 9, 1), numbered(v.Config.Scripts),
		func(r *row) agentx.OID { return index(r.number) }, []column[row]{
			{2, func(r *row) agentx.Value { return agentx.Text(r.of.Name) }},
			{3, func(r *row) agentx.Value { return command(r.of.Script) }},
			{4, func(r *row) agentx.Value { return wholeSeconds(r.of.Interval) }},
			{5, func(r *row) agentx.Value { return agentx.Int(r.of.Weight.Value) }},
			{6, func(r *row) agentx.Value {
				switch h := health[r.of.Name]; {
				case h == status.Up:
					return agentx.Int(3) // good
				case h == status.Down:
					return agentx.Int(2) // bad
				case r.of.Failed:
					return agentx.Int(5) // initfailed
				}
				return agentx.Int(1) // init
			}},
			{7, func(r *row) agentx.Value { return agentx.Gauge(uint64(r.of.Rise)) }},
			{8, func(r *row) agentx.Value { return agentx.Gauge(uint64(r.of.Fall)) }},
			{9, func(r *row) agentx.Value { return truth(r.of.Weight.Reverse) }},
		})
}

func (v *View) files() part {
	type row = nth[config.FileTracker]
	return newTable(enterprise(2, 13, 1), numbered(v.Config.Files),
		func(r *row) agentx.OID { return index(r.number) }, []column[row]{
			{2, func(r *row) agentx.Value { return agentx.Text(r.of.Name) }},
			{3, func(r *row) agentx.Value { return agentx.Text(r.of.File) }},
			{4, func(r *row) agentx.Value { return agentx.Int(v.Values[r.of.Name]) }},
			{5, func(r *row) agentx.Value { return agentx.Int(r.of.Weight.Value) }},
			{6, func(r *row) agentx.Value { return truth(r.of.Weight.Reverse) }},
		})
}

func (v *View) sessions() part {
	type row = nth[config.BFD]
	health := v.health("bfd")
	return newTable(enterprise(2, 18, 1), numbered(v.Config.BFDs),
		func(r *row) agentx.OID { return index(r.number) }, []column[row]{
			{2, func(r *row) agentx.Value { return agentx.Text(r.of.Name) }},
			{3, func(r *row) agentx.Value {
				if health[r.of.Name] == status.Up {
					return agentx.Int(1)
				}
				return agentx.Int(0)
			}},
			{4, func(r *row) agentx.Value { return agentx.Int(r.of.Weight.Value) }},
			{5, func(r *row) agentx.Value { return truth(r.of.Weight.Reverse) }},
		})
}

func (v *View) processes() part {
	type row = nth[config.ProcessTracker]
	health := v.health("process")
	matches := map[string]int{"": 1, "exact": 1, "partial": 2, "initial": 3}
	return newTable(enterprise(2, 21, 1), numbered(v.Config.Processes),
		func(r *row) agentx.OID { return index(r.number) }, []column[row]{
			{2, func(r *row) agentx.Value { return agentx.Text(r.of.Name) }},
			{3, func(r *row) agentx.Value { return agentx.Text(r.of.Command[0]) }},
			{4, func(r *row) agentx.Value {
				return agentx.Text(strings.Join(r.of.Command[1:], " "))
			}},
			{5, func(r *row) agentx.Value {
				if len(r.of.Command) == 1 {
					return agentx.Int(0)
				}
				return agentx.Int(matches[r.of.Match])
			}},
			{6, func(r *row) agentx.Value { return agentx.Int(r.of.Weight.Value) }},
			{7, func(r *row) agentx.Value { return truth(r.of.Weight.Reverse) }},
			{8, func(r *row) agentx.Value { return agentx.Gauge(uint64(r.of.Quorum)) }},
			{9, func(r *row) agentx.Value {
				if !r.of.HasQuorumMax {
					return agentx.Int(-1)
				}
				return agentx.Int(r.of.QuorumMax)
			}},
			{10, func(r *row) agentx.Value { return microseconds(r.of.ForkDelay) }},
			{11, func(r *row) agentx.Value { return microseconds(r.of.TerminateDelay) }},
			{12, func(r *row) agentx.Value { return truth(r.of.FullCommand) }},
			{14, func(r *row) agentx.Value { return truth(health[r.of.Name] == status.Up) }},
		})
}
