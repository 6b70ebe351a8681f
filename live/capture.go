package live

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// Capture implements Lab. The file names each interface as NODE:INTERFACE; its times are the
// kernel's, to the nanosecond.
func (h *Here) Capture(ctx context.Context, r CaptureRequest, s Streams) (Captured, error) {
	vips, err := h.vips()
	if err != nil {
		return Captured{}, err
	}
	names, err := captureTargets(h.lab.Topology(), vips, r.Targets)
	if err != nil {
		return Captured{}, err
	}
	c := &capture{stopped: make(chan struct{}), done: make(chan struct{})}
	defer c.close()
	for _, name := range names {
		if err := c.open(ctx, h.lab, name); err != nil {
			return Captured{}, fmt.Errorf("capture %s: %w", name, err)
		}
	}
	if err := c.begin(s.Output); err != nil {
		return Captured{}, fmt.Errorf("capture: %w", err)
	}
	if s.Started != nil {
		s.Started()
	}
	var over <-chan time.Time
	if r.For > 0 {
		timer := time.NewTimer(r.For)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-s.Control:
	case <-ctx.Done():
	case <-c.done: // it cannot go on
	}
	return c.end()
}

// captureTargets are the interfaces that selectors mean, each once; without a selector all.
func captureTargets(t topology.Topology, vips []VIPStatus, selectors []string) ([]string, error) {
	if len(selectors) == 0 {
		selectors = []string{"all"}
	}
	var names []string
	for _, selector := range selectors {
		targets, err := Select(t, vips, selector)
		if err != nil {
			return nil, err
		}
		for _, target := range targets {
			node, iface, one := strings.Cut(target, ":")
			if one {
				names = append(names, node+":"+iface)
				continue
			}
			n, _ := t.Node(node)
			for _, l := range n.Links {
				names = append(names, node+":"+l.Interface)
			}
		}
	}
	var once []string
	for _, n := range names {
		if !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return once, nil
}

// capture is one that goes on.
type capture struct {
	names   []string
	handles []*pcapgo.EthernetHandle
	indexes []int // of the interfaces in their nodes
	reading sync.WaitGroup
	stop    sync.Once
	stopped chan struct{} // closed at the end
	done    chan struct{} // closed when the first problem comes

	mu      sync.Mutex // guards the rest
	out     *pcapgo.NgWriter
	waiting []packet
	packets int
	ended   bool
	err     error
}

// packet is one that has come.
type packet struct {
	info gopacket.CaptureInfo
	data []byte
}

const (
	// hold is how long a packet waits for earlier ones of other interfaces, so that the file is in
	// order: several times what the slowest reader takes.
	hold = 200 * time.Millisecond
	// writeInterval is how often those that have waited are written.
	writeInterval = 50 * time.Millisecond
)

// open listens to an interface.
func (c *capture) open(ctx context.Context, l *lab.Lab, name string) error {
	node, iface, _ := strings.Cut(name, ":")
	n, ok := l.Node(node)
	if !ok {
		return failure(Usage, "no such node")
	}
	link, err := n.Handle().LinkByName(iface)
	if err != nil {
		return failure(Usage, "%s has no such interface: `tandem lab status` shows those there are", n)
	}
	return n.Do(ctx, func() error {
		handle, err := pcapgo.NewEthernetHandle(iface)
		if err != nil {
			return err
		}
		c.names = append(c.names, name)
		c.handles = append(c.handles, handle)
		c.indexes = append(c.indexes, link.Attrs().Index)
		return nil
	})
}

// nanoseconds is the resolution of time stamps in a pcapng file: 10 to the power of minus it.
const nanoseconds = 9

// begin writes the head of the file and starts to read.
func (c *capture) begin(to io.Writer) error {
	if to == nil {
		to = io.Discard
	}
	section := pcapgo.NgSectionInfo{OS: runtime.GOOS, Application: "tandem"}
	for i, name := range c.names {
		face := pcapgo.NgInterface{Name: name, OS: runtime.GOOS, LinkType: layers.LinkTypeEthernet,
			SnapLength: uint32(c.handles[i].GetCaptureLength()), TimestampResolution: nanoseconds}
		var err error
		if i == 0 {
			c.out, err = pcapgo.NewNgWriterInterface(to, face,
				pcapgo.NgWriterOptions{SectionInfo: section})
		} else {
			_, err = c.out.AddInterface(face)
		}
		if err != nil {
			return err
		}
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	for i := range c.handles {
		c.reading.Go(func() { c.read(i) })
	}
	c.reading.Go(c.writeOn)
	return nil
}

// read takes what comes by an interface until it is closed.
func (c *capture) read(i int) {
	for {
		data, info, err := c.handles[i].ReadPacketData()
		if err != nil {
			c.fail(err)
			return
		}
		if info.InterfaceIndex != c.indexes[i] {
			continue // it came before the socket was told which interface it is for
		}
		info.InterfaceIndex = i
		c.mu.Lock()
		if !c.ended {
			c.waiting = append(c.waiting, packet{info, data})
		}
		c.mu.Unlock()
	}
}

// writeOn writes what has waited, again and again until the end.
func (c *capture) writeOn() {
	tick := time.NewTicker(writeInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.mu.Lock()
			err := c.writeLocked(time.Now().Add(-hold))
			c.mu.Unlock()
			if err != nil {
				c.fail(err)
				return
			}
		case <-c.stopped:
			return
		}
	}
}

// writeLocked writes, in order, the packets that wait and came before a time.
func (c *capture) writeLocked(before time.Time) error {
	ripe, rest := ripen(c.waiting, before)
	c.waiting = rest
	for _, p := range ripe {
		if err := c.out.WritePacket(p.info, p.data); err != nil {
			return err
		}
		c.packets++
	}
	if len(ripe) == 0 {
		return nil
	}
	return c.out.Flush() // who reads along wants to see it now
}

// ripen parts packets into those that came before a time, in order, and the rest.
func ripen(waiting []packet, before time.Time) (ripe, rest []packet) {
	slices.SortStableFunc(waiting, func(a, b packet) int {
		return a.info.Timestamp.Compare(b.info.Timestamp)
	})
	i, _ := slices.BinarySearchFunc(waiting, before, func(p packet, t time.Time) int {
		return p.info.Timestamp.Compare(t)
	})
	return waiting[:i], slices.Clone(waiting[i:])
}

// fail ends the capture with its first problem. That of a closed socket after the end is none.
func (c *capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && c.err == nil {
		c.err = err
		close(c.done)
	}
}

// end stops and says what came of it.
func (c *capture) end() (Captured, error) {
	c.mu.Lock()
	err := c.err
	if err == nil {
		err = c.writeLocked(time.Now().Add(hold)) // everything
	}
	c.ended = true
	result := Captured{Interfaces: c.names, Packets: c.packets}
	c.mu.Unlock()
	for _, h := range c.handles {
		stats, failed := h.Stats()
		if failed == nil {
			result.Dropped += int(stats.Drops)
		}
	}
	c.close()
	if err != nil {
		return result, fmt.Errorf("capture: %w", err)
	}
	return result, nil
}

// close closes the sockets and waits for their readers. A second call does nothing.
func (c *capture) close() {
	c.stop.Do(func() {
		close(c.stopped)
		for _, h := range c.handles {
			h.Close() // it was only read from
		}
		c.reading.Wait()
	})
}
