package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/status"
)

const (
	// lvsRhythm is the time between two looks at what the kernel has, as at its services.
	lvsRhythm = 2 * time.Second
	// lvsPatience bounds one look, and the undo. The kernel's answer to a stop waits for a thread
	// that wakes once a second.
	lvsPatience = 10 * time.Second
)

// lvsTable is what the keeper does to the kernel's IPVS; ipvs.Kernel is the real one.
type lvsTable interface {
	Flush(context.Context) error
	Timeouts(context.Context) (ipvs.Timeouts, error)
	SetTimeouts(context.Context, ipvs.Timeouts) error
	SyncDaemons(context.Context) ([]ipvs.SyncDaemon, error)
	StartSync(context.Context, ipvs.SyncDaemon) error
	StopSync(context.Context, ipvs.SyncRole) error
}

// lvsHost is what it does to the host; onHost is the real one.
type lvsHost interface {
	IPVSSetting(name string) (string, error)
	SetIPVSSetting(name, value string) error
	ForwardGuard() ([]netif.Reply, error)
	SetForwardGuard(replies []netif.Reply) error
	// state returns what is known of an interface, follow has its changes told until stop; both as
	// netif.Interface.
	state(name string) (netif.State, error)
	follow(name string, changed func()) (stop func(), err error)
}

type onHost struct{ *netif.Host }

func (h onHost) state(name string) (netif.State, error) { return h.Interface(name).State() }

func (h onHost) follow(name string, changed func()) (stop func(), err error) {
	// Without news the rhythm remains.
	return h.Interface(name).Follow(func(netif.State) { changed() }, func(error) {})
}

// lvs keeps the kernel's timeouts, settings and sync daemons as they are wanted: it looks every
// lvsRhythm, and when the interface of the daemons has changed, and repairs what differs.
//
//	set ──▶ want ─┐            ┌─▶ settings  (default ⇄ ours; others' stay)
//	              ├─▶ look ────┼─▶ timeouts
//	link, 2 s ────┘            └─▶ sync daemons, for the interface as it is now
//
// At the end it puts back what was before.
type lvs struct {
	table lvsTable
	host  lvsHost
	log   *slog.Logger
	// keep leaves everything as it is at the end.
	keep bool
	// note, if not nil, is told what the one that takes its place needs to know.
	note func(lvsHeld)
	// leave, if not nil, is called at the end of run.
	leave func() error
	wake  chan struct{} // has room for one

	mu   sync.Mutex
	want lvsWant
	// wrong are the things that cannot be done; each is logged when it begins.
	wrong map[string]lvsFailure

	// What follows is run's alone.
	held lvsHeld
	// settled is that what is wanted was there once: a difference is drift from now on.
	settled bool
	// repairs counts the drift that was mended.
	repairs int
	// followed is the interface that wakes it, until unfollow is called.
	followed string
	unfollow func()
}

// lvsFailure is why something cannot be done, and since when.
type lvsFailure struct {
	reason string
	since  time.Time
}

// lvsHeld is what has been done to the kernel, and what was before.
type lvsHeld struct {
	// Tuned is that the settings are not known to be the kernel's.
	Tuned bool `json:"tuned,omitempty"`
	// Before are the timeouts that were changed, as they were; zero ones are not changed.
	Before ipvs.Timeouts `json:"before"`
	// Daemons are those that were started, as they were asked for.
	Daemons []ipvs.SyncDaemon `json:"daemons,omitempty"`
	// Index and Source are those of their interface then: the daemons know it by its number, and
	// send from its first address (net/netfilter/ipvs/ip_vs_sync.c, make_send_sock).
	Index  int        `json:"index,omitempty"`
	Source netip.Addr `json:"source"`
	// Guarded is that there may be a forward guard.
	Guarded bool `json:"guarded,omitempty"`
}

func newLVS(table lvsTable, host lvsHost, log *slog.Logger) *lvs {
	return &lvs{table: table, host: host, log: log, wake: make(chan struct{}, 1),
		wrong: map[string]lvsFailure{}, unfollow: func() {}}
}

// set replaces what is wanted. It does not wait.
func (l *lvs) set(want lvsWant) {
	l.mu.Lock()
	l.want = want
	l.mu.Unlock()
	l.rouse()
}

func (l *lvs) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run keeps everything as it is wanted until ctx ends; then it undoes it. The error says what is
// left.
func (l *lvs) run(ctx context.Context) error {
	tick := time.NewTicker(lvsRhythm)
	defer tick.Stop()
	var want lvsWant
	for {
		select {
		case <-ctx.Done():
			l.unfollow()
			err := l.undo(want)
			if l.leave != nil {
				err = errors.Join(err, l.leave())
			}
			return err
		case <-tick.C:
		case <-l.wake:
		}
		l.mu.Lock()
		changed := !same(&want, &l.want)
		want = l.want
		l.mu.Unlock()
		l.settled = l.settled && !changed
		l.look(context.WithoutCancel(ctx), want)
	}
}

// look compares what there is with what is wanted, and repairs it.
func (l *lvs) look(ctx context.Context, want lvsWant) {
	ctx, cancel := context.WithTimeout(ctx, lvsPatience)
	defer cancel()
	l.watch(want)
	before := l.held.clone()
	well := l.lookSettings(len(want.Sync) > 0)
	well = l.lookTimeouts(ctx, want.Timeouts) && well
	well = l.lookSync(ctx, want.Sync) && well
	well = l.lookGuard(want.Guard) && well
	l.settled = l.settled || well
	if l.note != nil && !same(&before, &l.held) {
		l.note(l.held.clone())
	}
}

func (h lvsHeld) clone() lvsHeld {
	h.Daemons = slices.Clone(h.Daemons)
	return h
}

// watch has changes of the interface wake it.
func (l *lvs) watch(want lvsWant) {
	name := ""
	if len(want.Sync) > 0 {
		name = want.Sync[0].Interface
	}
	if name == l.followed {
		return
	}
	l.unfollow()
	l.followed, l.unfollow = "", func() {}
	if name == "" {
		return
	}
	stop, err := l.host.follow(name, l.rouse)
	if l.says("watch "+name, err) {
		l.followed, l.unfollow = name, stop
	}
}

// lookSettings has the settings be ours if connections are synchronised, and else, where they were
// made ours, the kernel's. What is neither is left alone.
func (l *lvs) lookSettings(synced bool) (well bool) {
	if !synced && !l.held.Tuned {
		return true
	}
	well = true
	for _, s := range syncSettings() {
		from, to := s.normal, s.ours
		if !synced {
			from, to = to, from
		}
		now, err := l.host.IPVSSetting(s.name)
		if err == nil && now == from {
			l.tell("net.ipv4.vs."+s.name, now, to)
			err = l.host.SetIPVSSetting(s.name, to)
		}
		if errors.Is(err, fs.ErrNotExist) && !synced {
			continue
		}
		// A kernel without it synchronises as well as it can.
		well = (l.says("setting "+s.name, err) || errors.Is(err, fs.ErrNotExist)) && well
	}
	l.held.Tuned = synced || !well
	return well
}

// lookGuard has the forward guard be as wanted; none is wanted where none was made.
func (l *lvs) lookGuard(want []netif.Reply) (well bool) {
	if len(want) == 0 && !l.held.Guarded {
		return true
	}
	have, err := l.host.ForwardGuard()
	if err == nil && !slices.Equal(have, want) {
		l.tell("forward guard", fmt.Sprintf("of %d real servers", len(have)),
			fmt.Sprintf("of %d", len(want)))
		l.held.Guarded = true
		err = l.host.SetForwardGuard(want)
	}
	if err == nil {
		l.held.Guarded = len(want) > 0
	}
	return l.says("forward guard", err)
}

// lookTimeouts has those timeouts be as wanted that are not zero, and the others that were changed
// as they were.
func (l *lvs) lookTimeouts(ctx context.Context, want ipvs.Timeouts) (well bool) {
	if want == (ipvs.Timeouts{}) && l.held.Before == (ipvs.Timeouts{}) {
		return true
	}
	now, err := l.table.Timeouts(ctx)
	if err != nil {
		return l.says("timeouts", err)
	}
	before := l.held.Before
	to := ipvs.Timeouts{
		TCP:    aim(want.TCP, now.TCP, &before.TCP),
		TCPFin: aim(want.TCPFin, now.TCPFin, &before.TCPFin),
		UDP:    aim(want.UDP, now.UDP, &before.UDP),
	}
	if to != now {
		l.tell("timeouts", printTimeouts(now), printTimeouts(to))
		err = l.table.SetTimeouts(ctx, to)
	}
	if err == nil {
		l.held.Before = before
	}
	return l.says("timeouts", err)
}

// aim returns what one timeout is to be, and keeps in before what it was; zero: it is not changed.
func aim(want, now time.Duration, before *time.Duration) time.Duration {
	switch {
	case want != 0:
		*before = cmp.Or(*before, now)
		return want
	case *before != 0:
		now, *before = *before, 0
	}
	return now
}

func printTimeouts(t ipvs.Timeouts) string {
	return fmt.Sprintf("tcp %s, tcpfin %s, udp %s", t.TCP, t.TCPFin, t.UDP)
}

// lookSync has the daemons run that are wanted, on the interface as it is now.
func (l *lvs) lookSync(ctx context.Context, want []ipvs.SyncDaemon) (well bool) {
	if len(want) == 0 && len(l.held.Daemons) == 0 {
		return true
	}
	running, err := l.table.SyncDaemons(ctx)
	if !l.says("sync daemons", err) {
		return false
	}
	var at netif.State
	if len(want) > 0 {
		if at, err = l.host.state(want[0].Interface); !l.says("interface "+want[0].Interface, err) {
			return false
		}
	}
	source := syncSource(at, want)
	fresh := at.Index == l.held.Index &&
		(source == l.held.Source || slices.ContainsFunc(at.Addrs, addressIs(l.held.Source)))
	well = true
	for _, role := range []ipvs.SyncRole{ipvs.SyncMaster, ipvs.SyncBackup} {
		w, wanted := ofRole(want, role)
		asked, ours := ofRole(l.held.Daemons, role)
		has, runs := ofRole(running, role)
		switch {
		case wanted && runs && fresh && asked == w && fits(w, has):
			continue
		case runs && (wanted || ours):
			l.tell("sync daemon "+role.String(), has, orNone(w, wanted))
			well = l.stop(ctx, role) && well
		case wanted:
			l.tell("sync daemon "+role.String(), "none", w)
		}
		if wanted {
			well = l.start(ctx, w) && well
		}
	}
	l.held.Index, l.held.Source = at.Index, source
	return well
}

// stop stops a daemon, and forgets it unless that fails.
func (l *lvs) stop(ctx context.Context, role ipvs.SyncRole) (well bool) {
	err := l.table.StopSync(ctx, role)
	if errors.Is(err, unix.ESRCH) {
		err = nil // it has gone meanwhile
	}
	if err == nil {
		l.held.Daemons = withoutRole(l.held.Daemons, role)
	}
	return l.says("stop of sync daemon "+role.String(), err)
}

// start starts a daemon, and notes it. One that still runs is tried again at the next look.
func (l *lvs) start(ctx context.Context, d ipvs.SyncDaemon) (well bool) {
	l.held.Daemons = withoutRole(l.held.Daemons, d.Role)
	err := l.table.StartSync(ctx, d)
	if err == nil {
		l.held.Daemons = append(l.held.Daemons, d)
	}
	return l.says("start of sync daemon "+d.Role.String(), err)
}

func ofRole(all []ipvs.SyncDaemon, role ipvs.SyncRole) (ipvs.SyncDaemon, bool) {
	for _, d := range all {
		if d.Role == role {
			return d, true
		}
	}
	return ipvs.SyncDaemon{}, false
}

func withoutRole(all []ipvs.SyncDaemon, role ipvs.SyncRole) []ipvs.SyncDaemon {
	return slices.DeleteFunc(slices.Clone(all),
		func(d ipvs.SyncDaemon) bool { return d.Role == role })
}

func orNone(d ipvs.SyncDaemon, wanted bool) any {
	if !wanted {
		return "none"
	}
	return d
}

// fits says that a daemon which runs is the one that is wanted; what the kernel chose fits.
func fits(want, has ipvs.SyncDaemon) bool {
	if want.MaxLen == 0 || want.Role == ipvs.SyncBackup {
		want.MaxLen = has.MaxLen // a backup's is at least 1,024
	}
	if !want.Group.IsValid() {
		want.Group = has.Group
	}
	want.Port, want.TTL = cmp.Or(want.Port, has.Port), cmp.Or(want.TTL, has.TTL)
	return want == has
}

// syncSource is the address that a daemon sends from: the first one of the group's family.
func syncSource(at netif.State, want []ipvs.SyncDaemon) netip.Addr {
	six := len(want) > 0 && want[0].Group.Is6()
	for _, p := range at.Addrs {
		if p.Addr().Is6() == six {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

func addressIs(a netip.Addr) func(netip.Prefix) bool {
	return func(p netip.Prefix) bool { return p.Addr() == a }
}

// tell logs what is about to be changed. Once all was as wanted it is the repair of what somebody
// else has done.
func (l *lvs) tell(what string, from, to any) {
	attrs := []any{"what", what, "from", fmt.Sprint(from), "to", fmt.Sprint(to)}
	if !l.settled {
		l.log.Info("lvs", attrs...)
		return
	}
	l.repairs++
	l.log.Warn("lvs repaired", append(attrs, "repairs", l.repairs)...)
}

// says notes whether something can be done, logs when that changes, and returns it.
func (l *lvs) says(what string, err error) (well bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, failed := l.wrong[what]
	switch {
	case err == nil && failed:
		delete(l.wrong, what)
		l.log.Info("lvs is well again", "what", what)
	case err != nil && err.Error() != was.reason:
		if !failed {
			was.since = time.Now()
		}
		was.reason = err.Error()
		l.wrong[what] = was
		l.log.Warn("lvs", "what", what, "err", err)
	}
	return err == nil
}

// conditions are the things that cannot be done, in order of their names.
func (l *lvs) conditions() []status.Condition {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []status.Condition
	for _, what := range slices.Sorted(maps.Keys(l.wrong)) {
		all = append(all, status.Condition{Name: status.KernelRefused, Subject: "lvs: " + what,
			Since: l.wrong[what].since, Evidence: l.wrong[what].reason})
	}
	return all
}

// undo takes back what run has done, and empties the table if that is wanted. With keep it leaves
// everything.
func (l *lvs) undo(want lvsWant) error {
	if l.keep {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lvsPatience)
	defer cancel()
	l.settled = false
	l.mu.Lock()
	clear(l.wrong)
	l.mu.Unlock()
	l.lookSync(ctx, nil)
	l.lookTimeouts(ctx, ipvs.Timeouts{})
	l.lookSettings(false)
	l.lookGuard(nil)
	var errs []error
	if want.FlushAtStop {
		l.log.Info("empty table of virtual services", "reason", "lvs_flush_on_stop")
		errs = append(errs, l.table.Flush(ctx))
	}
	for _, c := range l.conditions() {
		errs = append(errs, fmt.Errorf("undo %s: %s", strings.TrimPrefix(c.Subject, "lvs: "), c.Evidence))
	}
	return errors.Join(errs...)
}
