package config

import (
	"slices"
	"sync"
	"time"
)

// theLanguage is every keyword there is. Nothing changes it once it is built.
var theLanguage = sync.OnceValue(newLanguage)

// language is the keywords, as tables and as a list.
type language struct {
	root *table[root]
	// keywords is the list, made when it is first asked for: it is for who is told what there is.
	keywords func() []Keyword
	// scripts are the keywords whose argument is a command, roots the blocks that stand in no
	// other block.
	scripts, roots map[string]bool
}

// root is the whole file while it is read.
type root struct {
	global    Global
	instances []*instanceBlock
	groups    []groupBlock
	servers   []*serverBlock
	// built are the virtual servers of a Config that is written.
	built        []VirtualServer
	serverGroups []ServerGroup
	scripts      []ScriptTracker
	files        []FileTracker
	processes    []ProcessTracker
	bfds         []BFD
	trackGroups  []TrackGroup
	garpGroups   []GARPGroup
	addresses    []VIP
	routes       []Route
	rules        []Rule
	tls          *TLS
	// syncPos is the place of lvs_sync_daemon.
	syncPos Pos
	known   knownNames
}

func newLanguage() *language {
	l := &language{scripts: map[string]bool{}, roots: map[string]bool{}}
	l.root = rootTable()
	l.keywords = sync.OnceValue(func() []Keyword { return l.root.list(Works, "") })
	l.root.commands(l.scripts)
	for i := range l.root.keywords {
		k := &l.root.keywords[i]
		l.roots[k.name] = k.block
	}
	// These are blocks elsewhere too.
	delete(l.roots, "track_file")
	delete(l.roots, "SSL")
	return l
}

func rootTable() *table[root] {
	return newTable("the file",
		processWideKeywords(),
		needless("there are no children to wait for", childWait()),
		needless("the kernel reports the state of every link", pollKeywords()...),
		[]keyword[root]{globalKeyword()},
		pendingBut([]string{"vrrp_script", "track_file", "vrrp_track_file", "vrrp_track_process",
			"garp_group", "bfd_instance", "SSL", "track_group"},
			trackerBlocks()...),
		pendingBut([]string{"static_ipaddress", "static_routes", "static_rules",
			"interface_up_down_delays"},
			staticKeywords()...),
		vrrpBlocks(),
		[]keyword[root]{{
			name: "virtual_server_group", usage: "its name", block: true, many: true,
			doc: "services that share real servers", set: addServerGroup,
			write: writeServerGroups,
		}},
		[]keyword[root]{serverKeyword()})
}

// globalKeyword is global_defs. Several of them are as one.
func globalKeyword() keyword[root] {
	inner := globalTable()
	return keyword[root]{
		name: "global_defs", usage: "no value", doc: "what holds for the whole daemon",
		block: true, many: true, inner: inner,
		preset: func(r *root) { inner.start(&r.global) },
		set: func(d *decoder, r *root, n *Node) {
			d.noArguments(n)
			inner.read(d, &r.global, n.Children)
			d.checkMail(&r.global.Mail, n)
			r.syncPos = n.placeOf("lvs_sync_daemon")
		},
		write: func(p *printer, _ *keyword[root], r, _ *root) {
			p.block(func() { inner.write(p, &r.global, &Global{}) }, "global_defs")
		},
	}
}

func vrrpBlocks() []keyword[root] {
	groups, instances := groupTable(), instanceTable()
	return []keyword[root]{
		nested("vrrp_sync_group", groups, zero[root, groupBlock], addGroup,
			"instances that are master together").as(isMany).
			as(writes(groups, zero[root, groupBlock], func(r *root) []groupBlock { return r.groups },
				func(b *groupBlock) []string { return []string{b.Name} })),
		nested("vrrp_instance", instances, newInstance, addInstance,
			"one virtual router on one interface").as(isMany).as(isLate).
			as(writes(instances, newInstance, valuesOf,
				func(b *instanceBlock) []string { return []string{b.Name} })),
	}
}

func valuesOf(r *root) []instanceBlock {
	var bs []instanceBlock
	for _, b := range r.instances {
		bs = append(bs, *b)
	}
	return bs
}

func serverKeyword() keyword[root] {
	servers := serverTable()
	return nested("virtual_server", servers, newServer, addServer,
		"one service and its real servers").as(isMany).
		as(writesInTurn(servers, newServer, blocksOfServers, headOfServer))
}

// processWideKeywords stand outside of all blocks.
func processWideKeywords() []keyword[root] {
	name := text("one name")
	return []keyword[root]{
		leaf("net_namespace", "", name,
			func(r *root) *string { return &r.global.Namespace.Network },
			"network namespace to run in; option -s counts more"),
		{
			name: "net_namespace_ipvs", usage: "perhaps the name of a namespace",
			doc:       "network namespace of virtual services; without a name, that of process 1",
			otherwise: "as net_namespace",
			set: func(d *decoder, r *root, n *Node) {
				s := &r.global.Namespace
				s.IPVS, _ = arguments(d, n, orNothing(name, "", ""))
				s.IPVSHere = s.IPVS == ""
			},
			write: func(p *printer, _ *keyword[root], r, _ *root) {
				if s := &r.global.Namespace; s.IPVSHere || s.IPVS != "" {
					p.statement(false, "net_namespace_ipvs", wordIfAny(s.IPVS))
				}
			},
		},
		needless("ipsets are not used", leaf("namespace_with_ipsets", "off", boolean(),
			func(r *root) *bool { return &r.global.Namespace.IPSets },
			"allows ipsets in namespaces"))[0],
		needless("process IDs are written where option -p says, else nowhere",
			leaf("use_pid_dir", "off", boolean(),
				func(r *root) *bool { return &r.global.Files.UsePIDDir },
				"puts process IDs into a directory of their own"))[0],
		leaf("instance", "", name,
			func(r *root) *string { return &r.global.Namespace.Instance },
			"name of this daemon among several, in the names of its control socket and dumps"),
	}
}

func childWait() keyword[root] {
	return leaf("child_wait_time", "5", seconds(0, longest),
		func(r *root) *time.Duration { return &r.global.Start.ChildWait },
		"bounds the wait for processes at the stop")
}

func pollKeywords() []keyword[root] {
	return []keyword[root]{
		leaf("linkbeat_use_polling", "off", boolean(),
			func(r *root) *bool { return &r.global.Links.Poll },
			"asks for the state of interfaces"),
		list("linkbeat_interfaces", "INTERFACE [MII|ETHTOOL|IOCTL]", parsePolled,
			(*PolledLink).words, func(r *root) *[]PolledLink { return &r.global.Links.Polled },
			"asks for the state of these"),
	}
}

func staticKeywords() []keyword[root] {
	return []keyword[root]{
		list("interface_up_down_delays", delayUsage, parseLinkDelay, (*LinkDelay).words,
			func(r *root) *[]LinkDelay { return &r.global.Links.Delays },
			"holds changes of interfaces back"),
		list("static_ipaddress", vipUsage, parseVIP, (*VIP).words,
			func(r *root) *[]VIP { return &r.addresses }, "addresses that are always there"),
		list("static_routes", routeUsage, parseRoute, (*Route).words,
			func(r *root) *[]Route { return &r.routes }, "routes that are always there"),
		list("static_rules", ruleUsage, parseRule, (*Rule).words,
			func(r *root) *[]Rule { return &r.rules }, "routing rules that are always there"),
	}
}

// trackerBlocks are the blocks that instances refer to.
func trackerBlocks() []keyword[root] {
	scripts, processes, bfds := scriptTable(), processTable(), bfdTable()
	garp, tls := garpGroupTable(), tlsTable()
	groups := newTable("track_group", []keyword[TrackGroup]{members(
		func(g *TrackGroup) *[]Member { return &g.Members }, "the instances")})
	file := func(name string) keyword[root] {
		inner := fileTable(name)
		return nested(name, inner, zero[root, FileTracker], addFile, "a file with a number in it").
			as(isMany).as(writes(inner, zero[root, FileTracker],
			func(r *root) []FileTracker { return r.files },
			func(f *FileTracker) []string { return []string{f.Name} }))
	}
	older := file("vrrp_track_file")
	older.doc, older.write = "another name of track_file", nil
	return []keyword[root]{
		nested("SSL", tls, zero[root, TLS], func(d *decoder, r *root, t *TLS, n *Node) {
			d.noArguments(n)
			t.Pos = n.Pos()
			r.tls = t
		}, "client certificate of SSL_GET").as(writes(tls, zero[root, TLS], tlsOf, nil)),
		nested("garp_group", garp, zero[root, GARPGroup], addGARPGroup,
			"interfaces that share a pace of announcements").as(isMany).
			as(writes(garp, zero[root, GARPGroup], func(r *root) []GARPGroup { return r.garpGroups }, nil)),
		nested("track_group", groups, zero[root, TrackGroup],
			func(d *decoder, r *root, g *TrackGroup, n *Node) {
				g.Pos, g.Name = n.Pos(), d.name(n)
				r.trackGroups = append(r.trackGroups, *g)
			}, "instances that depend on static entries").as(isMany).
			as(writes(groups, zero[root, TrackGroup], func(r *root) []TrackGroup { return r.trackGroups },
				func(g *TrackGroup) []string { return []string{g.Name} })),
		nested("vrrp_script", scripts, zero[root, ScriptTracker], addScript,
			"a command whose exit status counts").as(isMany).
			as(writes(scripts, zero[root, ScriptTracker], func(r *root) []ScriptTracker { return r.scripts },
				func(s *ScriptTracker) []string { return []string{s.Name} })),
		file("track_file"), older,
		nested("vrrp_track_process", processes, zero[root, ProcessTracker], addProcess,
			"a number of processes").as(isMany).
			as(writes(processes, zero[root, ProcessTracker],
				func(r *root) []ProcessTracker { return r.processes },
				func(p *ProcessTracker) []string { return []string{p.Name} })),
		nested("bfd_instance", bfds, zero[root, BFD], addBFD, "a session of RFC 5880").
			as(isMany).as(writes(bfds, zero[root, BFD], func(r *root) []BFD { return r.bfds },
			func(b *BFD) []string { return []string{b.Name} })),
	}
}

func zero[T, U any](*T) U {
	var u U
	return u
}

func tlsOf(r *root) []TLS {
	if r.tls == nil {
		return nil
	}
	return []TLS{*r.tls}
}

func addGARPGroup(d *decoder, r *root, g *GARPGroup, n *Node) {
	d.noArguments(n)
	g.Pos = n.Pos()
	if len(g.Interfaces) == 0 {
		d.fail(n.Pos(), "garp_group: expected interface or interfaces in it")
	}
	r.garpGroups = append(r.garpGroups, *g)
}

func addScript(d *decoder, r *root, s *ScriptTracker, n *Node) {
	s.Pos, s.Name = n.Pos(), d.name(n)
	d.need(n, "script")
	if s.Timeout == 0 {
		s.Timeout = s.Interval
	}
	r.scripts = append(r.scripts, *s)
}

func addFile(d *decoder, r *root, f *FileTracker, n *Node) {
	f.Pos, f.Name = n.Pos(), d.name(n)
	d.need(n, "file")
	r.files = append(r.files, *f)
}

func addProcess(d *decoder, r *root, p *ProcessTracker, n *Node) {
	p.Pos, p.Name = n.Pos(), d.name(n)
	d.need(n, "process")
	if p.HasQuorumMax && p.QuorumMax < p.Quorum && n.find("quorum") != nil {
		d.fail(n.placeOf("quorum_max"), "quorum_max \"%d\": expected at least the quorum, %d",
			p.QuorumMax, p.Quorum)
	}
	r.processes = append(r.processes, *p)
}

func addBFD(d *decoder, r *root, b *BFD, n *Node) {
	b.Pos, b.Name = n.Pos(), d.name(n)
	if n.find("neighbor_ip") == nil && n.find("neighbour_ip") == nil {
		d.fail(n.Pos(), "bfd_instance %q: expected neighbor_ip in it", b.Name)
	}
	if b.Source.IsValid() && b.Neighbor.IsValid() && b.Source.Is4() != b.Neighbor.Is4() {
		d.fail(n.placeOf("source_ip"), "source_ip %q: expected the family of %s",
			b.Source, b.Neighbor)
	}
	r.bfds = append(r.bfds, *b)
}

// scopesOf lists the blocks that know the keyword.
func (l *language) scopesOf(keyword string) []string {
	var scopes []string
	for _, k := range l.keywords() {
		if k.Name == keyword && !slices.Contains(scopes, k.Scope) {
			scopes = append(scopes, k.Scope)
		}
	}
	return scopes
}

// grammar is what the reader of trees needs to know.
func (l *language) grammar() grammar {
	return grammar{
		isScript: func(k string) bool { return l.scripts[k] },
		isRoot:   func(k string) bool { return l.roots[k] },
	}
}
