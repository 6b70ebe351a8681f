package ipvs_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/lab/kernel"
)

const ipvsadm = "/usr/sbin/ipvsadm"

// runIpvsadm returns what Debian's ipvsadm, the independent reader of the kernel's table, prints.
func runIpvsadm(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(ipvsadm); err != nil {
		t.Skip(err)
	}
	out, err := exec.Command(ipvsadm, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ipvsadm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// saved returns the table as ipvsadm -S -n prints it, but for what it says otherwise than it wants
// to be told: its default type of tunnel, and persistence engines without their dashes.
func saved(t *testing.T) []string {
	t.Helper()
	out := runIpvsadm(t, "-S", "-n")
	out = strings.ReplaceAll(out, " --tun-type ipip", "")
	return sortedLines(strings.ReplaceAll(out, " pe sip", " --pe sip"))
}

// tunnelled returns a destination with that tunnel.
func tunnelled(addr string, tunnel ipvs.Tunnel) ipvs.Destination {
	d := realServer(addr, 1)
	d.Forward, d.Tunnel = ipvs.TUN, tunnel
	return d
}

// mixed are destinations of every method, of the family of a service.
func mixed(ipv6 bool) []ipvs.Destination {
	addr := func(n int) string {
		if ipv6 {
			return fmt.Sprintf("[2001:db8:2::%d]:80", n)
		}
		return fmt.Sprintf("192.168.2.%d:80", n)
	}
	direct := realServer(addr(12), 0)
	direct.Forward = ipvs.DR
	ds := []ipvs.Destination{realServer(addr(11), 70000), direct}
	for i, tunnel := range []ipvs.Tunnel{
		{},
		{Type: ipvs.GUE, Port: 6080},
		{Type: ipvs.GUE, Port: 6081, Checksum: ipvs.FullChecksum},
		{Type: ipvs.GUE, Port: 6082, Checksum: ipvs.RemoteChecksum},
		{Type: ipvs.GRE},
		{Type: ipvs.GRE, Checksum: ipvs.FullChecksum},
	} {
		ds = append(ds, tunnelled(addr(13+i), tunnel))
	}
	return append(ds, tunnelled("192.168.3.19:80", ipvs.Tunnel{}),
		tunnelled("[2001:db8:3::19]:80", ipvs.Tunnel{Type: ipvs.GUE, Port: 6080}))
}

// matrix has a service for each kind of key, scheduler and flags, by turns with destinations of all
// methods.
func matrix() ipvs.Services {
	var out ipvs.Services
	add := func(k ipvs.Key, s ipvs.Settings) {
		service := ipvs.Service{Key: k, Settings: s}
		if len(out)%5 == 0 {
			service.Destinations = mixed(k.IsIPv6())
		}
		out = append(out, service)
	}
	for _, ip := range []string{"192.168.1.1", "2001:db8::1"} {
		key := func(p ipvs.Protocol, port int) ipvs.Key {
			addr := netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port))
			return ipvs.Key{Protocol: p, Addr: addr}
		}
		family, bits := ipvs.IPv4, []int{0, 1, 24, 31}
		if strings.Contains(ip, ":") {
			family, bits = ipvs.IPv6, []int{0, 1, 64, 127}
		}
		for i, p := range []ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP} {
			for j, s := range ipvs.Schedulers() {
				add(key(p, 1000+100*i+j), ipvs.Settings{Scheduler: s})
			}
		}
		for flags := range ipvs.Flags(8) {
			for i, s := range []ipvs.Scheduler{"rr", "sh", "mh"} {
				if s != "rr" && flags >= 4 {
					continue // ipvsadm knows no third flag of these
				}
				port := 2000 + 10*int(flags) + i
				add(key(ipvs.TCP, port), ipvs.Settings{Scheduler: s, Flags: flags << 3})
			}
		}
		for i, b := range bits {
			add(key(ipvs.TCP, 3000+i), ipvs.Settings{
				Scheduler: "wrr", Persistence: time.Duration(i+1) * time.Minute, PersistenceBits: b})
		}
		add(key(ipvs.TCP, 0), ipvs.Settings{Scheduler: "rr", Persistence: time.Second})
		add(key(ipvs.UDP, 3010), ipvs.Settings{Scheduler: "rr", Flags: ipvs.OnePacket})
		add(key(ipvs.UDP, 5060), ipvs.Settings{
			Scheduler: "rr", Persistence: time.Minute, Engine: ipvs.SIP})
		for i, s := range ipvs.Schedulers() {
			mark := ipvs.Key{Mark: uint32(i + 1), Family: family}
			add(mark, ipvs.Settings{Scheduler: s})
		}
	}
	return out
}

// withoutWhatTheKernelLacks leaves out services that need modules that this kernel does not have,
// and tells of them.
func withoutWhatTheKernelLacks(t *testing.T, k *ipvs.Kernel, ss ipvs.Services) ipvs.Services {
	t.Helper()
	var out ipvs.Services
	for _, s := range ss {
		op := ipvs.Op{Kind: ipvs.AddService, Key: s.Key, Settings: s.Settings}
		err := k.Apply(t.Context(), []ipvs.Op{op})
		switch lacks := errors.Is(err, unix.ENOENT); {
		case lacks && (s.Scheduler == ipvs.PowerOfTwo || s.Engine == ipvs.SIP):
			t.Log(err)
		case err != nil:
			t.Error(err)
		default:
			out = append(out, s)
		}
	}
	if err := k.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out
}

// loadSIP loads the persistence engine's modules into a guest, which cannot load them by itself.
func loadSIP(t *testing.T) {
	t.Helper()
	im, err := kernel.FindImage()
	if !kernel.InGuest() || err != nil || im.Modules == "" {
		return
	}
	for _, name := range []string{"nf_conntrack_sip", "ipvs/ip_vs_pe_sip"} {
		f, err := os.Open(filepath.Join(im.Modules, "kernel/net/netfilter", name+".ko"))
		if err != nil {
			t.Log(err)
			return
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		if err := errors.Join(err, f.Close()); err != nil && !errors.Is(err, unix.EEXIST) {
			t.Logf("load %s: %v", name, err)
		}
	}
}

func TestKernelHoldsTheMatrix(t *testing.T) {
	k := kernelTable(t)
	loadSIP(t)
	want := withoutWhatTheKernelLacks(t, k, matrix())
	mustApply(t, k, ipvs.Diff(nil, want)...)
	if diff := cmp.Diff(want.Canonical(), mustList(t, k).Canonical()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sortedLines(want.String()), saved(t)); diff != "" {
		t.Errorf("(-want +ipvsadm's):\n%s", diff)
	}
}
