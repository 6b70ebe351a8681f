package netif

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rule is a rule of policy routing as iproute2 knows it. It is JSON both ways.
type Rule struct {
	// Not inverts what the rule selects.
	Not bool
	// IPv6 says the family if neither From nor To does.
	IPv6 bool
	// From and To are the packets' addresses; invalid is all.
	From, To netip.Prefix
	// Action is to look up Table if empty, or goto, nop, blackhole, unreachable or prohibit. Table
	// zero is main, 254; Goto is the preference to go to.
	Action      string
	Table, Goto uint32
	// Preference is its place, 1 or more: one that the kernel chose would be another each time.
	Preference uint32
	// Mark selects by firewall mark if Mask is not zero.
	Mark, Mask uint32
	TOS        uint8
	// In and Out are interfaces; empty is any.
	In, Out string
	// TunnelID and IPProtocol select if they are not zero, Realm is set if it is not.
	TunnelID   uint32
	IPProtocol uint8
	Realm      uint32
	// SourcePorts, DestPorts and Users select if they are not nil.
	SourcePorts, DestPorts, Users *Range
	// SuppressLength and SuppressGroup reject routes of a prefix that is not longer, and of
	// interfaces of the group; nil is neither.
	SuppressLength, SuppressGroup *int
}

// Range is from First to Last, both included.
type Range struct{ First, Last uint32 }

// ruleActions are the kernel's numbers (include/uapi/linux/fib_rules.h).
var ruleActions = map[string]uint8{
	"": 0, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8,
}

// Validate returns what of r this package cannot say to the kernel, joined, or nil.
func (r Rule) Validate() error {
	var errs []error
	if _, ok := ruleActions[r.Action]; !ok {
		errs = append(errs, fmt.Errorf("action %s: not supported", r.Action))
	}
	// The library leaves both out of rules of other tables.
	const lastSmall = 255
	if (r.SuppressLength != nil || r.SuppressGroup != nil) && r.Table > lastSmall {
		errs = append(errs, fmt.Errorf("suppress with table %d: not supported above %d",
			r.Table, lastSmall))
	}
	if r.Preference == 0 {
		errs = append(errs, errors.New("preference 0: want 1 or more"))
	}
	if r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is4() != r.To.Addr().Is4() {
		errs = append(errs, errors.New("from and to: want one family"))
	}
	return errors.Join(errs...)
}

// PutRule adds the rule. One that is there already is no error, and is left alone.
//
// Equivalent to: `ip rule add …`.
func (h *Host) PutRule(r Rule) error {
	_, err := h.RestoreRule(r)
	return err
}

// RestoreRule is PutRule and reports whether there was none.
func (h *Host) RestoreRule(r Rule) (bool, error) {
	rule, err := r.rule()
	if err == nil {
		err = h.nl.RuleAdd(rule)
	}
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("add rule %s: %w", r, err)
	}
	return true, nil
}

// DropRule removes the rule. One that is not there is no error.
//
// Equivalent to: `ip rule del …`.
func (h *Host) DropRule(r Rule) error {
	rule, err := r.rule()
	if err == nil {
		err = h.nl.RuleDel(rule)
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("remove rule %s: %w", r, err)
}

// rule returns r in the library's own terms.
func (r Rule) rule() (*netlink.Rule, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	out := netlink.NewRule()
	out.Family, out.Protocol, out.Invert = unix.AF_INET, Protocol, r.Not
	if r.is6() {
		out.Family = unix.AF_INET6
	}
	out.Type = ruleActions[r.Action]
	switch r.Action {
	case "":
		out.Table = int(r.Table)
		if r.Table == 0 {
			out.Table = unix.RT_TABLE_MAIN
		}
	case "goto":
		out.Goto = int(r.Goto)
	}
	out.Priority = int(r.Preference)
	if r.From.IsValid() {
		out.Src = ipNet(r.From.Masked())
	}
	if r.To.IsValid() {
		out.Dst = ipNet(r.To.Masked())
	}
	r.selectors(out)
	return out, nil
}

// selectors fills in what the rule selects besides addresses.
func (r Rule) selectors(out *netlink.Rule) {
	if r.Mask != 0 {
		mask := r.Mask
		out.Mark, out.Mask = r.Mark, &mask
	}
	out.Tos, out.TunID, out.IPProto = uint(r.TOS), uint(r.TunnelID), int(r.IPProtocol)
	out.IifName, out.OifName = r.In, r.Out
	if r.Realm != 0 {
		out.Flow = int(r.Realm)
	}
	if p := r.SourcePorts; p != nil {
		out.Sport = netlink.NewRulePortRange(uint16(p.First), uint16(p.Last))
	}
	if p := r.DestPorts; p != nil {
		out.Dport = netlink.NewRulePortRange(uint16(p.First), uint16(p.Last))
	}
	if u := r.Users; u != nil {
		out.UIDRange = netlink.NewRuleUIDRange(u.First, u.Last)
	}
	if r.SuppressLength != nil {
		out.SuppressPrefixlen = *r.SuppressLength
	}
	if r.SuppressGroup != nil {
		out.SuppressIfgroup = *r.SuppressGroup
	}
}

func (r Rule) is6() bool { return r.IPv6 || r.From.Addr().Is6() || r.To.Addr().Is6() }

// String returns r as iproute2 writes it; rules that are the same have the same.
func (r Rule) String() string {
	var ws []string
	add := func(on bool, name string, value any) {
		if on {
			ws = append(ws, name, fmt.Sprint(value))
		}
	}
	if r.is6() {
		ws = append(ws, "-6")
	}
	if r.Not {
		ws = append(ws, "not")
	}
	add(true, "from", allOr(r.From))
	add(r.To.IsValid(), "to", r.To)
	add(true, "preference", r.Preference)
	add(r.Mask != 0, "fwmark", fmt.Sprintf("%#x/%#x", r.Mark, r.Mask))
	add(r.TOS != 0, "tos", r.TOS)
	add(r.In != "", "iif", r.In)
	add(r.Out != "", "oif", r.Out)
	add(r.TunnelID != 0, "tunnel-id", r.TunnelID)
	add(r.IPProtocol != 0, "ipproto", r.IPProtocol)
	for _, n := range []struct {
		name string
		r    *Range
	}{{"sport", r.SourcePorts}, {"dport", r.DestPorts}, {"uidrange", r.Users}} {
		if n.r != nil {
			add(true, n.name, fmt.Sprintf("%d-%d", n.r.First, n.r.Last))
		}
	}
	add(r.Action == "", "table", r.Table)
	add(r.Action == "goto", "goto", r.Goto)
	if r.Action != "" && r.Action != "goto" {
		ws = append(ws, r.Action)
	}
	if r.SuppressLength != nil {
		add(true, "suppress_prefixlength", *r.SuppressLength)
	}
	if r.SuppressGroup != nil {
		add(true, "suppress_ifgroup", *r.SuppressGroup)
	}
	add(r.Realm != 0, "realms", fmt.Sprintf("%d/%d", r.Realm>>16, r.Realm&0xffff))
	return strings.Join(ws, " ")
}

func allOr(p netip.Prefix) string {
	if !p.IsValid() {
		return "all"
	}
	return p.String()
}
