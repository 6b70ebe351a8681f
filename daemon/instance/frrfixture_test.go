package instance_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

const (
	// frrPrograms is where FRR's daemons are, which are on nobody's PATH.
	frrPrograms = "/usr/lib/frr"
	// frrDevice is the macvlan that has the VIP. FRR finds it by its MAC address.
	frrDevice = "vrrp51"
)

// frr is FRR's vrrpd, with the zebra that does for it what concerns the kernel.
type frr struct {
	t           *testing.T
	node        *netiftest.Node
	dir         string
	zebra, vrrp *exec.Cmd // nil: it does not run
}

// besideFRR returns a real bench whose second node has FRR's vrrpd of priority 100, which has not
// been started. conf are the lines of "vrrp 51" that differ.
func besideFRR(t *testing.T, conf []string, p netip.Prefix) (*bench, *frr) {
	t.Helper()
	a, node := netiftest.Pair(t)
	b := realBench(t, a, node)
	b.vip = p
	if p.Addr().Is6() {
		prepareVMAC(t, a, locals[0])
	}
	f := &frr{t: t, node: node, dir: t.TempDir()}
	f.prepare(conf, p)
	own := b.addrs
	b.addrs = func(i int) []netip.Prefix {
		if i == 1 {
			return f.addrs()
		}
		return own(i)
	}
	t.Cleanup(func() {
		f.end()
		if t.Failed() {
			t.Logf("vrrpd's log:\n%s\nzebra's log:\n%s", f.log("vrrpd"), f.log("zebra"))
		}
	})
	f.zebra = f.start("zebra")
	b.await("zebra's socket", func() bool {
		_, err := os.Stat(f.path("zserv.api"))
		return err == nil
	})
	return b, f
}

// prepare makes the macvlan and the files. The daemons give up root for a user of their own, whose
// the directory has to be.
func (f *frr) prepare(conf []string, p netip.Prefix) {
	f.t.Helper()
	macvlan := netif.Macvlan{
		Name: frrDevice, Parent: netiftest.Device, MAC: netif.VirtualMAC(51, p.Addr().Is6()),
	}
	f.must(f.node.Host.PutMacvlan(macvlan))
	f.must(f.node.Host.Interface(frrDevice).AddAddr(p, 0))
	family := "ip"
	if p.Addr().Is6() { // adverts come from the macvlan's own link-local address
		family = "ipv6"
		local := netip.PrefixFrom(locals[1], 64)
		f.must(f.node.Host.Interface(frrDevice).AddAddr(local, 0))
	}
	lines := []string{ // without the second one it refuses adverts in silence
		"debug vrrp protocol", "debug vrrp packets", "interface " + netiftest.Device,
	}
	for _, line := range append(conf, "priority 100", family+" "+p.Addr().String()) {
		lines = append(lines, " vrrp 51 "+line)
	}
	text := strings.Join(lines, "\n") + "\n"
	f.must(os.WriteFile(f.path("vrrpd.conf"), []byte(text), 0o644))
	f.must(os.WriteFile(f.path("zebra.conf"), nil, 0o644))
	owner, err := user.Lookup("frr")
	f.must(err)
	uid, err := strconv.Atoi(owner.Uid)
	f.must(err)
	f.must(os.Chown(f.dir, uid, -1))
	f.must(os.Chmod(filepath.Dir(f.dir), 0o711))
}

func (f *frr) path(name string) string { return filepath.Join(f.dir, name) }

// start starts one of FRR's daemons, in the foreground and without a port for its terminal.
func (f *frr) start(program string) *exec.Cmd {
	f.t.Helper()
	log, err := os.OpenFile(f.path(program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	f.must(err)
	cmd := exec.Command(filepath.Join(frrPrograms, program),
		"--config_file", f.path(program+".conf"), "--pid_file", f.path(program+".pid"),
		"--socket", f.path("zserv.api"), "--vty_socket", f.dir, "--vty_port", "0",
		"--log", "stdout", "--log-level", "debugging")
	cmd.Stdout, cmd.Stderr = log, log
	f.node.Do(func() { err = cmd.Start() })
	f.must(errors.Join(err, log.Close()))
	return cmd
}

// run starts vrrpd.
func (f *frr) run() {
	f.t.Helper()
	f.vrrp = f.start("vrrpd")
}

// log returns what a program has said so far, nothing if it has not run.
func (f *frr) log(program string) []byte {
	f.t.Helper()
	text, err := os.ReadFile(f.path(program + ".log"))
	if !errors.Is(err, fs.ErrNotExist) {
		f.must(err)
	}
	return text
}

// stop ends vrrpd by a signal. Without one that runs it does nothing.
func (f *frr) stop(s unix.Signal) {
	if f.vrrp != nil {
		finish(f.vrrp, s)
		f.vrrp = nil
	}
}

// end ends everything, and says what is left.
func (f *frr) end() {
	f.stop(unix.SIGTERM)
	if f.zebra != nil {
		finish(f.zebra, unix.SIGTERM)
		f.zebra = nil
	}
	for _, line := range f.processes() {
		f.t.Errorf("left behind: %s", line)
	}
}

// finish ends a process that the test has started and waits for it.
func finish(cmd *exec.Cmd, s unix.Signal) {
	_ = cmd.Process.Signal(s) // it may have ended
	_ = cmd.Wait()            // its status says only how it was ended
}

// processes returns the command lines of those that run with the files of f.
func (f *frr) processes() []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	f.must(err)
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Contains(text, []byte(f.dir)) {
			line := string(bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
			found = append(found, fmt.Sprintf("%s: %s", file, line))
		}
	}
	return found
}

// addrs lists the addresses of FRR's node that answer: as a backup it takes the carrier of its
// macvlan and leaves the addresses there.
func (f *frr) addrs() []netip.Prefix {
	s, err := f.node.Host.Interface(frrDevice).State()
	if err != nil {
		f.t.Error(err)
	}
	if !s.Up {
		return nil
	}
	return s.Addrs
}

// must is for what the machine has to be able to do.
func (f *frr) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
