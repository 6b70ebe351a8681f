package daemon

import (
	"slices"

	"github.com/tandemlb/tandem/daemon/config"
)

// groupsOf returns the track_groups that each instance is in, by its name.
func groupsOf(cfg *config.Config) map[string][]string {
	all := map[string][]string{}
	for _, g := range cfg.TrackGroups {
		for _, m := range g.Members {
			all[m.Name] = append(all[m.Name], g.Name)
		}
	}
	return all
}

// static is told that a part of a track_group cannot be kept, or, with nil, that all of it is there.
func (t *tracking) static(group string, missing error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.lost, group)
	if missing != nil {
		t.lost[group] = missing.Error()
	}
	for _, d := range t.dependents {
		if slices.Contains(t.groups[d.name], group) {
			t.tell(d, "track_group "+group)
		}
	}
}

// missing returns what is lost of the track_groups of d, as in "track_group G: restore …". The lock
// is held.
func (t *tracking) missing(d *dependent) []string {
	var all []string
	for _, group := range t.groups[d.name] {
		if why := t.lost[group]; why != "" {
			all = append(all, "track_group "+group+": "+why)
		}
	}
	return all
}
