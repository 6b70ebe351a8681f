package config

import (
	"net/netip"
	"time"
)

// Global is what holds for the whole daemon: global_defs, and the statements outside of all blocks.
type Global struct {
	// RouterID names this director in mail; empty means the host's name.
	RouterID string
	// Mail says where alerts go, Alerts which there are.
	Mail   Mail
	Alerts Alerts
	// ScriptAccount runs notify scripts; empty means keepalived's own choice (keepalived_script if
	// that user exists, else root).
	ScriptAccount Account
	// ScriptSecurity refuses scripts run as root that others could change.
	ScriptSecurity bool
	// Version is the VRRP version of instances that name none: 2 or 3.
	Version int
	// SkipCheckAdvertAddresses and Strict are the defaults of the instances' fields.
	SkipCheckAdvertAddresses, Strict bool
	// GARP is the default of the instances' field, Adverts that of the rest of VRRP.
	GARP    GARP
	Adverts Adverts
	// Start is what happens around the life of the daemon.
	Start Start
	// Scheduling is what keepalived asks the kernel for its processes.
	Scheduling Scheduling
	// Firewall is what keeps packets from the VIPs in no_accept mode.
	Firewall Firewall
	// LVS is what holds for all virtual services.
	LVS LVS
	// FIFOs get a line for each event.
	FIFOs FIFOs
	// SNMP and DBus are the interfaces to other programs.
	SNMP SNMP
	DBus DBus
	// Buffers are sizes of the kernel's buffers.
	Buffers Buffers
	// Files are paths and names.
	Files Files
	// Reload is how a new configuration is taken over.
	Reload Reload
	// Namespace is where the daemon runs.
	Namespace Namespace
	// Links is how the state of interfaces is watched.
	Links Links
}

// Switch is a truth value that may be left open: zero is unset.
type Switch uint8

// SwitchOff and SwitchOn are the two values of one that is set.
const (
	SwitchOff Switch = iota + 1
	SwitchOn
)

// Account is a user and perhaps a group of this machine, by name.
type Account struct {
	User, Group string
}

// Mail is the address book of alerts.
type Mail struct {
	// To are the recipients, From the sender.
	To   []string
	From string
	// Server takes the mail; its zero value means that none can be sent.
	Server HostPort
	// Helo is the name given in HELO; empty means the host's name.
	Helo string
	// ConnectTimeout bounds the connection to Server.
	ConnectTimeout time.Duration
	// StartTLS is off, offered or required; empty is off.
	StartTLS string
	// User logs in with Password, or with the first line of PasswordFile; empty means nobody does.
	// If both are set the file counts.
	User, Password, PasswordFile string
}

// HostPort is a host, by name or address, and a port.
type HostPort struct {
	Host string
	Port uint16
}

// Alerts says what is told, by mail and log.
type Alerts struct {
	// All, VRRP and Checkers are the defaults of smtp_alert: for all, for instances and groups, for
	// virtual and real servers. Unset is off.
	All, VRRP, Checkers Switch
	// LogAllFailures logs each failure of a check, not only those that change a real server.
	LogAllFailures bool
	// NoFaults sends no mail when an instance falls into fault, NoCheckers none when a check
	// changes.
	NoFaults, NoCheckers bool
	// FirstUp runs notify_up for real servers that come up for the first time.
	FirstUp bool
}

// Adverts are the defaults of instances.
type Adverts struct {
	// Group4 and Group6 are the multicast destinations.
	Group4, Group6 netip.Addr
	// DownTimer is after how many intervals without an advert the master counts as down: 1 to 100.
	DownTimer int
	// LowerPriorityNoAdvert does not answer adverts of lower priority; HigherPrioritySendAdvert
	// sends a last one on hearing a higher priority; OwnerIgnore ignores all as owner.
	LowerPriorityNoAdvert, HigherPrioritySendAdvert, OwnerIgnore bool
	// CheckUnicastSource drops unicast adverts of others than the peers.
	CheckUnicastSource bool
	// ChecksumAsV2 leaves the pseudo header out of the checksum of IPv4 adverts of version 3.
	ChecksumAsV2 bool
	// PriorityChanges tells scripts and FIFOs of changes of the priority.
	PriorityChanges bool
	// LogUnknownVRIDs logs adverts of virtual routers that are not configured.
	LogUnknownVRIDs bool
	// DisableLocalIGMP turns off reports of link-local multicast groups.
	DisableLocalIGMP bool
	// VMACPrefix and VMACAddressPrefix start the names of macvlans; empty means vrrp.
	VMACPrefix, VMACAddressPrefix string
}

// Start is what happens around the life of the daemon.
type Start struct {
	// Startup and Shutdown are run before and after everything else; their timeouts bound them.
	Startup, Shutdown               *Script
	StartupTimeout, ShutdownTimeout time.Duration
	// Delay is from the start to that of the instances, AfterBoot from the machine's start to it.
	Delay, AfterBoot time.Duration
	// ChildWait bounds the wait for processes at the stop.
	ChildWait time.Duration
	// RandomSeed makes ${_RANDOM} repeatable, if HasRandomSeed is set.
	RandomSeed    uint32
	HasRandomSeed bool
	// Umask is the file mode creation mask.
	Umask uint16
	// SymlinkPaths uses paths of scripts as they are written, links and all.
	SymlinkPaths bool
	// SupplementaryGroups gives scripts all the groups of their user.
	SupplementaryGroups bool
}

// Scheduling is what keepalived asks the kernel for its processes.
type Scheduling struct {
	// DefaultNames names the processes after what they do; Name is that of the parent.
	DefaultNames bool
	Name         string
	// VRRP, Checker and BFD are the three processes.
	VRRP, Checker, BFD Process
	// MaxAutoPriority is how far a late process may raise its priority: -1 to 99; MinAutoDelay is
	// how late that is.
	MaxAutoPriority int
	MinAutoDelay    time.Duration
}

// Process is one process of keepalived.
type Process struct {
	// Name is what ps(1) shows; empty means the program's.
	Name string
	// Nice is -20 to 19; RTPriority 1 to 99, or 0 for the normal scheduler.
	Nice, RTPriority int
	// RTLimit bounds the processor time between two blocking system calls.
	RTLimit time.Duration
	// NoSwap locks its memory.
	NoSwap bool
	// Processors it may run on; nil means all.
	Processors []int
}

// Firewall is what keeps packets from the VIPs in no_accept mode.
type Firewall struct {
	// Chains are the iptables chains for packets in and out; Sets the names of ipsets.
	Chains, Sets []string
	// Table of nftables and its priority; empty means none.
	Table    string
	Priority int
	// ByIndex names interfaces by number; Counters count packets.
	ByIndex, Counters bool
	// MarkTable gives virtual server groups firewall marks from FirstMark on.
	MarkTable    string
	MarkPriority int
	FirstMark    uint32
}

// LVS is what holds for all virtual services.
type LVS struct {
	// Sync is the connection synchronisation; nil means none.
	Sync *Sync
	// Timeouts of connections; zero ones are the kernel's.
	Timeouts Timeouts
	// Flush empties the table at the start. FlushOnStop does at the stop: FlushAll everything,
	// FlushOwn the virtual services of the configuration.
	Flush       bool
	FlushOnStop Flush
	// ForwardGuard forwards no replies of real servers behind NAT that IPVS has not translated.
	ForwardGuard bool
}

// Flush says what is taken out of the table. Zero is unset: one by one, as always.
type Flush uint8

// FlushAll is the whole table, FlushOwn the services of the configuration.
const (
	FlushAll Flush = iota + 1
	FlushOwn
)

// Sync is the synchronisation of connections between directors.
type Sync struct {
	// Interface carries it.
	Interface string
	// Instance gives its virtual router ID where there is no ID, and nothing else: each director sends
	// and hears.
	Instance string
	// ID is 0 to 255, and only with HasID set.
	ID    uint8
	HasID bool
	// MaxLength of a message in bytes, Port and TTL: 0 means the kernel's.
	MaxLength int
	Port      uint16
	TTL       uint8
	// Group is the multicast address; invalid means 224.0.0.81.
	Group netip.Addr
}

// Timeouts are how long IPVS keeps idle connections; whole seconds.
type Timeouts struct {
	TCP, TCPFin, UDP time.Duration
}

// FIFO is a named pipe and who owns it.
type FIFO struct {
	Path    string
	Account Account
}

// FIFOs are the pipes for events.
type FIFOs struct {
	// All gets every event, VRRP and LVS those of instances and of servers.
	All, VRRP, LVS FIFO
	// The scripts that read them; nil means nobody is started.
	AllScript, VRRPScript, LVSScript *Script
	// StatesOnReload writes all states after a reload.
	StatesOnReload bool
}

// SNMP is the AgentX subagent.
type SNMP struct {
	// VRRP, Checker and the RFCs are the trees that it serves.
	VRRP, Checker, RFC, RFCv2, RFCv3 bool
	// Traps sends traps; Socket is the master agent's.
	Traps  bool
	Socket string
	// ServiceInterval and ServerInterval are how old statistics may be.
	ServiceInterval, ServerInterval time.Duration
}

// DBus is the message bus interface.
type DBus struct {
	// Enable turns it on under the name Service; empty means org.keepalived.Vrrp1.
	Enable  bool
	Service string
	// NoInterface leaves the interface out of object names.
	NoInterface bool
}

// Buffers are sizes of receive buffers in bytes; 0 means the kernel's.
type Buffers struct {
	VRRPCommand, VRRPMonitor, LVSCommand, LVSMonitor, ProcessMonitor Buffer
	// ReceivePolicy is MTU, ADVERT or a number of bytes; empty means the kernel's.
	ReceivePolicy string
	// ReceiveMultiplier is for how many adverts there is room.
	ReceiveMultiplier int
}

// Buffer is one size; Force goes beyond the system's limit.
type Buffer struct {
	Size  int
	Force bool
}

// Files are paths and names.
type Files struct {
	// SaveDir gets copies of the configuration, TempDir is for it while it is read.
	SaveDir, TempDir string
	// UseInstance puts the instance's name into names of dumps.
	UseInstance bool
	// JSONVersion is 1 or 2.
	JSONVersion int
	// State, Stats and JSON are where signals dump to.
	State, Stats, JSON string
	// RouteUser and RouteSystem are the directories of iproute2.
	RouteUser, RouteSystem string
	// UsePIDDir puts process IDs into a directory of their own.
	UsePIDDir bool
}

// Reload is how a new configuration is taken over.
type Reload struct {
	// Check reads it first as -t would; CheckLog gets what is said.
	Check    bool
	CheckLog string
	// TimeFile holds the time of the next one; Repeat keeps it after that.
	TimeFile string
	Repeat   bool
	// Lock is a file that is there while the configuration is read; LockDefault is set if it has
	// the default name.
	Lock        string
	LockDefault bool
	// IncludeChecks are the words of include_check.
	IncludeChecks []string
}

// Namespace is where the daemon runs.
type Namespace struct {
	// Network and IPVS are names of network namespaces; empty means this one. IPVSHere is set if
	// IPVS is asked to stay in this one.
	Network, IPVS string
	IPVSHere      bool
	// IPSets allows ipsets in namespaces.
	IPSets bool
	// Instance is the name of this daemon among several.
	Instance string
}

// Links is how the state of interfaces is watched.
type Links struct {
	// Poll asks again and again instead of listening, for all or those of Polled.
	Poll   bool
	Polled []PolledLink
	// Delays hold changes back.
	Delays []LinkDelay
	// Dynamic allows interfaces that are not there yet; DynamicChanges that they change their kind.
	Dynamic, DynamicChanges bool
	// Default is the interface of static entries that name none.
	Default string
}

// PolledLink is an interface whose state is asked for.
type PolledLink struct {
	Interface string
	// Method is MII, ETHTOOL or IOCTL; empty means the first that works.
	Method string
}

// LinkDelay holds changes of an interface back.
type LinkDelay struct {
	Interface string
	// Down and Up are 0 to 255 s.
	Down, Up time.Duration
}
