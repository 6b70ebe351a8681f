package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// master is net-snmp's snmpd on a node, and its peer is where managers are.
type master struct {
	t    *testing.T
	node *netiftest.Node
	peer *netiftest.Node
	dir  string
	// address is where it answers managers, socket where it waits for agents.
	address, socket string
	cmd             *exec.Cmd
}

// needSNMP skips the test where net-snmp's programs are not installed.
func needSNMP(t *testing.T) {
	t.Helper()
	for _, p := range []string{"snmpd", "snmpwalk", "snmpset", "snmptrapd"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("net-snmp is not installed (apt-get install snmpd snmp snmptrapd): %v", err)
		}
	}
}

// newMaster starts a master that answers at a port of the node, and notifies the peer's port 1162.
func newMaster(t *testing.T, node, peer *netiftest.Node, port int) *master {
	t.Helper()
	m := &master{t: t, node: node, peer: peer, dir: t.TempDir(),
		address: fmt.Sprintf("udp:192.168.1.2:%d", port)}
	m.socket = filepath.Join(m.dir, "agentx")
	conf := fmt.Sprintf("master agentx\nagentXSocket unix:%s\nrwcommunity public\n"+
		"trap2sink 192.168.1.3:1162\n", m.socket)
	if err := os.WriteFile(filepath.Join(m.dir, "snmpd.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		netiftest.Finish(m.cmd, unix.SIGTERM)
		if said, err := os.ReadFile(filepath.Join(m.dir, "log")); err == nil && t.Failed() {
			t.Logf("snmpd's log:\n%s", said)
		}
	})
	m.start()
	return m
}

// start starts it, or starts it again: one that was killed leaves its socket behind, which the next
// one does not replace.
func (m *master) start() {
	if err := os.RemoveAll(m.socket); err != nil {
		m.t.Fatal(err)
	}
	m.cmd = m.command(m.dir, "snmpd", "-f", "-C", "-c", "snmpd.conf", "-Lf", "log", m.address)
	m.node.Do(func() {
		if err := m.cmd.Start(); err != nil {
			m.t.Errorf("start snmpd: %v", err)
		}
	})
}

// command returns one of net-snmp's programs. It reads and writes nothing outside of dir.
func (m *master) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MIBS=", "SNMPCONFPATH="+dir, "SNMP_PERSISTENT_DIR="+filepath.Join(dir, "kept"))
	return cmd
}

// ask runs a manager's program on the peer, and returns what it says, or why it does not.
func (m *master) ask(program string, args ...string) string {
	m.t.Helper()
	args = append([]string{"-v2c", "-c", "public", "-On", "-Oe", "-t", "1", "-r", "1", m.address},
		args...)
	var out []byte
	m.peer.Do(func() { out, _ = m.command(m.dir, program, args...).CombinedOutput() })
	return string(out)
}

// says waits until a walk has all of these lines.
func (m *master) says(oid string, lines ...string) {
	m.t.Helper()
	var said string
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("walk of %s:\n%s", oid, said)
		}
	})
	until(m.t, fmt.Sprintf("walk of %s with %q", oid, lines), func() bool {
		said = m.ask("snmpwalk", oid)
		for _, l := range lines {
			if !strings.Contains(said, l+"\n") {
				return false
			}
		}
		return true
	})
}

// heard starts a listener for notifications on the peer; what it returns is what has come.
func (m *master) heard() func() string {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "traps")
	cmd := m.command(filepath.Dir(file), "snmptrapd", "-f", "-C", "-c", "/dev/null", "-On",
		"--disableAuthorization=yes", "-Lf", file, "udp:192.168.1.3:1162")
	m.peer.Do(func() {
		if err := cmd.Start(); err != nil {
			m.t.Errorf("start snmptrapd: %v", err)
		}
	})
	m.t.Cleanup(func() { netiftest.Finish(cmd, unix.SIGTERM) })
	read := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		return string(text)
	}
	until(m.t, "snmptrapd", func() bool { return strings.Contains(read(), "NET-SNMP version") })
	return read
}

// trapped waits for a notification with all of these parts, among those that heard returns.
func trapped(t *testing.T, heard func() string, parts ...string) {
	t.Helper()
	until(t, fmt.Sprintf("notification with %q", parts), func() bool {
		for line := range strings.Lines(heard()) {
			all := true
			for _, p := range parts {
				all = all && (strings.Contains(line, p+"\t") || strings.HasSuffix(line, p+"\n"))
			}
			if all {
				return true
			}
		}
		return false
	})
}

// keepalivedMIB and what follows are the beginnings of what managers read.
const (
	keepalivedMIB = ".1.3.6.1.4.1.9586.100.5"
	vrrpv3MIB     = ".1.3.6.1.2.1.207"
)

// withSNMP is oneInstance with a part of global_defs.
func withSNMP(socket string, words ...string) string {
	return fmt.Sprintf("global_defs {\n    router_id LB1\n    snmp_socket %s\n    %s\n}\n%s", socket,
		strings.Join(words, "\n    "), oneInstance)
}

// serving is a director on a node.
type serving struct {
	t      *testing.T
	file   string
	reload chan struct{}
	// reloaded gets a word when a reload is over.
	reloaded chan struct{}
	log      *console
	end      func()
}

// serve runs a director until the test, or end of what it returns.
func serve(t *testing.T, node *netiftest.Node, text string) *serving {
	t.Helper()
	s := &serving{t: t, file: write(t, text), reload: make(chan struct{}),
		reloaded: make(chan struct{}, 16), log: &console{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go node.Do(func() {
		ended <- Run(ctx, Options{File: s.file, Reload: s.reload, Version: "test",
			Reloading: func(under bool) {
				if !under {
					s.reloaded <- struct{}{}
				}
			},
			Log: slog.New(slog.NewTextHandler(s.log, nil))})
	})
	s.end = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

// change has the director run another configuration, and waits until it does.
func (s *serving) change(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	limit := time.After(patience)
	select {
	case s.reload <- struct{}{}:
	case <-limit:
		s.t.Fatalf("reload: not begun within %s", patience)
	}
	select {
	case <-s.reloaded:
	case <-limit:
		s.t.Fatalf("reload: not over within %s", patience)
	}
}

// TestManagers has net-snmp's snmpd as master agent, and its programs as managers: they read all MIBs
// and are told of transitions, when the master begins after the director, when it is started again,
// and when reloads turn SNMP off, and on at another socket.
func TestManagers(t *testing.T) {
	node, peer := netiftest.Pair(t)
	needSNMP(t)
	m := newMaster(t, node, peer, 1161)
	heard := m.heard()
	d := serve(t, node, withSNMP("unix:"+m.socket, "enable_snmp_vrrp", "enable_snmp_checker",
		"enable_snmp_rfc", "enable_traps"))
	read := []string{
		keepalivedMIB + `.1.1.0 = STRING: "Tandem test"`, keepalivedMIB + `.1.2.0 = STRING: "LB1"`,
		keepalivedMIB + `.2.3.1.2.1 = STRING: "VI_1"`, keepalivedMIB + `.2.3.1.4.1 = INTEGER: 2`,
		keepalivedMIB + `.2.3.1.7.1 = INTEGER: 150`, keepalivedMIB + `.2.3.1.12.1 = Gauge32: 10`,
		keepalivedMIB + `.2.6.1.3.1.1 = Hex-STRING: C0 A8 01 01 `,
		keepalivedMIB + `.2.6.1.10.1.1 = INTEGER: 1`, keepalivedMIB + `.3.6.1.0 = INTEGER: 2`,
	}
	m.says(keepalivedMIB, read...)
	state, err := node.Host.Interface(netiftest.Device).State()
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf(".%d.51.1", state.Index)
	m.says(vrrpv3MIB, vrrpv3MIB+".1.1.1.1.3"+row+" = Hex-STRING: C0 A8 01 02 ",
		vrrpv3MIB+".1.1.1.1.6"+row+" = INTEGER: 3", vrrpv3MIB+".1.2.5.1.1"+row+" = Counter32: 1",
		vrrpv3MIB+".1.2.5.1.2"+row+" = INTEGER: 3")
	m.says(".1.3.6.1.2.1.68", ".1.3.6.1.2.1.68.1.1.0 = INTEGER: 2")
	said := m.ask("snmpset", keepalivedMIB+".2.3.1.7.1", "i", "1")
	if !strings.Contains(said, "notWritable") {
		t.Errorf("set: got %s, expected notWritable", said)
	}
	told := func(parts ...string) {
		t.Helper()
		trapped(t, heard, parts...)
	}
	changed := "OID: " + keepalivedMIB + ".2.10.0.2"
	told(changed, keepalivedMIB+".2.3.1.4.1 = INTEGER: 1")
	told(changed, keepalivedMIB+".2.3.1.4.1 = INTEGER: 2")
	told("OID: "+vrrpv3MIB+".0.1", vrrpv3MIB+".1.2.5.1.2"+row+" = INTEGER: 3")

	netiftest.Finish(m.cmd, unix.SIGKILL)
	m.start()
	m.says(keepalivedMIB, read...)

	d.change(oneInstance)
	until(t, "SNMP is off", func() bool {
		return strings.Contains(m.ask("snmpwalk", keepalivedMIB), "No Such Object")
	})
	other := newMaster(t, node, peer, 1163)
	d.change(withSNMP(other.socket, "enable_snmp_vrrp", "enable_traps"))
	other.says(keepalivedMIB, read[:len(read)-1]...)
	if said := other.ask("snmpwalk", vrrpv3MIB); !strings.Contains(said, "No Such Object") {
		t.Errorf("MIB that is not wanted: got %s", said)
	}
	if said := m.ask("snmpwalk", keepalivedMIB); !strings.Contains(said, "No Such Object") {
		t.Errorf("at the old socket: got %s", said)
	}
	d.end()
	told(changed, keepalivedMIB+".2.3.1.4.1 = INTEGER: 5")
}
