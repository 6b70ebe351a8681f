package faults

import "github.com/tandemlb/tandem/lab"

// catalogue is every kind, in the order of their declaration.
var catalogue = []spec{
	{kind: LinkDown, name: "link-down", family: Link, form: OfInterface,
		doc: "The cable of an interface is pulled: it loses its carrier, and stays switched on " +
			"with all its addresses.",
		build: linkDown},
	{kind: InterfaceOff, name: "interface-off", family: Link, form: OfInterface,
		doc: "An administrator switches an interface off. The heal sets the routes again that " +
			"led over it.",
		build: interfaceOff},
	{kind: LinkDelay, name: "link-delay", family: Link, form: OfInterface,
		doc:        "Frames arrive late.",
		parameters: []Parameter{{"delay", "how late", "100ms", FormTime}, directed("both")},
		needs:      []lab.Capability{lab.Netem}, build: impaired(delayed)},
	{kind: LinkJitter, name: "link-jitter", family: Link, form: OfInterface,
		doc: "Frames arrive late, some more than others, and not in their order.",
		parameters: []Parameter{{"delay", "how late on average", "50ms", FormTime},
			{"jitter", "how much more or less", "25ms", FormTime}, directed("both")},
		needs: []lab.Capability{lab.Netem}, build: impaired(jittered)},
	{kind: LinkLoss, name: "link-loss", family: Link, form: OfInterface,
		doc:        "Some frames are lost.",
		parameters: []Parameter{{"share", "of the frames", "10%", FormPercent}, directed("both")},
		needs:      []lab.Capability{lab.Netem}, build: impaired(lost)},
	{kind: LinkDuplicate, name: "link-duplicate", family: Link, form: OfInterface,
		doc:        "Some frames arrive twice.",
		parameters: []Parameter{{"share", "of the frames", "10%", FormPercent}, directed("both")},
		needs:      []lab.Capability{lab.Netem}, build: impaired(duplicated)},
	{kind: LinkCorrupt, name: "link-corrupt", family: Link, form: OfInterface,
		doc:        "In some frames one bit is wrong.",
		parameters: []Parameter{{"share", "of the frames", "5%", FormPercent}, directed("both")},
		needs:      []lab.Capability{lab.Netem}, build: impaired(corrupted)},
	{kind: LinkReorder, name: "link-reorder", family: Link, form: OfInterface,
		doc: "All frames but some are late, so that these overtake them.",
		parameters: []Parameter{{"share", "of the frames that are not late", "25%", FormPercent},
			{"delay", "how late the others are", "10ms", FormTime}, directed("both")},
		needs: []lab.Capability{lab.Netem}, build: impaired(reordered)},
	{kind: LinkRate, name: "link-rate", family: Link, form: OfInterface,
		doc: "The cable carries little. What comes faster waits for up to 100 ms, and is lost " +
			"after that.",
		parameters: []Parameter{{"rate", "bits a second", "1Mbit", FormRate}, directed("both")},
		needs:      []lab.Capability{lab.Netem}, build: impaired(limited)},
	{kind: LinkFlapping, name: "link-flapping", family: Link, form: OfInterface,
		doc: "The cable is pulled and plugged in, again and again. It is pulled first.",
		parameters: []Parameter{{"period", "from one pull to the next", "2s", FormTime},
			{"up", "the share of it with a carrier", "50%", FormPercent}},
		build: linkFlapping},
	{kind: LinkMTU, name: "link-mtu", family: Link, form: OfInterface,
		doc: "Frames that are longer than the network can carry are lost, and nobody says so.",
		parameters: []Parameter{{"mtu", "how many bytes a frame may carry", "576", FormNumber},
			directed("both")},
		needs: []lab.Capability{lab.NftablesBridge}, build: linkMTU},

	{kind: OneWay, name: "one-way", family: Partition, form: OfInterface,
		doc: "What the interface sends does not reach the other directors on its network; what " +
			"they send reaches it.",
		needs: []lab.Capability{lab.NftablesBridge}, build: apart(lab.Outward)},
	{kind: BothWays, name: "both-ways", family: Partition, form: OfInterface,
		doc: "The interface and the other directors on its network do not hear each other; " +
			"everybody else hears all of them.",
		needs: []lab.Capability{lab.NftablesBridge}, build: apart(lab.Outward, lab.Inward)},
	{kind: AdvertsLost, name: "adverts-lost", family: Partition, form: OfInterface,
		doc:   "What the interface sends reaches everybody, but for VRRP's adverts.",
		needs: []lab.Capability{lab.NftablesBridge}, build: advertsLost},
	{kind: ARPLost, name: "arp-lost", family: Partition, form: OfInterface, ipv4: true,
		doc: "ARP, announcements of VIPs included, is lost, and nothing else. The heal leaves it " +
			"to the caches of the others when they ask again.",
		parameters: []Parameter{directed("out")},
		needs:      []lab.Capability{lab.NftablesBridge}, build: arpLost},
	{kind: ChecksLost, name: "checks-lost", family: Partition, form: OfNode,
		doc: "What the director itself sends to the ports of the real servers is lost: its " +
			"health checks. What it hands on for clients arrives.",
		needs: []lab.Capability{lab.NftablesBridge}, build: checksLost},

	{kind: DirectorKilled, name: "director-killed", family: Process, form: OfNode,
		doc:   "Every process of the director is ended by SIGKILL. The heal starts it.",
		build: ended(DirectorUnit, killed)},
	{kind: DirectorTerminated, name: "director-terminated", family: Process, form: OfNode,
		doc:   "The director is asked to stop by SIGTERM, and does. The heal starts it.",
		build: ended(DirectorUnit, terminated)},
	{kind: DirectorFrozen, name: "director-frozen", family: Process, form: OfNode,
		doc:   "Every process of the director is stopped by SIGSTOP.",
		build: frozen((*lab.Process).Freeze)},
	{kind: WorkerKilled, name: "worker-killed", family: Process, form: OfNode,
		doc: "The processes that the director's first one has started are ended by SIGKILL. " +
			"That starts others.",
		build: ended(DirectorUnit, killedWorkers)},
	{kind: WorkerFrozen, name: "worker-frozen", family: Process, form: OfNode,
		doc:   "The processes that the director's first one has started are stopped by SIGSTOP.",
		build: frozen((*lab.Process).FreezeWorkers)},
	{kind: GuardKilled, name: "guard-killed", family: Process, form: OfNode,
		doc: "The director's first process alone is ended by SIGKILL. The heal starts the " +
			"director when the others have ended for that.",
		build: guardKilled},
	{kind: Starved, name: "starved", family: Process, form: OfNode,
		doc: "The director's programs run for a moment at a time, with pauses between, as on a " +
			"machine that has no processor to spare.",
		parameters: []Parameter{{"run", "how long they run at a time", "20ms", FormTime},
			{"adverts", "the longest pause in intervals of adverts; some are shorter",
				starvedAdverts, FormNumber}},
		build: starved},
	{kind: OutOfDescriptors, name: "out-of-descriptors", family: Process, form: OfNode,
		doc: "The director's processes can open nothing more: no file, no socket, no connection. " +
			"What they have open stays so.",
		parameters: []Parameter{whose}, build: bounded(descriptors)},
	{kind: MemoryLimited, name: "memory-limited", family: Process, form: OfNode,
		doc: "The director's processes get no more memory than they have: their address space " +
			"is bounded (RLIMIT_AS). Who needs more may end of it. The heal starts a director " +
			"that has.",
		parameters: []Parameter{whose,
			{"left", "how many KiB they still get", "256", FormNumber}},
		build: bounded(memory)},
	{kind: DiskFull, name: "disk-full", family: Process, form: OfNode,
		doc: "The file system /run of the node is full: the only one that it has of its own, for " +
			"state, logs and process identity files.",
		parameters: []Parameter{{"left", "how many KiB are left", "0", FormNumber}},
		build:      diskFull},
	{kind: LogBlocked, name: "log-blocked", family: Process, form: OfNode,
		doc: "Nobody reads what the director writes as its log: who writes a line waits until it " +
			"is healed.",
		build: logBlocked},

	{kind: PowerOff, name: "power-off", family: Node, form: OfNode,
		doc: "All cables of the node go dead, then all its processes; nothing is said. The heal " +
			"boots it: all its programs start.",
		build: powerOff},
	{kind: Rebooted, name: "rebooted", family: Node, form: OfNode,
		doc: "The node loses its power, and boots by itself after a while. The heal does not " +
			"wait for the rest of that while.",
		parameters: []Parameter{{"down", "how long it has no power", "3s", FormTime}},
		build:      rebooted},
	{kind: Paused, name: "paused", family: Node, form: OfNode,
		doc: "The whole node stands still, as a virtual machine whose host has paused it: its " +
			"programs do nothing, its cables keep their carrier and carry nothing. It wakes up " +
			"with all that it had.",
		needs: []lab.Capability{lab.NftablesBridge}, build: paused},

	{kind: ServerStopped, name: "server-stopped", family: Server, form: OfNode,
		doc:   "The real server's program is ended; its node still answers, with a refusal.",
		build: ended(ServerUnit, killed)},
	{kind: ServerRefusing, name: "server-refusing", family: Server, form: OfNode,
		doc:   "The real server's program runs on, but nobody listens on its ports any more.",
		build: ails(lab.Refusing)},
	{kind: ServerHalfOpen, name: "server-half-open", family: Server, form: OfNode,
		doc:   "Calls of its ports hear nothing, for the queue of its listeners is full.",
		build: ails(lab.HalfOpen)},
	{kind: ServerSilent, name: "server-silent", family: Server, form: OfNode,
		doc:   "Its services take every connection and say nothing.",
		build: ails(lab.Silent)},
	{kind: ServerSlow, name: "server-slow", family: Server, form: OfNode,
		doc:   "Its services say a byte a second.",
		build: ails(lab.Slow)},
	{kind: ServerUnavailable, name: "server-unavailable", family: Server, form: OfNode,
		doc:   "Its services say that they cannot serve: HTTP 503, SMTP 421, DNS SERVFAIL.",
		build: ails(lab.Unavailable)},
	{kind: ServerWrong, name: "server-wrong", family: Server, form: OfNode,
		doc:   "Its services answer something else than they should.",
		build: ails(lab.Wrong)},
	{kind: ServerBadTLS, name: "server-bad-tls", family: Server, form: OfNode,
		doc:   "Where TLS should begin they speak HTTP.",
		build: ails(lab.BadTLS)},
	{kind: ServerMarked, name: "server-marked", family: Server, form: OfNode,
		doc: "An operator notes on every director, in the file /run/tandem-lab-NODE, that the " +
			"real server is not to be used. The server itself is well.",
		build: serverMarked},
	{kind: EchoIgnored, name: "echo-ignored", family: Server, form: OfNode,
		doc:   "The node's kernel answers no echo request.",
		build: echoIgnored},

	{kind: VIPDeleted, name: "vip-deleted", family: State, form: OfAddress,
		doc: "An administrator deletes a VIP of a director by hand. The heal puts it back if no " +
			"director has it.",
		build: vipDeleted},
	{kind: IPVSFlushed, name: "ipvs-flushed", family: State, form: OfNode, ipv4: true,
		doc: "An administrator deletes all virtual services of a director (ipvsadm -C). The heal " +
			"adds them again if there is none.",
		needs: []lab.Capability{lab.IPVS}, build: ipvsFlushed},
	{kind: RouteDeleted, name: "route-deleted", family: State, form: OfAddress,
		doc: "The route by which the node reaches an address is deleted; 0.0.0.0, or of " +
			"IPv6 ::, means the default route. The heal adds it if nobody has.",
		build: routeDeleted},
	{kind: NeighbourPoisoned, name: "neighbour-poisoned", family: State, form: OfAddress,
		doc: "The node has a permanent entry for an address, such as a VIP or its gateway, that " +
			"leads to nobody. The heal deletes it, and the node asks again.",
		build: neighbourPoisoned},
	{kind: ConntrackFull, name: "conntrack-full", family: State, form: OfNode, ipv4: true,
		doc: "The node tracks connections, as for a firewall, and its table of them is full: what " +
			"belongs to none that it knows is dropped, adverts included.",
		parameters: []Parameter{{"known", "how long it gets to know those that there are", "1s",
			FormTime}},
		needs: []lab.Capability{lab.Nftables}, build: conntrackFull},

	{kind: HostilePackets, name: "hostile-packets", family: Protocol, form: OfInterface, ipv4: true,
		doc: "A host sends by the interface, 300 times a second, packets like adverts of the " +
			"virtual routers there, of the best priority and the least, that no router may believe.",
		build: hostile(hostileBurst)},
	{kind: HostileFlood, name: "hostile-flood", family: Protocol, form: OfInterface, ipv4: true,
		doc:   "Likewise, 17,000 times a second.",
		build: hostile(floodBurst)},
	{kind: RogueRouter, name: "rogue-router", family: Protocol, form: OfInterface, ipv4: true,
		doc: "A host takes part in VRRP on the network of the interface, as a router that knows " +
			"all that the directors know, and serves nobody.",
		parameters: []Parameter{{"priority", "of its adverts", "254", FormNumber}},
		build:      rogueRouter},
	{kind: AdvertsReplayed, name: "adverts-replayed", family: Protocol, form: OfInterface, ipv4: true,
		doc: "A host hears an advert of the master on the network of the interface, and sends it " +
			"again and again.",
		parameters: []Parameter{
			{"times", "how often in each interval of adverts", "1", FormNumber},
			{"sender", "whose hardware address the frames have", "own", "own|heard"}},
		build: advertsReplayed},
	{kind: AdvertsMismatching, name: "adverts-mismatching", family: Protocol, form: OfInterface,
		ipv4: true,
		doc: "A host sends adverts as of a router of the network that is configured otherwise " +
			"than the directors are.",
		parameters: []Parameter{
			{"what", "is otherwise: double the interval, other addresses, the other version, " +
				"a wrong password", "addresses", "addresses|interval|version|password"},
			{"priority", "of its adverts", "254", FormNumber}},
		build: advertsMismatching},
	{kind: DuplicateAddress, name: "duplicate-address", family: Protocol, form: OfAddress, ipv4: true,
		doc: "The host takes an address that another one has, such as a VIP, and answers for it. " +
			"The heal has everybody who believed it ask again.",
		parameters: []Parameter{{"announce", "whether it says so to everybody, once", "yes", "yes|no"}},
		build:      duplicateAddress},

	{kind: ConfigBroken, name: "config-broken", family: Configuration, form: OfNode,
		doc: "The director is told to load a configuration file that is broken. The heal has it " +
			"load the one that there was.",
		parameters: []Parameter{{"what", "is wrong: an argument and a brace too many, a brace too " +
			"few, the second half is missing, nothing is there, or no text", "typo",
			"typo|unclosed|half|empty|noise"}},
		build: configBroken},
}
