package pool

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// grace is what a check may take above its own timeouts, so that it is the one to say what was
// late.
const grace = time.Second

// Tasks returns the checks of all real servers, in the order of the configuration, and their
// index. Their IDs depend on what is checked for whom, not where in the file, so that a check keeps
// its past over a reload that changes others; Text of the index has it in words. An error names the
// first check that cannot be carried out; see Faults.
func Tasks(vss []config.VirtualServer, m Means) ([]check.Task, Index, error) {
	_, checks := count(vss)
	tasks := make([]check.Task, 0, checks)
	var ids strings.Builder
	ids.Grow(checks * idSize) // all share the memory
	err := eachCheck(vss, everyCheck, func(text []byte, c *config.Check) error {
		checker, timeout, err := m.checker(c)
		if err != nil {
			return fmt.Errorf("check %s: %w", text, err)
		}
		var id [idSize]byte
		ids.Write(appendID(id[:0], text))
		own := ids.String()[len(tasks)*idSize:]
		tasks = append(tasks, task(own, c, checker, timeout, m.ReportAll))
		return nil
	})
	if err != nil {
		return nil, Index{}, err
	}
	return tasks, newIndex(vss, ids.String()), nil
}

// idSize is the length of an ID.
const idSize = 11

// appendID appends the ID of a check that text says everything of. It is a hash, which takes less
// memory. Of 50,000 checks two have the same with a probability of 1 to 10^10; a Runner refuses
// them.
func appendID(to, text []byte) []byte {
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.AppendEncode(to, sum[:8])
}

func everyCheck(*config.Check) bool { return true }

// count returns how many real servers and checks there are.
func count(vss []config.VirtualServer) (servers, checks int) {
	for i := range vss {
		for j := range vss[i].RealServers {
			servers++
			checks += len(vss[i].RealServers[j].Checks)
		}
	}
	return servers, checks
}

func task(
	id string, c *config.Check, checker check.Checker, timeout time.Duration, all bool,
) check.Task {
	t := check.Task{
		ID:      id,
		Checker: checker,
		Timeout: timeout,
		Params: check.Params{
			Interval:      c.DelayLoop,
			RetryInterval: c.DelayBeforeRetry,
			Retries:       c.Retry,
			Alpha:         c.Alpha,
		},
		Warmup:    c.Warmup,
		ReportAll: all || c.LogAllFailures,
	}
	if known(c.Kind) {
		t.Params.Retries, t.Warmup = 0, 0
	}
	return t
}

// known says whether checks of that kind ask nobody: another part of this daemon tells them.
func known(k config.CheckKind) bool { return k == config.CheckFile || k == config.CheckBFD }

// Fault is a check that cannot be carried out.
type Fault struct {
	// Pos is where its block starts, or its statement that is at fault, if one is.
	Pos config.Pos
	// Err says why not.
	Err error
}

// placed is an error of one statement.
type placed struct {
	at config.Pos
	error
}

// Unwrap returns what is wrong with it.
func (p placed) Unwrap() error { return p.error }

// Faults returns the checks that Tasks has an error for, all of them, in the order of the
// configuration.
func Faults(vss []config.VirtualServer, m Means) []Fault {
	var faults []Fault
	for i := range vss {
		for j := range vss[i].RealServers {
			for k := range vss[i].RealServers[j].Checks {
				c := &vss[i].RealServers[j].Checks[k]
				if f, faulty := m.fault(c); faulty {
					faults = append(faults, f)
				}
			}
		}
	}
	return faults
}

// fault returns what is wrong with c, and whether anything is.
func (m *Means) fault(c *config.Check) (Fault, bool) {
	if c.Kind == config.CheckTCP || c.Kind == config.CheckPing {
		return Fault{}, false // there are many, and nothing in them can be
	}
	_, _, err := m.checker(c)
	if err == nil {
		return Fault{}, false
	}
	at := c.Pos
	var p placed
	if errors.As(err, &p) {
		at = p.at
	}
	return Fault{at, fmt.Errorf("%s: %w", c.Kind, err)}, true
}

// Known returns the IDs of the FILE_CHECKs by the name of their track_file, and of the BFD_CHECKs
// by that of their session: whoever knows that one of these has changed has them made anew.
func Known(vss []config.VirtualServer) (files, sessions map[string][]string) {
	files, sessions = map[string][]string{}, map[string][]string{}
	told := func(c *config.Check) bool { return known(c.Kind) }
	_ = eachCheck(vss, told, func(text []byte, c *config.Check) error {
		id := string(appendID(nil, text))
		switch c.Kind {
		case config.CheckFile:
			files[c.File.Tracker] = append(files[c.File.Tracker], id)
		case config.CheckBFD:
			sessions[c.BFD] = append(sessions[c.BFD], id)
		}
		return nil // there is nothing to go wrong
	})
	return files, sessions
}

// eachCheck calls f with each check of a kind that is wanted, and with what is checked for whom,
// which no other check has, until f returns an error, and returns that. The text is only good until
// f returns.
func eachCheck(
	vss []config.VirtualServer, wanted func(*config.Check) bool,
	f func(text []byte, c *config.Check) error,
) error {
	var text []byte // there may be thousands
	for i := range vss {
		vs := &vss[i]
		service := NameOf(vs).String()
		for j := range vs.RealServers {
			rs := &vs.RealServers[j]
			var seen map[string]int // nil where there is one check only
			if len(rs.Checks) > 1 {
				seen = make(map[string]int, len(rs.Checks))
			}
			for k := range rs.Checks {
				c := &rs.Checks[k]
				if !wanted(c) {
					continue
				}
				text = append(append(text[:0], service...), ", "...)
				text = append(append(appendAddr(text, rs.Address), ": "...), c.Kind.String()...)
				text = appendWhat(append(text, ' '), c)
				if seen != nil {
					same := string(text)
					if seen[same]++; seen[same] > 1 {
						text = fmt.Appendf(text, " #%d", seen[same])
					}
				}
				if err := f(text, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// appendWhat appends what a check looks at, to tell it from others of its kind.
func appendWhat(to []byte, c *config.Check) []byte {
	switch {
	case c.Kind == config.CheckMisc && c.Misc.Script != nil:
		return append(to, strings.Join(c.Misc.Script.Args, " ")...)
	case c.Kind == config.CheckFile:
		return append(to, c.File.Tracker...)
	case c.Kind == config.CheckBFD:
		return append(to, c.BFD...)
	case c.Kind == config.CheckPing:
		return append(to, c.Target.Addr().String()...)
	}
	return appendAddr(to, c.Target)
}

// appendAddr appends what String returns: AppendTo has no word for an invalid address.
func appendAddr(to []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(to, a.String()...)
	}
	return a.AppendTo(to)
}
