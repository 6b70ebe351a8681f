package daemon

import (
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
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
	"github.com/tandemlb/tandem/daemon/netif"
)

// fakeHost has settings and interfaces in memory.
type fakeHost struct {
	mu       sync.Mutex
	settings map[string]string
	links    map[string]netif.State
	changed  map[string]func()
	// guarded is the forward guard, and refuses, if not nil, why there can be none.
	guarded []netif.Reply
	refuses error
}

func (h *fakeHost) ForwardGuard() ([]netif.Reply, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.guarded, nil
}

func (h *fakeHost) SetForwardGuard(replies []netif.Reply) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuses == nil {
		h.guarded = replies
	}
	return h.refuses
}

// guard replaces the forward guard, as somebody else does, and says whether there can be one.
func (h *fakeHost) guard(replies []netif.Reply, refuses error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guarded, h.refuses = replies, refuses
}

func newFakeHost() *fakeHost {
	h := &fakeHost{settings: map[string]string{}, changed: map[string]func(){},
		links: map[string]netif.State{"eth0": linkState(7, "192.168.1.2/24")}}
	for _, s := range syncSettings() {
		h.settings[s.name] = s.normal
	}
	return h
}

func linkState(index int, prefixes ...string) netif.State {
	s := netif.State{Index: index, Up: true}
	for _, p := range prefixes {
		s.Addrs = append(s.Addrs, netip.MustParsePrefix(p))
	}
	return s
}

func (h *fakeHost) IPVSSetting(name string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value, ok := h.settings[name]
	if !ok {
		return "", fs.ErrNotExist
	}
	return value, nil
}

func (h *fakeHost) SetIPVSSetting(name, value string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settings[name] = value
	return nil
}

func (h *fakeHost) state(name string) (netif.State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links[name], nil
}

func (h *fakeHost) follow(name string, changed func()) (stop func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed[name] = changed
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.changed, name)
	}, nil
}

// link makes an interface another one and tells of it.
func (h *fakeHost) link(name string, s netif.State) {
	h.mu.Lock()
	h.links[name] = s
	changed := h.changed[name]
	h.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// startsTable is a table in memory that writes down what is done to its sync daemons, and has none
// started on an interface that is not there.
type startsTable struct {
	ipvstest.Memory
	host *fakeHost
	mu   sync.Mutex
	did  []string
}

func (s *startsTable) StartSync(ctx context.Context, d ipvs.SyncDaemon) error {
	if at, _ := s.host.state(d.Interface); at.Index == 0 {
		return errors.New("no such device")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, "start "+d.Role.String())
	return s.Memory.StartSync(ctx, d)
}

func (s *startsTable) StopSync(ctx context.Context, r ipvs.SyncRole) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, "stop "+r.String())
	return s.Memory.StopSync(ctx, r)
}

// lvsBench is a keeper on things in memory.
type lvsBench struct {
	t     *testing.T
	lvs   *lvs
	table *startsTable
	host  *fakeHost
	noted lvsHeld
	log   strings.Builder
	stop  func() error
}

func newLVSBench(t *testing.T) *lvsBench {
	b := &lvsBench{t: t, host: newFakeHost()}
	b.table = &startsTable{host: b.host}
	b.lvs = newLVS(b.table, b.host, slog.New(slog.NewTextHandler(&b.log, nil)))
	b.lvs.note = func(h lvsHeld) { b.noted = h }
	return b
}

// begin runs it with what text wants.
func (b *lvsBench) begin(text string) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.lvs.run(ctx) }()
	b.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	b.set(text)
}

func (b *lvsBench) set(text string) {
	b.t.Helper()
	b.lvs.set(lvsOf(configOf(b.t, text)))
	synctest.Wait()
}

// end ends it, which must leave nothing undone.
func (b *lvsBench) end() {
	b.t.Helper()
	if err := b.stop(); err != nil {
		b.t.Errorf("stop: %v", err)
	}
}

// expect compares what there is, and what was done to sync daemons since the last time.
func (b *lvsBench) expect(why, want string, did ...string) {
	b.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, b.has()); diff != "" {
		b.t.Errorf("%s: (-want +got)\n%s", why, diff)
	}
	b.table.mu.Lock()
	defer b.table.mu.Unlock()
	if diff := cmp.Diff(did, b.table.did); diff != "" {
		b.t.Errorf("%s: done to sync daemons (-want +got)\n%s", why, diff)
	}
	b.table.did = nil
}

// has is what there is, one thing a line: first the daemons, then what is not the kernel's default.
func (b *lvsBench) has() string {
	b.t.Helper()
	var lines strings.Builder
	ds, err := b.table.SyncDaemons(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range ds {
		fmt.Fprintf(&lines, "%s %s %d\n", d.Role, d.Interface, d.ID)
	}
	ts, err := b.table.Timeouts(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if ts != defaultTimeouts {
		fmt.Fprintln(&lines, printTimeouts(ts))
	}
	b.host.mu.Lock()
	defer b.host.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.host.settings)) {
		for _, s := range syncSettings() {
			if s.name == name && s.normal != b.host.settings[name] {
				fmt.Fprintln(&lines, name, b.host.settings[name])
			}
		}
	}
	return lines.String()
}

// configOf reads a configuration.
func configOf(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, ds := config.Parse("test.conf", []byte(text))
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func globals(lines string) string { return "global_defs {\n" + lines + "\n}\n" }
