// Package config reads keepalived's configuration language: text to a tree of words with their
// places, the tree to one typed and validated Config, with every mistake reported at once. It never
// touches the network and never looks at the machine it runs on.
package config

import (
	"net/netip"
	"time"
)

// Config is a whole configuration, validated, every default filled in. Slices keep the order of the
// file; an absent block leaves its slice nil.
type Config struct {
	// File is the name of the file as it was given to Parse or Load.
	File string
	// Global is the global_defs block, or the defaults if there is none.
	Global Global
	// Instances are the vrrp_instance blocks; names are unique.
	Instances []Instance
	// SyncGroups are the vrrp_sync_group blocks; every member names an entry of Instances, and no
	// instance is in two groups.
	SyncGroups []SyncGroup
	// Scripts, Files, Processes and BFDs are the trackers; names are unique in each.
	Scripts   []ScriptTracker
	Files     []FileTracker
	Processes []ProcessTracker
	BFDs      []BFD
	// TrackGroups and GARPGroups are the track_group and garp_group blocks.
	TrackGroups []TrackGroup
	GARPGroups  []GARPGroup
	// Addresses, Routes and Rules are there whatever the instances do; Device of an address is
	// never empty.
	Addresses []VIP
	Routes    []Route
	Rules     []Rule
	// VirtualServers are the virtual_server blocks.
	VirtualServers []VirtualServer
	// ServerGroups are the virtual_server_group blocks; names are unique.
	ServerGroups []ServerGroup
	// TLS is the SSL block; nil if there is none.
	TLS *TLS
}

// Instance returns the instance of that name, or nil.
func (c *Config) Instance(name string) *Instance {
	for i := range c.Instances {
		if c.Instances[i].Name == name {
			return &c.Instances[i]
		}
	}
	return nil
}

// GroupOf returns the sync group that the instance is a member of, or nil.
func (c *Config) GroupOf(instance string) *SyncGroup {
	for i := range c.SyncGroups {
		for _, m := range c.SyncGroups[i].Members {
			if m == instance {
				return &c.SyncGroups[i]
			}
		}
	}
	return nil
}

// Instance is one vrrp_instance: one virtual router on one interface and address family.
type Instance struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique in the file.
	Name string
	// State is only a hint, as in keepalived: an instance starts as backup unless Priority is 255.
	State State
	// Interface carries the adverts.
	Interface string
	// VRID is 1 to 255, unique per interface and family.
	VRID uint8
	// Priority is 1 to 255; 255 is the owner of the addresses.
	Priority uint8
	// AdvertInterval is 1 s to 255 s in whole seconds in version 2, 10 ms to 40.95 s in steps of
	// 10 ms in version 3.
	AdvertInterval time.Duration
	// Version of VRRP: 2 or 3. An IPv6 instance is always 3.
	Version int
	// Auth is the version 2 authentication; its zero value is none.
	Auth Auth
	// VIPs are advertised and held by the master; all of one family.
	VIPs []VIP
	// ExcludedVIPs are held by the master but not advertised; of either family.
	ExcludedVIPs []VIP
	// Preempt lets this instance take over from a live master of lower priority, PreemptDelay after
	// it first could.
	Preempt      bool
	PreemptDelay time.Duration
	// Source is the source address of adverts, unicast or multicast; invalid means the first
	// address of Interface.
	Source netip.Addr
	// Group is the multicast destination; invalid means the standard group of the family.
	Group netip.Addr
	// Peers makes adverts go to these addresses by unicast; empty means multicast.
	Peers []Peer
	// GARP is the announcement of the VIPs.
	GARP GARP
	// TrackInterfaces are further interfaces that the instance depends on.
	TrackInterfaces []TrackInterface
	// DontTrackPrimary keeps the instance out of fault when Interface is down.
	DontTrackPrimary bool
	// VMAC, if not nil, puts the VIPs on a macvlan with the virtual router's MAC address.
	VMAC *VMAC
	// Accept lets the master answer on the VIPs.
	Accept bool
	// Strict and SkipCheckAdvertAddresses are strict_mode and skip_check_adv_addr.
	Strict, SkipCheckAdvertAddresses bool
	// Notify are the scripts run at transitions.
	Notify Notify
	// Rules are the finer points of the election.
	Rules AdvertRules
	// Tracks are the trackers that the instance depends on.
	Tracks Tracks
	// UnicastTTL is that of unicast adverts. FaultWithoutPeer puts the instance into fault while it
	// has no Peers, TrackSource when Source is gone.
	UnicastTTL                    uint8
	FaultWithoutPeer, TrackSource bool
	// OldChecksum is always or never; empty means as found out.
	OldChecksum string
	// VMACForAll makes macvlans for VIPs on other interfaces too.
	VMACForAll bool
	// IPVLAN, if not nil, puts the VIPs on an ipvlan.
	IPVLAN *IPVLAN
	// VRF is the routing domain of unicast adverts; empty means the interface's.
	VRF string
	// Routes and PolicyRules are the master's.
	Routes      []Route
	PolicyRules []Rule
	// PromoteSecondaries lets an address keep the others of its subnet when it goes.
	PromoteSecondaries bool
	// BackupIfLate makes a master backup that finds itself later than a backup of LatePriority
	// waits, or one of any priority if that is 0. It is always so; the keyword says how late.
	BackupIfLate bool
	LatePriority int
	// HMAC is auth_hmac; nil means none.
	HMAC *HMAC
	// ReceiveBuffer, Debug, NativeIPv6 and PollLink are keywords of their own names that keepalived
	// has and that change nothing.
	ReceiveBuffer, Debug int
	NativeIPv6, PollLink bool
	// SyncInterface is lvs_sync_daemon_interface: as Sync with this instance, where there is none.
	SyncInterface string
}

// AdvertRules are the finer points of the election; see Adverts.
type AdvertRules struct {
	DownTimer                                                    int
	LowerPriorityNoAdvert, HigherPrioritySendAdvert, OwnerIgnore bool
	CheckUnicastSource, ChecksumAsV2, PriorityChanges            bool
	// StepDown has a master resign whose VIP somebody deletes, instead of only putting it back.
	StepDown bool
	// FastTakeover has a backup take over at once from a master that resigns, in a group of two.
	FastTakeover bool
}

// HMAC is a keyed digest behind each advert.
type HMAC struct {
	Keys []HMACKey
	// Active is the ID of the key to send with.
	Active uint8
	// AntiReplay is time or monotonic, Mode enforce, permissive or receive-only; empty is the
	// default. Window is the seconds that clocks may differ.
	AntiReplay, Mode string
	Window           int
}

// HMACKey is one key: hex:…, file:… or the text itself.
type HMACKey struct {
	ID     uint8
	Secret string
}

// IPv6 says whether the adverts of the instance are IPv6.
func (i *Instance) IPv6() bool {
	switch {
	case len(i.VIPs) > 0:
		return i.VIPs[0].Prefix.Addr().Is6()
	case i.Source.IsValid():
		return i.Source.Is6()
	case len(i.Peers) > 0:
		return i.Peers[0].Addr.Is6()
	}
	return false
}

// State is the hint of an instance's state keyword.
type State uint8

// The states that a file can name. Backup is the default.
const (
	StateBackup State = iota + 1
	StateMaster
)

// Auth is VRRP version 2 authentication.
type Auth struct {
	// Type is AuthNone (zero), AuthPassword or AuthHeader.
	Type AuthType
	// Password is at most 8 bytes.
	Password string
}

// AuthType is the kind of authentication.
type AuthType uint8

// AuthNone is the zero value: adverts carry no authentication.
const (
	AuthNone AuthType = iota
	AuthPassword
	AuthHeader
)

// VIP is a virtual address and the way it is put on an interface.
type VIP struct {
	// Pos is where the line starts.
	Pos Pos
	// Prefix is the address with its prefix length: 32 or 128 unless given. Its host bits are kept.
	Prefix netip.Prefix
	// Device is where it goes; never empty: the instance's interface unless given.
	Device string
	// Label is the IPv4 label (eth0:1); empty for none.
	Label string
	// Scope is the address's scope as iproute2 names it; empty means global.
	Scope string
	// Broadcast is the IPv4 broadcast address; invalid means none. Computed already for "brd +/-".
	Broadcast netip.Addr
	// Peer is the far end of a point-to-point address; invalid means none.
	Peer netip.Addr
	// NoTrack keeps a VIP that somebody deletes from costing the instance its mastership.
	NoTrack bool
	// NoDAD, Home, ManageTemporary, NoPrefixRoute and AutoJoin are flags of the kernel's.
	NoDAD, Home, ManageTemporary, NoPrefixRoute, AutoJoin bool
	// UseVMAC puts it on a macvlan of its own.
	UseVMAC bool
	// Preferred is the preferred lifetime, perhaps Forever, if HasPreferred is set.
	Preferred    time.Duration
	HasPreferred bool
	// TrackGroup are the instances that depend on a static address; empty means none.
	TrackGroup string
}

// Peer is one unicast peer.
type Peer struct {
	Addr netip.Addr
	// MinTTL and MaxTTL bound the TTL of what is accepted from it: 0 and 255 unless given.
	MinTTL, MaxTTL uint8
}

// GARP is how a master announces its VIPs, by gratuitous ARP or unsolicited NA.
type GARP struct {
	// Delay is from becoming master to the second burst; 0 means no second burst.
	Delay time.Duration
	// Repeat is the number of packets for each VIP in a burst.
	Repeat int
	// Refresh is the interval of periodic bursts of RefreshRepeat packets; 0 means none.
	Refresh       time.Duration
	RefreshRepeat int
	// LowerPriorityDelay and LowerPriorityRepeat are the same for the burst that a master sends
	// when it hears a lower priority.
	LowerPriorityDelay  time.Duration
	LowerPriorityRepeat int
	// ARPInterval and NAInterval are the least times between two packets; 0 means at once.
	ARPInterval, NAInterval time.Duration
	// Least sends a single packet for each VIP and no second burst.
	Least bool
	// Extra announces VIPs again and again.
	Extra ExtraGARP
}

// ExtraGARP are announcements of VIPs that are on macvlans; Interval 0 means none.
type ExtraGARP struct {
	// All announces the others too.
	All      bool
	Interval time.Duration
}

// TrackInterface is a further interface of an instance.
type TrackInterface struct {
	Name string
	// Weight is -253 to 253: 0 puts the instance into fault when the interface is down; otherwise
	// it is added to the priority while up (positive) or while down (negative).
	Weight int
	// Reverse turns the sign of Weight over; without one it swaps up and down.
	Reverse bool
}

// VMAC is a macvlan with the virtual router's MAC address.
type VMAC struct {
	// Name of the macvlan; empty means vrrp.VRID.
	Name string
	// Parent is the interface under it; empty means the instance's.
	Parent string
	// MAC is its address: 6 octets, or 5 that the VRID completes; empty means the RFC's.
	MAC string
	// NotifyLink and Group are passed to the kernel.
	NotifyLink bool
	Group      int
	// AdvertsOnParent sends adverts from the parent interface (vmac_xmit_base).
	AdvertsOnParent bool
}

// IPVLAN is an ipvlan for the VIPs.
type IPVLAN struct {
	// Name of the ipvlan; empty means one that is made up.
	Name string
	// Address is its own; invalid means none.
	Address netip.Prefix
	// Mode is bridge, private or vepa; empty means bridge.
	Mode string
}

// Notify are scripts; a nil one is not run.
type Notify struct {
	Master, Backup, Fault, Stop, Any *Script
	// Deleted is run when a reload takes the instance out, LowerPriority when a master hears a
	// lower priority. TellDeleted tells the others of a deletion instead of a fault.
	Deleted, LowerPriority *Script
	TellDeleted            bool
	// Mail sends mail at transitions; unset means as Alerts say.
	Mail Switch
}

// Script is a command with the user that runs it.
type Script struct {
	// Args is the command with its arguments; never empty.
	Args []string
	// Account runs it; empty means the global one.
	Account Account
}

// SyncGroup is a set of instances that are master together.
type SyncGroup struct {
	// Pos is where the block starts.
	Pos Pos
	// Name is unique among the groups.
	Name string
	// Members are names of instances, at least one.
	Members []string
	// Notify are the scripts run at the group's transitions.
	Notify Notify
	// TrackInterfaces and Tracks are what the group depends on.
	TrackInterfaces []TrackInterface
	Tracks          Tracks
	// GlobalTracking shares the trackers of the members, OwnWeights lets their weights differ.
	GlobalTracking, OwnWeights bool
	// PriorityChanges tells scripts and FIFOs of changes of the priority; unset means as Adverts
	// say.
	PriorityChanges Switch
}
