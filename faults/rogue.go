package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// rogue is a host that takes part in VRRP.
type rogue struct {
	forger   *forger
	vrrp     topology.VRRP
	vips     []topology.VIP // of the network
	priority uint8
}

// rogueOn returns one that knows all that the directors on a network know of VRRP there.
func rogueOn(n *lab.Node, iface string, priority int) (*rogue, error) {
	f, err := forgerOn(n, iface)
	if err != nil {
		return nil, err
	}
	t := n.Lab().Topology()
	r := &rogue{forger: f, vrrp: t.VRRP, priority: uint8(priority)}
	for _, v := range t.VIPs {
		if v.Network == networkOf(n, iface) {
			r.vips = append(r.vips, v)
		}
	}
	return r, nil
}

// every is how often it sends.
func (r *rogue) every() time.Duration { return max(r.vrrp.Advert, 10*time.Millisecond) }

// adverts are its frames, one of each virtual router.
func (r *rogue) adverts() [][]byte {
	var frames [][]byte
	for _, v := range r.vips {
		f := *r.forger
		f.vips = f.vips[:0:0]
		for _, other := range r.vips {
			if other.RouterID == v.RouterID {
				f.vips = append(f.vips, other.Addr)
			}
		}
		p := &forgery{ttl: 255, source: f.sources[0], message: f.advertOf(v.RouterID, r.priority)}
		if f.version == 2 && r.vrrp.Password != "" {
			p.message[offsetAuth] = 1 // RFC 2338, Section 5.3.6: simple text password
			copy(p.message[len(p.message)-8:], r.vrrp.Password)
		}
		f.seal(p)
		frames = append(frames, f.packet(p))
	}
	return frames
}

// rogueRouter sends adverts that directors must believe.
func rogueRouter(r request, v *values) injector {
	priority := v.number("priority", 1, 255)
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		router, err := rogueOn(n, r.detail, priority)
		if err != nil {
			return nil, err
		}
		return sendAgain(ctx, n, r.detail, router.every(), router.adverts)
	}
}

// mismatches are how a router may differ from the others, by the words of the parameter "what".
var mismatches = map[string]func(*rogue) error{
	"interval": func(r *rogue) error {
		r.forger.advert += max(r.forger.advert, time.Second)
		return nil
	},
	"addresses": func(r *rogue) error {
		for i := range r.vips {
			r.vips[i].Addr = r.forger.sources[0]
		}
		return nil
	},
	"version": func(r *rogue) error {
		r.forger.version = 5 - r.forger.version
		return nil
	},
	"password": func(r *rogue) error {
		if r.forger.version != 2 {
			return errors.New("version 3 of VRRP has no passwords")
		}
		r.vrrp.Password = "wrong" + r.vrrp.Password
		return nil
	},
}

// advertsMismatching sends adverts that are valid, but of a router that is configured otherwise.
func advertsMismatching(r request, v *values) injector {
	priority, differ := v.number("priority", 1, 255), mismatches[v.word("what")]
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		router, err := rogueOn(n, r.detail, priority)
		if err != nil {
			return nil, err
		}
		if err := differ(router); err != nil {
			return nil, err
		}
		return sendAgain(ctx, n, r.detail, router.every(), router.adverts)
	}
}

// advertsReplayed hears an advert of a director and sends it again and again.
func advertsReplayed(r request, v *values) injector {
	times, sender := v.number("times", 1, 1000), v.word("sender")
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if _, _, err := victimOn(n, r.detail); err != nil {
			return nil, err
		}
		every := max(n.Lab().Topology().VRRP.Advert, 10*time.Millisecond)
		frame, err := hearAdvert(ctx, n, r.detail, 4*every+showLimit)
		if err != nil {
			return nil, err
		}
		if sender == "own" {
			spec := n.Spec()
			link, _ := spec.LinkOn(networkOf(n, r.detail))
			copy(frame[6:12], lab.HardwareAddr(link.Addr.Addr()))
		}
		return sendAgain(ctx, n, r.detail, every/time.Duration(times),
			func() [][]byte { return [][]byte{frame} })
	}
}

// hearAdvert waits for an advert of a router that means to stay.
func hearAdvert(
	ctx context.Context, n *lab.Node, iface string, limit time.Duration,
) ([]byte, error) {
	conn, err := n.Listen(ctx, iface, unix.ETH_P_IP)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	frame := make([]byte, 1<<16)
	for {
		length, _, err := conn.ReadFrom(frame)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("no director's advert came in %s", limit)
		}
		if err != nil {
			return nil, fmt.Errorf("await advert: %w", err)
		}
		if isAdvert(frame[:length]) {
			return slices.Clone(frame[:length]), nil
		}
	}
}

// isAdvert says whether a frame is an advert of a priority above zero.
func isAdvert(frame []byte) bool {
	if len(frame) < 14+20 || frame[14+9] != protocolVRRP ||
		!slices.Equal(frame[14+16:14+20], multicast.AsSlice()) {
		return false
	}
	at := 14 + 4*int(frame[14]&0x0f) + offsetPriority
	return at < len(frame) && frame[at] != 0
}

// duplicateAddress gives a host an address that others have. The heal has them who believed it ask
// again.
//
// Equivalent to: `ip addr add 192.168.1.1/32 dev eth0; arping -c 1 -U -I eth0 192.168.1.1`.
func duplicateAddress(r request, v *values) injector {
	announce := v.word("announce") == "yes"
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		iface, err := linkTo(n, r.addr)
		if err != nil {
			return nil, err
		}
		if held, err := n.Holds(r.addr); err != nil || held {
			return nil, errors.Join(err, errors.New("the node has the address already"))
		}
		others, err := hears(n, iface, false)
		if err != nil {
			return nil, err
		}
		i := impostor{n, iface, r.addr, hardwareAddr(n, iface), others}
		if err := i.take(); err != nil {
			return nil, err
		}
		err = i.demandAnswers(ctx)
		if err == nil && announce {
			err = i.announce(ctx)
		}
		if err != nil {
			return nil, errors.Join(err, i.leave(context.WithoutCancel(ctx)))
		}
		return i.leave, nil
	}
}

// hardwareAddr is that of an interface of the topology.
func hardwareAddr(n *lab.Node, iface string) net.HardwareAddr {
	for _, link := range n.Spec().Links {
		if link.Interface == iface {
			return lab.HardwareAddr(link.Addr.Addr())
		}
	}
	return lab.HardwareAddr(netip.Addr{})
}
