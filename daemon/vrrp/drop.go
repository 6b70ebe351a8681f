package vrrp

// DropReason says why an advert was not believed. It is the label of the counter that the drop
// raises, and an error, so that Parse can return it as it is. Zero is no reason.
type DropReason uint8

// The reasons. Those that Parse returns depend on the packet alone; the others on the Machine that
// it was for. Some of the latter are also the reasons of a Mismatch.
const (
	// DropShort is a packet that ends before its header or its address list does.
	DropShort DropReason = iota + 1 // too short
	// DropLong is a packet with bytes after the advert.
	DropLong // too long
	// DropVersion is a version other than 2 or 3, VRRPv2 over IPv6, or, to a Machine, a version
	// other than its own.
	DropVersion // bad version
	// DropType is a message type other than advertisement.
	DropType // bad type
	// DropTTL is a multicast advert that has passed a router.
	DropTTL // bad ttl
	// DropChecksum is a checksum that is wrong in every form.
	DropChecksum // bad checksum
	// DropVRID is virtual router 0 or, to a Machine, one other than its own.
	DropVRID // wrong vrid
	// DropInterval is an interval of zero or, to a Machine of VRRPv2, one other than its own.
	// A Machine of VRRPv3 adopts the interval and reports a Mismatch.
	DropInterval // wrong interval
	// DropAuthType is an authentication type that is unknown or not the Machine's.
	DropAuthType // wrong authentication type
	// DropPassword is a password that is not the Machine's.
	DropPassword // wrong password
	// DropNoAddress is an advert of no address (RFC 9568, erratum 8299).
	DropNoAddress // no address
	// DropAddresses is an address list that is not the Machine's. Such adverts are believed unless
	// Config.Strict, for refusing them makes two masters; the reason is reported as a Mismatch.
	DropAddresses // different addresses
	// DropFamily is a source and a destination that are not of one address family.
	DropFamily // mixed address families
	// DropLinkLocal is an IPv6 advert whose first address is not link-local. It is believed
	// unless Config.Strict, and reported as a Mismatch if the Machine's own first address is.
	DropLinkLocal // first address not link-local
	// DropLooped is an advert that comes from the Machine's own address.
	DropLooped // own address
	// DropDestination is a unicast advert where multicast is configured, or the other way round.
	DropDestination // unicast and multicast mixed
	// DropPeer is an advert of one who is not among the peers.
	DropPeer // not a peer
	// DropOwner is an advert that the owner of the addresses has been told to ignore.
	DropOwner // ignored by the owner
	// DropTwoOwners is an advert of another router of priority 255, to one configured with it. It is
	// believed, and reported as a Mismatch, unless Config.OwnerIgnoreAdverts.
	DropTwoOwners // two owners
	// DropFlood is a packet that nobody has looked at, for too many came at once. The reason is that
	// of a driver, not of a Machine.
	DropFlood // too many at once
)

// DropReasons returns every reason, in order, for counters that start at zero.
func DropReasons() []DropReason {
	var all []DropReason
	for r := DropShort; r <= DropFlood; r++ {
		all = append(all, r)
	}
	return all
}

// Error returns the reason as a refusal: "refuse advert: bad checksum".
func (r DropReason) Error() string { return "refuse advert: " + r.String() }
