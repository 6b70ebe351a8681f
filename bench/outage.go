package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab/kernel"
	"github.com/tandemlb/tandem/scenarios"
)

// Case is a fault of the master.
type Case struct {
	// Name is what tables call it.
	Name string
	Kind faults.Kind
	// Target is the node, or NODE:INTERFACE.
	Target string
	// Statement is added to each instance of the configuration; empty is none.
	Statement string
}

// fastTakeover is a statement of tandemd's, which others do not know.
const fastTakeover = "fast_takeover"

// Cases are the faults that outages are measured for, in the order of tables.
func Cases() []Case {
	return []Case{
		{"terminate", faults.DirectorTerminated, "lb1", ""},
		{"kill", faults.DirectorKilled, "lb1", ""},
		{"kill worker", faults.WorkerKilled, "lb1", ""},
		{"freeze", faults.DirectorFrozen, "lb1", ""},
		{"freeze worker", faults.WorkerFrozen, "lb1", ""},
		{"power off", faults.PowerOff, "lb1", ""},
		{"client link down", faults.LinkDown, "lb1:eth0", ""},
		{"server link down", faults.LinkDown, "lb1:eth1", ""},
		{"fast link down", faults.LinkDown, "lb1:eth1", fastTakeover},
	}
}

// Intervals are the intervals of adverts that outages are measured at.
func Intervals() []time.Duration {
	return []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond}
}

// OutageOrder is one outage to measure.
type OutageOrder struct {
	Case     Case
	Advert   time.Duration
	Director scenarios.Director
}

// Never is in place of a time at which something happens that did not happen.
const Never = time.Duration(-1)

// Outage is what a fault of the master cost.
type Outage struct {
	// Phase is how long before the fault the master's last advert was on the wire.
	Phase time.Duration `json:"phase_ns"`
	// Watched is how long after the fault the measurement ended.
	Watched time.Duration `json:"watched_ns"`
	// Client is the longest gap of service that a client saw, by when it sent what was not answered
	// in time; Lost is how many of the Sent requests that were.
	Client time.Duration `json:"client_ns"`
	Lost   int           `json:"lost"`
	Sent   int           `json:"sent"`
	// Neither is the time without an owner of a VIP, Both that with two; of the VIP that has more.
	Neither time.Duration `json:"no_owner_ns"`
	Both    time.Duration `json:"two_owners_ns"`
	// Takeover is from the fault until the backup has every VIP; Never: it has not.
	Takeover time.Duration `json:"takeover_ns"`
	// Settled is from the fault until one director alone has every VIP for good; Never: not in time.
	Settled time.Duration `json:"settled_ns"`
}

// CarryOutName is the subcommand of `tandem bench` by which a guest measures one outage: its one
// argument is an OutageOrder as JSON, and its output an Outage.
const CarryOutName = "carry-out"

// guestEnv is the environment in a guest: no more than this, so that nothing of this machine's can
// make two runs differ.
var guestEnv = []string{"PATH=" + kernel.SystemPath}

// measureOutage measures an outage on virtual time, in a guest of its own.
func measureOutage(ctx context.Context, o OutageOrder) (Outage, error) {
	argument, err := json.Marshal(o)
	if err != nil {
		return Outage{}, fmt.Errorf("encode order: %w", err)
	}
	var stdout, stderr bytes.Buffer
	status, err := kernel.Guest{
		Time: kernel.VirtualTime, Seed: 1, Args: []string{"bench", CarryOutName, string(argument)},
		Env: guestEnv, Stdout: &stdout, Stderr: &stderr,
	}.Run(ctx)
	if err != nil {
		return Outage{}, fmt.Errorf("measure outage: %w", err)
	}
	if status != 0 {
		return Outage{}, fmt.Errorf("measure outage: %s", strings.TrimSpace(stderr.String()))
	}
	var out Outage
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		return Outage{}, fmt.Errorf("decode outage: %w", err)
	}
	return out, nil
}
