package pool

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// grace is what a check may take above its own timeouts, so that it is the one to say what was
// late.
const grace = time.Second

// Index says which real server each check is of, and which checks each real server has. Its zero
// value knows none.
type Index struct {
	servers map[string]ID
	checks  map[ID][]string
}

// Tasks returns the checks of all real servers, in the order of the configuration, and their
// index. Their IDs say what is checked for whom, not where in the file, so that a check keeps its
// past over a reload that changes others. An error names a check of a kind that is not known.
func Tasks(vss []config.VirtualServer) ([]check.Task, Index, error) {
	var tasks []check.Task
	index := Index{servers: make(map[string]ID), checks: make(map[ID][]string)}
	err := eachCheck(vss, func(server ID, id string, c *config.Check) error {
		checker, timeout, err := checker(c)
		tasks = append(tasks, check.Task{
			ID:      id,
			Checker: checker,
			Timeout: timeout,
			Params: check.Params{
				Interval:      c.DelayLoop,
				RetryInterval: c.DelayBeforeRetry,
				Retries:       c.Retry,
				Alpha:         c.Alpha,
			},
			Warmup: c.Warmup,
		})
		index.servers[id] = server
		index.checks[server] = append(index.checks[server], id)
		return err
	})
	if err != nil {
		return nil, Index{}, err
	}
	return tasks, index, nil
}

// Server returns the real server that the check of that ID is of; false if it is of none.
func (x Index) Server(id string) (ID, bool) {
	server, known := x.servers[id]
	return server, known
}

// Note puts into health whether the real server is up by its checks, which are up or not by their
// IDs: it is if all are that were heard of. If none was, nothing is known of it.
func (x Index) Note(health Health, server ID, up map[string]bool) {
	all, known := true, false
	for _, id := range x.checks[server] {
		if u, heard := up[id]; heard {
			all, known = all && u, true
		}
	}
	if known {
		health[server.Server] = all
	}
}

// HealthOf returns the health of all real servers of a virtual service, likewise.
func (x Index) HealthOf(vs *config.VirtualServer, up map[string]bool) Health {
	health := make(Health)
	key := Key(vs)
	for i := range vs.RealServers {
		x.Note(health, ID{key, vs.RealServers[i].Address}, up)
	}
	return health
}

// eachCheck calls f with each check and its task's ID, until f returns an error, and returns that.
func eachCheck(
	vss []config.VirtualServer, f func(server ID, id string, c *config.Check) error,
) error {
	for i := range vss {
		vs := &vss[i]
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			server := ID{Key(vs), rs.Address}
			seen := make(map[string]int)
			for k := range rs.Checks {
				c := &rs.Checks[k]
				id := fmt.Sprintf("%s, %s: %s %s", server.Service, server.Server, c.Kind, c.Target)
				if seen[id]++; seen[id] > 1 {
					id = fmt.Sprintf("%s #%d", id, seen[id])
				}
				if err := f(server, id, c); err != nil {
					return fmt.Errorf("check %s: %w", id, err)
				}
			}
		}
	}
	return nil
}

// checker returns the checker for c, and the time that it can take.
func checker(c *config.Check) (check.Checker, time.Duration, error) {
	switch c.Kind {
	case config.CheckTCP:
		tcp := check.TCP{Target: c.Target, Bind: c.Bind, Timeout: c.ConnectTimeout}
		return tcp, c.ConnectTimeout + grace, nil
	case config.CheckHTTP:
		web := check.HTTP{
			Target:  c.Target,
			Bind:    c.Bind,
			Timeout: c.ConnectTimeout,
			Version: httpVersion(c.HTTP.Version),
		}
		for _, u := range c.HTTP.URLs {
			web.URLs = append(web.URLs, url(u))
		}
		return web, time.Duration(len(web.URLs))*c.ConnectTimeout + grace, nil
	}
	return nil, 0, fmt.Errorf("unknown kind %s", c.Kind)
}

func url(u config.URL) check.URL {
	out := check.URL{Path: u.Path, Host: u.Host, Digest: u.Digest}
	for _, r := range u.Status {
		out.Status = append(out.Status, check.StatusRange(r))
	}
	return out
}

func httpVersion(v config.HTTPVersion) check.HTTPVersion {
	switch v {
	case config.HTTP10Close:
		return check.HTTP10Close
	case config.HTTP11:
		return check.HTTP11
	}
	return check.HTTP10
}
