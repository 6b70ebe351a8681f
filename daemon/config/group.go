package config

// groupIdle are the keywords of a vrrp_sync_group that are known and change nothing yet.
const groupIdle = `
	track_interface{} track_script{} track_file{} track_process{} track_bfd{} global_tracking
	sync_group_tracking_weight notify_priority_changes`

// groupBlock is a SyncGroup while it is read, with the places of its members.
type groupBlock struct {
	SyncGroup
	places []Pos
}

func groupTable() *table[groupBlock] {
	return newTable("vrrp_sync_group",
		[]keyword[groupBlock]{
			list("group", "names of instances", func(_ *decoder, b *groupBlock, ws []Word) {
				for _, w := range ws {
					b.Members = append(b.Members, w.Text)
					b.places = append(b.places, w.Pos)
				}
			}, "the instances that are master together"),
		},
		notifyKeywords(func(b *groupBlock) *Notify { return &b.Notify }),
		idleWords[groupBlock](groupIdle))
}
