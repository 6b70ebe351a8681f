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

// way is one direction over the cable to a port of the fabric.
type way struct {
	port      int
	direction Direction
}

// impairments are what the ways of a fabric suffer.
type impairments struct {
	mu     sync.Mutex
	on     map[way][]*Impairment
	handle uint16 // of the latest queueing discipline
}

// Impair makes the cable of an interface a bad one, in one direction, and returns what ends that,
// which a second time does nothing. It returns when a frame has met the impairment. Several may
// hold at once: the cable then has all their faults. When one begins or ends, frames that are on
// their way are lost. It needs Netem. The node sees nothing of it but what becomes of the frames;
// the fabric's probes see each frame as it was sent.
//
// Equivalent to, at the switch: `tc qdisc replace dev lb1.eth0 root netem delay 50ms` for Inward;
// for Outward the same on a device of type ifb to which all that comes in by lb1.eth0 is redirected.
func (n *Node) Impair(
	ctx context.Context, iface string, d Direction, i Impairment,
) (end func(context.Context) error, err error) {
	p, err := n.port(iface)
	if err != nil {
		return nil, err
	}
	w := way{p.fabric.Index, d}
	f := n.lab.fabric
	if err := f.impair(w, &i, true); err != nil {
		return nil, errors.Join(fmt.Errorf("impair %s:%s %s: %w", n, iface, d, err),
			f.impair(w, &i, false))
	}
	end = func(context.Context) error {
		if err := f.impair(w, &i, false); err != nil {
			return fmt.Errorf("repair %s:%s %s: %w", n, iface, d, err)
		}
		return nil
	}
	if err := n.awaitImpaired(ctx, p, d); err != nil {
		return nil, errors.Join(fmt.Errorf("impair %s:%s %s: %w", n, iface, d, err), end(ctx))
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
	f := n.lab.fabric
	f.impaired.mu.Lock()
	defer f.impaired.mu.Unlock()
	return sum(f.impaired.on[way{p.fabric.Index, d}]), nil
}

func sum(all []*Impairment) Impairment {
	var whole Impairment
	for _, i := range all {
		whole = whole.with(*i)
	}
	return whole
}

// impair adds an impairment to a way, or takes it off, and has the kernel do what is then due.
func (f *Fabric) impair(w way, i *Impairment, on bool) error {
	f.impaired.mu.Lock()
	defer f.impaired.mu.Unlock()
	all := f.impaired.on[w]
	if on {
		all = append(all, i)
	} else if rest := slices.DeleteFunc(slices.Clone(all),
		func(o *Impairment) bool { return o == i }); len(rest) < len(all) {
		all = rest
	} else {
		return nil
	}
	if f.impaired.on == nil {
		f.impaired.on = make(map[way][]*Impairment)
	}
	f.impaired.on[w] = all
	if len(all) == 0 {
		return f.repair(w)
	}
	link, err := f.impairedLink(w)
	if err != nil {
		return err
	}
	f.impaired.handle = f.impaired.handle%0x7fff + 1
	if err := f.handle.QdiscReplace(sum(all).netem(link, f.impaired.handle)); err != nil {
		return fmt.Errorf("set netem: %w", err)
	}
	return nil
}

// ifbName names the device that what comes in by a port goes through when that is impaired.
func ifbName(port int) string { return fmt.Sprintf("ifb%d", port) }

// impairedLink is the interface whose queue is that of a way; for Outward it is made if missing.
func (f *Fabric) impairedLink(w way) (int, error) {
	if w.direction == Inward {
		return w.port, nil
	}
	if link, err := f.handle.LinkByName(ifbName(w.port)); err == nil {
		return link.Attrs().Index, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = ifbName(w.port)
	attrs.Flags = net.FlagUp
	if err := f.handle.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
		return 0, fmt.Errorf("add %s: %w", attrs.Name, err)
	}
	link, err := f.handle.LinkByName(attrs.Name)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", attrs.Name, err)
	}
	ingress := f.ingress(w.port)
	if err := f.handle.QdiscAdd(ingress); err != nil {
		return 0, fmt.Errorf("add ingress queue: %w", err)
	}
	everything := &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Keys: []netlink.TcU32Key{{}}}
	err = f.handle.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: w.port, Parent: ingress.Handle, Priority: 1,
			Protocol: unix.ETH_P_ALL},
		Sel:     everything,
		Actions: []netlink.Action{netlink.NewMirredAction(link.Attrs().Index)},
	})
	if err != nil {
		return 0, fmt.Errorf("redirect to %s: %w", attrs.Name, err)
	}
	return link.Attrs().Index, nil
}

func (f *Fabric) ingress(port int) *netlink.Ingress {
	return &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port,
		Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
}

// repair takes the queues of a way away; what is not there is no error.
func (f *Fabric) repair(w way) error {
	if w.direction == Inward {
		return notThere(f.handle.QdiscDel(&netlink.GenericQdisc{QdiscType: "netem",
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: w.port, Parent: netlink.HANDLE_ROOT}}))
	}
	err := notThere(f.handle.QdiscDel(f.ingress(w.port)))
	link, missing := f.handle.LinkByName(ifbName(w.port))
	if missing != nil {
		return err
	}
	return errors.Join(err, f.handle.LinkDel(link))
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
	f := n.lab.fabric
	link, err := f.impairedLink(way{p.fabric.Index, d})
	if err != nil {
		return err
	}
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
		qdiscs, err := f.handle.QdiscList(device(link))
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
