package instance

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Claim is what an instance has on the network, or is about to have: all that another process needs
// to resign for it and to take back what it holds. It is JSON both ways.
type Claim struct {
	// Instance is the name of the instance, Group that of its sync group, if any.
	Instance, Group string `json:",omitzero"`
	// Held is whether it may have anything. Without it the other fields say what it had.
	Held bool `json:",omitzero"`
	// Interface carries the adverts; Index is the kernel's number for it when that was claimed.
	Interface string `json:",omitzero"`
	Index     int    `json:",omitzero"`
	// Version to Advertised are what its adverts say.
	Version  vrrp.Version  `json:",omitzero"`
	VRID     uint8         `json:",omitzero"`
	Priority uint8         `json:",omitzero"`
	Interval time.Duration `json:",omitzero"`
	// DownAdverts is how many of them may be missing; see vrrp.Config.
	DownAdverts int               `json:",omitzero"`
	Auth        vrrp.AuthType     `json:",omitzero"`
	Password    vrrp.Password     `json:",omitzero"`
	Checksum    vrrp.ChecksumForm `json:",omitzero"`
	Advertised  []netip.Addr      `json:",omitzero"`
	// Source is where they come from, Dest the multicast group that they go to; invalid if they go
	// to Peers instead.
	Source, Dest netip.Addr   `json:",omitzero"`
	Peers        []netip.Addr `json:",omitzero"`
	// TTL to VRF are of adverts to Peers; see Config.
	TTL         uint8       `json:",omitzero"`
	OldChecksum OldChecksum `json:",omitzero"`
	VRF         string      `json:",omitzero"`
	// Addresses are held, advertised or not, each with its device; then Routes and Rules.
	Addresses []VIP         `json:",omitzero"`
	Routes    []netif.Route `json:",omitzero"`
	Rules     []netif.Rule  `json:",omitzero"`
	// Macvlans are what some of the addresses are on. MAC is where adverts by multicast come from;
	// zero is the interface's own.
	Macvlans []netif.Macvlan `json:",omitzero"`
	MAC      netif.MAC       `json:",omitzero"`
	// Shields keep the network away from addresses.
	Shields []netif.Shield `json:",omitzero"`
	// Settings are held with them.
	Settings []HeldSetting `json:",omitzero"`
}

// HeldSetting is a setting of a device, and what it was before.
type HeldSetting struct {
	Device string
	netif.Setting
	Was string
}

// Resign sends the advert of priority 0 that ends the instance's mastership, so that a backup need
// not wait for silence. Nothing else is touched.
func (c Claim) Resign(links Links) error { return c.send(links, vrrp.PriorityResign) }

// Withdraw takes back everything that the claim names, the last first. What is not there is no
// error.
func (c Claim) Withdraw(links Links) error {
	var errs []error
	for _, t := range slices.Backward(c.things(links)) {
		errs = append(errs, t.drop())
	}
	for _, s := range c.Settings {
		if s.Was == "" { // nobody knows
			continue
		}
		setter, err := setter(links(s.Device))
		if err == nil {
			err = setter.Restore(s.Setting, s.Was)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// things returns what the claim names, but for settings, in the order in which it is added.
func (c Claim) things(links Links) []thing {
	var all []thing
	for _, v := range c.Macvlans {
		all = append(all, macvlanOn{links(v.Parent), v})
	}
	for _, s := range c.Shields {
		all = append(all, &shieldOn{link: links(c.Interface), shield: s})
	}
	held := Config{Interface: c.Interface, VIPs: c.Addresses, Routes: c.Routes, Rules: c.Rules}
	return append(all, held.things(links)...)
}

// inherit takes over what claims name that were made before: what no member is to have is removed,
// of the rest it is learnt what was there before. The keeper does not run yet.
func (r *Runner) inherit() {
	var wanted []thing
	for _, h := range r.keeper.kept {
		wanted = append(wanted, h.things...)
	}
	for _, c := range r.legacy {
		for _, t := range slices.Backward(c.things(r.links)) {
			if contains(wanted, t) {
				continue
			}
			if err := t.drop(); err != nil {
				r.warn(r.members[0], "not removed after an earlier run", "what", t.String(), "err", err)
			}
		}
		for _, s := range c.Settings {
			if setter, err := setter(r.links(s.Device)); err == nil && s.Was != "" {
				setter.Inherit(s.Setting, s.Was)
			}
		}
	}
}

// advert returns the advert of that priority.
func (c Claim) advert(priority uint8) vrrp.Advert {
	return vrrp.Advert{
		Version: c.Version, VRID: c.VRID, Priority: priority, Interval: c.Interval,
		Addrs: c.Advertised, Auth: c.Auth, Password: c.Password, Checksum: c.Checksum,
	}
}

// config returns what sending needs.
func (c Claim) config() Config {
	router := vrrp.Config{
		Version: c.Version, VRID: c.VRID, Addrs: c.Advertised, Unicast: !c.Dest.IsValid(),
	}
	for _, p := range c.Peers {
		router.Peers = append(router.Peers, vrrp.Peer{Addr: p})
	}
	cfg := Config{
		Interface: c.Interface, Router: router, Group: c.Dest,
		UnicastTTL: c.TTL, OldChecksum: c.OldChecksum, VRF: c.VRF,
	}
	if c.MAC != (netif.MAC{}) {
		cfg.VMAC = &netif.Macvlan{MAC: c.MAC}
	}
	return cfg
}

// claiming returns what m has with its configuration, its priority and its link of now.
func (r *Runner) claiming(m *member) Claim {
	a := m.cfg.Router
	c := Claim{
		Instance: m.cfg.Name, Group: m.status.Group, Held: m.holds,
		Interface: m.cfg.Interface, Index: m.link.Index,
		Version: a.Version, VRID: a.VRID, Interval: a.Interval, DownAdverts: a.DownAdverts,
		Priority: r.group.Member(m.index).Priority(),
		Auth:     a.Auth, Password: a.Password, Checksum: a.Checksum,
		Advertised: slices.Clone(a.Addrs), Source: m.source,
	}
	if c.Checksum == 0 {
		c.Checksum = vrrp.ChecksumPseudo
	}
	if a.Unicast {
		c.Peers, c.TTL, c.OldChecksum = m.cfg.destinations(), m.cfg.UnicastTTL, m.cfg.OldChecksum
		c.VRF = m.cfg.VRF
	} else {
		c.Dest, c.MAC = m.cfg.group(), m.cfg.endpoint().MAC
	}
	for _, cfg := range append([]Config{*m.cfg}, m.stale...) {
		c.add(cfg)
	}
	for i := range c.Settings {
		c.Settings[i].Was = r.before(m, c.Settings[i])
	}
	return c
}

// add adds what the master of that configuration has to what there is already.
func (c *Claim) add(cfg Config) {
	for _, v := range cfg.located() {
		if !slices.Contains(c.Addresses, v) {
			c.Addresses = append(c.Addresses, v)
		}
	}
	for _, route := range cfg.Routes {
		same := func(o netif.Route) bool { return o.String() == route.String() }
		if !slices.ContainsFunc(c.Routes, same) {
			c.Routes = append(c.Routes, route)
		}
	}
	for _, rule := range cfg.Rules {
		same := func(o netif.Rule) bool { return o.String() == rule.String() }
		if !slices.ContainsFunc(c.Rules, same) {
			c.Rules = append(c.Rules, rule)
		}
	}
	for _, s := range cfg.shields() {
		if !slices.Contains(c.Shields, s) {
			c.Shields = append(c.Shields, s)
		}
	}
	for _, v := range cfg.macvlans() {
		if !slices.Contains(c.Macvlans, v) {
			c.Macvlans = append(c.Macvlans, v)
		}
	}
	for _, s := range cfg.settings() {
		if !slices.Contains(c.Settings, s) {
			c.Settings = append(c.Settings, s)
		}
	}
}

// before returns what the setting was before the instance became master.
func (r *Runner) before(m *member, s HeldSetting) string {
	if was, known := m.before[s]; known {
		return was
	}
	setter, err := setter(r.links(s.Device))
	if err != nil {
		return ""
	}
	was, err := setter.Before(s.Setting)
	if err != nil { // putting it will fail too, and say so
		return ""
	}
	if m.before == nil {
		m.before = map[HeldSetting]string{}
	}
	m.before[s] = was
	return was
}

// claim tells what m holds now, unless that has been told.
func (r *Runner) claim(m *member) {
	if r.claims == nil {
		return
	}
	if c := r.claiming(m); m.claimed == nil || !reflect.DeepEqual(c, *m.claimed) {
		m.claimed = &c
		r.claims(c)
	}
}

// reclaim tells what a step may have changed of what m claims.
func (r *Runner) reclaim(m *member, machine *vrrp.Machine) {
	was := m.claimed
	if m.holds && (was == nil || was.Priority != machine.Priority() || was.Source != m.source ||
		was.Index != m.link.Index) {
		r.claim(m)
	}
}

// settled notes that the keeper has done what it was told, and tells what m has let go of.
func (r *Runner) settled(m *member, s settled) {
	if s.turn != m.turn {
		return // there is more to do
	}
	m.stale, m.settledTurn = nil, s.turn
	m.inPlace = m.holds
	if m.unseen && m.holds {
		r.keeper.tell(order{verb: orderRestore, member: m.index, deleted: m.deleted})
	}
	m.unseen, m.deleted = false, nil
	if m.holds || m.claimed != nil && m.claimed.Held {
		r.claim(m)
	}
}
