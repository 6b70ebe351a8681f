package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Direction is a way over a cable, as the node at its end sees it. The zero Direction is unset.
type Direction int

// The directions.
const (
	// Outward is what the node sends.
	Outward Direction = iota + 1
	// Inward is what the node receives.
	Inward
)

// String returns "out" or "in".
func (d Direction) String() string {
	switch d {
	case Outward:
		return "out"
	case Inward:
		return "in"
	}
	return fmt.Sprintf("Direction(%d)", int(d))
}

// Impairment is what a bad cable does to the frames that it carries one way. The zero Impairment
// does nothing.
type Impairment struct {
	// Delay is how much later each frame arrives, give or take Jitter. What Jitter leaves no order in
	// arrives in none.
	Delay, Jitter time.Duration
	// Loss, Duplicate and Corrupt are the shares of frames, from 0 to 1, that are lost, that arrive
	// twice, and that arrive with one bit changed.
	Loss, Duplicate, Corrupt float64
	// Reorder is the share of frames that Delay does not hold, so that they overtake others.
	Reorder float64
	// Rate is how many bits a second are carried; 0: any. What comes faster waits for up to 100 ms;
	// what would have to wait longer is lost.
	Rate uint64
}

// with is one impairment behind another: delays add up, shares are as of independent chances.
func (i Impairment) with(j Impairment) Impairment {
	either := func(a, b float64) float64 { return a + b - a*b }
	rate := max(i.Rate, j.Rate)
	if i.Rate != 0 && j.Rate != 0 {
		rate = min(i.Rate, j.Rate)
	}
	return Impairment{
		Delay: i.Delay + j.Delay, Jitter: i.Jitter + j.Jitter, Rate: rate,
		Loss: either(i.Loss, j.Loss), Duplicate: either(i.Duplicate, j.Duplicate),
		Corrupt: either(i.Corrupt, j.Corrupt), Reorder: either(i.Reorder, j.Reorder),
	}
}

const (
	// queueFrames is how many frames an impaired cable can hold where it has no rate.
	queueFrames = 20_000
	// queueTime is how long a frame waits for its turn on a cable of a rate, at most.
	queueTime = 100 * time.Millisecond
	// fullFrame is the length of the longest frame in bits.
	fullFrame = 1514 * 8
)

// limit is how many frames the cable holds at a time.
func (i Impairment) limit() uint32 {
	if i.Rate == 0 {
		return queueFrames
	}
	held := float64(i.Rate) * (i.Delay + i.Jitter + queueTime).Seconds() / fullFrame
	return uint32(min(max(held, 8), queueFrames))
}

// netem is the queueing discipline of an impairment.
func (i Impairment) netem(link int, handle uint16) *netlink.Netem {
	percent := func(share float64) float32 { return float32(100 * share) }
	micro := func(d time.Duration) uint32 { return uint32(min(d.Microseconds(), math.MaxUint32)) }
	return netlink.NewNetem(
		netlink.QdiscAttrs{LinkIndex: link, Parent: netlink.HANDLE_ROOT,
			Handle: netlink.MakeHandle(handle, 0)},
		netlink.NetemQdiscAttrs{
			Latency: micro(i.Delay), Jitter: micro(i.Jitter), Limit: i.limit(),
			Loss: percent(i.Loss), Duplicate: percent(i.Duplicate),
			CorruptProb: percent(i.Corrupt), ReorderProb: percent(i.Reorder),
			Rate64: (i.Rate + 7) / 8,
		})
}

// way is one direction over a cable: the queue of frames that one of its ends sends.
type way struct {
	handle *netlink.Handle
	link   int
}

// way is the queue that a direction over the cable of an interface has.
func (n *Node) way(p *port, d Direction) way {
	if d == Outward {
		return way{n.handle, p.index}
	}
	return way{n.lab.fabric.handle, p.fabric.Index}
}

// impairments are what the cables of a lab do to frames.
type impairments struct {
	mu     sync.Mutex
	on     map[way][]*Impairment
	handle uint16 // of the latest queueing discipline
}

// Impair makes the cable of an interface a bad one, in one direction, and returns what ends that,
// which a second time does nothing. It returns when a frame has met the impairment. Several may
// hold at once: the cable then has all their faults. When one begins or ends, frames that are on
// their way are lost. It needs Netem. What the node sends is impaired as it leaves its interface,
// so that the fabric's probes see what has become of it; no sender is told that a frame is lost.
//
// Equivalent to: `tc qdisc replace dev eth0 root netem delay 50ms` on the node for Outward, and for
// Inward `tc qdisc replace dev lb1.eth0 root netem delay 50ms` at the switch.
func (n *Node) Impair(
	ctx context.Context, iface string, d Direction, i Impairment,
) (end func(context.Context) error, err error) {
	fail := func(err error) (func(context.Context) error, error) {
		return nil, fmt.Errorf("impair %s:%s %s: %w", n, iface, d, err)
	}
	p, err := n.port(iface)
	if err != nil {
		return fail(err)
	}
	w, all := n.way(p, d), &n.lab.fabric.impaired
	end = func(context.Context) error {
		if err := all.take(w, &i); err != nil {
			return fmt.Errorf("repair %s:%s %s: %w", n, iface, d, err)
		}
		return nil
	}
	err = all.add(w, &i)
	if err == nil {
		err = n.awaitImpaired(ctx, p, d)
	}
	if err != nil {
		return fail(errors.Join(err, end(ctx)))
	}
	return end, nil
}

// Impaired returns what the cable of an interface does to frames in a direction, as it was asked
// to; the zero Impairment: nothing.
func (n *Node) Impaired(iface string, d Direction) (Impairment, error) {
	p, err := n.port(iface)
	if err != nil {
		return Impairment{}, err
	}
	all := &n.lab.fabric.impaired
	all.mu.Lock()
	defer all.mu.Unlock()
	return sum(all.on[n.way(p, d)]), nil
}

func sum(all []*Impairment) Impairment {
	var whole Impairment
	for _, i := range all {
		whole = whole.with(*i)
	}
	return whole
}

// add has a way suffer one thing more.
func (all *impairments) add(w way, i *Impairment) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.on == nil {
		all.on = make(map[way][]*Impairment)
	}
	all.on[w] = append(all.on[w], i)
	return all.set(w)
}

// take ends that; what the way does not suffer is no error.
func (all *impairments) take(w way, i *Impairment) error {
	all.mu.Lock()
	defer all.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(all.on[w]), func(o *Impairment) bool { return o == i })
	if len(rest) == len(all.on[w]) {
		return nil
	}
	was := all.on[w]
	all.on[w] = rest
	if err := all.set(w); err != nil {
		all.on[w] = was // it may be tried again
		return err
	}
	return nil
}

// set has the kernel do what a way suffers.
func (all *impairments) set(w way) error {
	if len(all.on[w]) == 0 {
		return w.clear()
	}
	all.handle = all.handle%0x7fff + 1
	next := sum(all.on[w]).netem(w.link, all.handle)
	err := w.handle.QdiscReplace(next)
	if errors.Is(err, unix.EINVAL) {
		// It makes the new one before it removes the old, and of two none may duplicate
		// (net/sched/sch_netem.c, check_netem_in_tree).
		if err = w.clear(); err == nil {
			err = w.handle.QdiscReplace(next)
		}
	}
	if err != nil {
		return fmt.Errorf("set netem: %w", err)
	}
	return nil
}

// clear removes the queue; none is no error.
func (w way) clear() error {
	return notThere(w.handle.QdiscDel(&netlink.GenericQdisc{QdiscType: "netem",
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: w.link, Parent: netlink.HANDLE_ROOT}}))
}

// notThere makes no error of what the kernel says of a queue that does not exist.
func notThere(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// awaitImpaired sends frames over the cable of an interface until the queue of one direction has
// seen one.
func (n *Node) awaitImpaired(ctx context.Context, p *port, d Direction) error {
	w := n.way(p, d)
	send, err := n.sender(ctx, p, d)
	if err != nil {
		return err
	}
	defer send.Close()
	nobody := net.HardwareAddr{0x02, bridgeEnd, 0, 0, 0, 0}
	frame := Block{}.frame(nobody, HardwareAddr(p.link.Addr.Addr()))
	if d == Inward {
		copy(frame[6:], hardwareAddr(fabricEnd, p.link.Addr.Addr()))
	}
	return await(ctx, linkTimeout, func() (bool, error) {
		if _, err := send.WriteTo(frame, &packet.Addr{HardwareAddr: nobody}); err != nil {
			return false, fmt.Errorf("send test frame: %w", err)
		}
		qdiscs, err := w.handle.QdiscList(device(w.link))
		for _, q := range qdiscs {
			if s := q.Attrs().Statistics; q.Type() == "netem" && s != nil {
				return s.Basic.Packets+s.Queue.Drops+s.Queue.Qlen > 0, err
			}
		}
		return false, err
	})
}

// sender opens a packet socket at the end of a cable at which frames of a direction begin.
func (n *Node) sender(ctx context.Context, p *port, d Direction) (*packet.Conn, error) {
	if d == Outward {
		return n.Listen(ctx, p.link.Interface, etherTypeTest)
	}
	var conn *packet.Conn
	err := n.lab.fabric.Do(ctx, func() (err error) {
		conn, err = packet.Listen(&net.Interface{Index: p.fabric.Index, Name: p.fabric.Name},
			packet.Raw, etherTypeTest, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", p.fabric.Name, err)
	}
	return conn, nil
}
