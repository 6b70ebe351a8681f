package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
)

// defaultFile is where keepalived looks as well.
const defaultFile = "/etc/keepalived/keepalived.conf"

// action is what the command line asks for. Zero is to run the daemon.
type action uint8

const (
	actionRun action = iota
	actionTest
	actionHelp
	actionVersion
	actionSignum
	actionReload
	actionStatus
	actionCleanup
	actionOverride
)

// command is the command line, read.
type command struct {
	action action
	// words are the command line.
	words []string
	file  string
	// id is the config id.
	id string
	// testLog is where -t writes; empty means standard error.
	testLog string
	// peer is the file of the other director, for -t to compare with; empty means none. peerID is
	// the other one's config id.
	peer, peerID string
	// metrics is where Prometheus is answered; empty means nowhere.
	metrics string
	// format is that of what -t and --status say; empty means text.
	format string
	// signum is the number that --signum asks for.
	signum unix.Signal

	onlyVRRP, onlyServices bool
	keepServices           bool
	snmp                   bool
	snmpSocket             string
	// checkIncludes makes whatever is wrong with an include an error.
	checkIncludes bool
	dump          bool
	detail        int
	namespace     string
	// instance is the name of the daemon among several; empty means that it has none.
	instance string
	// alone is without a guard.
	alone    bool
	pidFiles []string
	// control is the control socket; empty means what socket works out.
	control string
	// asks are what --drain, --undrain and --weight ask for.
	asks []daemon.Question
	// ignored are the options that were given and have no effect.
	ignored []string
}

// apply carries out one option of the command line, which was written as name.
func (c *command) apply(o *option, name, value string) error {
	if o.set == nil {
		c.ignored = append(c.ignored, name)
		return nil
	}
	if err := o.set(c, value); err != nil {
		return fmt.Errorf("option %s %q: %w", name, value, err)
	}
	return nil
}

// The formats of what -t and --status say.
const (
	formatText = "text"
	formatJSON = "json"
)

// check says which options cannot stand together.
func (c *command) check() error {
	switch {
	case c.action != actionTest && c.peer != "":
		return errors.New("option --peer: expected -t beside it")
	case c.peer == "" && c.peerID != "":
		return errors.New("option --peer-id: expected --peer beside it")
	case c.action != actionTest && c.action != actionStatus && c.format != "":
		return errors.New("option --format: expected -t or --status beside it")
	case c.dump && c.format == formatJSON && c.testLog == "":
		return errors.New("option --format json: expected no -d, or -tFILE, for both write to " +
			"standard output")
	}
	return nil
}

func setFormat(c *command, value string) error {
	if value != formatText && value != formatJSON {
		return errors.New("expected text or json")
	}
	c.format = value
	return nil
}

func setMetrics(c *command, value string) error {
	host, port, err := net.SplitHostPort(value)
	if err != nil || port == "" || strings.ContainsAny(host, " /") {
		return errors.New("expected an address and a port, as in 127.0.0.1:9650")
	}
	c.metrics = value
	return nil
}

// level is the least level that is logged: -DD asks for more than one -D.
func (c *command) level() slog.Level {
	if c.detail > 1 {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (c *command) warn(w io.Writer) {
	for _, name := range c.ignored {
		fmt.Fprintf(w, "tandemd: warning: option %s: has no effect here\n", name)
	}
}

// signals are the names of --signum whose signal the daemon understands.
var signals = map[string]unix.Signal{
	"STOP": unix.SIGTERM, "RELOAD": unix.SIGHUP,
	"DATA": unix.SIGUSR1, "STATS": unix.SIGUSR2, "JSON": sigJSON,
}

func setSignum(c *command, value string) error {
	s, ok := signals[strings.ToUpper(value)]
	if !ok {
		return errors.New("expected STOP, RELOAD, DATA, STATS or JSON")
	}
	c.action, c.signum = actionSignum, s
	return nil
}

func setTest(c *command, value string) error {
	c.action, c.testLog = actionTest, value
	return nil
}

func addPIDFile(c *command, value string) error {
	c.pidFiles = append(c.pidFiles, value)
	return nil
}

// quietly makes an option that asks for what is so anyway.
func quietly(*command, string) error { return nil }

func flag(at func(*command) *bool) func(*command, string) error {
	return func(c *command, _ string) error {
		*at(c) = true
		return nil
	}
}

func text(at func(*command) *string) func(*command, string) error {
	return func(c *command, value string) error {
		*at(c) = value
		return nil
	}
}

func act(a action) func(*command, string) error {
	return func(c *command, _ string) error {
		c.action = a
		return nil
	}
}

// options is keepalived's command line.
func options() []option {
	return []option{
		{'f', "use-file", required, "FILE", "read this configuration (" + defaultFile + ")",
			text(func(c *command) *string { return &c.file })},
		{'t', "config-test", optional, "FILE", "check the configuration, write what is wrong to " +
			"FILE (standard error)", setTest},
		{0, "peer", required, "FILE", "with -t: compare with the other director's configuration",
			text(func(c *command) *string { return &c.peer })},
		{0, "peer-id", required, "ID", "with --peer: leave out its lines for others than @ID",
			text(func(c *command) *string { return &c.peerID })},
		{0, "format", required, "FORMAT", "with -t or --status: text, or json to standard output",
			setFormat},
		{'d', "dump-conf", noArgument, "", "write the effective configuration to standard output; " +
			"with -t, and end",
			flag(func(c *command) *bool { return &c.dump })},
		{'e', "all-config", noArgument, "", "whatever is wrong with an include is an error",
			flag(func(c *command) *bool { return &c.checkIncludes })},
		{'P', "vrrp", noArgument, "", "run VRRP only",
			flag(func(c *command) *bool { return &c.onlyVRRP })},
		{'C', "check", noArgument, "", "run virtual services only",
			flag(func(c *command) *bool { return &c.onlyServices })},
		{'I', "dont-release-ipvs", noArgument, "",
			"leave virtual services in the kernel at the stop",
			flag(func(c *command) *bool { return &c.keepServices })},
		{'s', "namespace", required, "NAME", "run in this network namespace, whatever net_namespace says",
			text(func(c *command) *string { return &c.namespace })},
		{'p', "pid", required, "FILE", "write the process ID to FILE", addPIDFile},
		{'r', "vrrp_pid", required, "FILE", "the same, for it is one process", addPIDFile},
		{'c', "checkers_pid", required, "FILE", "the same, for it is one process", addPIDFile},
		{'D', "log-detail", noArgument, "", "log more, if given twice",
			func(c *command, _ string) error { c.detail++; return nil }},
		{'l', "log-console", noArgument, "", "log to standard error, as always", quietly},
		{'n', "dont-fork", noArgument, "", "stay in the foreground, as always", quietly},
		{'G', "no-syslog", noArgument, "", "log to no syslog, as always", quietly},
		{0, "control", required, "FILE", "the control socket (beside the file of -p, or in " +
			ownRunDir + " if that is there, or in " + runDir + ")",
			text(func(c *command) *string { return &c.control })},
		{0, "reload", noArgument, "", "ask the running daemon to read its configuration again, and " +
			"wait for what comes of it", act(actionReload)},
		{0, "status", noArgument, "", "say how the running daemon is; exit status 0 if it answers, " +
			"1 if nobody does", act(actionStatus)},
		{0, "drain", required, "VIRTUAL/REAL", "ask the running daemon to give this real server no new " +
			"connections, as in 192.168.1.1:80/192.168.2.11:80, until --undrain",
			setOverride(new(int))},
		{0, "undrain", required, "VIRTUAL/REAL", "undo --drain and --weight", setOverride(nil)},
		{0, "weight", required, "VIRTUAL/REAL=N", "ask the running daemon to give this real server " +
			"this weight, whatever its checks say of that, until --undrain", setWeight},
		{0, "metrics", required, "ADDRESS", "answer Prometheus there, at /metrics: 127.0.0.1:9650",
			setMetrics},
		{0, "cleanup", noArgument, "", "take off the network what a killed daemon with this " +
			"configuration has left", act(actionCleanup)},
		{0, "no-guard", noArgument, "", "run in one process, that nobody clears up behind",
			flag(func(c *command) *bool { return &c.alone })},
		{0, "signum", required, "NAME", "print the number of the signal STOP, RELOAD, DATA, STATS or " +
			"JSON", setSignum},
		{'v', "version", noArgument, "", "print the version", act(actionVersion)},
		{'h', "help", noArgument, "", "print this", act(actionHelp)},

		{'B', "no_bfd", noArgument, "", "run no BFD", nil},
		{0, "all", noArgument, "", "run every subsystem", nil},
		{'S', "log-facility", required, "FACILITY", "facility of syslog", nil},
		{'g', "log-file", optional, "FILE", "log to a file", nil},
		{0, "flush-log-file", noArgument, "", "flush the log file", nil},
		{'u', "umask", required, "MASK", "file mode creation mask", nil},
		{'X', "release-vips", noArgument, "", "drop VIPs on a transition by signal", nil},
		{'V', "dont-release-vrrp", noArgument, "", "leave VIPs at the stop", nil},
		{'R', "dont-respawn", noArgument, "", "respawn no child", nil},
		{'a', "address-monitoring", noArgument, "", "log changes of addresses", nil},
		{'b', "bfd_pid", required, "FILE", "process ID of BFD", nil},
		{'m', "core-dump", noArgument, "", "dump core", nil},
		{'M', "core-dump-pattern", optional, "PATTERN", "name of core dumps", nil},
		{'x', "snmp", noArgument, "", "serve all MIBs by AgentX, whatever the configuration says",
			flag(func(c *command) *bool { return &c.snmp })},
		{'A', "snmp-agent-socket", required, "SOCKET", "the master agent's, whatever the " +
			"configuration says", text(func(c *command) *string { return &c.snmpSocket })},
		{'i', "config-id", required, "ID", "leave out lines for others than @ID",
			text(func(c *command) *string { return &c.id })},
		{0, "ignore-sigint", noArgument, "", "ignore SIGINT", nil},
		{0, "perf", optional, "WHEN", "record performance", nil},
		{0, "debug", optional, "OPTIONS", "debug", nil},
		{0, "no-mem-check", noArgument, "", "check no memory", nil},
	}
}
