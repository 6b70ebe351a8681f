package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

const (
	// hostileTick is how often a burst is sent, hostileBurst and floodBurst how many frames it has: 300
	// a second, which a slow guest's processor can bear, or 17,000, more than a million in a minute.
	hostileTick  = 10 * time.Millisecond
	hostileBurst = 3
	floodBurst   = 170
	// hostileSalt seeds the forger.
	hostileSalt = 0x686f7374 // "host"
	// hostileLimit is how long the first frame may take to arrive.
	hostileLimit = 3 * time.Second
)

// hostile makes a builder of faults that send forged adverts: so many frames at a time.
func hostile(burst int) func(request, *values) injector {
	return func(r request, _ *values) injector {
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			f, err := forgerOn(n, r.detail)
			if err != nil {
				return nil, err
			}
			frames := make([][]byte, burst)
			return sendAgain(ctx, n, r.detail, hostileTick, func() [][]byte {
				for i := range frames {
					frames[i] = f.frame()
				}
				return frames
			})
		}
	}
}

// sendAgain sends frames by an interface at once and then at each tick until it is healed. It returns
// when a director on the network has heard one of VRRP with the sender's address.
func sendAgain(
	ctx context.Context, n *lab.Node, iface string, every time.Duration, next func() [][]byte,
) (Heal, error) {
	victim, at, err := victimOn(n, iface)
	if err != nil {
		return nil, err
	}
	listener, err := victim.Listen(ctx, at, unix.ETH_P_IP)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	conn, err := n.Listen(ctx, iface, unix.ETH_P_IP)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	first := next()
	from := net.HardwareAddr(slices.Clone(first[0][6:12]))
	go func() { done <- attack(conn, first, every, next, stop) }()
	end := sync.OnceValue(func() error {
		close(stop)
		return errors.Join(<-done, conn.Close())
	})
	if err := awaitFrame(listener, from); err != nil {
		return nil, errors.Join(ErrNotInjected, err, end())
	}
	return func(context.Context) error { return end() }, nil
}

// pretended is how many addresses a forger has, its own among them.
const pretended = 20

// forgerOn returns one that knows the network of an interface and pretends to be hosts that it does
// not have.
func forgerOn(n *lab.Node, iface string) (*forger, error) {
	t, network := n.Lab().Topology(), networkOf(n, iface)
	if network == "" {
		return nil, fmt.Errorf("find link %s:%s: the topology has none", n, iface)
	}
	spec := n.Spec()
	link, _ := spec.LinkOn(network)
	own := link.Addr.Addr()
	forger := &forger{random: rand.New(rand.NewPCG(hostileSalt, hostileSalt)),
		mac: lab.HardwareAddr(own), sources: []netip.Addr{own},
		version: t.VRRP.Version, advert: t.VRRP.Advert}
	used := map[netip.Addr]bool{}
	for _, v := range t.VIPs {
		used[v.Addr] = true
		if v.Network == network {
			forger.routers = append(forger.routers, v.RouterID)
			forger.vips = append(forger.vips, v.Addr)
		}
	}
	if len(forger.vips) == 0 {
		return nil, fmt.Errorf("attack network %s: it has no VIP", network)
	}
	for _, other := range t.Nodes {
		for _, l := range other.Links {
			used[l.Addr.Addr()] = true
		}
	}
	for addr := own.Next(); link.Addr.Contains(addr.Next()); addr = addr.Next() {
		if !used[addr] && len(forger.sources) < pretended {
			forger.sources = append(forger.sources, addr)
		}
	}
	return forger, nil
}

// victimOn is a director on the same network, and its interface there.
func victimOn(n *lab.Node, iface string) (*lab.Node, string, error) {
	directors, err := hears(n, iface, true)
	if err != nil {
		return nil, "", err
	}
	return directors[0].node, directors[0].iface, nil
}

// attack sends frames until stop. A frame that finds no room in a queue is lost; that is no error.
func attack(
	conn *packet.Conn, frames [][]byte, every time.Duration, next func() [][]byte,
	stop <-chan struct{},
) error {
	v, err := newVolley(conn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := v.send(frames); err != nil {
			return err
		}
		select {
		case <-tick.C:
			frames = next()
		case <-stop:
			return nil
		}
	}
}

// awaitFrame waits for a frame from a MAC address.
func awaitFrame(conn *packet.Conn, from net.HardwareAddr) error {
	if err := conn.SetReadDeadline(time.Now().Add(hostileLimit)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	frame := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(frame)
		if err != nil {
			return fmt.Errorf("await forged advert: %w", err)
		}
		if n >= 24 && slices.Equal(frame[6:12], from) && frame[14+9] == protocolVRRP {
			return nil
		}
	}
}
