package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// directed is a director in a node's namespace.
type directed struct {
	t    *testing.T
	node *netiftest.Node
	log  *console
}

// direct runs a director with a configuration until the test ends, and waits until it is ready.
func direct(t *testing.T, node *netiftest.Node, text string) *directed {
	t.Helper()
	r := &directed{t: t, node: node, log: &console{}}
	file, ready, ended := write(t, text), make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go node.Do(func() {
		ended <- Run(ctx, Options{File: file, Ready: func() { close(ready) },
			Log: slog.New(slog.NewTextHandler(r.log, nil))})
	})
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatalf("ready: not within %s", patience)
	}
	return r
}

// links does something with the node's links.
func (r *directed) links(what string, do func() error) {
	r.t.Helper()
	var err error
	r.node.Do(func() { err = do() })
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// on returns the names of the node's devices that have the address, in words.
func (r *directed) on(prefix string) string {
	r.t.Helper()
	var devices []string
	r.links("list addresses", func() error {
		all, err := netlink.AddrList(nil, netlink.FAMILY_V4)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			all, err = nil, nil // they change just now; who waits asks again
		}
		for _, a := range all {
			if a.IPNet.String() != prefix {
				continue
			}
			// A link may go meanwhile, and its addresses with it.
			if link, err := netlink.LinkByIndex(a.LinkIndex); err == nil {
				devices = append(devices, link.Attrs().Name)
			}
		}
		return err
	})
	return strings.Join(devices, " ")
}

func rename(from, to string) error {
	link, err := netlink.LinkByName(from)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return netlink.LinkSetDown(link) },
		func() error { return netlink.LinkSetName(link, to) },
		func() error { return netlink.LinkSetUp(link) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// changeAddress adds 192.168.1.2/24 to a device, or deletes it.
func changeAddress(device string, change func(netlink.Link, *netlink.Addr) error) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	return change(link, &netlink.Addr{IPNet: &net.IPNet{
		IP: net.IPv4(192, 168, 1, 2), Mask: net.CIDRMask(24, 32)}})
}

// TestInterfaceComesAndGoes has an interface that is not there at the start, has no address then,
// is renamed, is taken away, and comes back as another one: the VIP is on it whenever it can be, and
// nowhere else.
func TestInterfaceComesAndGoes(t *testing.T) {
	node, other := netiftest.Pair(t)
	node.Do(func() {
		if err := rename("eth0", "away"); err != nil {
			t.Fatal(err)
		}
	})
	r := direct(t, node, oneInstance)
	for _, step := range []struct {
		name string
		do   func() error
		want string // the device with the VIP
	}{
		{"it is not there", func() error { return nil }, ""},
		{"it has no address", func() error {
			if err := changeAddress("away", netlink.AddrDel); err != nil {
				return err
			}
			return rename("away", "eth0")
		}, ""},
		{"it has an address", func() error { return changeAddress("eth0", netlink.AddrAdd) }, "eth0"},
		{"it is called otherwise", func() error { return rename("eth0", "moved") }, ""},
		{"it has its name again", func() error { return rename("moved", "eth0") }, "eth0"},
		{"it is elsewhere", func() error { return carryOff(other) }, ""},
		{"another has its name", func() error { return newBridge("eth0") }, "eth0"},
	} {
		r.links(step.name, step.do)
		until(t, fmt.Sprintf("%s: the VIP is on %q", step.name, step.want), func() bool {
			return r.on("192.168.1.1/24") == step.want
		})
	}
}

// carryOff puts the device into another namespace, where there is one of that name.
func carryOff(to *netiftest.Node) error {
	if err := rename("eth0", "guest"); err != nil {
		return err
	}
	link, err := netlink.LinkByName("guest")
	if err != nil {
		return err
	}
	var ns netns.NsHandle
	to.Do(func() { ns, err = netns.Get() })
	if err != nil {
		return err
	}
	defer ns.Close()
	return netlink.LinkSetNsFd(link, int(ns))
}

// newBridge makes a link that is another kind than the one before, with the address of that.
func newBridge(name string) error {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return err
	}
	port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port"}, PeerName: "far"}
	if err := netlink.LinkAdd(port); err != nil {
		return err
	}
	for _, up := range []string{"far", "port", name} {
		link, err := netlink.LinkByName(up)
		if err == nil && up == "port" {
			err = netlink.LinkSetMaster(link, bridge)
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return err
		}
	}
	return changeAddress(name, netlink.AddrAdd)
}

// TestManyInterfaces runs an instance on each of 50 interfaces, of which one goes.
func TestManyInterfaces(t *testing.T) {
	const many = 50
	node, _ := netiftest.PairOn(t, many)
	var text strings.Builder
	for i := range many {
		fmt.Fprintf(&text, "vrrp_instance VI_%d {\ninterface %s\nvirtual_router_id 7\nversion 3\n"+
			"advert_int 0.2\nvirtual_ipaddress { 192.168.%d.1/24 }\n}\n", i, netiftest.DeviceOf(i), i+1)
	}
	r := direct(t, node, text.String())
	everywhere := func() int {
		count := 0
		for i := range many {
			if r.on(fmt.Sprintf("192.168.%d.1/24", i+1)) == netiftest.DeviceOf(i) {
				count++
			}
		}
		return count
	}
	until(t, "all VIPs", func() bool { return everywhere() == many })
	node.Delete()
	until(t, "all VIPs but one", func() bool { return everywhere() == many-1 })
	if strings.Count(r.log.String(), "to=Fault") != 1 {
		t.Errorf("transitions to Fault: want one")
	}
}
