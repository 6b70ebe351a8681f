package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// kernelMemory is how long after a refusal of the kernel the condition holds.
const kernelMemory = time.Minute

// addressBook answers which addresses devices have, and asks the kernel once for each device.
type addressBook struct {
	host *netif.Host // nil: nobody has any
	seen map[string]heldOn
}

// heldOn are the addresses of a device, or why they are not known.
type heldOn struct {
	addrs map[netip.Addr]bool
	err   error
}

func (b *addressBook) of(device string) heldOn {
	a, known := b.seen[device]
	if known || b.host == nil {
		return a
	}
	var state netif.State
	state, a.err = b.host.Interface(device).State()
	a.addrs = make(map[netip.Addr]bool, len(state.Addrs)+len(state.Unready))
	for _, p := range slices.Concat(state.Addrs, state.Unready) {
		a.addrs[p.Addr()] = true
	}
	b.seen[device] = a
	return a
}

// instances returns what there is to say of the instances, in the order of the configuration, and
// what is wrong with them.
func (r *running) instances(now time.Time) ([]status.Instance, []status.Condition) {
	known := map[string]instance.Status{}
	for _, w := range r.routers {
		for _, s := range w.Snapshot() {
			known[s.Name] = s
		}
	}
	book := &addressBook{r.host, map[string]heldOn{}}
	vmacs, addrVMACs := vmacsOf(r.config)
	var all []status.Instance
	var wrong []status.Condition
	for i := range r.config.Instances {
		c := &r.config.Instances[i]
		s, ok := known[c.Name]
		if !ok {
			continue // it is just beginning or ending
		}
		all = append(all, instanceOf(c, &s))
		n := &all[len(all)-1]
		if s.Fault == vrrp.ReasonTracker && r.tracking != nil {
			n.Faults = append(n.Faults, r.tracking.faults(c.Name)...)
		}
		err := setVIPs(n, c, placed(c, vmacs[c.Name], addrVMACs[c.Name]), book)
		if err != nil && n.LastError == "" {
			n.LastError = err.Error()
		}
		wrong = append(wrong, conditionsOf(&s, now)...)
	}
	return all, wrong
}

// instanceOf returns an instance without its VIPs.
func instanceOf(c *config.Instance, s *instance.Status) status.Instance {
	n := status.Instance{
		Name: s.Name, Group: s.Group, Interface: s.Interface, VRID: int(s.VRID),
		Version: c.Version, IPv6: c.IPv6(),
		State: stateOf(s.State), Since: s.Since, Reason: reasonText(s.Reason),
		Running: s.Running, MasterReason: reasonText(s.MasterReason),
		BasePriority: int(c.Priority), Priority: int(s.Priority), Interval: c.AdvertInterval,
		Source: s.Source, Leader: s.Leader, LeaderPriority: int(s.LeaderPriority),
		Preempt: c.Preempt,
		Traffic: status.Traffic{
			Sent: s.Sent, Received: s.Received,
			ZeroSent: s.ZeroSent, ZeroReceived: s.ZeroReceived,
			Dropped: byName(s.Drops), Mismatched: byName(s.Mismatches),
		},
		BecameMaster: s.BecameMaster, ReleasedMaster: s.ReleasedMaster,
		Contested: s.Contested, Restored: s.Restored, Stalls: s.Stalls, LongestStall: s.LongestStall,
		Errors: s.Errors, LastError: s.LastError,
	}
	if s.Fault != 0 {
		n.Faults = []string{s.Fault.String()}
	}
	if s.LastDrop != 0 {
		n.LastDropped = s.LastDrop.String()
	}
	return n
}

// placed returns where VIPs of the instance are that the file puts on a device: on a macvlan of it,
// if there is one.
func placed(
	c *config.Instance, vmac *netif.Macvlan, others []netif.Macvlan,
) func(device string) string {
	return func(device string) string {
		if vmac != nil && (device == "" || device == c.Interface) {
			return vmac.Name
		}
		for _, m := range others {
			if m.Parent == device {
				return m.Name
			}
		}
		return device
	}
}

// setVIPs says which VIPs the instance has, and where they are.
func setVIPs(
	n *status.Instance, c *config.Instance, place func(device string) string, book *addressBook,
) error {
	var err error
	put := func(vips []config.VIP, excluded bool) {
		for _, v := range vips {
			device := place(v.Device)
			a := book.of(device)
			if a.err != nil {
				err = a.err
			}
			n.VIPs = append(n.VIPs, status.VIP{Prefix: v.Prefix, Device: device,
				Excluded: excluded, Held: a.addrs[v.Prefix.Addr()]})
		}
	}
	put(c.VIPs, false)
	put(c.ExcludedVIPs, true)
	return err
}

func stateOf(s vrrp.State) status.State {
	switch s {
	case vrrp.Backup:
		return status.Backup
	case vrrp.Master:
		return status.Master
	case vrrp.Faulty:
		return status.Fault
	case vrrp.Initialize:
	}
	return status.Init
}

// reasonText is empty for no reason.
func reasonText(r vrrp.Reason) string {
	if r == 0 {
		return ""
	}
	return r.String()
}

func byName(counts map[vrrp.DropReason]uint64) map[string]uint64 {
	if len(counts) == 0 {
		return nil
	}
	all := make(map[string]uint64, len(counts))
	for r, n := range counts {
		all[r.String()] = n
	}
	return all
}

// conditionsOf returns what is wrong with an instance, at most one of each name.
func conditionsOf(s *instance.Status, now time.Time) []status.Condition {
	var all conditions
	if m := s.Mute; m != nil {
		all.add(status.AdvertsLost, s.Name, m.Since, fmt.Sprintf("the last %d did not leave: %s",
			m.Count, m.Err))
	}
	for _, c := range s.Conditions {
		if s.State == vrrp.Master && claims(&c) {
			all.add(status.SplitBrain, s.Name, c.Since, "refused master: "+evidence(c, now))
		}
		name := status.AdvertRejected
		switch c.Kind {
		case vrrp.ConditionTwoMasters:
			name = status.SplitBrain
		case vrrp.ConditionStalled:
			name = status.Stalled
		case vrrp.ConditionClaimed:
			name = status.AddressConflict
		default:
		}
		all.add(name, s.Name, c.Since, evidence(c, now))
	}
	for _, c := range s.Differences {
		all.add(status.PeerMismatch, s.Name, c.Since, evidence(c, now))
	}
	if !s.LastErrorAt.IsZero() && now.Sub(s.LastErrorAt) < kernelMemory {
		all.add(status.KernelRefused, s.Name, s.ErrorsSince, s.LastError)
	}
	return all
}

// claims says whether a refused advert is that of another master all the same: only masters send
// adverts, and priority 0 is that of one who leaves. What may be no advert says nothing.
func claims(c *vrrp.Condition) bool {
	switch c.Kind {
	case vrrp.ConditionInterval, vrrp.ConditionVersion, vrrp.ConditionAuthType,
		vrrp.ConditionPassword, vrrp.ConditionAddresses, vrrp.ConditionDestination,
		vrrp.ConditionStranger:
		return c.Evidence.Priority > 0
	default:
		return false
	}
}

// conditions are of one subject.
type conditions []status.Condition

// add adds a condition; to one of that name it adds the evidence.
func (cs *conditions) add(name, subject string, since time.Time, evidence string) {
	for i := range *cs {
		c := &(*cs)[i]
		if c.Name != name {
			continue
		}
		c.Evidence += "; " + evidence
		if since.Before(c.Since) {
			c.Since = since
		}
		return
	}
	*cs = append(*cs, status.Condition{
		Name: name, Subject: subject, Since: since, Evidence: evidence,
	})
}

// evidence is what was seen of a condition, in words: "two masters: 192.168.1.3 with priority 100,
// 12 times, the last 1s ago".
func evidence(c vrrp.Condition, now time.Time) string {
	e := c.Evidence
	var b strings.Builder
	b.WriteString(c.Kind.String())
	b.WriteByte(':')
	if e.From.IsValid() {
		fmt.Fprintf(&b, " %s", e.From)
		if e.Priority != 0 {
			fmt.Fprintf(&b, " with priority %d", e.Priority)
		}
		b.WriteByte(',')
	}
	switch {
	case e.Want != "":
		fmt.Fprintf(&b, " %s instead of %s,", e.Got, e.Want)
	case e.Got != "":
		fmt.Fprintf(&b, " %s,", e.Got)
	}
	times := "times"
	if c.Count == 1 {
		times = "time"
	}
	ago := max(now.Sub(c.Last), 0)
	fmt.Fprintf(&b, " %d %s, the last %.1fs ago", c.Count, times, ago.Seconds())
	return b.String()
}
