package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/scenarios"
)

// TestPairIsMeasured runs a small pair and measures everything that is measured on this kernel. It
// asks for plausible figures, not for good ones.
func TestPairIsMeasured(t *testing.T) {
	rooted(t)
	d := tandemd(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const instances = 3
	p, err := newPair(ctx, d, instances, masterPriority)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	master, backup, err := p.settle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	load, err := loadOf(ctx, master, backup, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for role, l := range map[string]Load{"master": load.Master, "backup": load.Backup} {
		if l.CPU <= 0 || l.CPU > 100 || l.Memory < 1e6 || l.Memory > 1e9 {
			t.Errorf("load of the %s: got %+v, want a share of a core and some MB", role, l)
		}
	}
	took, err := p.takeover(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if took.First < time.Second || took.Last < took.First || took.VIPs < time.Second ||
		took.Late < 0 {
		t.Errorf("takeover: got %+v, want seconds in order", took)
	}
}

func TestStartIsMeasured(t *testing.T) {
	rooted(t)
	start, err := measureStart(context.Background(), tandemd(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	if start.First <= 0 || start.Last < start.First || start.Last > startLimit {
		t.Errorf("start: got %+v, want times in order", start)
	}
}

// TestFamily finds a child, and measures it with its parent.
func TestFamily(t *testing.T) {
	rooted(t)
	p, err := newPair(context.Background(), tandemd(t), 1, ownerPriority)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	process, err := p.startStamped(ctx, p.master)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.awaitVIPs(ctx, p.master, process); err != nil {
		t.Fatal(err)
	}
	pids, err := family(process.Pid())
	if err != nil || len(pids) != 2 || pids[0] != process.Pid() {
		t.Errorf("family of %d: got %v, %v; want guard and worker", process.Pid(), pids, err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := usageOf(process.Pid()); err == nil {
		t.Error("usage of a process that has ended: want an error")
	}
}

// TestVirtualOutage measures one outage in a guest: the protocol's own times, to a millisecond.
func TestVirtualOutage(t *testing.T) {
	skipWithoutGuest(t)
	advert := 100 * time.Millisecond
	c := Case{"power off", faults.PowerOff, "lb1", ""}
	out, err := measureOutage(context.Background(), OutageOrder{c, advert, tandemd(t)})
	if err != nil && strings.Contains(err.Error(), "race detector") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if late := out.Phase - advert*phaseShare/10; late < 0 || late > 2*time.Millisecond {
		t.Errorf("phase: got %s, want 70ms", out.Phase)
	}
	for _, g := range outageTargets(c, advert, out) {
		if !g.Met {
			t.Errorf("%s: got %s, want %s", g.What, g.Observed, g.Limit)
		}
	}
	least := masterDown(advert, backupPriority) - out.Phase
	if out.Takeover < least || out.Client < least-20*time.Millisecond {
		t.Errorf("outage: got %+v, want at least %s", out, least)
	}
	if out.Both != 0 || out.Settled != out.Takeover {
		t.Errorf("owners: got %+v, want never two", out)
	}
}

// TestVirtualFailure measures in a guest how soon a real server that goes silent is out of the
// table.
func TestVirtualFailure(t *testing.T) {
	skipWithoutGuest(t)
	o := IPVSOrder{FailurePart, []scenarios.Director{tandemd(t)}, true}
	found, err := orderIPVS(context.Background(), o, &lineWriter{to: func(line string) { t.Log(line) }})
	if err != nil && strings.Contains(err.Error(), "race detector") {
		t.Skip(err)
	}
	if err != nil || len(found.Problems) > 0 {
		t.Fatalf("error %v, problems %q", err, found.Problems)
	}
	f, ok := FailureResult{}, len(found.Failures) == 1
	if ok {
		f = found.Failures[0]
	}
	if !ok || !f.Virtual || f.Rounds != failureTimes || f.Late < -tablePoll || f.Late > lateLimit {
		t.Errorf("got %+v, want one of %d rounds, at most %s late", found.Failures, failureTimes,
			lateLimit)
	}
}

func TestProcessCPU(t *testing.T) {
	before, err := processCPU(selfPid())
	if err != nil {
		t.Fatal(err)
	}
	for began := lab.Monotonic(); lab.Monotonic()-began < 20*time.Millisecond; {
	}
	after, err := processCPU(selfPid())
	if err != nil || after <= before {
		t.Errorf("clock of a busy process: got %s, then %s, %v", before, after, err)
	}
}
