package scenarios

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// Calls opens connections from a client strictly one after another, each of which is kept; from
// time to time one of those that are open is closed. What is opened and closed is drawn from the
// run's seed. Before each connection the step waits until the director's kernel has noticed all
// that was closed: who gets the next one is then the scheduler's decision alone. Those that are open
// at its end stay so for the next Calls, and are closed at the end of the run.
type Calls struct {
	Client string
	// Count is how many connections are opened; 0: one from each of the Sources.
	Count int
	// Sources is from how many addresses of the client's network, drawn for each connection; 0: from
	// the client's own.
	Sources int
	// Addresses is to how many addresses of a service by firewall mark, drawn for each connection; 0:
	// to one.
	Addresses int
	// Hold is how many are open at most; 0: each is closed before the next.
	Hold int
}

// String returns what is done.
func (s Calls) String() string {
	if s.Count == 0 {
		return fmt.Sprintf("open a connection from each of %d addresses of %s, hold up to %d", s.Sources,
			s.Client, s.Hold)
	}
	text := fmt.Sprintf("open %d connections one after another from %s", s.Count, s.Client)
	if s.Sources > 0 {
		text += fmt.Sprintf(", from %d addresses", s.Sources)
	}
	if s.Addresses > 0 {
		text += fmt.Sprintf(", to %d addresses", s.Addresses)
	}
	return text + fmt.Sprintf(", hold up to %d", s.Hold)
}

// callLimit is how long a call waits for its server: longer than a SYN that is sent again.
const callLimit = 3 * time.Second

// settleLimit is how long a kernel may take to notice that a connection is closed.
const settleLimit = 5 * time.Second

func (s Calls) do(ctx context.Context, r *run) error {
	client, ok := r.lab.Node(s.Client)
	if !ok {
		return fmt.Errorf("open connections: there is no node %s", s.Client)
	}
	if len(r.scenario.Topology.Services) == 0 {
		return errors.New("open connections: the topology has no virtual service")
	}
	c, err := r.callsFrom(ctx, client)
	if err != nil {
		return err
	}
	if c.sources, err = lend(ctx, client, s.Sources); err != nil {
		return err
	}
	c.targets = targetsOf(r.scenario.Topology.Services[0], s.Addresses)
	c.random = rand.New(rand.NewPCG(r.options.Seed, uint64(len(c.made)+s.Count)))
	for i := range cmp.Or(s.Count, len(c.sources)) {
		from := c.sources[i%len(c.sources)]
		if s.Count > 0 {
			from = c.sources[c.random.IntN(len(c.sources))]
		}
		if err := c.open(ctx, from); err != nil {
			return err
		}
		for len(c.held) > s.Hold || len(c.held) > 0 && s.Hold > 0 && c.random.IntN(4) == 0 {
			if err := c.close(ctx, c.random.IntN(len(c.held))); err != nil {
				return err
			}
		}
	}
	return nil
}

// callsFrom are the calls of a client, which all steps share.
func (r *run) callsFrom(ctx context.Context, client *lab.Node) (*calls, error) {
	if c, ok := r.callers[client.Name()]; ok {
		return c, nil
	}
	if err := r.refuseAtOnce(ctx); err != nil {
		return nil, err
	}
	caller, err := probe.NewCaller(ctx, client)
	if err != nil {
		return nil, err
	}
	c := &calls{run: r, caller: caller, clock: r.lab.Clock()}
	if r.callers == nil {
		r.callers = map[string]*calls{}
	}
	r.callers[client.Name()] = c
	return c, nil
}

// refuseAtOnce has directors tell every client that no real server takes its connection, and not
// one a second, which would let the others wait in vain.
//
// Source: Documentation/networking/ip-sysctl.rst, icmp_ratelimit.
func (r *run) refuseAtOnce(ctx context.Context) error {
	file := "/proc/sys/net/ipv4/icmp_ratelimit"
	if r.scenario.Topology.IPv6() {
		file = "/proc/sys/net/ipv6/icmp/ratelimit"
	}
	for _, n := range r.lab.NodesOf(topology.Director) {
		err := n.Do(ctx, func() error {
			return os.WriteFile(file, []byte("0"), 0)
		})
		if err != nil {
			return fmt.Errorf("have %s refuse at once: %w", n, err)
		}
	}
	return nil
}

// hangUp ends all callers, and with them what they hold, and records what they did.
func (r *run) hangUp() {
	var all []reports.Call
	for _, c := range r.callers {
		c.caller.Close()
		all = append(all, c.made...)
	}
	r.callers = nil
	slices.SortFunc(all, func(a, b reports.Call) int { return cmp.Compare(a.Opened, b.Opened) })
	for _, call := range all {
		r.recorder.Call(call)
	}
}

// lend gives a node n more addresses of its first network, and returns those that it has then to
// call from. They go with the lab.
func lend(ctx context.Context, n *lab.Node, more int) ([]netip.Addr, error) {
	own := n.Spec().Links[0]
	if more == 0 {
		return []netip.Addr{own.Addr.Addr()}, nil
	}
	used := map[netip.Addr]bool{}
	for _, o := range n.Lab().Nodes() {
		for _, l := range o.Spec().Links {
			used[l.Addr.Addr()] = true
		}
	}
	var all []netip.Addr
	err := n.Do(ctx, func() error {
		link, err := n.Handle().LinkByName(own.Interface)
		if err != nil {
			return err
		}
		// From the end of the network, where nobody of it lives.
		b := own.Addr.Masked().Addr().AsSlice()
		for last := 254; last > 0 && len(all) < more; last-- {
			b[len(b)-1] = byte(last)
			addr, _ := netip.AddrFromSlice(b)
			if used[addr] {
				continue
			}
			a, err := netlink.ParseAddr(netip.PrefixFrom(addr, own.Addr.Bits()).String())
			if err != nil {
				return err
			}
			if addr.Is6() {
				a.Flags = unix.IFA_F_NODAD
			}
			if err := n.Handle().AddrReplace(link, a); err != nil {
				return fmt.Errorf("add %s: %w", addr, err)
			}
			all = append(all, addr)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lend addresses to %s: %w", n, err)
	}
	return all, nil
}

// calls are those of one client.
type calls struct {
	run     *run
	caller  *probe.Caller
	sources []netip.Addr
	targets []netip.AddrPort
	clock   lab.Clock
	random  *rand.Rand
	made    []reports.Call
	// held are the places in made of those that are open.
	held []int
}

// firstPort is the first port to call from: none is used twice, because the kernel remembers
// connections for minutes.
const firstPort = 20000

// open opens the next connection.
func (c *calls) open(ctx context.Context, from netip.Addr) error {
	port := firstPort + uint16(len(c.made))
	to := c.targets[c.random.IntN(len(c.targets))]
	call, err := c.caller.Open(ctx, netip.AddrPortFrom(from, port), to, callLimit)
	if err != nil {
		return err
	}
	c.made = append(c.made, call)
	if call.Outcome == reports.Answered {
		c.held = append(c.held, len(c.made)-1)
	}
	return nil
}

// close closes the i-th of those that are open, and waits until the director has noticed.
func (c *calls) close(ctx context.Context, i int) error {
	call := &c.made[c.held[i]]
	c.held = slices.Delete(c.held, i, i+1)
	call.Closed = c.clock.Now()
	if err := c.caller.Hang(ctx, call.ID, call.Reset); err != nil {
		return err
	}
	all := 0
	for _, other := range c.run.callers {
		all += len(other.held)
	}
	return c.run.awaitActive(ctx, all)
}

// leave closes those that are open to a real server.
func (c *calls) leave(ctx context.Context, server string) error {
	for i := len(c.held) - 1; i >= 0; i-- {
		if c.made[c.held[i]].Server != server {
			continue
		}
		if err := c.close(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// awaitActive waits until a director's kernel counts so many active connections.
func (r *run) awaitActive(ctx context.Context, want int) error {
	director := Best(r.scenario.Topology)
	n, ok := r.lab.Node(director)
	if !ok {
		return fmt.Errorf("count connections: there is no node %s", director)
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for poll := time.Millisecond; ; poll = min(2*poll, tablePoll) {
		text, err := readTable(ctx, n)
		if err != nil {
			return err
		}
		have := countActive(strings.NewReader(text))
		if have == want {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return fmt.Errorf("await %d active connections on %s, it has %d: %w", want, n, have,
				context.Cause(ctx))
		}
	}
}

// countActive adds up the active connections in a table as /proc/net/ip_vs shows it.
func countActive(table io.Reader) int {
	n := 0
	for lines := bufio.NewScanner(table); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) != 6 || f[0] != "->" {
			continue
		}
		if active, err := strconv.Atoi(f[4]); err == nil {
			n += active
		}
	}
	return n
}
