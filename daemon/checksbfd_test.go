package daemon

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
)

// checkedBySession is a virtual server whose real server is the neighbour of a BFD session.
const checkedBySession = `bfd_instance far {
    neighbor_ip 192.168.1.3
    min_tx 50
    min_rx 50
    idle_tx 1000
}
virtual_server 192.168.1.1 80 {
    protocol TCP
    real_server 192.168.1.3 80 {
        weight 10
        BFD_CHECK {
            name far
        }
    }
}
`

// TestBFDCheck has a real server checked by a live session across a network: it comes into the
// table when the neighbour speaks, and goes when it does not, and comes again.
func TestBFDCheck(t *testing.T) {
	node, far := netiftest.Pair(t)
	cfg, ds := config.Parse("test.conf", []byte(checkedBySession))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	c := newChecking(t, cfg)
	served := func() bool { return strings.Contains(c.table.String(), "-r 192.168.1.3:80") }
	d := &director{log: slog.New(slog.NewTextHandler(&c.log, nil)), services: c.services}
	d.equip()
	ctx, cancel := context.WithCancel(context.Background())
	node.Do(func() { d.speak(ctx, cfg) })
	t.Cleanup(func() {
		cancel()
		if err := d.speaker.end(); err != nil {
			t.Error(err)
		}
	})
	down := func() bool { return strings.HasPrefix(c.why(cfg), "DOWN: bfd far: ") }
	until(t, "down without a neighbour", down)
	if served() {
		t.Error("without a neighbour: expected no destination")
	}
	for _, time := range []string{"first", "second"} {
		stop := answer(t, far)
		until(t, "destination with a neighbour, the "+time+" time", served)
		until(t, "up with a neighbour", func() bool { return strings.HasPrefix(c.why(cfg), "UP") })
		stop()
		until(t, "no destination without the neighbour, the "+time+" time", func() bool {
			return !served()
		})
		until(t, "down without the neighbour", down)
	}
	for _, words := range []string{"from=down to=up", "from=up to=down reason=session"} {
		if !c.log.has(words) {
			t.Errorf("the log does not say %q:\n%s", words, c.log.text.String())
		}
	}
}

// why is what the status says of the first real server of cfg: its health, and the reason for it.
func (c *checking) why(cfg *config.Config) string {
	for _, s := range c.snapshot(c.t.Context(), cfg.VirtualServers) {
		return s.Servers[0].Health.String() + ": " + s.Servers[0].Reason
	}
	return ""
}
