package sabotage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/moby/ipvs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vandals spoil what a director does: each has the same powers as the director itself.
func vandals() []Saboteur {
	return []Saboteur{
		{Name: "no-garp",
			Doc:  "Nobody hears that the director has taken a VIP over.",
			live: (*victim).muffleAnnouncements},
		{Name: "mute", Node: "lb1",
			Doc:  "Two seconds after it took its VIPs the master's adverts stop; the VIPs stay.",
			live: (*victim).muffleAdverts},
		{Name: "late-adverts", Node: "lb1",
			Doc:  "The master stands still for 1.9 s, again and again.",
			live: (*victim).halt},
		{Name: "vip-kept",
			Doc:   "A director that stops leaves its VIPs.",
			leave: (*victim).keep},
		{Name: "both-after-heal", Node: "lb2",
			Doc:  "The backup keeps the VIPs that it once had.",
			live: (*victim).cling},
		{Name: "drift-unrepaired", Node: "lb1",
			Doc:  "A VIP that was deleted is deleted whenever it comes back.",
			live: (*victim).deleteAgain},
		{Name: "table-drift",
			Doc:  "The last real server of each service leaves the table again and again.",
			live: (*victim).removeLast},
		{Name: "dead-put-back",
			Doc:  "A real server that leaves the table is put back.",
			live: (*victim).putBack},
		{Name: "reload-empties",
			Doc:    "A reload begins with an empty table.",
			reload: func(*victim) error { return flushTable() }},
	}
}

// victim is a director that is spoilt.
type victim struct {
	// vips are its VIPs, each with the interface that it belongs on.
	vips []placed
	// stop and proceed freeze its processes, and let them go on.
	stop, proceed func() error
}

// placed is an address on an interface.
type placed struct {
	device string
	addr   netip.Addr
}

// instances finds the interface and the first address of each vrrp_instance.
var instances = regexp.MustCompile(
	`(?s)vrrp_instance \S+ \{.*?interface (\S+).*?virtual_ipaddress \{\s*(\S+)`)

// victimOf reads who a configuration makes a director.
func victimOf(text string) *victim {
	v := &victim{}
	for _, m := range instances.FindAllStringSubmatch(text, -1) {
		if addr, err := netip.ParseAddr(m[2]); err == nil {
			v.vips = append(v.vips, placed{m[1], addr})
		}
	}
	return v
}

// every calls what looks, and acts, every so often until the context ends or it fails.
func every(ctx context.Context, pause time.Duration, look func() error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := look(); err != nil {
			return err
		}
	}
}

// has says whether the kernel has a VIP.
func (p placed) has() (bool, error) {
	link, err := netlink.LinkByName(p.device)
	if err != nil {
		return false, fmt.Errorf("find %s: %w", p.device, err)
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("list addresses of %s: %w", p.device, err)
	}
	for _, a := range addrs {
		if addr, _ := netip.AddrFromSlice(a.IP); addr.Unmap() == p.addr {
			return true, nil
		}
	}
	return false, nil
}

// set adds or deletes a VIP, if it is not so already.
//
// Equivalent to: `ip addr add|del 192.168.1.1/32 dev eth0`.
func (p placed) set(there bool) error {
	link, err := netlink.LinkByName(p.device)
	if err != nil {
		return fmt.Errorf("find %s: %w", p.device, err)
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: p.addr.AsSlice(), Mask: net.CIDRMask(32, 32)}}
	if there {
		err = netlink.AddrAdd(link, addr)
	} else {
		err = netlink.AddrDel(link, addr)
	}
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	return err
}

// keep adds every VIP.
func (v *victim) keep() error {
	var errs []error
	for _, vip := range v.vips {
		errs = append(errs, vip.set(true))
	}
	return errors.Join(errs...)
}

// cling adds every VIP that the director had, when it does not have it any more.
func (v *victim) cling(ctx context.Context) error {
	had := make([]bool, len(v.vips))
	return every(ctx, 50*time.Millisecond, func() error {
		for i, vip := range v.vips {
			has, err := vip.has()
			if err != nil {
				return err
			}
			if had[i] && !has {
				if err := vip.set(true); err != nil {
					return err
				}
			}
			had[i] = had[i] || has
		}
		return nil
	})
}

// deleteAgain deletes the first VIP whenever it comes back after it has gone for the first time.
func (v *victim) deleteAgain(ctx context.Context) error {
	if err := v.awaitGone(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return every(ctx, 20*time.Millisecond, func() error { return v.vips[0].set(false) })
}

// awaitGone waits until the kernel says that the first VIP has gone, for however short a time.
func (v *victim) awaitGone(ctx context.Context) error {
	done := make(chan struct{})
	updates := make(chan netlink.AddrUpdate)
	if err := netlink.AddrSubscribe(updates, done); err != nil {
		close(done)
		return fmt.Errorf("subscribe to addresses: %w", err)
	}
	defer func() {
		close(done)
		for range updates {
		}
	}()
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				return errors.New("the kernel's events ended")
			}
			addr, _ := netip.AddrFromSlice(u.LinkAddress.IP)
			if !u.NewAddr && addr.Unmap() == v.vips[0].addr {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitVIP waits until the director has its first VIP.
func (v *victim) awaitVIP(ctx context.Context) error {
	waiting, has := context.WithCancel(ctx)
	defer has()
	return every(waiting, 50*time.Millisecond, func() error {
		there, err := v.vips[0].has()
		if there {
			has()
		}
		return err
	})
}

// wait lets time pass; false: the context ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// patience is how long a saboteur lets a director be well that has taken its first VIP.
const patience = 2 * time.Second

// muffleAdverts drops the director's adverts from its patience after it has its first VIP on.
func (v *victim) muffleAdverts(ctx context.Context) error {
	if err := v.awaitVIP(ctx); err != nil || !wait(ctx, patience) {
		return err
	}
	return v.drop(func(placed) []expr.Any {
		return append(is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			binaryutil.BigEndian.PutUint16(unix.ETH_P_IP)),
			is(payload(9, 1), []byte{vrrp})...)
	})
}

// vrrp is VRRP's protocol number. Source: RFC 9568, Section 5.1.1.4.
const vrrp = 112

// muffleAnnouncements drops ARP packets about a VIP that are for everybody: their sender and target
// are the same.
//
// Source: RFC 5227, Section 1.2.1.
func (v *victim) muffleAnnouncements(context.Context) error {
	return v.drop(func(vip placed) []expr.Any {
		addr := vip.addr.AsSlice()
		match := is(&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			binaryutil.BigEndian.PutUint16(unix.ETH_P_ARP))
		match = append(match, is(payload(14, 4), addr)...)
		return append(match, is(payload(24, 4), addr)...)
	})
}

// drop drops what leaves by the interface of each VIP and matches.
//
// Equivalent to: `nft add chain netdev sabotage eth0 { type filter hook egress device eth0 priority
// 0 \; }; nft add rule netdev sabotage eth0 … drop`.
func (v *victim) drop(match func(placed) []expr.Any) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: "sabotage"})
	for _, vip := range v.vips {
		chain := c.AddChain(&nftables.Chain{Name: vip.device, Table: table,
			Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookEgress, Device: vip.device,
			Priority: nftables.ChainPriorityFilter})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain,
			Exprs: append(match(vip), &expr.Verdict{Kind: expr.VerdictDrop})})
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("drop packets: %w", err)
	}
	return nil
}

// payload loads a field of the packet behind its Ethernet header.
func payload(offset, size uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset,
		Len: size}
}

// is holds where what was loaded into register 1 is a value.
func is(load expr.Any, value []byte) []expr.Any {
	return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value}}
}

// halt freezes the director for 1.9 s and lets it go on for as long, from its patience after it has
// its first VIP on.
func (v *victim) halt(ctx context.Context) error {
	const pause = 1900 * time.Millisecond
	if err := v.awaitVIP(ctx); err != nil || !wait(ctx, patience) {
		return err
	}
	for ctx.Err() == nil {
		if err := v.stop(); err != nil {
			return err
		}
		wait(ctx, pause)
		if err := v.proceed(); err != nil {
			return err
		}
		wait(ctx, pause)
	}
	return nil
}

// withTable calls fn with a handle of IPVS and every service.
func withTable(fn func(h *ipvs.Handle, services []*ipvs.Service) error) error {
	h, err := ipvs.New("")
	if err != nil {
		return fmt.Errorf("open IPVS: %w", err)
	}
	defer h.Close()
	services, err := h.GetServices()
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	return fn(h, services)
}

// flushTable empties the table.
//
// Equivalent to: `ipvsadm -C`.
func flushTable() error {
	return withTable(func(h *ipvs.Handle, _ []*ipvs.Service) error { return h.Flush() })
}

// key tells a real server of a service.
func key(s *ipvs.Service, d *ipvs.Destination) string {
	return fmt.Sprintf("%s:%d/%d %s:%d", s.Address, s.Port, s.Protocol, d.Address, d.Port)
}

// removeLast removes the last real server of each service from 6 s after it was first seen on.
//
// Equivalent to: `ipvsadm -d -t 192.168.1.1:80 -r 192.168.2.13:80`.
func (v *victim) removeLast(ctx context.Context) error {
	if !wait(ctx, 6*time.Second) {
		return nil
	}
	return every(ctx, 100*time.Millisecond, func() error {
		return withTable(func(h *ipvs.Handle, services []*ipvs.Service) error {
			for _, s := range services {
				all, err := h.GetDestinations(s)
				if err != nil {
					return err
				}
				for _, d := range all {
					if d.Address.To4() == nil || d.Address.To4()[3] != 13 { // web3
						continue
					}
					if err := h.DelDestination(s, d); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// putBack adds every real server that has left the table since it was first seen.
//
// Equivalent to: `ipvsadm -a -t 192.168.1.1:80 -r 192.168.2.12:80 -m -w 1`.
func (v *victim) putBack(ctx context.Context) error {
	seen := map[string]*ipvs.Destination{}
	return every(ctx, 200*time.Millisecond, func() error {
		return withTable(func(h *ipvs.Handle, services []*ipvs.Service) error {
			for _, s := range services {
				all, err := h.GetDestinations(s)
				if err != nil {
					return err
				}
				there := map[string]bool{}
				for _, d := range all {
					there[key(s, d)], seen[key(s, d)] = true, d
				}
				for name, d := range seen {
					if there[name] {
						continue
					}
					if err := h.NewDestination(s, d); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}
