package instance

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
)

// thing is one part of what a master has in the kernel.
type thing interface {
	// String is the same for things that are the same.
	fmt.Stringer
	// put adds or renews it; a lease of zero is for ever.
	put(lease time.Duration) error
	// restore adds it unless it is there, and reports whether it was not.
	restore(lease time.Duration) (bool, error)
	// drop removes it; it may be absent.
	drop() error
}

// addressOn is a VIP on its device.
type addressOn struct {
	link Link
	vip  VIP
}

// String returns the VIP with everything that makes it another one.
func (a addressOn) String() string { return fmt.Sprintf("address %+v", a.vip) }

func (a addressOn) put(lease time.Duration) error {
	if h, ok := a.link.(Holder); ok {
		return h.PutAddr(a.vip.Prefix, a.vip.Options, lease)
	}
	return a.link.AddAddr(a.vip.Prefix, lease)
}

func (a addressOn) restore(lease time.Duration) (bool, error) {
	if h, ok := a.link.(Holder); ok {
		return h.RestoreAddr(a.vip.Prefix, a.vip.Options, lease)
	}
	return true, a.link.AddAddr(a.vip.Prefix, lease)
}

func (a addressOn) drop() error {
	if h, ok := a.link.(Holder); ok {
		return h.DropAddr(a.vip.Prefix, a.vip.Options)
	}
	return a.link.RemoveAddr(a.vip.Prefix)
}

// routeOn is a route of a link's host.
type routeOn struct {
	link  Link
	route netif.Route
	// there is set once it was put: then it is only looked after, for those who listen to the
	// kernel hear of every replacement.
	there bool
}

// String returns the route as iproute2 writes it.
func (r *routeOn) String() string { return "route " + r.route.String() }

func (r *routeOn) put(time.Duration) error {
	if r.there {
		_, err := r.restore(0)
		return err
	}
	g, err := guide(r.link)
	if err == nil {
		err = g.PutRoute(r.route)
	}
	r.there = err == nil
	return err
}

func (r *routeOn) restore(time.Duration) (bool, error) {
	g, err := guide(r.link)
	if err != nil {
		return false, err
	}
	return g.RestoreRoute(r.route)
}

func (r *routeOn) drop() error {
	r.there = false
	g, err := guide(r.link)
	if err != nil {
		return err
	}
	return g.DropRoute(r.route)
}

// ruleOn is a rule of a link's host.
type ruleOn struct {
	link Link
	rule netif.Rule
}

// String returns the rule as iproute2 writes it.
func (r ruleOn) String() string { return "rule " + r.rule.String() }

func (r ruleOn) put(time.Duration) error {
	_, err := r.restore(0)
	return err
}

func (r ruleOn) restore(time.Duration) (bool, error) {
	g, err := guide(r.link)
	if err != nil {
		return false, err
	}
	return g.RestoreRule(r.rule)
}

func (r ruleOn) drop() error {
	g, err := guide(r.link)
	if err != nil {
		return err
	}
	return g.DropRule(r.rule)
}

func guide(l Link) (Guide, error) {
	if g, ok := l.(Guide); ok {
		return g, nil
	}
	return nil, errors.New("the link has no routes")
}

// macvlanOn is the interface of a virtual router, a macvlan or an ipvlan.
type macvlanOn struct {
	link Link
	vmac netif.Macvlan
}

// String returns, for example, "macvlan vrrp.51 on eth0 with 00:00:5e:00:01:33".
func (m macvlanOn) String() string { return m.vmac.Kind() + " " + m.vmac.String() }

func (m macvlanOn) put(time.Duration) error {
	s, err := stacker(m.link)
	if err == nil {
		err = s.PutMacvlan(m.vmac)
	}
	return err
}

func (m macvlanOn) restore(time.Duration) (bool, error) { return false, m.put(0) }

func (m macvlanOn) drop() error {
	s, err := stacker(m.link)
	if err == nil {
		err = s.DropMacvlan(m.vmac)
	}
	return err
}

func stacker(l Link) (Stacker, error) {
	if s, ok := l.(Stacker); ok {
		return s, nil
	}
	return nil, errors.New("the link has no macvlans")
}

// shieldOn keeps the network away from an address.
type shieldOn struct {
	link   Link
	shield netif.Shield
	// looked is when it was last looked after: firewalls change seldom.
	looked time.Time
}

// lookAtShieldEvery is how often a shield is looked after.
const lookAtShieldEvery = 5 * time.Second

// String returns, for example, "shield 192.168.1.1 in table tandem".
func (s *shieldOn) String() string { return "shield " + s.shield.String() }

func (s *shieldOn) put(time.Duration) error {
	if time.Since(s.looked) < lookAtShieldEvery {
		return nil
	}
	shielder, err := shielder(s.link)
	if err == nil {
		err = shielder.PutShield(s.shield)
	}
	if err == nil {
		s.looked = time.Now()
	}
	return err
}

func (s *shieldOn) restore(time.Duration) (bool, error) { return false, s.put(0) }

func (s *shieldOn) drop() error {
	s.looked = time.Time{}
	shielder, err := shielder(s.link)
	if err == nil {
		err = shielder.DropShield(s.shield)
	}
	return err
}

func shielder(l Link) (Shielder, error) {
	if s, ok := l.(Shielder); ok {
		return s, nil
	}
	return nil, errors.New("the link has no firewall")
}

// shields returns what keeps the network away from the VIPs, if anything does.
func (c Config) shields() []netif.Shield {
	var all []netif.Shield
	for _, v := range c.addresses() {
		s := netif.Shield{Table: c.ShieldTable, Priority: c.ShieldPriority,
			Counters: c.ShieldCounters, Addr: v.Prefix.Addr()}
		if c.ShieldTable != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// settingOn is a setting of a device.
type settingOn struct {
	link    Link
	device  string
	setting netif.Setting
	held    bool
}

// String returns, for example, "setting eth0 ipv4 promote_secondaries = 1".
func (s *settingOn) String() string { return fmt.Sprintf("setting %s %s", s.device, s.setting) }

func (s *settingOn) put(time.Duration) error {
	if s.held {
		return nil
	}
	setter, err := setter(s.link)
	if err == nil {
		err = setter.Hold(s.setting)
	}
	s.held = err == nil
	return err
}

func (s *settingOn) restore(time.Duration) (bool, error) { return false, s.put(0) }

func (s *settingOn) drop() error {
	if !s.held {
		return nil
	}
	setter, err := setter(s.link)
	if err == nil {
		err = setter.Release(s.setting)
	}
	s.held = err != nil
	return err
}

func setter(l Link) (Setter, error) {
	if s, ok := l.(Setter); ok {
		return s, nil
	}
	return nil, errors.New("the link has no settings")
}

// settings returns which settings the master has, on which devices.
func (c Config) settings() []HeldSetting {
	var all []HeldSetting
	for _, v := range c.macvlans() {
		for _, s := range v.ParentSettings() {
			if h := (HeldSetting{Device: v.Parent, Setting: s}); !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	if !c.PromoteSecondaries {
		return all
	}
	for _, v := range c.located() {
		if _, made := c.macvlan(v.Device); made { // it has that always
			continue
		}
		s := HeldSetting{Device: v.Device, Setting: netif.Setting{
			Family: "ipv4", Name: "promote_secondaries", Value: "1",
		}}
		if v.Prefix.Addr().Is4() && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// things returns what the master has, in the order in which it is added: addresses need their
// interfaces and their shields, routes the addresses.
func (c Config) things(links Links) []thing {
	var all []thing
	for _, s := range c.settings() {
		all = append(all, &settingOn{link: links(s.Device), device: s.Device, setting: s.Setting})
	}
	for _, v := range c.macvlans() {
		all = append(all, macvlanOn{links(v.Parent), v})
	}
	for _, s := range c.shields() {
		all = append(all, &shieldOn{link: links(c.Interface), shield: s})
	}
	for _, v := range c.located() {
		all = append(all, addressOn{links(v.Device), v})
	}
	for _, r := range c.Routes {
		all = append(all, &routeOn{link: links(c.Interface), route: r})
	}
	for _, r := range c.Rules {
		all = append(all, ruleOn{links(c.Interface), r})
	}
	return all
}
