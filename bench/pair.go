package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
	"github.com/tandemlb/tandem/topology"
)

// perInterface is how many instances one interface carries: a VRID is 1 to 255.
const perInterface = 250

// The priorities of a pair's directors.
const (
	masterPriority = 150
	backupPriority = 100
	ownerPriority  = 255
)

// pair is one pair of the same director in a lab of its own: lb1, that is master of all
// instances, and lb2, their backup. A network carries perInterface instances, of one VIP each.
//
//	lb1 (150) .2 ──── lan1 10.1.0.0/16, VIPs 10.1.1.1 … ──── .3 lb2 (100)
//	          .2 ──── lan2 10.2.0.0/16, VIPs 10.2.1.1 … ──── .3
type pair struct {
	director  scenarios.Director
	instances int
	dir       string // for configuration files and programs
	lab       *lab.Lab
	master    *lab.Node
	backup    *lab.Node
}

// newPair builds the lab and writes the configuration; nothing runs yet. The caller closes it.
func newPair(
	ctx context.Context, d scenarios.Director, instances, priority int,
) (*pair, error) {
	p := &pair{director: d, instances: instances}
	t := pairTopology(instances)
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("make pair: %w", err)
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "tandem-bench-"); err != nil {
		return nil, fmt.Errorf("make pair: %w", err)
	}
	p.lab, err = lab.Up(ctx, t, lab.Options{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pair: %w", err), os.RemoveAll(p.dir))
	}
	p.master, _ = p.lab.Node("lb1")
	p.backup, _ = p.lab.Node("lb2")
	for _, n := range []*lab.Node{p.master, p.backup} {
		text := pairConfig(n.Spec(), instances, priority)
		priority = backupPriority
		if err := os.WriteFile(p.file(n, ".conf"), []byte(text), 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("write configuration: %w", err), p.close())
		}
		if err := copyProgram(d.Path, p.program(n)); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

// close ends the pair's programs and takes the lab down.
func (p *pair) close() error {
	return errors.Join(p.lab.Close(), os.RemoveAll(p.dir))
}

func (p *pair) file(n *lab.Node, suffix string) string {
	return filepath.Join(p.dir, n.Name()+suffix)
}

// program is a node's own copy of the director's program, so that what both directors map of one
// file is not counted half for each.
func (p *pair) program(n *lab.Node) string {
	return filepath.Join(p.dir, n.Name(), filepath.Base(p.director.Path))
}

// copyPiece is how much of a program is written at once: of a file that is written in larger pieces the
// kernel keeps larger ones, up to 2 MB, and a process that touches a byte of one has mapped all of it. A
// program that was read from a disk takes as much memory as one that is written in pieces of this size.
const copyPiece = 32 << 10

// copyProgram makes an executable copy of a file, whose directory is made.
func copyProgram(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	for piece := range slices.Chunk(text, copyPiece) {
		if _, err = file.Write(piece); err != nil {
			break
		}
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	return nil
}

// start starts the director on a node, its VRRP half alone.
func (p *pair) start(ctx context.Context, n *lab.Node) (*lab.Process, error) {
	return n.Start(ctx, lab.Command{Name: p.program(n), Args: p.args(n), Init: true})
}

// args are the arguments of the director on a node. They ask for no log on standard error: that of
// keepalived costs it more than its work.
func (p *pair) args(n *lab.Node) []string {
	args := slices.DeleteFunc(slices.Clone(p.director.Args), func(word string) bool {
		return word == "-l" || word == "-D"
	})
	return append(args, "-P", "-f", p.file(n, ".conf"))
}

// pollInterval is how often a state is looked at that is waited for.
const pollInterval = 50 * time.Millisecond

// awaitVIPs waits until a node's kernel has every VIP, or one of its processes has ended.
func (p *pair) awaitVIPs(ctx context.Context, n *lab.Node, running *lab.Process) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		have, err := p.vips(n)
		if err != nil || have == p.instances {
			return err
		}
		select {
		case <-tick.C:
		case <-running.Done():
			return fmt.Errorf("await VIPs: %s ended with status %d: %s", running, running.Status(),
				strings.Join(running.Tail(3), "; "))
		case <-ctx.Done():
			return fmt.Errorf("await VIPs on %s: %d of %d: %w", n, have, p.instances,
				context.Cause(ctx))
		}
	}
}

// vips returns how many VIPs a node's kernel has.
func (p *pair) vips(n *lab.Node) (int, error) {
	count := 0
	for _, l := range n.Spec().Links {
		addrs, err := n.Addrs(l.Interface)
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			return 0, nil // they are changing
		}
		if err != nil {
			return 0, err
		}
		for _, a := range addrs {
			if a != l.Addr {
				count++
			}
		}
	}
	return count, nil
}

// pairTopology is the network of a pair: as many networks as the instances need.
func pairTopology(instances int) topology.Topology {
	t := topology.Topology{Name: fmt.Sprintf("pair-%d", instances)}
	lb1 := topology.Node{Name: "lb1", Role: topology.Director}
	lb2 := topology.Node{Name: "lb2", Role: topology.Director}
	for i := range networksOf(instances) {
		name := fmt.Sprintf("lan%d", i+1)
		link := topology.Link{Interface: fmt.Sprintf("eth%d", i), Network: name}
		t.Networks = append(t.Networks, topology.Network{Name: name,
			Prefix: netip.PrefixFrom(pairAddr(i, 0, 0), 16)})
		link.Addr = netip.PrefixFrom(pairAddr(i, 0, 2), 16)
		lb1.Links = append(lb1.Links, link)
		link.Addr = netip.PrefixFrom(pairAddr(i, 0, 3), 16)
		lb2.Links = append(lb2.Links, link)
	}
	t.Nodes = []topology.Node{lb1, lb2}
	return t
}

func networksOf(instances int) int { return (instances + perInterface - 1) / perInterface }

// pairAddr is an address of the i-th network.
func pairAddr(i int, high, low byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i + 1), high, low})
}

// pairConfig is the keepalived.conf of one director of a pair.
func pairConfig(n topology.Node, instances, priority int) string {
	var b strings.Builder
	state := "BACKUP"
	if priority == ownerPriority {
		state = "MASTER" // without it keepalived lets even an owner wait
	}
	fmt.Fprintf(&b, "global_defs {\n    router_id %s\n}\n", n.Name)
	for i := range instances {
		network, id := i/perInterface, i%perInterface+1
		fmt.Fprintf(&b, "vrrp_instance v%d {\n", i+1)
		fmt.Fprintf(&b, "    state %s\n    interface %s\n", state, n.Links[network].Interface)
		fmt.Fprintf(&b, "    virtual_router_id %d\n    priority %d\n    advert_int 1\n", id, priority)
		fmt.Fprintf(&b, "    garp_master_delay 1\n")
		fmt.Fprintf(&b, "    virtual_ipaddress {\n        %s\n    }\n}\n",
			pairAddr(network, 1, byte(id)))
	}
	return b.String()
}
