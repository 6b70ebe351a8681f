package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// Finding is what probing says of one thing that a kernel or machine has or lacks.
type Finding struct {
	// Name is a capability's name, or a tool's.
	Name string
	// OK says that it is here.
	OK bool
	// Why says what it is needed for, Reason why it is missing, Remedy how to get it.
	Why, Reason, Remedy string
}

// A probe finds out whether one capability is here. It leaves nothing behind.
type probe struct {
	why, remedy string
	// inNamespace probes run on a thread in a network namespace of its own.
	inNamespace bool
	run         func() error
}

const (
	needModules = "load the module, or run in a guest (TANDEM_KERNEL=uml)"
	needRoot    = "run as root, or in a guest (TANDEM_KERNEL=uml)"
)

// probes returns the probe of every capability.
func probes() map[lab.Capability]probe {
	return map[lab.Capability]probe{
		lab.Root:   {"building labs, programming IPVS", needRoot, false, probeRoot},
		lab.NetNS:  {"nodes", needRoot, true, func() error { return nil }},
		lab.PIDNS:  {"ending a node's processes together", needRoot, false, probePIDNS},
		lab.Veth:   {"links", needModules, true, probeLink("veth")},
		lab.Bridge: {"networks", needModules, true, probeLink("bridge")},
		lab.Macvlan: {"virtual MAC addresses (use_vmac)", needModules, true,
			probeLink("macvlan")},
		lab.IPVS:     {"balancing: virtual services", needModules, true, probeIPVS},
		lab.Netem:    {"delay, loss and reordering", needModules, true, probeNetem},
		lab.Nftables: {"no_accept, forward guard", needModules, true, probeNftables(nftables.TableFamilyINet)},
		lab.Tunnels:  {"real servers behind tunnels (LVS-TUN)", needModules, true, probeTunnels},
		lab.SCTP:     {"services of SCTP", needModules, true, probeSCTP},
		lab.IPv6: {"networks of IPv6",
			"boot without ipv6.disable=1, or run in a guest (TANDEM_KERNEL=uml)", true, probeIPv6},
		lab.NftablesBridge: {"partitions", needModules, true, probeNftables(nftables.TableFamilyBridge)},
		lab.RealTime:       {"faults that take CPU time", "use --time real", false, probeClock(false)},
		lab.VirtualTime:    {"long runs", "use --time virtual", false, probeClock(true)},
	}
}

// Probe finds out which of the capabilities the current kernel and user have, in the given order.
// nil probes all of them. It may have the kernel load modules.
func Probe(capabilities []lab.Capability) []Finding {
	if capabilities == nil {
		capabilities = lab.Capabilities()
	}
	all := probes()
	findings := make([]Finding, 0, len(capabilities))
	for _, c := range capabilities {
		p, ok := all[c]
		if !ok {
			findings = append(findings, Finding{Name: c.String(), Reason: "unknown capability"})
			continue
		}
		run := p.run
		if p.inNamespace {
			run = func() error { return inNewNamespace(p.run) }
		}
		f := Finding{Name: c.String(), OK: true, Why: p.why, Remedy: p.remedy}
		if err := run(); err != nil {
			f.OK, f.Reason = false, err.Error()
			if errors.Is(err, unix.EPERM) {
				f.Remedy = needRoot
			}
		}
		findings = append(findings, f)
	}
	return findings
}

// inNewNamespace runs f on a thread in a new network namespace; both are gone afterwards.
func inNewNamespace(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its namespace end with the goroutine
		ns, err := netns.New()
		if err != nil {
			result <- fmt.Errorf("make network namespace: %w", err)
			return
		}
		defer ns.Close()
		result <- f()
	}()
	return <-result
}

func probeRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("user id is %d", os.Geteuid())
	}
	// A user namespace maps less than all users, and IPVS listens to the initial one only.
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return fmt.Errorf("read user namespace: %w", err)
	}
	var inside, outside, count uint64
	if _, err := fmt.Sscan(string(b), &inside, &outside, &count); err != nil {
		return fmt.Errorf("read user namespace: %w", err)
	}
	if outside != 0 || count != 1<<32-1 {
		return errors.New("root of a user namespace only")
	}
	return probeCapability(unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN)
}

// probeCapability checks that this process holds Linux capabilities, as containers often do not.
func probeCapability(want ...int) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for _, c := range want {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return fmt.Errorf("the capability with number %d is dropped", c)
		}
	}
	return nil
}

func probePIDNS() error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- unix.Unshare(unix.CLONE_NEWPID)
	}()
	return <-result
}

// probeLink makes an interface of that kind in the current namespace.
func probeLink(kind string) func() error {
	return func() error {
		var link netlink.Link
		switch kind {
		case "veth":
			link = &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "p0"}, PeerName: "p1"}
		case "bridge":
			link = &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "p0"}}
		case "macvlan":
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return fmt.Errorf("find lo: %w", err)
			}
			link = &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "p0",
				ParentIndex: lo.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
			err = netlink.LinkAdd(link)
			if errors.Is(err, unix.EINVAL) { // the kind is known; lo is no parent for it
				return nil
			}
			return err
		}
		return netlink.LinkAdd(link)
	}
}

func probeIPVS() error {
	if _, err := netlink.GenlFamilyGet("IPVS"); err != nil {
		return fmt.Errorf("no IPVS in this kernel: %w", err)
	}
	return nil
}

// probeNetem puts a netem qdisc on lo. Equivalent to: `tc qdisc add dev lo root netem`.
func probeNetem() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.QdiscAdd(netlink.NewNetem(netlink.QdiscAttrs{
		LinkIndex: lo.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
	}, netlink.NetemQdiscAttrs{}))
}

// probeNftables makes a table of a family. Equivalent to: `nft add table FAMILY probe`.
func probeNftables(family nftables.TableFamily) func() error {
	return func() error {
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		c.AddTable(&nftables.Table{Family: family, Name: "probe"})
		if err := c.Flush(); err != nil {
			return fmt.Errorf("add nftables table: %w", err)
		}
		return nil
	}
}

// probeClock checks that the kernel's clock is virtual, or that it is not.
func probeClock(virtual bool) func() error {
	return func() error {
		switch {
		case lab.VirtualClock() == virtual:
			return nil
		case virtual:
			return errors.New("the clock is real")
		}
		return errors.New("the clock is virtual")
	}
}

// Tools probes the programs that Tandem can use beside the kernel.
func Tools() []Finding {
	tools := []struct{ name, program, why, remedy string }{
		{"keepalived", "keepalived", "running the same drills against keepalived",
			"apt-get install keepalived"},
		{"ipvsadm", "ipvsadm", "an independent reader of the IPVS table in tests",
			"apt-get install ipvsadm"},
		{"chromium", "chromium", "opening the HTML report in tests", "apt-get install chromium"},
	}
	var findings []Finding
	im, err := FindImage()
	uml := Finding{Name: "guest kernel", OK: err == nil, Why: "labs without root or IPVS here",
		Remedy: "tandem doctor --install"}
	if err != nil {
		uml.Reason = "User Mode Linux is not installed"
	} else {
		uml.Reason = im.Program
	}
	findings = append(findings, uml)
	for _, t := range tools {
		path, err := LookTool(t.program)
		f := Finding{Name: t.name, OK: err == nil, Why: t.why, Remedy: t.remedy, Reason: path}
		if err != nil {
			f.Reason = "not found"
		}
		findings = append(findings, f)
	}
	return findings
}

// LookTool finds a program on PATH or in the directories of system programs, which an ordinary
// user's PATH often lacks.
func LookTool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin/", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", name, exec.ErrNotFound)
}

// probeTunnels makes what unpacks each kind.
func probeTunnels() error {
	attrs := func(name string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name = name
		return a
	}
	own := net.IPv4(192, 0, 2, 1)
	for _, link := range []netlink.Link{
		&netlink.Iptun{LinkAttrs: attrs("probe-ipip"), Local: own},
		&netlink.Gretun{LinkAttrs: attrs("probe-gre"), Local: own},
	} {
		if err := netlink.LinkAdd(link); err != nil {
			return fmt.Errorf("add link of type %s: %w", link.Type(), err)
		}
	}
	return lab.ListenGUE()
}

// probeSCTP listens by SCTP, for which a kernel needs more than for a socket: it signs cookies.
func probeSCTP() error {
	listener, err := lab.ListenSCTP(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		return err
	}
	return listener.Close()
}

// probeIPv6 gives an interface an address.
func probeIPv6() error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("0"), 0)
	if err != nil {
		return fmt.Errorf("enable IPv6: %w", err)
	}
	addr, err := netlink.ParseAddr("2001:db8::1/128")
	if err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.AddrAdd(lo, addr); err != nil {
		return fmt.Errorf("add address of IPv6: %w", err)
	}
	return nil
}
