package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// instance and service are blocks with nothing to say about them, with room for one more line.
const (
	instance = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" +
		"virtual_ipaddress { 10.0.0.1/24 }\n%\n}"
	service = "virtual_server 10.0.0.1 80 {\nprotocol TCP\nreal_server 10.0.0.9 80 { }\n%\n}"
	real4   = "virtual_server 10.0.0.1 80 {\nprotocol TCP\nreal_server 10.0.0.9 80 {\n%\n}\n}"
	check   = "virtual_server 10.0.0.1 80 {\nprotocol TCP\nreal_server 10.0.0.9 80 {\n" +
		"HTTP_GET {\n%\n}\n}\n}"
	two = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n" +
		"virtual_ipaddress { 10.0.0.1/24 }\n}\n" +
		"vrrp_instance B {\ninterface eth0\nvirtual_router_id 2\n" +
		"virtual_ipaddress { 10.0.0.2/24 }\n}\n%"
)

// besideA is an instance beside one with a line, on the same interface, with room for one more.
func besideA(line string) string {
	return strings.Replace(instance, "%", line, 1) + "\nvrrp_instance B {\ninterface eth0\n" +
		"virtual_router_id 2\nvirtual_ipaddress { 10.0.0.2/24 }\n%\n}"
}

// TestDiagnostics has one case for each thing that can be said, with the whole of what is said.
func TestDiagnostics(t *testing.T) { checkAll(t, diagnosticCases) }

var diagnosticCases = []saying{
	{"nothing wrong", instance, "", nil},
	{"empty file", "%", "", []string{
		`1:1: warning: file: expected at least one vrrp_instance or virtual_server`}},
	{"NUL byte", instance, "priority 7\x00", []string{`5:11: error: NUL byte: expected text`}},
	{"open quote", instance, `priority "7`, []string{
		`5:10: error: quote ": expected its end on the same line`}},
	{"comment in a word", instance, "authentication { auth_type PASS\nauth_pass a!b\n}", []string{
		`6:12: warning: comment "!": expected a blank before it; write \! or quote the word ` +
			`if it is part of it`}},
	{"brace without keyword", instance, "}\n{ }", []string{
		`6:1: error: brace {: expected a keyword before it`,
		`7:1: error: brace }: expected no more than there are blocks open`}},
	{"brace not closed", "vrrp_script a {\nscript /bin/true\n%", "", []string{
		`1:15: error: vrrp_script {: expected its closing brace before the end of the file`}},
	{"brace not closed before the next", "global_defs {\n%" + instance, "", []string{
		`1:13: error: global_defs {: expected its closing brace before vrrp_instance on line 2`}},
	{"unknown keyword", instance, "prioirty 7", []string{
		`5:1: error: prioirty "7": expected a keyword of vrrp_instance (did you mean priority?)`}},
	{"unknown block", instance, "zzz { a\nb { c } }", []string{
		`5:1: error: zzz: expected a keyword of vrrp_instance; its block is skipped`}},
	{"keyword of another block", instance, "lb_algo rr", []string{
		`5:1: error: lb_algo "rr": expected a keyword of vrrp_instance; ` +
			`this one belongs in virtual_server`}},
	{"block missing", instance, "track_interface", []string{
		`5:1: error: track_interface: expected a block { … } after it`}},
	{"block too many", instance, "priority { 7 }", []string{
		`5:10: error: priority {: expected a whole number from 1 to 255 and no block`}},
	{"block in a list", instance, "track_interface { eth1 { x } }", []string{
		`5:24: error: eth1 {: expected INTERFACE [weight N [reverse|noreverse]] ` +
			`and no block`}},
	{"word before a block", instance, "authentication x { auth_type PASS\nauth_pass y }",
		[]string{`5:16: error: authentication "x": expected { after the keyword`}},
	{"word before a list", instance, "track_interface eth1 { }", []string{
		`5:17: error: track_interface "eth1": expected { after the keyword`}},
	{"twice", instance, "priority 7\npriority 8", []string{
		`6:1: warning: priority: expected once in vrrp_instance; this one replaces line 5`}},
	{"address of an ipvlan", instance, "use_ipvlan x 10.0.0.9/24 vepa", []string{
		`5:14: note: use_ipvlan "10.0.0.9/24": has no effect: adverts are sent from interface, ` +
			`with its address`}},
	{"no mode of an ipvlan", instance, "use_ipvlan x l3", []string{
		`5:14: error: use_ipvlan "l3": expected [NAME] [IP] [bridge|private|vepa]`}},
	{"ipvlan and macvlan", instance, "use_ipvlan\nuse_vmac", []string{
		`5:1: warning: use_ipvlan of A: expected none beside use_vmac; it is left out`}},
	{"ipvlans on one interface", besideA("use_ipvlan "), "use_ipvlan y", nil},
	{"ipvlan beside a macvlan", besideA("use_vmac"), "use_ipvlan", []string{
		`7:1: error: use_ipvlan of B: expected use_vmac, as A has it on eth0, which is for one of ` +
			`them (line 1)`}},
	{"ipvlans of two modes", besideA("use_ipvlan private"), "use_ipvlan", []string{
		`7:1: error: use_ipvlan of B: expected private, as that of A on eth0, where it is the same ` +
			`for all (line 1)`}},
	{"ipvlans of one name", besideA("use_ipvlan x"), "use_ipvlan x", []string{
		`7:1: error: use_ipvlan of B: expected another name than x, which A has (line 1)`}},
	{"no effect needed", instance, "debug 2", []string{
		`5:1: note: debug: has no effect: -D says how much is logged`}},
	{"refused", instance, "no_virtual_ipaddress", []string{
		`5:1: error: no_virtual_ipaddress: expected a virtual_ipaddress: ` +
			`this version has no instance without`}},
	{"include of nothing", "%\n" + instance, "include b.conf", []string{
		`1:1: warning: include "b.conf": b.conf: file does not exist`}},
	{"condition of another id", instance, "@lb1 priority 7000", nil},
	{"condition of all other ids", instance, "@^lb1 priority 7000", []string{
		`5:16: error: priority "7000": expected a whole number from 1 to 255`}},

	{"value missing", instance, "priority", []string{
		`5:1: error: priority: expected a whole number from 1 to 255`}},
	{"value too many", instance, "priority 7 8", []string{
		`5:12: error: priority "8": expected a whole number from 1 to 255`}},
	{"number out of range", instance, "priority 256", []string{
		`5:10: error: priority "256": expected a whole number from 1 to 255`}},
	{"number", instance, "priority 1e2", []string{
		`5:10: error: priority "1e2": expected a whole number from 1 to 255`}},
	{"seconds", instance, "preempt_delay -1", []string{
		`5:15: error: preempt_delay "-1": expected seconds from 0 to 1000`}},
	{"choice", instance, "state master", []string{
		`5:7: error: state "master": expected one of MASTER, BACKUP (did you mean MASTER?)`}},
	{"boolean", instance, "dont_track_primary ofn", []string{
		`5:20: error: dont_track_primary "ofn": expected on or off, true or false, yes or no, ` +
			`or nothing (did you mean on?)`}},
	{"no value", instance, "nopreempt on", []string{
		`5:11: error: nopreempt "on": expected no value`}},
	{"address", instance, "mcast_src_ip 10.0.0", []string{
		`5:14: error: mcast_src_ip "10.0.0": expected an IP address`}},
	{"interface name", instance, "track_interface { a/b }", []string{
		`5:19: error: track_interface "a/b": expected the name of an interface`}},
	{"command", instance, `notify ""`, []string{
		`5:8: error: notify "": expected a command (in quotes if it has arguments), ` +
			`and perhaps a user and a group`}},
	{"account", "global_defs {\n%\n}", "script_user a b c", []string{
		`2:17: error: script_user "c": expected a user and perhaps a group`}},
	{"mail server", "global_defs {\n%\n}", "smtp_server a 0", []string{
		`2:15: error: smtp_server "0": expected a host and perhaps a port from 1 to 65535`}},
}

// saying is a text and what is said about it: around with line in the place of its percent sign.
type saying struct {
	name, around, line string
	want               []string
}

func checkAll(t *testing.T, cases []saying) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) { checkSaid(t, tt.around, tt.line, tt.want) })
	}
}

// checkSaid parses around with line in the place of its first percent sign. What has no effect yet
// may be said besides: it changes from version to version.
func checkSaid(t *testing.T, around, line string, want []string) {
	t.Helper()
	text := strings.ReplaceAll(strings.Replace(around, "%", line, 1), "%", "")
	_, ds := Parse("f", []byte(text))
	var got []string
	for _, d := range ds {
		said := strings.TrimPrefix(d.String(), "f:")
		idle := strings.HasSuffix(said, "has no effect yet in this version")
		if !idle || slices.Contains(want, said) {
			got = append(got, said)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSaidOnce checks that what a sequence repeats is said once.
func TestSaidOnce(t *testing.T) {
	_, ds := Parse("f", []byte("$A= \\\nno_checker_emails \\\nrouter_id a$N\n"+
		"global_defs {\n~SEQ(N, 1, 9) $A\nno_checker_emails\n}\n"))
	want := "f:5:15: note: no_checker_emails: has no effect: there is no mail " +
		"about single checks\n" +
		"f:2:1: note: in the definition of $A\n" +
		"f:5:15: warning: no_checker_emails: expected once in global_defs; this one replaces line 2\n" +
		"f:2:1: note: in the definition of $A\n" +
		"f:5:15: note: the other one is here\n" +
		"f:2:1: note: in the definition of $A\n" +
		"f:5:15: warning: router_id: expected once in global_defs; this one replaces line 3\n" +
		"f:3:1: note: in the definition of $A\n" +
		"f:5:15: note: the other one is here\n" +
		"f:3:1: note: in the definition of $A\n" +
		"f:6:1: warning: no_checker_emails: expected once in global_defs; this one replaces line 2\n" +
		"f:5:15: note: the other one is here\n" +
		"f:2:1: note: in the definition of $A\n" +
		"f:6:1: note: no_checker_emails: has no effect: there is no mail " +
		"about single checks\n"
	if diff := cmp.Diff(want, ds.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadOfAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.conf")
	c, ds := Load(path, Options{})
	if c != nil || ds.Err() == nil || !strings.HasPrefix(ds.String(), path+":1:1: error: file: ") {
		t.Errorf("Load: got %v, %q, want an error at the file's first line", c, ds)
	}
}

func TestErrIsNilForWarnings(t *testing.T) {
	ds := Diagnostics{{Pos: At("f", 1, 1), Severity: Warning, Text: "w"}}
	if err := ds.Err(); err != nil {
		t.Errorf("Err: got %v, want nil", err)
	}
	ds = append(ds, Diagnostic{Pos: At("f", 2, 3), Severity: Error, Text: "e"})
	if err := ds.Err(); err == nil || err.Error() != "f:2:3: error: e" {
		t.Errorf("Err: got %v, want the error alone", err)
	}
}
