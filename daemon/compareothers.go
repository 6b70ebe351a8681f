package daemon

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tandemlb/tandem/daemon/config"
)

// compareOthers returns what changes beside instances and virtual services: the trackers that
// instances depend on and what each counts, who is told of what, and what is there whatever the
// instances do. The steps are what reports say; each part is handed over as a whole.
func compareOthers(before, after *config.Config) []step {
	var steps []step
	for _, part := range []struct {
		key   string
		parts func(*config.Config) map[string]any
	}{
		{"trackers", trackerParts},
		{"notifications", noticeParts},
		{"static entries", staticParts},
		{"connections", lvsParts},
	} {
		if reasons := compareParts(part.parts(before), part.parts(after)); len(reasons) > 0 {
			steps = append(steps, step{verb: change, key: part.key, reasons: reasons})
		}
	}
	return steps
}

// compareParts returns how parts with names differ, in the order of their names.
func compareParts(before, after map[string]any) []string {
	var reasons []string
	names := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, had := before[name]
		is, has := after[name]
		switch {
		case !had:
			reasons = append(reasons, name+" more")
		case !has:
			reasons = append(reasons, name+" less")
		case !same(&was, &is):
			reasons = append(reasons, name)
		}
	}
	return reasons
}

// trackerParts are the trackers, and what instances depend on.
func trackerParts(cfg *config.Config) map[string]any {
	parts := map[string]any{}
	c := tracked(cfg)
	for _, s := range c.Scripts {
		parts["script "+s.Name] = s
	}
	for _, f := range c.Files {
		parts["file "+f.Name] = f
	}
	for _, p := range c.Processes {
		parts["process "+p.Name] = p
	}
	for i := range cfg.BFDs {
		parts["bfd "+cfg.BFDs[i].Name] = cfg.BFDs[i]
	}
	for instance, groups := range groupsOf(cfg) {
		parts["track_groups of vrrp_instance "+instance] = groups
	}
	if delays := linkDelays(cfg); len(delays) > 0 {
		parts["interface_up_down_delays"] = fmt.Sprint(delays)
	}
	for instance, uses := range usesOf(cfg) {
		if len(uses) > 0 {
			parts["what vrrp_instance "+instance+" depends on"] = uses
		}
	}
	return parts
}

// noticeParts are who is told of what. What services and servers run is part of these.
func noticeParts(cfg *config.Config) map[string]any {
	g := &cfg.Global
	parts := map[string]any{
		"router_id": g.RouterID, "mail": g.Mail, "alerts": g.Alerts, "FIFOs": g.FIFOs,
		"script_user": g.ScriptAccount, "enable_script_security": g.ScriptSecurity,
		"set_supplementary_groups": g.Start.SupplementaryGroups,
	}
	for i := range cfg.Instances {
		if n := &cfg.Instances[i]; hasNotices(&n.Notify) {
			parts["scripts of vrrp_instance "+n.Name] = n.Notify
		}
	}
	for i := range cfg.SyncGroups {
		if n := &cfg.SyncGroups[i]; hasNotices(&n.Notify) {
			parts["scripts of vrrp_sync_group "+n.Name] = n.Notify
		}
	}
	return parts
}

func hasNotices(n *config.Notify) bool { return !same(n, &config.Notify{}) }

// staticParts are the addresses, routes and rules that are always there.
func staticParts(cfg *config.Config) map[string]any {
	s := statics(cfg)
	parts := map[string]any{}
	if len(s.Addresses) > 0 {
		parts["addresses"] = fmt.Sprint(s.Addresses)
	}
	if len(s.Routes) > 0 {
		parts["routes"] = fmt.Sprint(s.Routes)
	}
	if len(s.Rules) > 0 {
		parts["rules"] = fmt.Sprint(s.Rules)
	}
	if len(s.Groups) > 0 {
		parts["track_groups"] = fmt.Sprint(s.Groups)
	}
	return parts
}
