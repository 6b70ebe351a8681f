package daemon

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/pool"
)

// override is the weight that an operator has given a real server in place of what the
// configuration and its checks say. It holds until it is undone, or until the configuration has the
// real server no more.
type override struct {
	// Service is the virtual server, as nameOf has it.
	Service string         `json:"service"`
	Server  netip.AddrPort `json:"server"`
	// Weight 0 drains: the real server keeps its connections and gets no new ones.
	Weight int       `json:"weight"`
	Since  time.Time `json:"since"`
}

// String names the real server as --drain takes it.
func (o override) String() string { return o.Service + "/" + o.Server.String() }

// same says whether both are of one real server.
func (o override) same(p override) bool { return o.Service == p.Service && o.Server == p.Server }

// overrides are those in force. The director's goroutine changes them; any may look.
type overrides struct {
	// path is the file that keeps them for the next process; empty is none.
	path string
	log  *slog.Logger

	mu  sync.Mutex
	all []override // sorted by service and server
}

// openOverrides returns what is in the file at path, which need not be there.
func openOverrides(path string, log *slog.Logger) *overrides {
	o := &overrides{path: path, log: log}
	if path == "" {
		return o
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &o.all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("weights by operators are lost", "file", path, "err", err)
		o.all = nil
	}
	return o
}

// get returns a copy of all; of nil there are none.
func (o *overrides) get() []override {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

// set writes all into the file, and then keeps them. An error changes nothing.
func (o *overrides) set(all []override) error {
	slices.SortFunc(all, func(a, b override) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), a.Server.Compare(b.Server))
	})
	if err := o.save(all); err != nil {
		return fmt.Errorf("keep weights by operators: %w", err)
	}
	o.mu.Lock()
	o.all = all
	o.mu.Unlock()
	return nil
}

// save replaces the file; without any it removes it.
func (o *overrides) save(all []override) error {
	if o.path == "" {
		return nil
	}
	if len(all) == 0 {
		if err := os.Remove(o.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(o.path, append(text, '\n'), 0o600)
}

// change puts one in the place of that of the same real server, if there is any; weight nil takes
// that away. It returns the one before, nil if there was none. One that stays as it is keeps its
// time.
func (o *overrides) change(to override, weight *int) (*override, error) {
	all := o.get()
	var before *override
	if i := slices.IndexFunc(all, to.same); i >= 0 {
		was := all[i]
		before = &was
		if weight != nil && *weight == was.Weight {
			return before, nil
		}
		all = slices.Delete(all, i, i+1)
	}
	if weight != nil {
		to.Weight = *weight
		all = append(all, to)
	}
	return before, o.set(all)
}

// prune drops those whose real servers are not in servers, and logs each.
func (o *overrides) prune(servers []config.VirtualServer) {
	there := map[string]bool{}
	for i := range servers {
		for j := range servers[i].RealServers {
			at := servers[i].RealServers[j].Address
			there[override{Service: nameOf(&servers[i]), Server: at}.String()] = true
		}
	}
	all := o.get()
	kept := slices.DeleteFunc(slices.Clone(all), func(p override) bool {
		if there[p.String()] {
			return false
		}
		o.log.Warn("weight by operator dropped", "service", p.Service,
			"server", p.Server.String(), "weight", p.Weight, "reason", "not in the configuration")
		return true
	})
	if len(kept) == len(all) {
		return
	}
	if err := o.set(kept); err != nil {
		o.log.Error("weights by operators cannot be written", "err", err)
	}
}

// override does what DoOverride asks for.
func (d *director) override(q Question) Outcome {
	vs, rs, err := findServer(d.config.VirtualServers, q.Server)
	if err != nil {
		return Outcome{Error: err.Error(), Invalid: true}
	}
	if q.Weight != nil && (*q.Weight < 0 || *q.Weight > ipvs.MaxWeight) {
		return Outcome{Error: fmt.Sprintf("weight %d: expected 0 to %d", *q.Weight, ipvs.MaxWeight),
			Invalid: true}
	}
	to := override{Service: nameOf(vs), Server: rs.Address, Since: time.Now()}
	before, err := d.overrides.change(to, q.Weight)
	if err != nil {
		return Outcome{Error: err.Error()}
	}
	d.useOverrides(d.services, d.config)
	was := "as configured"
	if before != nil {
		was = fmt.Sprint(before.Weight)
	}
	is := "as configured"
	if q.Weight != nil {
		is = fmt.Sprint(*q.Weight)
	}
	d.log.Info("weight by operator", "service", to.Service, "server", to.Server.String(),
		"from", was, "to", is)
	return Outcome{Applied: true, Steps: []string{
		fmt.Sprintf("%s: weight %s, was %s", to, is, was)}}
}

// keepOverrides drops what cfg has no real servers for, and has services obey the rest.
func (d *director) keepOverrides(services *services, cfg *config.Config) {
	if services == nil || d.overrides == nil {
		return
	}
	d.overrides.prune(cfg.VirtualServers)
	d.useOverrides(services, cfg)
}

// useOverrides has services obey what is in force.
func (d *director) useOverrides(s *services, cfg *config.Config) {
	names := make(map[string]pool.Name, len(cfg.VirtualServers))
	for i := range cfg.VirtualServers {
		vs := &cfg.VirtualServers[i]
		names[nameOf(vs)] = pool.NameOf(vs)
	}
	weights := map[pool.ID]int{}
	for _, o := range d.overrides.get() {
		if name, there := names[o.Service]; there {
			weights[pool.ID{Service: name, Server: o.Server}] = o.Weight
		}
	}
	s.setOverrides(weights)
}
