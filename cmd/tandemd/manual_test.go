package main

import (
	goflag "flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/status"
)

var update = goflag.Bool("update", false, "write docs/man/tandemd.8 anew")

// TestManual keeps the manual of the command fresh: its options are those of the table.
func TestManual(t *testing.T) {
	file := filepath.Join("../../docs/man", "tandemd.8")
	want := manual()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s: expected it as -update writes it (-want +got)\n%s", file, diff)
	}
}

// TestManualIsComplete looks for what stands in other tables: an option, signal, exit status or
// condition more has to be described.
func TestManualIsComplete(t *testing.T) {
	text := manual()
	for _, o := range options() {
		if !strings.Contains(text, roff("--"+o.long)) {
			t.Errorf("option --%s is not described", o.long)
		}
	}
	for name := range signals {
		if !strings.Contains(text, ", "+name+"\n") {
			t.Errorf("signal %s is not described", name)
		}
	}
	for _, name := range status.Conditions() {
		if !strings.Contains(text, ".B "+name+"\n") || conditions[name] == "" {
			t.Errorf("condition %s is not described", name)
		}
	}
	for _, status := range []int{exitOK, exitFatal, exitConfig, exitPermission, exitNoConfig,
		exitTestRestricted} {
		if !strings.Contains(text, fmt.Sprintf(".TP\n.B %d\n", status)) {
			t.Errorf("exit status %d is not described", status)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 101 {
			t.Errorf("line of %d columns: %s", len(line), line)
		}
	}
}

func manual() string {
	var b strings.Builder
	b.WriteString(manualIntro)
	for _, effective := range []bool{true, false} {
		title := "OPTIONS"
		if !effective {
			title = "OPTIONS WITHOUT EFFECT"
		}
		fmt.Fprintf(&b, ".SH \"%s\"\n", title)
		if !effective {
			b.WriteString("These are accepted from keepalived's command lines, with a warning.\n")
		}
		for _, o := range options() {
			if (o.set != nil) == effective {
				fmt.Fprintf(&b, ".TP\n%s\n%s.\n", optionWords(&o), wrapped(sentence(o.help)))
			}
		}
	}
	b.WriteString(manualGenhash)
	for _, o := range new(hashing).options() {
		fmt.Fprintf(&b, ".TP\n%s\n%s.\n", optionWords(&o), wrapped(sentence(o.help)))
	}
	b.WriteString(manualDrain)
	b.WriteString(manualSignals)
	for _, name := range slices.Sorted(maps.Keys(signals)) {
		fmt.Fprintf(&b, ".TP\n.B %s, %s\n%s\n", signalWords[name][0], name, signalWords[name][1])
	}
	b.WriteString(manualStatus)
	for _, name := range status.Conditions() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", name, conditions[name])
	}
	b.WriteString(manualRest)
	return b.String()
}

// optionWords is the line of an option: bold what is typed, italic what it stands for.
func optionWords(o *option) string {
	value := ""
	switch o.argument {
	case required:
		value = `\ \fI` + roff(o.value) + `\fP`
	case optional:
		value = `[\fI` + roff(o.value) + `\fP]`
	case noArgument:
	}
	words := ""
	if o.short != 0 {
		words = `\fB\-` + string(o.short) + `\fP` + value + ", "
	}
	if o.argument == optional {
		value = `[=\fI` + roff(o.value) + `\fP]`
	}
	return words + `\fB` + roff("--"+o.long) + `\fP` + value
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// wrapped is text for roff, on lines that fit an editor.
func wrapped(s string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(roff(s)) {
		if line != "" && len(line)+1+len(word) > 99 {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// roff takes the meaning off what roff(7) would read.
func roff(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "'", `\(aq`).Replace(s)
}

const manualIntro = `.\" Generated from the table of options; go test ./cmd/tandemd -update writes it anew.
.TH TANDEMD 8 "" Tandem "Tandem manual"
.SH NAME
tandemd \- director for VRRP and virtual services, from a keepalived.conf
.SH SYNOPSIS
.B tandemd
[\fIOPTION\fP...]
.br
.B tandemd \-t
[\fB\-f\fP \fIFILE\fP] [\fB\-\-peer\fP \fIFILE\fP] [\fB\-\-format json\fP]
.br
.B tandemd \-\-status
[\fB\-\-format json\fP]
.br
.B tandemd \-\-reload
.br
.B tandemd
\fB\-\-drain\fP | \fB\-\-undrain\fP \fIVIRTUAL\fP/\fIREAL\fP
.br
.B tandemd \-\-weight
\fIVIRTUAL\fP/\fIREAL\fP=\fIN\fP
.br
.B tandemd genhash
\fB\-s\fP \fIADDRESS\fP [\fIOPTION\fP...]
.br
.B tandemd \-\-cleanup
.SH DESCRIPTION
tandemd keeps virtual IP addresses (VIPs) on one of several routers by VRRP, distributes connections
to them over real servers by the kernel's IPVS, and checks the health of the real servers.
It is configured by a file in the language of keepalived.conf, see
.BR tandemd.conf (5),
and takes keepalived's options.
.PP
It stays in the foreground and logs to standard error.
With systemd it is a unit of Type=notify: it says when it is ready, reloads and stops, and gives
signs of life if WatchdogSec is set.
.PP
It is two processes.
The one that was started is the guard.
It starts the worker, which does everything, and holds nothing but a list of what the worker claims
on the network.
A worker that is killed, or stands still, is replaced at once, and the guard sends its adverts
meanwhile.
One that dies again within a minute has its claims handed over to the peer, and comes
back as backup.
If the guard dies the worker stops as if it was told to.
.PP
A stop, or a reload that takes an instance away, hands over first: priority 0 is sent, and packets
are forwarded until the successor is heard or a bounded time is over.
A reload changes only what differs in the file.
A file with errors is refused as a whole, with the place of each mistake, and what runs stays.
`

const manualGenhash = `.SH GENHASH
tandemd genhash gets a page as a health check does, and prints its MD5 for the keyword digest of
HTTP_GET and SSL_GET.
Its options are those of keepalived\(aqs genhash.
`

const manualDrain = `.SH "WEIGHTS BY OPERATORS"
Options \-\-drain, \-\-undrain and \-\-weight ask the running daemon.
They may be given several times.
A virtual server is ADDRESS:PORT, fwmark:NUMBER or group:NAME, each perhaps after its protocol or
family and a slash, as in udp/192.168.1.1:53 and inet6/fwmark:7.
A port may be left out where one fits.
.PP
The weight is in place of the configured one and of what checks say.
A real server with weight 0 gets no new connections and keeps those that it has, and counts as 0 for
the quorum.
One that is down stays down.
It holds until it is undone, over reloads and restarts; the status says since when.
A reload of a file that has the real server no more drops it, with a line in the log.
`

const manualSignals = `.SH SIGNALS
They go to the guard.
Their names, for option \-\-signum, stand behind them.
`

// signalWords are the signals of --signum: which one it is, and what it does.
var signalWords = map[string][2]string{
	"STOP":   {"SIGTERM, SIGINT", "Hands over, gives back what was taken, and ends."},
	"RELOAD": {"SIGHUP", "Reads the configuration again. Option \\-\\-reload also says what came of it."},
	"DATA":   {"SIGUSR1", "Writes the state of VRRP to state_dump_file, or to /tmp/keepalived.data."},
	"STATS":  {"SIGUSR2", "Writes its counters to stats_dump_file, or to /tmp/keepalived.stats."},
	"JSON":   {"SIGRTMIN+2", "Writes both as JSON to json_dump_file, or to /tmp/keepalived.json."},
}

const manualStatus = `.SH STATUS
Option \-\-status asks the running daemon by its control socket, and writes first what is wrong, and
then everything, for a terminal of 80 columns or more.
With \-\-format json it is one object, whose field schema grows when a field changes its meaning.
Option \-\-metrics serves the same to Prometheus, in metrics that begin with tandem_.
.PP
What is wrong for as long as it is has one of these names, with the instance, or whatever it is
about, since when it is so, and what was seen.
It is in the status, in the metric tandem_condition, in the log when it begins and when it has been
over for 30 seconds, and in mail, if smtp_alert is on for the instance.
`

// conditions says what each means.
var conditions = map[string]string{
	status.SplitBrain: "Another router is master as well: it is heard, or its adverts are refused while\n" +
		"this one is master.",
	status.AddressConflict: "Another station has a VIP of this master too: it answers for it, or has announced\n" +
		"it. Where that is a router of the same virtual router, the network loses adverts.",
	status.AdvertsLost: "Adverts of this master do not leave the machine: to the others it is dead. A firewall\n" +
		"or a full queue does that.",
	status.KernelRefused: "The kernel did not do what it was asked to, within the last minute.",
	status.Stalled: "The daemon did not get to run in time: the machine, or its host, has too little\n" +
		"time for it.",
	status.AdvertRejected: "Adverts of a router that claims the same virtual router are refused: its interval,\n" +
		"version, password, addresses or the like differ.",
	status.PeerMismatch: "Adverts are believed although they differ from the configuration.",
	status.ScriptFailed: "The script of a tracker cannot run at all, or a script that was to tell somebody\n" +
		"has failed and has not run well since, for an hour at most.",
}

const manualRest = `.SH "EXIT STATUS"
.TP
.B 0
It was told to stop, and has. With \-t: the file would run as it is written.
With \-\-reload: it was taken over. With \-\-status: the daemon has answered, whatever it says.
With \-\-drain, \-\-undrain and \-\-weight: it is done. With genhash: the page was got.
.TP
.B 1
It cannot run, or has left something behind; the log says what.
With \-\-reload: the file was not taken over. With \-\-status: nobody has answered.
With \-\-drain and its like: it is not done. With genhash: the page was not got.
.TP
.B 2
The configuration or the command line has errors.
With \-\-drain and its like: there is no such virtual or real server.
.TP
.B 4
A permission is missing.
With \-t: the file would not be run, or not beside the peer of \-\-peer.
With \-\-reload: the file has errors.
.TP
.B 5
With \-t: the file would be run, but not all of it as it is written.
.TP
.B 6
There is no configuration.
With \-t: root would run a script that others can change.
.SH SCRIPTS
Scripts of notify get four more arguments, as from keepalived: INSTANCE or GROUP, the name, the
state, and the priority.
All scripts that are told of something have these in their environment as well:
.TP
.B TANDEM_SEQ
The number of the event, which grows over reloads and restarts of the worker.
What could not be told is logged with its number, and counted in the status.
.TP
.B TANDEM_TIME
When it happened, as in RFC 3339.
.TP
.B TANDEM_REASON
Why, in words.
.PP
Those of one instance run one after another; those of several instances run beside each other, 64 at
once.
A script may take any time until another one waits for it: then it is ended after a minute.
.SH ENVIRONMENT
.TP
.B NOTIFY_SOCKET, WATCHDOG_USEC
Set by systemd; scripts do not get them.
.TP
.B PATH
Where scripts without a slash in their names are looked for.
.SH FILES
.TP
.I /etc/keepalived/keepalived.conf
The configuration, unless \-f names another.
.TP
.I /run/tandemd/tandemd.sock
The control socket, for \-\-status and \-\-reload; in /run if /run/tandemd is not there.
With \-s or net_namespace it is tandemd\-NAME.sock, and with instance it has that name too; with \-p
it stands beside that file.
.TP
.I /run/tandemd/tandemd.claims
What is claimed on the network, for \-\-cleanup; beside the control socket.
.TP
.I /run/tandemd/tandemd.overrides
Weights by operators; beside the control socket.
.TP
.I /tmp/keepalived.data, /tmp/keepalived.stats, /tmp/keepalived.json
Dumps that signals ask for.
.SH "SEE ALSO"
.BR tandemd.conf (5),
.BR ipvsadm (8),
.BR systemd.service (5)
`
