package config

import "slices"

// Keyword describes one keyword of the language in one kind of block.
type Keyword struct {
	Name string
	// Scope is the block it stands in: "the file" for those outside of all blocks.
	Scope string
	// Usage says what follows it, Default what holds without it (empty: nothing), Doc what it
	// means.
	Usage, Default, Doc string
	// Block is set if it opens a block.
	Block bool
	// Effective is set if this version does what it says.
	Effective bool

	// script is set if its value is a command.
	script bool
}

// Keywords lists the whole language, block by block.
func Keywords() []Keyword { return newLanguage().keywords }

// language is every keyword there is. It is built once for each reading of a file.
type language struct {
	root     *table[root]
	global   *table[Global]
	keywords []Keyword
	// scripts are the keywords whose argument is a command, roots the blocks that stand in no
	// other block.
	scripts, roots map[string]bool
}

// root is the whole file while it is read.
type root struct {
	global    Global
	instances []instanceBlock
	groups    []groupBlock
	servers   []serverBlock
}

// rootIdle are the keywords outside of all blocks that are known and change nothing yet.
const rootIdle = `
	net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance child_wait_time
	linkbeat_use_polling linkbeat_interfaces{} static_ipaddress{} static_routes{} static_rules{}
	interface_up_down_delays{}`

// skippedBlocks are the blocks outside of all others that change nothing yet, with their keywords.
var skippedBlocks = []struct{ name, keywords string }{
	{"track_group", "group{}"},
	{"track_file", "file weight init_file"},
	{"vrrp_track_file", "file weight init_file"},
	{"vrrp_track_process", `process() param_match weight quorum quorum_max delay terminate_delay
		fork_delay full_command`},
	{"vrrp_script", "script() interval timeout weight rise fall user init_fail"},
	{"bfd_instance", `neighbor_ip neighbour_ip source_ip min_rx min_tx idle_tx multiplier passive
		ttl hoplimit max_hops multihop weight vrrp checker`},
	{"garp_group", "garp_interval gna_interval interface interfaces{}"},
	{"SSL", "password ca certificate key"},
}

func newLanguage() *language {
	l := &language{global: globalTable(), scripts: map[string]bool{}, roots: map[string]bool{}}
	l.root = rootTable(l.global)
	l.keywords = l.root.list(false)
	for _, k := range l.keywords {
		if k.script {
			l.scripts[k.Name] = true
		}
	}
	for _, k := range l.root.keywords {
		l.roots[k.name] = k.block
	}
	// These are blocks elsewhere too.
	delete(l.roots, "track_file")
	delete(l.roots, "SSL")
	return l
}

func rootTable(global *table[Global]) *table[root] {
	ks := []keyword[root]{
		nested("global_defs", global, func(r *root) Global { return r.global },
			func(d *decoder, r *root, g *Global, n *Node) {
				d.noArguments(n)
				r.global = *g
			}, "what holds for the whole daemon"),
		nested("vrrp_sync_group", groupTable(), func(*root) groupBlock { return groupBlock{} },
			func(d *decoder, r *root, b *groupBlock, n *Node) {
				b.Name, b.Pos = d.name(n), n.Pos()
				r.groups = append(r.groups, *b)
			}, "instances that are master together").as(isMany),
		nested("vrrp_instance", instanceTable(), newInstance,
			func(d *decoder, r *root, b *instanceBlock, n *Node) {
				b.Name, b.Pos, b.node = d.name(n), n.Pos(), n
				r.instances = append(r.instances, *b)
			}, "one virtual router on one interface").as(isMany).as(isLate),
		nested("virtual_server", serverTable(), newServer, addServer,
			"one service and its real servers").as(isMany),
		{
			name: "virtual_server_group", usage: "its name", block: true, many: true, idle: true,
			doc: "services that share real servers",
			set: func(d *decoder, _ *root, n *Node) { d.name(n) },
		},
	}
	for _, b := range skippedBlocks {
		inner := newTable(b.name, quietWords[skipped](b.keywords))
		ks = append(ks, idleBlock[root](b.name, inner))
	}
	return newTable("the file", ks, idleWords[root](rootIdle))
}

// scopesOf lists the blocks that know the keyword.
func (l *language) scopesOf(keyword string) []string {
	var scopes []string
	for _, k := range l.keywords {
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
