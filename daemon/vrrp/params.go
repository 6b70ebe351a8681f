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

// calm is how long a master that has answered an advert answers no other.
const calm = 100 * time.Millisecond

// doubtsMost is how many grace periods in a row silence is doubted for. One is for this process
// having slept, one more for that it may have done so again.
const doubtsMost = 2

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
	// AnnounceRefresh is how often a master announces again for as long as it lasts. Zero is never.
	AnnounceRefresh time.Duration
	// LowerPrioAnnounceDelay is when a master that has heard a lower one, and has announced at
	// once, announces again. Zero is never.
	LowerPrioAnnounceDelay time.Duration
	// LowerPrioNoAdvert has a master that hears a lower one wait for its next advert instead of
	// sending one at once.
	LowerPrioNoAdvert bool
	// HigherPrioSendAdvert has a master that hears a higher one send a last advert.
	HigherPrioSendAdvert bool
	// LatePriority is the highest priority of the other routers, 1 to 254: a master that has slept
	// for as long as such a backup waits takes itself for replaced and steps back. Zero is that of
	// any router, whose skew is next to nothing. As keepalived's timer_expired_backup, but that
	// without the keyword this happens too.
	LatePriority uint8
	// OwnerIgnoreAdverts has a router of priority 255 drop what it hears.
	OwnerIgnoreAdverts bool
	// SkipCheckAddrs compares the addresses of a router's adverts only when another router has
	// been heard before it.
	SkipCheckAddrs bool
	// Strict refuses what the RFCs refuse and routers in the field do not: other addresses than
	// one's own, unless from their owner (RFC 3768, Section 7.1), unicast through a router, and
	// IPv6 adverts whose first address is not link-local.
	Strict bool
	// FastTakeover has a backup that hears the master which it follows resign, by an advert of
	// priority 0, take over at once instead of after its skew time, which is there for several
	// backups to take turns. Nothing on the wire differs, so the master need not know of it. It is
	// for networks of two routers: with more, of which several do this, as many are master until
	// they hear each other's first advert, and all but the highest let go of their VIPs 100 ms
	// later; with a higher one that does not, the VIPs move twice. Whoever resigns without being
	// the master is waited for as ever. The silence of a dead master is not shortened.
	FastTakeover bool
	// Unicast says that adverts come from configured peers, perhaps through routers: any TTL will
	// do. Adverts sent to a multicast group are dropped then, and unicast ones otherwise.
	Unicast bool
	// Peers are the routers that unicast adverts come from.
	Peers []Peer
	// FaultNoPeer has a unicast router without Peers be in Fault for ever.
	FaultNoPeer bool
	// CheckUnicastSource drops unicast adverts of others than the Peers.
	CheckUnicastSource bool
}

// Peer is one router of a unicast network.
type Peer struct {
	Addr netip.Addr
	// MinTTL and MaxTTL are what its adverts may arrive with; a MaxTTL of zero is 255.
	MinTTL, MaxTTL uint8
}

// String returns, for example, "192.168.1.3".
func (p Peer) String() string { return p.Addr.String() }

func (p Peer) mostTTL() int {
	if p.MaxTTL == 0 {
		return TTL
	}
	return int(p.MaxTTL)
}

// accepts reports whether an advert of p may arrive with this TTL.
func (p Peer) accepts(ttl int) bool {
	return ttl >= int(p.MinTTL) && ttl <= p.mostTTL()
}

// ttls returns, for example, "250 to 255".
func (p Peer) ttls() string { return fmt.Sprintf("%d to %d", p.MinTTL, p.mostTTL()) }

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
	errs = append(errs, c.validateExtras()...)
	c = c.withDefaults()
	if err := c.encodes(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// validateExtras is Validate of what RFC 9568 does not know.
func (c Config) validateExtras() []error {
	var errs []error
	if c.AnnounceRefresh < 0 {
		errs = append(errs, fmt.Errorf("announce refresh %s: want 0 or more", c.AnnounceRefresh))
	}
	if c.LowerPrioAnnounceDelay < 0 {
		errs = append(errs, fmt.Errorf("announce delay for lower priority %s: want 0 or more",
			c.LowerPrioAnnounceDelay))
	}
	if c.FastTakeover && len(c.Peers) > 1 {
		errs = append(errs, fmt.Errorf("fast takeover with %d peers: want one", len(c.Peers)))
	}
	if c.LatePriority == PriorityOwner {
		errs = append(errs, fmt.Errorf("late priority %d: want 0 to 254", c.LatePriority))
	}
	if c.CheckUnicastSource && (!c.Unicast || len(c.Peers) == 0) && !c.lonely() {
		errs = append(errs, errors.New("check unicast source: want unicast peers"))
	}
	for _, p := range c.Peers {
		if int(p.MinTTL) > p.mostTTL() {
			errs = append(errs, fmt.Errorf("peer %s: ttl %s: want the lower first", p, p.ttls()))
		}
	}
	if c.Strict && len(c.Addrs) > 0 && foreignFirst(c.Addrs) {
		errs = append(errs, fmt.Errorf("first address %s: want a link-local one", c.Addrs[0]))
	}
	return errs
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
	c.Addrs, c.Peers = slices.Clone(c.Addrs), slices.Clone(c.Peers)
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

// lonely reports whether c has to have peers and has none.
func (c Config) lonely() bool { return c.FaultNoPeer && c.Unicast && len(c.Peers) == 0 }

// lasting returns why a router of c cannot take part, whatever happens, or zero.
func (c Config) lasting() Reason {
	if c.lonely() {
		return ReasonNoPeer
	}
	return 0
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
func (c Config) skew(master time.Duration) time.Duration { return c.skewOf(c.Priority, master) }

// skewOf is the skew of another router of c's network.
func (c Config) skewOf(priority uint8, master time.Duration) time.Duration {
	return skewIn(c.Version, priority, master)
}

func skewIn(v Version, priority uint8, master time.Duration) time.Duration {
	if v == V2 {
		master = time.Second
	}
	return time.Duration(256-int(priority)) * master / 256
}

// succession is how long after the resignation of the master that it follows to take over. Nobody
// else does in a network of two.
func (c Config) succession(master time.Duration) time.Duration {
	if c.FastTakeover {
		return 0
	}
	return c.skew(master)
}

// down is the silence after which the master is taken for dead.
//
// RFC 9568, Section 6.1: "Active_Down_Interval: (3 * Active_Adver_Interval) + Skew_time".
func (c Config) down(master time.Duration) time.Duration { return c.timing().down(master) }

// timing is what of a Config says how long a silence may be: a sixth of it.
type timing struct {
	version     Version
	priority    uint8
	downAdverts int
	interval    time.Duration
}

func (c Config) timing() timing { return timing{c.Version, c.Priority, c.DownAdverts, c.Interval} }

// down is Config's.
func (t timing) down(master time.Duration) time.Duration {
	return time.Duration(t.downAdverts)*master + skewIn(t.version, t.priority, master)
}

// grace is the silence after which a Machine that has reason to doubt its own clock or its group's
// last news takes the master for dead: a live master is heard within its interval.
func (c Config) grace(master time.Duration) time.Duration { return master + c.skew(master) }

// tolerance is how late a Machine may be stepped before that is a stall. Half an interval is far
// more than a loaded host's timers need and less than a backup's margin for one lost advert.
func (c Config) tolerance(master time.Duration) time.Duration { return master / 2 }

// asleep is the silence of a master after which a backup may have taken over: the shortest
// master-down interval there is, that of a backup of the highest priority there is.
func (c Config) asleep() time.Duration {
	silence := time.Duration(c.DownAdverts) * c.Interval
	if c.LatePriority != 0 {
		silence += c.skewOf(c.LatePriority, c.Interval)
	}
	return silence
}

// patience is how long a leaving master waits for its successor: the longest skew there is, and
// half a second for the successor to wake up and act.
func (c Config) patience() time.Duration {
	longest := c.Interval
	if c.Version == V2 {
		longest = time.Second
	}
	return longest + 500*time.Millisecond
}
