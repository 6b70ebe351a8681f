package snmp

import (
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
)

// Settings are what of a director managers may read, and whether they are told of anything.
type Settings struct {
	// VRRP and Checker are the two parts of keepalived's MIB: the second is
	// that of virtual services.
	VRRP, Checker bool
	// RFC2787 and RFC6527 are the MIBs of VRRP 2 and 3.
	RFC2787, RFC6527 bool
	Traps            bool
}

// Any says whether there is anything to read or to tell.
func (s Settings) Any() bool { return s.VRRP || s.Checker || s.RFC2787 || s.RFC6527 }

// SettingsOf returns what a configuration asks for.
func SettingsOf(c *config.SNMP) Settings {
	return Settings{VRRP: c.VRRP, Checker: c.Checker, RFC2787: c.RFC || c.RFCv2,
		RFC6527: c.RFC || c.RFCv3, Traps: c.Traps}
}

// The beginnings of names.

func mib2(more ...uint32) agentx.OID { return agentx.OID{1, 3, 6, 1, 2, 1}.With(more...) }

// enterprise is keepalived's: debian, project, keepalived.
func enterprise(more ...uint32) agentx.OID {
	return agentx.OID{1, 3, 6, 1, 4, 1, 9586, 100, 5}.With(more...)
}

// Subagent is the name of the director among subagents.
func Subagent() agentx.OID { return enterprise() }

// Regions returns the subtrees that there is something in.
func (s Settings) Regions() []agentx.OID {
	var all []agentx.OID
	if s.RFC2787 {
		all = append(all, mib2(68))
	}
	if s.RFC6527 {
		all = append(all, mib2(207))
	}
	if s.VRRP || s.Checker {
		all = append(all, enterprise(1))
	}
	if s.VRRP {
		all = append(all, enterprise(2))
	}
	if s.Checker {
		all = append(all, enterprise(3))
	}
	return all
}

// Link is an interface of the machine.
type Link struct {
	// Index is the kernel's number for it; 0 is that there is no such interface.
	Index int
	// MAC is its address; empty for none.
	MAC string
}

// View is a director at one moment. All but Config and Snapshot may be zero.
type View struct {
	Config   *config.Config
	Snapshot *status.Snapshot
	// Services has one entry for each of Config.VirtualServers: what the snapshot says of it, or
	// nil.
	Services []*status.Service
	// Links are the interfaces by name.
	Links map[string]Link
	// Values are the numbers in the files that are tracked, by name.
	Values map[string]int
	// Epoch is when sysUpTime was 0.
	Epoch time.Time
	Settings
}

// Tree returns what there is to read. It shares the memory of v, which is not to change any more.
func (v *View) Tree() agentx.Tree {
	var parts []part
	if v.VRRP || v.Checker {
		parts = append(parts, v.global()...)
	}
	if v.VRRP {
		parts = append(parts, v.vrrp()...)
	}
	if v.Checker {
		parts = append(parts, v.services()...)
	}
	instances := v.instances()
	if v.RFC2787 {
		parts = append(parts, v.rfc2787(instances)...)
	}
	if v.RFC6527 {
		parts = append(parts, v.rfc6527(instances)...)
	}
	return newTree(parts...)
}

// instance is an instance with what the snapshot says of it, nil if that is nothing.
type instance struct {
	number int // in the file, from 1
	config *config.Instance
	status *status.Instance
	view   *View
}

func (v *View) instances() []instance {
	known := make(map[string]*status.Instance, len(v.Snapshot.Instances))
	for i := range v.Snapshot.Instances {
		known[v.Snapshot.Instances[i].Name] = &v.Snapshot.Instances[i]
	}
	all := make([]instance, len(v.Config.Instances))
	for i := range v.Config.Instances {
		c := &v.Config.Instances[i]
		all[i] = instance{number: i + 1, config: c, status: known[c.Name], view: v}
	}
	return all
}

// state is that of the instance; INIT before it runs.
func (i *instance) state() status.State {
	if i.status == nil {
		return status.Init
	}
	return i.status.State
}

// index is an index of small numbers.
func index(ns ...int) agentx.OID {
	o := make(agentx.OID, len(ns))
	for i, n := range ns {
		o[i] = uint32(n)
	}
	return o
}

// The values of enumerations that are much alike.

// truth is a TruthValue, and enabled(1) or disabled(2), and every other that begins with yes.
func truth(yes bool) agentx.Value {
	if yes {
		return agentx.Int(1)
	}
	return agentx.Int(2)
}

// optional is a DisplayString that is not there if it is empty.
func optional(s string) agentx.Value {
	if s == "" {
		return agentx.Value{}
	}
	return agentx.Text(s)
}

// addressType is an InetAddressType: unknown(0), ipv4(1) or ipv6(2).
func addressType(a netip.Addr) agentx.Value { return agentx.Int(familyOf(a)) }

func familyOf(a netip.Addr) int {
	switch {
	case a.Is4():
		return 1
	case a.Is6():
		return 2
	}
	return 0
}

// address is an InetAddress, which is not there if there is none.
func address(a netip.Addr) agentx.Value {
	if !a.IsValid() {
		return agentx.Value{}
	}
	return agentx.Text(string(a.AsSlice()))
}

func seconds(d time.Duration) agentx.Value { return agentx.Gauge(uint64(d / time.Second)) }

func microseconds(d time.Duration) agentx.Value {
	return agentx.Gauge(uint64(max(d, 0) / time.Microsecond))
}

// ticks is a TimeStamp: sysUpTime at t; 0 if t is zero, or before the master agent began.
func (v *View) ticks(t time.Time) agentx.Value {
	if t.IsZero() || v.Epoch.IsZero() || t.Before(v.Epoch) {
		return agentx.Ticks(0)
	}
	return agentx.Ticks(hundredths(t.Sub(v.Epoch)))
}

func hundredths(d time.Duration) uint64 { return uint64(max(d, 0) / (10 * time.Millisecond)) }

// on returns the first of the switches that is set, or else the default.
func on(otherwise bool, switches ...config.Switch) bool {
	for _, s := range switches {
		if s != 0 {
			return s == config.SwitchOn
		}
	}
	return otherwise
}

// command is what the configuration says is run; nil is nothing.
func command(s *config.Script) agentx.Value {
	if s == nil {
		return agentx.Value{}
	}
	return agentx.Text(strings.Join(s.Args, " "))
}
