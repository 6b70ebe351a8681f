package probe

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// Tables records the IPVS tables of nodes, each time that one has become another. IPVS sends no
// events, so it reads the kernel's text view again and again: two calls of the kernel a node.
type Tables struct {
	nodes []*lab.Node
	every time.Duration
	sink  func(reports.Event)
	ready chan struct{}

	mu sync.Mutex
	// files show the tables of the nodes; none before Run, and after it.
	files []*os.File
	last  []string
}

// NewTables returns a watcher of nodes with IPVS that looks every so often and hands
// reports.TableSet events to sink, which must be safe for use by several goroutines.
func NewTables(nodes []*lab.Node, every time.Duration, sink func(reports.Event)) *Tables {
	return &Tables{nodes: nodes, every: every, sink: sink, ready: make(chan struct{})}
}

// String returns what the watcher does.
func (t *Tables) String() string { return fmt.Sprintf("watch the IPVS tables of %v", t.nodes) }

// Ready returns a channel that is closed when every node's table was read once.
func (t *Tables) Ready() <-chan struct{} { return t.ready }

// Run watches until the context ends and returns nil; an error means that a table could not be
// read. It may be called once.
func (t *Tables) Run(ctx context.Context) error {
	defer t.close()
	if err := t.open(ctx); err != nil {
		return err
	}
	begun := sync.OnceFunc(func() { close(t.ready) })
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for {
		if err := t.Look(); err != nil {
			return err
		}
		begun()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// open opens the tables: such a file shows the namespace in which it was opened.
func (t *Tables) open(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		var f *os.File
		err := n.Do(ctx, func() (err error) {
			f, err = os.Open("/proc/thread-self/net/ip_vs")
			return err
		})
		if err != nil {
			return fmt.Errorf("watch table of %s: %w", n, err)
		}
		t.files = append(t.files, f)
	}
	t.last = make([]string, len(t.nodes))
	return nil
}

// close closes the tables.
func (t *Tables) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.files {
		f.Close()
	}
	t.files = nil
}

// Look reads every table now and reports those that are not as they were last. It does nothing
// before Run, and after it.
func (t *Tables) Look() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, f := range t.files {
		n := t.nodes[i]
		text, err := readTable(f)
		if err != nil {
			return fmt.Errorf("watch table of %s: %w", n, err)
		}
		if text != t.last[i] {
			t.last[i] = text
			t.sink(reports.Event{At: n.Lab().Now(), Kind: reports.TableSet, Node: n.Name(),
				Detail: text})
		}
	}
	return nil
}

// Last returns the table of a node as it was last seen, as reports.ParseTable reads it; "": it was
// empty, or never seen.
func (t *Tables) Last(node string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, n := range t.nodes {
		if n.Name() == node && i < len(t.last) {
			return t.last[i]
		}
	}
	return ""
}

// readTable reads a table from its begin and prints it as a recording has it.
func readTable(f io.ReadSeeker) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	table, err := parseTable(f)
	return table.String(), err
}

// parseTable reads a table as /proc/net/ip_vs shows it:
//
//	TCP  C0A80101:0050 rr
//	  -> C0A8020B:0050      Masq    1      0          0
//	FWM  00000001 sh
//
// Lines of another form are passed over: there are three of them as a heading.
//
// Source: net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show.
func parseTable(r io.Reader) (reports.Table, error) {
	var table reports.Table
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 3 {
			continue
		}
		if words[0] == "->" {
			d, err := parseDestination(words[1:])
			if err == nil && len(table) > 0 {
				s := &table[len(table)-1]
				s.Servers = append(s.Servers, d)
			}
			continue
		}
		if name, err := parseService(words[0], words[1]); err == nil {
			table = append(table, reports.TableService{Name: name, Scheduler: words[2]})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	table.Sort()
	return table, nil
}

// parseService names a service as reports.TableService does.
func parseService(protocol, where string) (string, error) {
	switch protocol {
	case "FWM":
		mark, err := strconv.ParseUint(where, 16, 32)
		return fmt.Sprintf("FWM %d", mark), err
	case "TCP", "UDP", "SCTP":
		addr, err := parseTableAddr(where)
		return fmt.Sprintf("%s %s", protocol, addr), err
	}
	return "", errors.New("no service")
}

// parseDestination reads what stands behind the arrow: address, way, weight, connections.
func parseDestination(words []string) (reports.TableServer, error) {
	if len(words) < 3 {
		return reports.TableServer{}, errors.New("no real server")
	}
	addr, err := parseTableAddr(words[0])
	if err != nil {
		return reports.TableServer{}, err
	}
	weight, err := strconv.Atoi(words[2])
	return reports.TableServer{Addr: addr, Weight: weight}, err
}

// parseTableAddr reads an address and a port: both in hexadecimal digits, IPv6 in brackets.
func parseTableAddr(text string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(text, ":")
	if i := strings.LastIndexByte(text, ':'); strings.HasPrefix(text, "[") && i > 0 {
		host, port = strings.Trim(text[:i], "[]"), text[i+1:]
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil || !ok {
		return netip.AddrPort{}, fmt.Errorf("address %q: no port", text)
	}
	addr, err := netip.ParseAddr(host)
	if b, bad := hex.DecodeString(host); bad == nil && len(b) == 4 {
		addr, err = netip.AddrFrom4([4]byte(b)), nil
	}
	return netip.AddrPortFrom(addr, uint16(number)), err
}
