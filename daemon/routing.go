package daemon

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
)

// firstPreference is that of the first rule which has none; every further one is one less, before
// it.
const firstPreference = 16384

// routing turns routes and rules into the kernel's terms. What those do not have becomes something
// that netif refuses by the name it has in the file.
type routing struct {
	// names are the directories where iproute2 keeps names of tables and the like.
	names []string
	// next are the preferences of rules without, by family.
	next map[bool]uint32
}

func newRouting(cfg *config.Config) *routing {
	r := &routing{next: map[bool]uint32{false: firstPreference, true: firstPreference}}
	for _, dir := range []string{
		cfg.Global.Files.RouteSystem, cfg.Global.Files.RouteUser,
		"/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2",
	} {
		if dir != "" {
			r.names = append(r.names, dir)
		}
	}
	return r
}

// statics returns what the host has whatever its instances do.
func statics(cfg *config.Config) instance.Static {
	r := newRouting(cfg)
	s := instance.Static{
		Addresses: vips(cfg.Addresses), Routes: r.routes(cfg.Routes), Rules: r.rules(cfg.Rules),
	}
	s.Groups = staticGroups(cfg, s)
	return s
}

// staticGroups returns the parts of s, which is made of cfg, that instances depend on.
func staticGroups(cfg *config.Config, s instance.Static) map[string]instance.Static {
	groups := map[string]instance.Static{}
	add := func(name string, change func(*instance.Static)) {
		if name != "" {
			g := groups[name]
			change(&g)
			groups[name] = g
		}
	}
	for i := range cfg.Addresses {
		add(cfg.Addresses[i].TrackGroup, func(g *instance.Static) {
			g.Addresses = append(g.Addresses, s.Addresses[i])
		})
	}
	for i := range cfg.Routes {
		add(cfg.Routes[i].TrackGroup, func(g *instance.Static) {
			g.Routes = append(g.Routes, s.Routes[i])
		})
	}
	for i := range cfg.Rules {
		add(cfg.Rules[i].TrackGroup, func(g *instance.Static) {
			g.Rules = append(g.Rules, s.Rules[i])
		})
	}
	return groups
}

// rulesOf returns the rules of each instance, by name.
func rulesOf(cfg *config.Config) map[string][]netif.Rule {
	r := newRouting(cfg)
	r.rules(cfg.Rules) // their preferences come first
	all := map[string][]netif.Rule{}
	for i := range cfg.Instances {
		all[cfg.Instances[i].Name] = r.rules(cfg.Instances[i].PolicyRules)
	}
	return all
}

// checkRouting tells of routes and rules that cannot be carried out.
func checkRouting(cfg *config.Config) config.Diagnostics {
	r := newRouting(cfg)
	var ds config.Diagnostics
	note := func(pos config.Pos, what string, err error) {
		if err != nil {
			ds = append(ds, config.Diagnostic{Pos: pos, Severity: config.Error,
				Text: what + ": " + strings.ReplaceAll(err.Error(), "\n", ", ")})
		}
	}
	check := func(routes []config.Route, rules []config.Rule) {
		for i := range routes {
			note(routes[i].Pos, "route", r.route(&routes[i]).Validate())
		}
		for i := range rules {
			note(rules[i].Pos, "rule", r.rule(&rules[i]).Validate())
		}
	}
	check(cfg.Routes, cfg.Rules)
	for i := range cfg.Instances {
		check(cfg.Instances[i].Routes, cfg.Instances[i].PolicyRules)
	}
	return ds
}

func (r *routing) routes(all []config.Route) []netif.Route {
	var out []netif.Route
	for i := range all {
		out = append(out, r.route(&all[i]))
	}
	return out
}

func (r *routing) rules(all []config.Rule) []netif.Rule {
	var out []netif.Rule
	for i := range all {
		out = append(out, r.rule(&all[i]))
	}
	return out
}

func (r *routing) route(c *config.Route) netif.Route {
	out := netif.Route{
		Type: c.Type, Dest: c.Destination, IPv6: c.IPv6, Source: c.Source,
		Metrics: map[string]uint32{},
	}
	for _, h := range c.Hops {
		out.Hops = append(out.Hops, netif.Hop{
			Via: h.Via, Device: h.Device, Weight: h.Weight, OnLink: h.OnLink,
		})
	}
	refuse := func(what string) { out.Metrics[what] = 0 }
	set := func(at *uint32, name, file, word string) {
		n, ok := r.number(file, word)
		if !ok {
			refuse(name + " " + word)
		}
		*at = n
	}
	if c.Table != "" {
		set(&out.Table, "table", "rt_tables", c.Table)
	}
	if c.Metric != "" {
		set(&out.Metric, "metric", "", c.Metric)
	}
	for i := 0; i < len(c.Options); i++ {
		o := c.Options[i]
		if o.Name == "encap" { // all that follows is its own
			refuse("encap")
			break
		}
		if i+2 < len(c.Options) && o.Value == "" && c.Options[i+1].Name == "lock" {
			out.Locked = append(out.Locked, o.Name)
			o.Value = c.Options[i+2].Name
			i += 2
		}
		r.routeOption(&out, o, set, refuse)
	}
	if len(out.Metrics) == 0 {
		out.Metrics = nil
	}
	return out
}

// routeOption sets what one option says.
func (r *routing) routeOption(out *netif.Route, o config.RouteOption,
	set func(at *uint32, name, file, word string), refuse func(string)) {
	var n uint32
	switch o.Name {
	case "inet", "inet6": // the addresses say
	case "scope":
		set(&n, o.Name, "rt_scopes", o.Value)
		out.Scope, out.HasScope = uint8(n), true
	case "protocol", "proto":
		set(&n, o.Name, "rt_protos", o.Value)
		out.Protocol = uint8(n)
	case "tos", "dsfield":
		set(&n, o.Name, "rt_dsfield", o.Value)
		out.TOS = uint8(n)
	case "realms":
		var ok bool
		if out.Realm, ok = r.realms(o.Value); !ok {
			refuse(o.Name + " " + o.Value)
		}
	case "congctl":
		out.Congestion = o.Value
	case "features":
		if o.Value != "ecn" {
			refuse(o.Name + " " + o.Value)
			return
		}
		out.Metrics[o.Name] = 1
	case "rtt", "rttvar", "rto_min":
		v, ok := metricTime(o.Name, o.Value)
		if !ok {
			refuse(o.Name + " " + o.Value)
			return
		}
		out.Metrics[o.Name] = v
	default:
		v, ok := r.number("", o.Value)
		if !ok {
			refuse(strings.TrimSpace(o.Name + " " + o.Value))
			return
		}
		out.Metrics[o.Name] = v // netif refuses names that it does not know
	}
}

// metricTime reads a number in the kernel's units, or a time with its unit, s or ms.
func metricTime(name, word string) (uint32, bool) {
	if n, err := strconv.ParseUint(word, 0, 32); err == nil {
		return uint32(n), true
	}
	d, err := time.ParseDuration(word)
	if err != nil || d < 0 {
		return 0, false
	}
	units := map[string]time.Duration{"rtt": 8, "rttvar": 4, "rto_min": 1}
	return uint32(units[name] * d / time.Millisecond), true
}

func (r *routing) rule(c *config.Rule) netif.Rule {
	out := netif.Rule{
		Not: c.Not, From: c.From, To: c.To, Preference: c.Preference,
	}
	for _, o := range c.Options {
		out.IPv6 = out.IPv6 || o.Name == "inet6"
	}
	if !c.HasPreference {
		six := out.IPv6 || c.From.Addr().Is6() || c.To.Addr().Is6()
		out.Preference = r.next[six]
		r.next[six]--
	}
	refuse := func(what string) { out.Action = what }
	if c.Table != "" {
		n, ok := r.number("rt_tables", c.Table)
		if !ok {
			refuse("table " + c.Table)
		}
		out.Table = n
	}
	for _, o := range c.Options {
		if !r.ruleOption(&out, o) {
			refuse(strings.TrimSpace(o.Name + " " + o.Value))
		}
	}
	return out
}

// ruleOption sets what one option says, and reports whether it can be said.
func (r *routing) ruleOption(out *netif.Rule, o config.RouteOption) (ok bool) {
	byte8 := func(at *uint8, file string) bool {
		n, ok := r.number(file, o.Value)
		*at = uint8(n)
		return ok && n < 256
	}
	switch o.Name {
	case "inet", "inet6":
		return true
	case "nop", "blackhole", "prohibit", "unreachable":
		out.Action = o.Name
		return true
	case "goto":
		out.Action = o.Name
		out.Goto, ok = r.number("", o.Value)
	case "fwmark":
		mark, mask, masked := strings.Cut(o.Value, "/")
		out.Mark, ok = r.number("", mark)
		out.Mask = 1<<32 - 1
		if masked && ok {
			out.Mask, ok = r.number("", mask)
		}
	case "tos", "dsfield":
		ok = byte8(&out.TOS, "rt_dsfield")
	case "ipproto", "ip_proto":
		ok = byte8(&out.IPProtocol, protocolsFile)
	case "iif", "dev":
		out.In, ok = o.Value, true
	case "oif":
		out.Out, ok = o.Value, true
	case "tunnel-id":
		out.TunnelID, ok = r.number("", o.Value)
	case "realms":
		out.Realm, ok = r.realms(o.Value)
	case "sport":
		out.SourcePorts, ok = r.ranges(o.Value)
	case "dport":
		out.DestPorts, ok = r.ranges(o.Value)
	case "uidrange":
		out.Users, ok = r.ranges(o.Value)
	case "suppress_prefixlength", "suppress_prefixlen", "sup_pl":
		out.SuppressLength, ok = r.signed("", o.Value)
	case "suppress_ifgroup", "sup_group":
		out.SuppressGroup, ok = r.signed("group", o.Value)
	}
	return ok
}

func (r *routing) signed(file, word string) (*int, bool) {
	n, ok := r.number(file, word)
	out := int(n)
	return &out, ok
}

func (r *routing) ranges(word string) (*netif.Range, bool) {
	first, last, several := strings.Cut(word, "-")
	if !several {
		last = first
	}
	a, ok := r.number("", first)
	b, ok2 := r.number("", last)
	return &netif.Range{First: a, Last: b}, ok && ok2
}

// realms reads TO or FROM/TO.
func (r *routing) realms(word string) (uint32, bool) {
	from, to, both := strings.Cut(word, "/")
	if !both {
		from, to = "0", from
	}
	a, ok := r.number("rt_realms", from)
	b, ok2 := r.number("rt_realms", to)
	return a<<16 | b, ok && ok2
}

// protocolsFile is not iproute2's but the system's.
const protocolsFile = "/etc/protocols"

// wellKnown are names that need no file.
var wellKnown = map[string]map[string]uint32{
	"rt_tables": {"main": 254, "local": 255, "default": 253},
	"rt_scopes": {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255},
	"rt_protos": {"kernel": 2, "boot": 3, "static": 4, "keepalived": 18},
	protocolsFile: {
		"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132,
	},
}

// number reads a number, or a name that is well known or in a file of iproute2's, which there need
// not be.
func (r *routing) number(file, word string) (uint32, bool) {
	if n, err := strconv.ParseUint(word, 0, 32); err == nil {
		return uint32(n), true
	}
	if n, ok := wellKnown[file][word]; ok {
		return n, true
	}
	if file == "" {
		return 0, false
	}
	if filepath.IsAbs(file) {
		return named(file, word, 1)
	}
	for _, dir := range r.names {
		if n, ok := named(filepath.Join(dir, file), word, 0); ok {
			return n, true
		}
	}
	return 0, false
}

// named looks a name up in a file of lines of a number and a name, the number in that column of the
// two.
func named(file, name string, column int) (uint32, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || words[1-column] != name {
			continue
		}
		n, err := strconv.ParseUint(words[column], 0, 32)
		return uint32(n), err == nil
	}
	return 0, false
}
