package config

// groupBlock is a SyncGroup while it is read, with the places of its members.
type groupBlock struct {
	SyncGroup
	members []Member
}

func groupTable() *table[groupBlock] {
	type b = groupBlock
	return newTable("vrrp_sync_group",
		[]keyword[b]{members(func(b *b) *[]Member { return &b.members },
			"the instances that are master together")},
		notifyKeywords(func(b *b) *Notify { return &b.Notify }),
		[]keyword[b]{
			list("track_interface", "INTERFACE [weight N [reverse|noreverse]]",
				parseTrackInterface, (*TrackInterface).words,
				func(b *b) *[]TrackInterface { return &b.TrackInterfaces },
				"depends on these interfaces")},
		pendingBut([]string{"track_script", "track_file", "track_process", "track_bfd"},
			trackKeywords(func(b *b) *Tracks { return &b.Tracks })...),
		[]keyword[b]{
			leaf("global_tracking", "off", boolean(),
				func(b *b) *bool { return &b.GlobalTracking },
				"members share their trackers"),
			leaf("sync_group_tracking_weight", "off", boolean(),
				func(b *b) *bool { return &b.OwnWeights },
				"members may have weights of their own"),
			leaf("notify_priority_changes", "", switched(),
				func(b *b) *Switch { return &b.PriorityChanges },
				"tells FIFOs of changes of the priority").
				as(otherwise[b]("as vrrp_notify_priority_changes"))})
}

func addGroup(d *decoder, r *root, b *groupBlock, n *Node) {
	b.Name, b.Pos = d.name(n), n.Pos()
	for _, m := range b.members {
		b.Members = append(b.Members, m.Name)
	}
	r.groups = append(r.groups, *b)
}
