package daemon

import (
	"slices"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/script"
	"github.com/tandemlb/tandem/daemon/track"
)

// tracked returns all trackers that instances depend on. Others are not run.
func tracked(cfg *config.Config) track.Config {
	used := map[track.Key]bool{}
	var c track.Config
	for _, uses := range usesOf(cfg) {
		for _, u := range uses {
			if u.Kind == track.InterfaceKind && !used[u.Key] {
				c.Interfaces = append(c.Interfaces, u.Name)
			}
			used[u.Key] = true
		}
	}
	slices.Sort(c.Interfaces)
	for i := range cfg.BFDs {
		if name := cfg.BFDs[i].Name; used[track.Key{Kind: track.BFDKind, Name: name}] {
			c.BFDs = append(c.BFDs, name)
		}
	}
	for i := range cfg.Scripts {
		if s := &cfg.Scripts[i]; used[track.Key{Kind: track.ScriptKind, Name: s.Name}] {
			c.Scripts = append(c.Scripts, trackedScript(cfg, s))
		}
	}
	for i := range cfg.Files {
		if f := &cfg.Files[i]; used[track.Key{Kind: track.FileKind, Name: f.Name}] {
			c.Files = append(c.Files, track.File{Name: f.Name, Path: f.File, Init: f.Init,
				Value: f.InitValue, Overwrite: f.Overwrite})
		}
	}
	for i := range cfg.Processes {
		if p := &cfg.Processes[i]; used[track.Key{Kind: track.ProcessKind, Name: p.Name}] {
			c.Processes = append(c.Processes, trackedProcess(p))
		}
	}
	return c
}

func trackedProcess(p *config.ProcessTracker) track.Process {
	return track.Process{
		Name: p.Name, Command: p.Command, Match: paramMatch(p.Match), FullCommand: p.FullCommand,
		Quorum: p.Quorum, Max: p.QuorumMax, HasMax: p.HasQuorumMax,
		ForkDelay: p.ForkDelay, TerminateDelay: p.TerminateDelay,
	}
}

func trackedScript(cfg *config.Config, s *config.ScriptTracker) track.Script {
	return track.Script{
		Name:     s.Name,
		Command:  script.Command{Args: s.Script.Args, Account: accountOf(cfg, trackerAccount(s))},
		Interval: s.Interval, Timeout: s.Timeout, Rise: s.Rise, Fall: s.Fall, InitFail: s.Failed,
		Secure: cfg.Global.ScriptSecurity,
	}
}

// trackerAccount returns who is named to run a script, with it or beside it; perhaps nobody.
func trackerAccount(s *config.ScriptTracker) config.Account {
	if s.Script.Account.User != "" {
		return s.Script.Account
	}
	return s.Account
}

// accountOf returns who runs a script of that account, which may be empty.
func accountOf(cfg *config.Config, own config.Account) script.Account {
	if own.User == "" {
		own = cfg.Global.ScriptAccount
	}
	a := script.Account{User: own.User, Group: own.Group}
	if own.User == "" {
		a = script.DefaultAccount()
	}
	a.Supplementary = cfg.Global.Start.SupplementaryGroups
	return a
}

func paramMatch(word string) track.ParamMatch {
	switch word {
	case "exact":
		return track.MatchExact
	case "partial":
		return track.MatchPartial
	case "initial":
		return track.MatchInitial
	}
	return track.MatchDefault
}

// usesOf returns what each instance depends on, by name: its own trackers and those of its group.
// In a group a weight of a member's own would part it from the others; it counts as none unless the
// group wants it.
func usesOf(cfg *config.Config) map[string][]track.Use {
	w := weightsOf(cfg)
	all := make(map[string][]track.Use, len(cfg.Instances))
	for n := range cfg.Instances {
		i := &cfg.Instances[n]
		all[i.Name] = w.uses(i.TrackInterfaces, &i.Tracks)
	}
	for n := range cfg.SyncGroups {
		g := &cfg.SyncGroups[n]
		of := w.uses(g.TrackInterfaces, &g.Tracks)
		for _, name := range g.Members {
			own := all[name]
			for i := range own {
				if !g.OwnWeights && !g.GlobalTracking {
					own[i].Weight.Value = 0
				}
			}
			all[name] = slices.Concat(own, of)
		}
	}
	return all
}

// weights are those that trackers have of their own.
type weights map[track.Key]config.Weight

func weightsOf(cfg *config.Config) weights {
	w := weights{}
	for i := range cfg.Scripts {
		s := &cfg.Scripts[i]
		w[track.Key{Kind: track.ScriptKind, Name: s.Name}] = s.Weight
	}
	for i := range cfg.Files {
		f := &cfg.Files[i]
		w[track.Key{Kind: track.FileKind, Name: f.Name}] = f.Weight
	}
	for i := range cfg.Processes {
		p := &cfg.Processes[i]
		w[track.Key{Kind: track.ProcessKind, Name: p.Name}] = p.Weight
	}
	for i := range cfg.BFDs {
		b := &cfg.BFDs[i]
		w[track.Key{Kind: track.BFDKind, Name: b.Name}] = b.Weight
	}
	return w
}

// uses returns the trackers of an instance or a group with the weights that count there.
func (w weights) uses(interfaces []config.TrackInterface, t *config.Tracks) []track.Use {
	var uses []track.Use
	for _, i := range interfaces {
		uses = append(uses, track.Use{
			Key:    track.Key{Kind: track.InterfaceKind, Name: i.Name},
			Weight: track.Weight{Value: i.Weight, Reverse: i.Reverse},
		})
	}
	for _, of := range []struct {
		kind   track.Kind
		tracks []config.Track
	}{
		{track.ScriptKind, t.Scripts}, {track.FileKind, t.Files}, {track.ProcessKind, t.Processes},
		{track.BFDKind, t.BFDs},
	} {
		for _, use := range of.tracks {
			k := track.Key{Kind: of.kind, Name: use.Name}
			weight := use.Weight
			if !use.HasWeight {
				weight = w[k]
			}
			uses = append(uses, track.Use{
				Key: k, Weight: track.Weight{Value: weight.Value, Reverse: weight.Reverse},
			})
		}
	}
	return uses
}
