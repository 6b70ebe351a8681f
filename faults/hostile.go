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

// hostileFault sends forged adverts: HostilePackets, or HostileFlood.
type hostileFault struct {
	kind        Kind
	node, iface string
}

func (f hostileFault) String() string { return f.kind.String() + " " + f.node + ":" + f.iface }

// burst returns how many frames are sent at a time.
func (f hostileFault) burst() int {
	if f.kind == HostileFlood {
		return floodBurst
	}
	return hostileBurst
}

func (f hostileFault) Needs() []lab.Capability { return nil }

func (f hostileFault) Inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	heal, err := f.inject(ctx, l)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f, err)
	}
	return heal, nil
}

func (f hostileFault) inject(ctx context.Context, l *lab.Lab) (Heal, error) {
	n, err := findNode(l, f.node)
	if err != nil {
		return nil, err
	}
	forger, err := f.forger(l, n)
	if err != nil {
		return nil, err
	}
	victim, iface, err := f.victim(l, n)
	if err != nil {
		return nil, err
	}
	listener, err := victim.Listen(ctx, iface, unix.ETH_P_IP)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	conn, err := n.Listen(ctx, f.iface, unix.ETH_P_IP)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- attack(conn, forger, f.burst(), stop) }()
	end := sync.OnceValue(func() error {
		close(stop)
		return errors.Join(<-done, conn.Close())
	})
	if err := awaitFrame(listener, forger.mac); err != nil {
		return nil, errors.Join(ErrNotInjected, err, end())
	}
	return once(func(context.Context) error {
		if err := end(); err != nil {
			return fmt.Errorf("heal %s: %w", f, err)
		}
		return nil
	}), nil
}

// pretended is how many addresses a forger has, its own among them.
const pretended = 20

// forger returns one that knows the network and pretends to be hosts that it does not have.
func (f hostileFault) forger(l *lab.Lab, n *lab.Node) (*forger, error) {
	t, network := l.Topology(), networkOf(n, f.iface)
	if network == "" {
		return nil, fmt.Errorf("find link %s:%s: the topology has none", f.node, f.iface)
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

// victim is a director on the same network, and its interface there.
func (f hostileFault) victim(l *lab.Lab, n *lab.Node) (*lab.Node, string, error) {
	network := networkOf(n, f.iface)
	for _, d := range l.Directors() {
		spec := d.Spec()
		if link, ok := spec.LinkOn(network); ok && d != n {
			return d, link.Interface, nil
		}
	}
	return nil, "", fmt.Errorf("attack network %s: no other director is there", network)
}

// attack sends bursts until stop. A frame that finds no room in a queue is lost; that is no error.
func attack(conn *packet.Conn, f *forger, burst int, stop <-chan struct{}) error {
	v, err := newVolley(conn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(hostileTick)
	defer tick.Stop()
	frames := make([][]byte, burst)
	for {
		for i := range frames {
			frames[i] = f.frame()
		}
		if _, err := v.send(frames); err != nil {
			return err
		}
		select {
		case <-tick.C:
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
