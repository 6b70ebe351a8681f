package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// Uplink is a router that a director depends on by BFD: while there is no session between them, the
// director's instances are in fault.
type Uplink struct {
	// Director and Router name nodes on the same network.
	Director, Router string
}

const (
	// sessionInterval and sessionMultiplier are those of the sessions of uplinks, sessionIdle is the
	// interval of one that is not up.
	sessionInterval   = 50 * time.Millisecond
	sessionMultiplier = 3
	sessionIdle       = time.Second
	// sessionLost is how long a session takes to be down that its other end has left without a word.
	//
	// Source: RFC 5880, Section 6.8.4.
	sessionLost = sessionMultiplier * sessionInterval
	// sessionBegins is how long one takes to be up again: a packet of each end, neither of which
	// comes later than the idle interval, and one more to tell that it is up.
	sessionBegins = 3 * sessionIdle
)

// uplinkUnit is the program of a router: the other end of the session.
const uplinkUnit = "uplink"

// ends are the addresses of both ends: on the first network that both nodes are on.
func (u Uplink) ends(t topology.Topology) (director, router netip.Addr, err error) {
	d, known := t.Node(u.Director)
	r, also := t.Node(u.Router)
	if !known || !also {
		return director, router, fmt.Errorf("find uplink %s of %s: there is no such node", u.Router,
			u.Director)
	}
	for _, link := range d.Links {
		if other, ok := r.LinkOn(link.Network); ok {
			return link.Addr.Addr(), other.Addr.Addr(), nil
		}
	}
	return director, router, fmt.Errorf("find uplink %s of %s: no network has both", u.Router,
		u.Director)
}

// session is the bfd_instance of one end, named after the other one.
func (u Uplink) session(other string, from, to netip.Addr) string {
	var c confWriter
	c.open("bfd_instance %s", other)
	c.line("neighbor_ip %s", to)
	c.line("source_ip %s", from)
	c.line("min_rx %d", sessionInterval.Milliseconds())
	c.line("min_tx %d", sessionInterval.Milliseconds())
	c.line("idle_tx %d", sessionIdle.Milliseconds())
	c.line("multiplier %d", sessionMultiplier)
	c.close()
	return c.b.String()
}

// instanceBegins is the first line of a vrrp_instance.
var instanceBegins = regexp.MustCompile(`(?m)^vrrp_instance .*\n`)

// depend is a director's configuration with every instance depending on the session.
func (u Uplink) depend(text string, from, to netip.Addr) string {
	text = instanceBegins.ReplaceAllString(text, "${0}    track_bfd {\n        "+u.Router+"\n    }\n")
	return u.session(u.Router, from, to) + text
}

// equip has a director, whose configuration file is there, depend on the router, and gives the
// router the director's program for the other end of the session.
func (u Uplink) equip(l *lab.Lab, d Director, dir string) error {
	from, to, err := u.ends(l.Topology())
	if err != nil {
		return err
	}
	director, _ := l.Node(u.Director)
	file := configFile(dir, director)
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(u.depend(string(text), from, to)), 0o644)
	}
	if err != nil {
		return fmt.Errorf("make %s depend on %s: %w", u.Director, u.Router, err)
	}
	router, _ := l.Node(u.Router)
	other := filepath.Join(dir, u.Router+".conf")
	if err := os.WriteFile(other, []byte(u.session(u.Director, to, from)), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	router.AddUnit(uplinkUnit, func(ctx context.Context) (*lab.Process, error) {
		return d.start(ctx, router, other)
	})
	return nil
}

// fig7UplinkLost: the interval of adverts has no part in it, for a director that leaves says so.
func fig7UplinkLost() Scenario {
	t := preset("fig7")
	first, second := t.NodesOf(topology.Director)[0], t.NodesOf(topology.Director)[1]
	skew := masterDown(t.VRRP, second.Priority) - 3*t.VRRP.Advert
	lost := sessionLost + skew + Allowance
	back := StartAllowance + sessionBegins + masterDown(t.VRRP, first.Priority) + Allowance
	return Scenario{
		Name: "fig7-uplink-lost",
		Doc: fmt.Sprintf("The master depends by BFD on a router, which loses power. No cable of the "+
			"master's goes dead, and nothing keeps its adverts from going on; but the session is down "+
			"within %s, the master leaves with a word, and the other director takes over in its skew "+
			"time, sooner than it would miss an advert. When the router is back, so is the master.",
			sessionLost),
		Topology: t,
		Uplinks:  []Uplink{{Director: first.Name, Router: "client2"}},
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: faults.PowerOff, Target: "client2"},
			Await{Condition: Takeover{}, Limit: lost},
			Observe{For: 2 * slowest(t)},
			HealAll{},
			Await{Condition: FailBack{}, Limit: 2 * back},
			Await{Condition: Answers{InARow: 100}, Limit: lost},
		},
		Bounds: []Bound{
			OutageWithin(lost),
			OneOwnerWithin(lost),
			FailBackWithin(Allowance),
			BackTogetherWithin(back),
			everythingCame(), // that nobody takes over breaks none of the others
		},
	}
}
