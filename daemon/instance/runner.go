package instance

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

const (
	// maxUnread is how many packets wait for a slow owner; further ones are lost, as in a full
	// socket.
	maxUnread = 1024
	// reopenAfter is how long a socket that could not be opened is let be.
	reopenAfter = time.Second
)

// Runner drives one Group:
//
//	sockets ──packets──►┌───────┐──orders, beats──► keeper ──► addresses, announcements
//	links ────states───►│ owner │──touches────────► leases ──► renewals
//	Crowd ─────turns───►└───────┘──transitions────► reporter ► OnTransition, log
//	                        │
//	                        └──adverts──► sockets
//
// The owner is whoever has the Runner take its turn, see Crowd; keeper and reporter are there while
// they have anything to do. Sockets, links and leases are shared by all Runners of a host.
type Runner struct {
	name     string
	group    *vrrp.Group
	members  []*member
	inbox    inbox
	links    Links
	keeper   *keeper
	reports  mailbox[func()]
	reporter *helper
	notify   func(Transition)
	lower    func(name string, priority uint8)
	refused  func(name string, from netip.Addr, why vrrp.DropReason)
	claims   func(Claim)
	resume   bool
	// notBefore is when silence begins to prove something.
	notBefore time.Time
	legacy    []Claim // of the one whose place it takes
	log       *slog.Logger
	ready     chan struct{}
	over      chan struct{} // closed when Run has ended
	draining  []int         // members that wait for Drained
	started   bool
	crowd     *Crowd
	berth     berth         // in crowd
	grid      time.Duration // of the adverts in a crowd
	adverts   *adverts      // of the crowd's round, for adverts to join; nil: each is sent at once
	waiting   int           // its own of them
	tasks     *crew         // nil before Run
	reopening bool          // a socket is to be opened again
	apart     bool          // nobody waits for the end of this turn
	leaving   bool          // Run's context has ended
	gone      chan struct{} // closed when the group has ended
	now       time.Time     // the owner's last look at the clock

	mu sync.Mutex // members' status
}

// The items of a Runner's inbox.
type (
	packet struct {
		member int
		netif.Packet
	}
	linkState struct {
		member int
		device string
		netif.State
	}
	// failure is the end of a watch, when sock is nil, or of a socket.
	failure struct {
		member int
		sock   Socket
		err    error
	}
	priority struct {
		member int
		to     uint8
	}
	tracked struct {
		member int
		well   bool
	}
	// announcement is somebody's wish for one of a master that has not resigned.
	announcement struct{ member int }
	// loss is that of a route or a rule of a member that holds it.
	loss struct{ member int }
	// rival is another station that has a VIP of a member too.
	rival struct {
		member int
		netif.Rival
	}
	// deprived is the keeper's word that somebody had deleted a VIP which is there again.
	deprived struct{ member int }
	// settled is the keeper's word that a member's addresses are as it was told in that turn.
	settled struct {
		member int
		turn   uint64
	}
	// ping is closed by the owner.
	ping chan struct{}
	// leaving is the end of Run's context.
	leaving struct{}
)

// New returns a Runner for g on links. It touches nothing; the error names everything that is
// wrong with g.
func New(g Group, links Links) (*Runner, error) {
	name := g.Name
	if name == "" && len(g.Members) > 0 {
		name = g.Members[0].Name
	}
	if err := g.validate(); err != nil {
		return nil, fmt.Errorf("make runner of %q: %w", name, err)
	}
	r := &Runner{
		name: name, notify: g.OnTransition, claims: g.Claims, resume: g.Resume, notBefore: g.NotBefore, legacy: g.Inherited,
		lower: g.OnContested, refused: g.OnRefused, log: g.Log,
		ready: make(chan struct{}), over: make(chan struct{}), gone: make(chan struct{}), links: links,
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	configs := g.configs()
	for i, c := range configs {
		r.members = append(r.members, newMember(i, g.Name, c, links(c.Interface)))
	}
	var err error
	if r.group, err = newMachines(configs); err != nil {
		return nil, fmt.Errorf("make runner of %q: %w", name, err)
	}
	r.reporter = newHelper(r.reportAll)
	r.keeper, r.grid = newKeeper(configs, links), gridOf(configs)
	if g, ok := r.members[0].iface.(Gatherer); ok {
		r.crowd = g.Gather()
	} else {
		r.crowd = &Crowd{}
	}
	r.keeper.failed = r.kernelFailed
	r.keeper.restored = r.restored
	r.keeper.rival = func(member int, n netif.Rival) { r.put(rival{member, n}) }
	r.keeper.moved = func(member int) { r.put(announcement{member}) }
	r.keeper.done = func(s settled) { r.put(s) }
	return r, nil
}

// configs returns the members with their defaults.
func (g Group) configs() []*Config {
	var configs []*Config
	for _, c := range g.Members {
		c = c.withDefaults()
		configs = append(configs, &c)
	}
	return configs
}

// newMachines returns the group that decides for members of these configurations.
func newMachines(configs []*Config) (*vrrp.Group, error) {
	var routers []vrrp.Config
	for _, c := range configs {
		routers = append(routers, c.Router)
	}
	return vrrp.NewGroup(routers...)
}

// String returns the names of the group and its members.
func (r *Runner) String() string {
	if len(r.members) == 1 {
		return "vrrp " + r.name
	}
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.ties.name
	}
	return fmt.Sprintf("vrrp %s (%s)", r.name, strings.Join(names, ", "))
}

// Ready returns a channel that is closed when every link has been looked at and the group has
// begun, in Backup, Master or Fault.
func (r *Runner) Ready() <-chan struct{} { return r.ready }

// SetPriority changes the priority of the instance of that name, 1 to 254, from its next advert on.
// The owner of the addresses keeps 255. It may be called at any time, before Run too; it does not
// wait. The error is an unknown name.
func (r *Runner) SetPriority(name string, to uint8) error {
	i, err := r.find(name)
	if err == nil {
		r.put(priority{i, to})
	}
	return err
}

// SetTracked tells whether what the instance of that name depends on, besides its link, is well.
// It is until told otherwise; while it is not, its group is in Fault. Otherwise as SetPriority.
func (r *Runner) SetTracked(name string, well bool) error {
	i, err := r.find(name)
	if err == nil {
		r.put(tracked{i, well})
	}
	return err
}

// Announce announces the VIPs of the instance of that name once more, as a refresh does, if it is
// master. Otherwise as SetPriority.
func (r *Runner) Announce(name string) error {
	i, err := r.find(name)
	if err == nil {
		r.put(announcement{i})
	}
	return err
}

// Refresh is Announce for every instance.
func (r *Runner) Refresh() {
	for i := range r.members {
		r.put(announcement{i})
	}
}

func (r *Runner) find(name string) (int, error) {
	for i, m := range r.members {
		if m.ties.name == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("find instance %q in %s: no such member", name, r)
}

// Run drives the group until ctx ends. Then a master resigns, keeps its VIPs until it hears its
// successor, at most for the longest skew (one interval; one second in VRRPv2) and half a second,
// and removes them; Run returns nil when the network is as it was found and all goroutines have
// ended. It may be called once.
func (r *Runner) Run(ctx context.Context) error {
	over := make(chan error, 1)
	r.Begin(ctx, func(err error) { over <- err })
	return <-over
}

// Begin does what Run does, without waiting and without a goroutine that waits: of those of a
// thousand instances the stacks alone would be megabytes. ended is called once, with what Run
// returns.
func (r *Runner) Begin(ctx context.Context, ended func(error)) {
	go func() {
		r.enter(ctx)
		context.AfterFunc(ctx, func() {
			r.finish()
			ended(nil)
		})
	}()
}

// finish has the group leave and returns when all that it did has ended.
func (r *Runner) finish() {
	r.leave()
	r.keeper.helper.finish()
	_, items := r.inbox.take(true)
	for _, item := range items { // what the keeper has let go of since
		if s, ok := item.(settled); ok {
			r.settled(r.members[s.member], s)
		}
	}
	r.reporter.finish()
	close(r.over)
}

// Ping returns nil when the owner turns: when it has read everything that had arrived before. The
// error is ctx's, or that Run has ended. It costs one small allocation and may be called by any
// goroutine, before Run too, whose start it then waits for.
func (r *Runner) Ping(ctx context.Context) error {
	p := make(ping)
	r.put(p)
	select {
	case <-p:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ping %s: %w", r, ctx.Err())
	case <-r.over:
		return fmt.Errorf("ping %s: it has ended", r)
	}
}
