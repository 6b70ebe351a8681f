package scenarios

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/lab"
)

// tablePoll is how often a table is read while a scenario waits for it: IPVS sends no events.
const tablePoll = 100 * time.Millisecond

// longTablePoll is how often a table is read for the recording of a run that takes hours.
const longTablePoll = time.Second

// awaitTable waits until the kernel of a director has every real server of every service in its
// table, with a weight.
func (r *run) awaitTable(ctx context.Context, n *lab.Node) error {
	want := 0
	for _, s := range r.scenario.Topology.Services {
		want += len(s.RealServers)
	}
	poll := time.NewTicker(tablePoll)
	defer poll.Stop()
	for have := 0; have < want; {
		var err error
		if have, err = serving(ctx, n); err != nil {
			return err
		}
		if have >= want {
			break
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("await %d real servers in the table of %s, it has %d: %w", want, n,
				have, context.Cause(ctx))
		}
	}
	return nil
}

// serving counts the destinations in a node's IPVS table that get connections. It reads the kernel's
// text view, so that it shares no code with the directors that it watches.
func serving(ctx context.Context, n *lab.Node) (int, error) {
	text, err := readTable(ctx, n)
	if err != nil {
		return 0, err
	}
	return countServing(strings.NewReader(text)), nil
}

// readTable returns a node's IPVS table as /proc/net/ip_vs shows it.
func readTable(ctx context.Context, n *lab.Node) (string, error) {
	var text []byte
	err := n.Do(ctx, func() error {
		var err error
		text, err = os.ReadFile("/proc/thread-self/net/ip_vs")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read IPVS table of %s: %w", n, err)
	}
	return string(text), nil
}

// countServing counts the destinations with a weight in a table as /proc/net/ip_vs shows it:
//
//	TCP  C0A80101:0050 rr
//	  -> C0A8020B:0050      Masq    1      0          0
//
// Source: net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_info_seq_show.
func countServing(table io.Reader) int {
	n := 0
	for lines := bufio.NewScanner(table); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || f[0] != "->" {
			continue
		}
		if weight, err := strconv.Atoi(f[3]); err == nil && weight > 0 {
			n++
		}
	}
	return n
}
