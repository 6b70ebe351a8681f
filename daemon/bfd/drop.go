package bfd

// DropReason says why a packet was not believed. It is the label of the counter that the drop
// raises, and an error, so that Parse can return it as it is. Zero is no reason.
type DropReason uint8

// The reasons, most of them from RFC 5880, Section 6.8.6. Those that Parse returns depend on the
// packet alone; DropStopped is a Session's, the others are the Speaker's.
const (
	// DropShort is a packet that ends before its header does, or says that it does.
	DropShort DropReason = iota + 1 // too short
	// DropLength is a packet that says it is longer than what came.
	DropLength // longer than its datagram
	// DropVersion is a version other than 1.
	DropVersion // bad version
	// DropMultiplier is a detection multiplier of zero.
	DropMultiplier // zero multiplier
	// DropMultipoint is the bit of point-to-multipoint extensions.
	DropMultipoint // multipoint
	// DropAuth is a packet with authentication, of which this end has none configured.
	DropAuth // authentication not configured
	// DropMine is a sender's discriminator of zero.
	DropMine // zero discriminator
	// DropYours is one who is Init or Up and does not say with whom.
	DropYours // no discriminator while init or up
	// DropTTL is a packet that came more hops than allowed (RFC 5881, Section 5: GTSM).
	DropTTL // bad ttl
	// DropUnknown is a packet for a discriminator that no session here has: for one that ended, or
	// from a neighbour who has not noticed a restart.
	DropUnknown // unknown discriminator
	// DropNeighbor is a first packet of one who is nobody's neighbour.
	DropNeighbor // not a neighbour
	// DropPort is a packet to the port of the other kind of session.
	DropPort // single hop and multihop mixed
	// DropStopped is a packet for a session that is AdminDown.
	DropStopped // administratively down
)

// DropReasons returns every reason, in order, for counters that start at zero.
func DropReasons() []DropReason {
	var all []DropReason
	for r := DropShort; r <= DropStopped; r++ {
		all = append(all, r)
	}
	return all
}

// Error returns the reason as a refusal: "refuse packet: bad version".
func (r DropReason) Error() string { return "refuse packet: " + r.String() }
