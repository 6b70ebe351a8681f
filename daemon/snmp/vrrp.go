package snmp

import (
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/snmp/agentx"
	"github.com/tandemlb/tandem/daemon/status"
)

// vrrp is what keepalived's MIB has of instances, but for their routes and rules.
func (v *View) vrrp() []part {
	instances := v.instances()
	var members []member
	for i := range v.Config.SyncGroups {
		for j, name := range v.Config.SyncGroups[i].Members {
			members = append(members, member{i + 1, j + 1, name})
		}
	}
	parts := []part{
		newTable(enterprise(2, 1, 1), numbered(v.Config.SyncGroups),
			func(g *nth[config.SyncGroup]) agentx.OID { return index(g.number) },
			v.groupColumns(instances)),
		newTable(enterprise(2, 2, 1), members,
			func(m *member) agentx.OID { return index(m.group, m.number) },
			[]column[member]{{2, func(m *member) agentx.Value { return agentx.Text(m.name) }}}),
		newTable(enterprise(2, 3, 1), instances,
			func(i *instance) agentx.OID { return index(i.number) },
			inOrder(instanceColumns(), instanceSettings(), instanceScripts())),
		newTable(enterprise(2, 6, 1), vipsOf(instances),
			func(a *vip) agentx.OID { return index(a.instance, a.number) }, v.vipColumns()),
	}
	return append(parts, v.trackers(instances)...)
}

// member is one name in a sync group.
type member struct {
	group, number int
	name          string
}

func (v *View) groupColumns(instances []instance) []column[nth[config.SyncGroup]] {
	type group = nth[config.SyncGroup]
	alerts := &v.Config.Global.Alerts
	return []column[group]{
		{2, func(g *group) agentx.Value { return agentx.Text(g.of.Name) }},
		{3, func(g *group) agentx.Value { return agentx.Int(groupState(instances, g.of.Name)) }},
		{4, func(g *group) agentx.Value {
			return truth(on(false, g.of.Notify.Mail, alerts.VRRP, alerts.All))
		}},
		{5, func(g *group) agentx.Value { return truth(anyScript(&g.of.Notify)) }},
		{6, func(g *group) agentx.Value { return command(g.of.Notify.Master) }},
		{7, func(g *group) agentx.Value { return command(g.of.Notify.Backup) }},
		{8, func(g *group) agentx.Value { return command(g.of.Notify.Fault) }},
		{9, func(g *group) agentx.Value { return command(g.of.Notify.Any) }},
		{10, func(g *group) agentx.Value { return truth(g.of.OwnWeights) }},
		{11, func(g *group) agentx.Value { return command(g.of.Notify.Stop) }},
	}
}

// groupState is a VrrpState: that of the members if they have one in common, else fault if one has
// it, else init if one has it, else backup.
func groupState(instances []instance, group string) int {
	var has [status.Fault + 1]bool
	kinds := 0
	for i := range instances {
		s := instances[i].status
		if s != nil && s.Group == group && !has[s.State] {
			has[s.State] = true
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return status.Init.Code()
	case kinds == 1 && has[status.Master]:
		return status.Master.Code()
	case has[status.Fault]:
		return status.Fault.Code()
	case has[status.Init]:
		return status.Init.Code()
	}
	return status.Backup.Code()
}

func anyScript(n *config.Notify) bool {
	return n.Master != nil || n.Backup != nil || n.Fault != nil || n.Stop != nil || n.Any != nil ||
		n.Deleted != nil || n.LowerPriority != nil
}

// instanceColumns are what an instance is.
func instanceColumns() []column[instance] {
	return []column[instance]{
		{2, func(i *instance) agentx.Value { return agentx.Text(i.config.Name) }},
		{3, func(i *instance) agentx.Value { return agentx.Gauge(uint64(i.config.VRID)) }},
		{4, func(i *instance) agentx.Value { return agentx.Int(i.state().Code()) }},
		{5, func(i *instance) agentx.Value { return agentx.Int(i.initial()) }},
		{6, func(i *instance) agentx.Value { return agentx.Int(i.state().Code()) }},
		{7, func(i *instance) agentx.Value { return agentx.Int(int(i.config.Priority)) }},
		{8, func(i *instance) agentx.Value { return agentx.Int(i.priority()) }},
		{9, func(i *instance) agentx.Value { return truth(i.complete()) }},
		{10, func(i *instance) agentx.Value { return agentx.Text(i.config.Interface) }},
		{11, func(i *instance) agentx.Value { return truth(!i.config.DontTrackPrimary) }},
		{12, func(i *instance) agentx.Value {
			if i.config.Version == 2 {
				return seconds(i.config.AdvertInterval)
			}
			return agentx.Gauge(hundredths(i.config.AdvertInterval))
		}},
		{13, func(i *instance) agentx.Value { return truth(i.config.Preempt) }},
		{14, func(i *instance) agentx.Value { return seconds(i.config.PreemptDelay) }},
		{15, func(i *instance) agentx.Value { return agentx.Int(int(i.config.Auth.Type)) }},
		{16, func(i *instance) agentx.Value { return truth(i.syncs() != nil) }},
		{17, func(i *instance) agentx.Value {
			if s := i.syncs(); s != nil {
				return agentx.Text(s.Interface)
			}
			return agentx.Value{}
		}},
	}
}

// initial is the VrrpState that the file hopes for.
func (i *instance) initial() int {
	if i.config.State == config.StateMaster || i.config.Priority == 255 {
		return status.Master.Code()
	}
	return status.Backup.Code()
}

// priority is the one that trackers have made.
func (i *instance) priority() int {
	if i.status == nil {
		return int(i.config.Priority)
	}
	return i.status.Priority
}

// complete says whether the instance has all its VIPs.
func (i *instance) complete() bool {
	if i.status == nil || len(i.status.VIPs) < len(i.config.VIPs)+len(i.config.ExcludedVIPs) {
		return false
	}
	for _, a := range i.status.VIPs {
		if !a.Held {
			return false
		}
	}
	return true
}

// syncs is the synchronisation of connections that names this instance; nil if none does.
func (i *instance) syncs() *config.Sync {
	if s := i.view.Config.Global.LVS.Sync; s != nil && s.Instance == i.config.Name {
		return s
	}
	return nil
}

// instanceSettings are how an instance behaves.
func instanceSettings() []column[instance] {
	return []column[instance]{
		{18, func(i *instance) agentx.Value {
			if g := i.view.Config.GroupOf(i.config.Name); g != nil {
				return agentx.Text(g.Name)
			}
			return agentx.Value{}
		}},
		{19, func(i *instance) agentx.Value { return seconds(i.config.GARP.Delay) }},
		{20, func(i *instance) agentx.Value {
			a := &i.view.Config.Global.Alerts
			return truth(on(false, i.config.Notify.Mail, a.VRRP, a.All))
		}},
	}
}

// instanceScripts are what an instance runs, and what was added to the table after that.
func instanceScripts() []column[instance] {
	script := func(id uint32, of func(*config.Notify) *config.Script) column[instance] {
		return column[instance]{id, func(i *instance) agentx.Value {
			return command(of(&i.config.Notify))
		}}
	}
	return []column[instance]{
		{21, func(i *instance) agentx.Value { return truth(anyScript(&i.config.Notify)) }},
		script(22, func(n *config.Notify) *config.Script { return n.Master }),
		script(23, func(n *config.Notify) *config.Script { return n.Backup }),
		script(24, func(n *config.Notify) *config.Script { return n.Fault }),
		script(25, func(n *config.Notify) *config.Script { return n.Stop }),
		script(26, func(n *config.Notify) *config.Script { return n.Any }),
		{27, func(i *instance) agentx.Value { return truth(i.config.Accept) }},
		{28, func(i *instance) agentx.Value { return truth(i.config.PromoteSecondaries) }},
		{29, func(*instance) agentx.Value { return truth(false) }},
		{30, func(i *instance) agentx.Value { return agentx.Int(i.config.Version) }},
		script(31, func(n *config.Notify) *config.Script { return n.LowerPriority }),
		script(32, func(n *config.Notify) *config.Script { return n.Deleted }),
		{33, func(i *instance) agentx.Value { return truth(i.config.Notify.TellDeleted) }},
		{34, func(i *instance) agentx.Value {
			if g := i.group(); g.IsValid() {
				return addressType(g)
			}
			return agentx.Value{}
		}},
		{35, func(i *instance) agentx.Value { return address(i.group()) }},
	}
}

// group is where adverts go by multicast; invalid if they do not.
func (i *instance) group() netip.Addr {
	defaults := &i.view.Config.Global.Adverts
	switch {
	case len(i.config.Peers) > 0:
		return netip.Addr{}
	case i.config.Group.IsValid():
		return i.config.Group
	case i.config.IPv6():
		return defaults.Group6
	}
	return defaults.Group4
}

// vip is a virtual address with its place in the table.
type vip struct {
	instance, number int
	excluded         bool
	config           *config.VIP
	// device is where it really is, and held says that it is there.
	device string
	held   bool
}

// vipsOf returns all VIPs, those of an instance in the order of the file, first those in adverts.
func vipsOf(instances []instance) []vip {
	var all []vip
	for i := range instances {
		c, s := instances[i].config, instances[i].status
		for n := range len(c.VIPs) + len(c.ExcludedVIPs) {
			a := vip{instance: instances[i].number, number: n + 1, excluded: n >= len(c.VIPs)}
			if a.excluded {
				a.config = &c.ExcludedVIPs[n-len(c.VIPs)]
			} else {
				a.config = &c.VIPs[n]
			}
			a.device = a.config.Device
			if s != nil && n < len(s.VIPs) && s.VIPs[n].Prefix == a.config.Prefix {
				a.device, a.held = s.VIPs[n].Device, s.VIPs[n].Held
			}
			all = append(all, a)
		}
	}
	return all
}

func (v *View) vipColumns() []column[vip] {
	scopes := map[string]int{"": 14, "global": 14, "site": 5, "link": 2, "host": 1}
	return []column[vip]{
		{2, func(a *vip) agentx.Value { return addressType(a.config.Prefix.Addr()) }},
		{3, func(a *vip) agentx.Value { return address(a.config.Prefix.Addr()) }},
		{4, func(a *vip) agentx.Value { return address(a.config.Broadcast) }},
		{5, func(a *vip) agentx.Value { return agentx.Gauge(uint64(a.config.Prefix.Bits())) }},
		{6, func(a *vip) agentx.Value {
			if n := scopes[a.config.Scope]; n != 0 {
				return agentx.Int(n)
			}
			return agentx.Value{}
		}},
		{7, func(a *vip) agentx.Value { return agentx.Int(v.Links[a.device].Index) }},
		{8, func(a *vip) agentx.Value { return agentx.Text(a.device) }},
		{9, func(a *vip) agentx.Value { return optional(a.config.Label) }},
		{10, func(a *vip) agentx.Value { return truth(a.held) }},
		{11, func(a *vip) agentx.Value { return truth(!a.excluded) }},
		{12, func(a *vip) agentx.Value { return address(a.config.Peer) }},
	}
}

// wholeSeconds is an Integer32 of seconds.
func wholeSeconds(d time.Duration) agentx.Value { return agentx.Int(int(d / time.Second)) }
