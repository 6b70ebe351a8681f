package vrrp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Defaults of Config's fields.
const (
	// DefaultAnnounceDelay is when a new master announces its VIPs a second time.
	DefaultAnnounceDelay = 5 * time.Second
	// DefaultDownAdverts is how many intervals of silence make a master dead.
	DefaultDownAdverts = 3
)

// linger is how long a leaving master keeps its VIPs after its successor's first advert, so that
// the successor has added them. It is short, for in that time both answer ARP requests.
const linger = 100 * time.Millisecond

// Config is what a Machine is told once. NewMachine and NewGroup copy it.
type Config struct {
	// Version is V2 or V3.
	Version Version
	// VRID is 1 to 255.
	VRID uint8
	// Priority is 1 to 255; 255 owns the addresses.
	Priority uint8
	// Interval is between two adverts of this Machine as master: whole seconds up to 255 in V2,
	// whole centiseconds up to 40.95 s in V3.
	Interval time.Duration
	// Source is the address that its adverts come from. It may be invalid until SetSource.
	Source netip.Addr
	// Addrs are the VIPs that it advertises, at least one, all of one family.
	Addrs []netip.Addr
	// Auth and Password are for V2.
	Auth     AuthType
	Password Password
	// Checksum is the form of the adverts sent; zero is ChecksumPseudo, as keepalived sends.
	Checksum ChecksumForm
	// NoPreempt lets a lower master be, except by the owner.
	NoPreempt bool
	// PreemptDelay is how long a lower master is let be.
	PreemptDelay time.Duration
	// DownAdverts is how many intervals of silence make a master dead, 1 to 100. Zero is 3. As
	// keepalived's vrrp_down_timer_adverts; all routers of one VRID should agree.
	DownAdverts int
	// AnnounceDelay is when a new master announces again. Zero is 5 s, negative is never.
	AnnounceDelay time.Duration
	// Unicast says that adverts come from configured peers, perhaps through routers: their TTL
	// is not checked.
	Unicast bool
}

// Validate returns everything that is wrong with c, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	if c.Priority == 0 {
		errs = append(errs, errors.New("priority 0: want 1 to 255"))
	}
	if c.PreemptDelay < 0 {
		errs = append(errs, fmt.Errorf("preempt delay %s: want 0 or more", c.PreemptDelay))
	}
	if c.DownAdverts < 0 || c.DownAdverts > 100 {
		errs = append(errs, fmt.Errorf("down adverts %d: want 1 to 100", c.DownAdverts))
	}
	c = c.withDefaults()
	if err := c.encodes(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// encodes tries c's advert on the wire. An unknown source is taken to be of the VIPs' family.
func (c Config) encodes() error {
	src := c.Source
	if !src.IsValid() && len(c.Addrs) > 0 {
		src = c.Addrs[0]
	}
	if !src.IsValid() {
		return errors.New("no address to advertise: want at least one")
	}
	_, err := c.advert(c.Priority).Append(nil, src, MulticastAddr(src))
	return err
}

// withDefaults returns c with its zero fields set and its slices its own.
func (c Config) withDefaults() Config {
	c.Addrs = slices.Clone(c.Addrs)
	if c.Checksum == 0 {
		c.Checksum = ChecksumPseudo
	}
	if c.DownAdverts == 0 {
		c.DownAdverts = DefaultDownAdverts
	}
	if c.AnnounceDelay == 0 {
		c.AnnounceDelay = DefaultAnnounceDelay
	}
	return c
}

// advert returns the advert that c sends with priority.
func (c Config) advert(priority uint8) Advert {
	return Advert{
		Version: c.Version, VRID: c.VRID, Priority: priority, Interval: c.Interval,
		Addrs: c.Addrs, Auth: c.Auth, Password: c.Password, Checksum: c.Checksum,
	}
}

// skew is how much later than others a router of this priority takes over: the lower, the later.
// It is computed in nanoseconds, for in centiseconds it would be 0 at the shortest intervals.
//
// RFC 9568, Section 6.1: "Skew_Time: (((256 - priority) * Active_Adver_Interval) / 256)".
// RFC 3768, Section 6.1: "Skew_Time: ( (256 - Priority) / 256 )", in seconds.
func (c Config) skew(master time.Duration) time.Duration {
	if c.Version == V2 {
		master = time.Second
	}
	return time.Duration(256-int(c.Priority)) * master / 256
}

// down is the silence after which the master is taken for dead.
//
// RFC 9568, Section 6.1: "Active_Down_Interval: (3 * Active_Adver_Interval) + Skew_time".
func (c Config) down(master time.Duration) time.Duration {
	return time.Duration(c.DownAdverts)*master + c.skew(master)
}

// grace is the silence after which a Machine that has reason to doubt its own clock or its group's
// last news takes the master for dead: a live master is heard within its interval.
func (c Config) grace(master time.Duration) time.Duration { return master + c.skew(master) }

// tolerance is how late a Machine may be stepped before that is a stall. Half an interval is far
// more than a loaded host's timers need and less than a backup's margin for one lost advert.
func (c Config) tolerance(master time.Duration) time.Duration { return master / 2 }

// asleep is the silence of a master after which any backup may have taken over: the shortest
// master-down interval there is, that of a backup whose skew is next to nothing.
func (c Config) asleep() time.Duration { return time.Duration(c.DownAdverts) * c.Interval }

// patience is how long a leaving master waits for its successor: the longest skew there is, and
// half a second for the successor to wake up and act.
func (c Config) patience() time.Duration {
	longest := c.Interval
	if c.Version == V2 {
		longest = time.Second
	}
	return longest + 500*time.Millisecond
}
