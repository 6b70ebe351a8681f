// Package instance drives VRRP on the network: one Runner for each sync group, or for each
// instance that is in none. It carries out what vrrp decides and decides nothing itself.
//
// One goroutine at a time owns a group, its timers and its sockets, in turns: those of all Runners
// are taken by one, see Crowd, and nothing in them waits for anybody. Addresses and announcements
// are changed by a second goroutine, the keeper. The leases of the VIPs
// are renewed by one for all groups, but those of each only as often as its own one turns: a stuck
// daemon loses its VIPs to the kernel's clock. Logs and callbacks have a third. See Runner.
package instance

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Defaults of Config's fields.
const (
	// DefaultAnnounceRepeat is how many gratuitous ARPs each announcement sends for each VIP.
	DefaultAnnounceRepeat = 5
	// MinLease is the shortest lease that the kernel, which counts in seconds, can keep without
	// losing addresses to a slow second.
	MinLease = 3 * time.Second
)

// VIP is an address that the master has.
type VIP struct {
	// Prefix is the address and its prefix length, /32 by custom.
	Prefix netip.Prefix `json:",omitzero"`
	// Device is the interface that gets it; empty is the instance's own.
	Device string `json:",omitzero"`
	// Options are its finer points.
	Options netif.AddrOptions `json:",omitzero"`
	// NoTrack leaves it to the next renewal, or repair, to put it back when somebody has deleted
	// it; without it that happens at once.
	NoTrack bool `json:",omitzero"`
}

// OldChecksum says what the checksum of unicast adverts of VRRPv3 over IPv4 covers: very old
// routers take the multicast group for their destination, whatever it is.
type OldChecksum uint8

// The forms. Zero speaks to each as it speaks, and hears both.
const (
	// OldChecksumFoundOut is what peers are heard to do.
	OldChecksumFoundOut OldChecksum = iota
	// OldChecksumNever is the form of today only.
	OldChecksumNever
	// OldChecksumAlways sends the old form; both are heard.
	OldChecksumAlways
)

// Config is one VRRP instance.
type Config struct {
	// Name is for logs, callbacks and status; unique among all instances.
	Name string
	// Interface is where adverts are sent and received. It need not exist yet.
	Interface string
	// Router is the protocol's part. Its Addrs are taken from VIPs when it has none. A Source
	// that is set must be an address of the interface; else the first one that is no VIP is used.
	Router vrrp.Config
	// VIPs are advertised, Excluded are not; the master has both.
	VIPs, Excluded []VIP
	// Routes and Rules are the master's too.
	Routes []netif.Route
	Rules  []netif.Rule
	// VMAC, if not nil, is an interface that the master makes and that its VIPs are on, instead of
	// Interface. AdvertsOnParent sends adverts from Interface's MAC address instead of VMAC's; those
	// by unicast always are.
	VMAC            *netif.Macvlan
	AdvertsOnParent bool
	// AddrVMACs are likewise for the VIPs on other interfaces, their parents; those without one have
	// their VIPs on them themselves.
	AddrVMACs []netif.Macvlan
	// StepDown has a master resign whose VIP somebody deletes, unless that is NoTrack; otherwise it
	// only puts it back.
	StepDown bool
	// DontTrackPrimary has the instance take part while Interface is down, if it is there.
	DontTrackPrimary bool
	// HearAll has the instance hear the adverts of virtual routers that are neither its own nor among
	// Siblings, those of the host's other instances on the interface. They are counted as DropVRID and
	// logged; without it the kernel keeps them away.
	HearAll  bool
	Siblings []uint8
	// VRF, if not empty, is the device of the routing domain that unicast adverts are sent and heard
	// in, instead of Interface alone.
	VRF string
	// ShieldTable, if not empty, is the nftables table that keeps what comes from the network away
	// from the VIPs while the instance is master, ShieldPriority that of its chain.
	// ShieldCounters has it count what it keeps away, from when the table is made.
	ShieldTable    string
	ShieldPriority int32
	ShieldCounters bool
	// PromoteSecondaries has the kernel keep, while the instance is master, the other IPv4 addresses
	// of a network when the first one goes, on all devices of the VIPs.
	PromoteSecondaries bool
	// Lease is how long the kernel keeps the addresses of a daemon that does not renew them.
	// Zero is DefaultLease; negative is for ever, as keepalived's.
	Lease time.Duration
	// Group is where multicast adverts go; invalid is the standard group of the family. With
	// Router.Unicast they go to Router.Peers instead, with UnicastTTL; zero is 255.
	Group      netip.Addr
	UnicastTTL uint8
	// OldChecksum is for unicast adverts.
	OldChecksum OldChecksum
	// AnnounceRepeat is how many gratuitous ARPs, or neighbor advertisements, an announcement sends
	// for each VIP; zero is 5. RefreshRepeat is that of a refresh, zero is 1; LowerRepeat that of
	// a master which hears a lower one, zero is AnnounceRepeat.
	AnnounceRepeat, RefreshRepeat, LowerRepeat int
	// ARPInterval and NAInterval are between two of them on one device, those of other instances
	// included; zero is none. PaceGroups are devices that share a pace.
	ARPInterval, NAInterval time.Duration
	PaceGroups              []PaceGroup
	// ExtraEvery, if not zero, has a master announce its VIPs again and again, once each, so that
	// switches do not forget where they are: those on VMAC and AddrVMACs, with ExtraAll all of them.
	ExtraEvery time.Duration
	ExtraAll   bool
}

// DefaultLease returns four intervals, rounded up to seconds, but at least MinLease: longer than any
// peer waits before it takes over, so that the kernel goes on forwarding for a dead daemon until the
// peer does.
func DefaultLease(interval time.Duration) time.Duration {
	lease := (4*interval + time.Second - 1).Truncate(time.Second)
	return max(lease, MinLease)
}

// Group is the instances of one Runner: a sync group, or a single instance.
type Group struct {
	// Name is the sync group's; empty for a single instance.
	Name string
	// Members are at least one. More than one are master together or not at all.
	Members []Config
	// OnTransition is called for every change of state, one call at a time and in order, from a
	// goroutine that nothing else waits for. It may be nil. Run returns after the last call.
	OnTransition func(Transition)
	// OnContested is called likewise with the name and the priority of a member that is master and
	// has heard a lower one, at most once in an interval. It may be nil.
	OnContested func(name string, priority uint8)
	// OnRefused is called likewise with the name of a member that has refused an advert of its
	// virtual router, whose it was and why, at most once a second. It may be nil.
	OnRefused func(name string, from netip.Addr, why vrrp.DropReason)
	// Claims is called by the goroutine of Run, and must not block: just before a member takes its
	// VIPs, just after it has let go of them, and when what it claims has changed. Nil is nobody.
	Claims func(Claim)
	// Resume has the group begin as master, with the VIPs as they are: it takes the place of one
	// that died as master moments ago.
	Resume bool
	// NotBefore is until when a silence proves nothing: before it the group becomes master of no
	// router that it has not heard resign. Zero is no such time; Resume goes before it.
	NotBefore time.Time
	// Inherited are the last claims of the one that died, if they are known: Run begins by removing
	// what they name and no member is to have, and restores in the end what they say was there.
	Inherited []Claim
	// Log gets one line a transition. Nil is slog.Default.
	Log *slog.Logger
}

// Transition is a change of state of one instance.
type Transition struct {
	// Instance is the name of the instance, Group that of its sync group, if any.
	Instance, Group string
	From, To        vrrp.State
	Reason          vrrp.Reason
	// Priority is what the instance advertises.
	Priority uint8
	// Time is when it was decided.
	Time time.Time
}

// validate returns everything that is wrong with g.
func (g Group) validate() error {
	var errs []error
	if len(g.Members) == 0 {
		errs = append(errs, errors.New("no member"))
	}
	names := map[string]bool{}
	for _, c := range g.Members {
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("instance %q: named twice", c.Name))
		}
		names[c.Name] = true
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("instance %q: %w", c.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validate() error {
	var errs []error
	if c.Interface == "" {
		errs = append(errs, errors.New("no interface"))
	}
	for _, v := range c.addresses() {
		if !v.Prefix.IsValid() {
			errs = append(errs, fmt.Errorf("VIP %s: not an address", v.Prefix))
		}
	}
	errs = append(errs, c.validateAdverts(), c.validateAnnouncing(), c.validateRouting(),
		c.validateVMAC())
	if err := c.withDefaults().Router.Validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) validateVMAC() error {
	names, parents := map[string]bool{c.Interface: true}, map[string]bool{}
	for i, v := range c.macvlans() {
		if !v.Valid() || names[v.Name] {
			return fmt.Errorf(
				"%s %s: want a name, another interface under it and an address", v.Kind(), v)
		}
		names[v.Name] = true
		if c.VMAC != nil && i == 0 { // Interface has it, wherever it is
			continue
		}
		if parents[v.Parent] || v.Parent == c.Interface {
			return fmt.Errorf("%s %s: want one for each other interface", v.Kind(), v)
		}
		parents[v.Parent] = true
	}
	return nil
}

// macvlans returns the interfaces that the master makes; VMAC, if there is one, is the first.
func (c Config) macvlans() []netif.Macvlan {
	if c.VMAC == nil {
		return c.AddrVMACs
	}
	return append([]netif.Macvlan{*c.VMAC}, c.AddrVMACs...)
}

// macvlan returns the interface of that name, if the master makes it.
func (c Config) macvlan(name string) (netif.Macvlan, bool) {
	for _, v := range c.macvlans() {
		if v.Name == name {
			return v, true
		}
	}
	return netif.Macvlan{}, false
}

// validateAdverts checks where adverts come from and go to.
func (c Config) validateAdverts() error {
	var errs []error
	of6 := c.IPv6()
	if src := c.Router.Source; src.IsValid() && src.Is6() != of6 {
		errs = append(errs, fmt.Errorf("source %s: want one of the family of the VIPs", src))
	}
	if c.Group.IsValid() && (!c.Group.IsMulticast() || c.Group.Is6() != of6) {
		errs = append(errs, fmt.Errorf("group %s: want a multicast address of the family of the VIPs",
			c.Group))
	}
	if c.Router.Unicast && len(c.Router.Peers) == 0 && !c.Router.FaultNoPeer {
		errs = append(errs, errors.New("unicast without a peer"))
	}
	for _, p := range c.Router.Peers {
		if p.Addr.Is6() != of6 || !p.Addr.IsValid() || p.Addr.IsMulticast() {
			errs = append(errs, fmt.Errorf("peer %s: want a unicast address of the family of the VIPs",
				p.Addr))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validateRouting() error {
	var errs []error
	for _, r := range c.Routes {
		if err := r.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("route %s: %w", r, err))
		}
	}
	for _, r := range c.Rules {
		if err := r.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r, err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validateAnnouncing() error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int
	}{
		{"announce repeat", c.AnnounceRepeat}, {"refresh repeat", c.RefreshRepeat},
		{"lower repeat", c.LowerRepeat},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s %d: want 0 or more", n.name, n.value))
		}
	}
	intervals := []time.Duration{c.ARPInterval, c.NAInterval, c.ExtraEvery}
	for _, g := range c.PaceGroups {
		intervals = append(intervals, g.ARPInterval, g.NAInterval)
	}
	for _, d := range intervals {
		if d < 0 {
			errs = append(errs, fmt.Errorf("announce interval %s: want 0 or more", d))
		}
	}
	return errors.Join(errs...)
}

// IPv6 says whether the adverts are IPv6: the VIPs say.
func (c Config) IPv6() bool {
	switch {
	case len(c.Router.Addrs) > 0:
		return c.Router.Addrs[0].Is6()
	case len(c.VIPs) > 0:
		return c.VIPs[0].Prefix.Addr().Is6()
	}
	return false
}

// endpoint returns what the socket sends and hears.
func (c Config) endpoint() netif.Endpoint {
	e := netif.Endpoint{VRID: c.Router.VRID, IPv6: c.IPv6(), TTL: c.UnicastTTL}
	if c.HearAll {
		e.VRID = 0
	}
	if c.Router.Unicast {
		e.VRF = c.VRF
	} else {
		e.Group = c.group()
	}
	if c.VMAC != nil && !c.AdvertsOnParent {
		e.MAC = c.VMAC.MAC
	}
	return e
}

// group returns where multicast adverts go.
func (c Config) group() netip.Addr {
	switch {
	case c.Group.IsValid():
		return c.Group
	case c.IPv6():
		return vrrp.MulticastAddr(netip.IPv6Unspecified())
	}
	return vrrp.MulticastAddr(netip.IPv4Unspecified())
}

// destinations returns where adverts go.
func (c Config) destinations() []netip.Addr {
	if !c.Router.Unicast {
		return []netip.Addr{c.group()}
	}
	var peers []netip.Addr
	for _, p := range c.Router.Peers {
		peers = append(peers, p.Addr)
	}
	return peers
}

// withDefaults returns c with its zero fields set.
func (c Config) withDefaults() Config {
	if len(c.Router.Addrs) == 0 {
		for _, v := range c.VIPs {
			c.Router.Addrs = append(c.Router.Addrs, v.Prefix.Addr())
		}
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease(c.Router.Interval)
	}
	if c.AnnounceRepeat == 0 {
		c.AnnounceRepeat = DefaultAnnounceRepeat
	}
	if c.RefreshRepeat == 0 {
		c.RefreshRepeat = 1
	}
	if c.LowerRepeat == 0 {
		c.LowerRepeat = c.AnnounceRepeat
	}
	return c
}

// addresses returns all that the master has. They may be c's own, which are not to be changed.
func (c Config) addresses() []VIP {
	if len(c.Excluded) == 0 {
		return c.VIPs
	}
	return slices.Concat(c.VIPs, c.Excluded)
}

// located returns the same, each with its device.
func (c Config) located() []VIP {
	vips := slices.Concat(c.VIPs, c.Excluded)
	for i := range vips {
		vips[i].Device = c.locate(vips[i].Device)
	}
	return vips
}

// locate returns the device of a VIP that is to be on that one; empty is Interface.
func (c Config) locate(device string) string {
	if device == "" || device == c.Interface {
		if c.VMAC != nil {
			return c.VMAC.Name
		}
		return c.Interface
	}
	for _, v := range c.AddrVMACs {
		if v.Parent == device {
			return v.Name
		}
	}
	return device
}
