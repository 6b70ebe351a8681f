package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// TestEntitlements: each kind is in one row and no more, and each row says why.
func TestEntitlements(t *testing.T) {
	rows := map[faults.Kind]int{}
	for _, e := range entitlements {
		if !strings.HasSuffix(e.why, ".") && !strings.HasSuffix(e.why, "below.") {
			t.Errorf("%v: %q is no sentence", e.kinds, e.why)
		}
		for _, kind := range e.kinds {
			rows[kind]++
		}
	}
	for _, kind := range faults.Kinds() {
		if rows[kind] != 1 {
			t.Errorf("%s is in %d rows, want 1", kind, rows[kind])
		}
		seen := 0
		for _, v := range visible {
			for _, other := range v.kinds {
				if other == kind {
					seen++
				}
			}
		}
		if server := kind.Family() == faults.Server; seen > 1 || server && seen == 0 {
			t.Errorf("%s is in %d rows of what checks see", kind, seen)
		}
	}
}

// TestEntitledOn: what strikes a director entitles to what the table says, what strikes a client or a
// real server to requests alone, and what is not known to anything.
func TestEntitledOn(t *testing.T) {
	director, client, server := topology.Director.String(), topology.Client.String(),
		topology.RealServer.String()
	for _, tt := range []struct {
		kind  faults.Kind
		known bool
		role  string
		// want are the rights to VIPs, way, requests and table.
		want string
	}{
		{faults.DirectorKilled, true, director, "at first, at first, at first, while it lasts"},
		{faults.IPVSFlushed, true, director, "never, never, at first, at first"},
		{faults.LinkDown, true, client, "never, never, while it lasts, never"},
		{faults.PowerOff, true, server, "never, never, while it lasts, never"},
		{faults.LinkDuplicate, true, client, "never, never, never, never"},
		{faults.DuplicateAddress, true, client, "never, while it lasts, while it lasts, never"},
		{faults.HostileFlood, true, client, "never, never, never, never"},
		{faults.LinkDown, true, "",
			"while it lasts, while it lasts, while it lasts, while it lasts"},
		{0, false, director, "while it lasts, while it lasts, while it lasts, while it lasts"},
	} {
		e := entitledOn(tt.kind, tt.known, tt.role)
		got := strings.Join([]string{e.vips.String(), e.way.String(), e.requests.String(),
			e.table.String()}, ", ")
		if got != tt.want {
			t.Errorf("%s on a %s: %s, want %s", tt.kind, tt.role, got, tt.want)
		}
	}
}

// TestLimitsOfKinds: a takeover is 3 × 1 s + skew + half a second on fig7.
func TestLimitsOfKinds(t *testing.T) {
	takeover := 3*time.Second + 156*time.Second/256 + Allowance
	fig7 := preset("fig7")
	for kind, want := range map[faults.Kind]limits{
		faults.LinkDown:       {takeover, takeover, takeover, takeover},
		faults.DirectorKilled: {takeover, 6*time.Second + Allowance, takeover, takeover + time.Second},
		faults.DirectorFrozen: {takeover, 6*time.Second + Allowance, takeover, takeover},
		faults.PowerOff:       {takeover, takeover, takeover, takeover + time.Second},
		faults.Rebooted:       {takeover, takeover + 4*time.Second, takeover, takeover + time.Second},
		faults.IPVSFlushed:    {outage: 2 * time.Second, failBack: Allowance},
		faults.DiskFull:       {outage: Allowance, failBack: Allowance},
	} {
		got := masterLimits(fig7, kind)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(limits{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

// TestMustSee: a check must find what it looks at, and nothing else.
func TestMustSee(t *testing.T) {
	for _, tt := range []struct {
		check topology.Check
		kind  faults.Kind
		want  bool
	}{
		{topology.Check{Kind: topology.HTTPCheck}, faults.ServerUnavailable, true},
		{topology.Check{Kind: topology.TCPCheck}, faults.ServerUnavailable, false},
		{topology.Check{Kind: topology.HTTPCheck}, faults.ServerWrong, false},
		{topology.Check{Kind: topology.HTTPCheck, Page: true}, faults.ServerWrong, true},
		{topology.Check{Kind: topology.MiscCheck}, faults.ServerMarked, true},
		{topology.Check{Kind: topology.MiscCheck}, faults.PowerOff, false},
		{topology.Check{Kind: topology.PingCheck}, faults.PowerOff, true},
		{topology.Check{Kind: topology.HTTPCheck}, faults.RouteDeleted, false},
		{topology.Check{}, faults.ServerStopped, false},
	} {
		if got := mustSee(tt.check, tt.kind); got != tt.want {
			t.Errorf("%s by a check %s: %v, want %v", tt.kind, tt.check.Kind, got, tt.want)
		}
	}
}

// TestSingleDirector: where nobody takes over, what it costs lasts as long as the fault does, and the
// one director is the master.
func TestSingleDirector(t *testing.T) {
	s := Scenario{Topology: preset("fig6"), Steps: []Step{Steady{}, Observe{}}}
	rec := &reports.Recording{Length: time.Minute}
	for _, n := range s.Topology.Nodes {
		rec.Nodes = append(rec.Nodes, reports.Node{Name: n.Name, Role: n.Role.String()})
	}
	rec.Events = chronicle(t, "0 step - steady\n1 step - observe\n"+
		"10 fault-inject lb1 power-off\n20 fault-heal lb1 power-off\n"+
		"40 fault-inject lb1 ipvs-flushed\n50 fault-heal lb1 ipvs-flushed")
	h, ok := newHistory(s, rec)
	if !ok {
		t.Fatal("no steady state")
	}
	for i, want := range []right{lasting, brief} {
		f := h.faults[i]
		if got := h.entitled(f).requests; got != want {
			t.Errorf("%s may cost requests %s, want %s", f.Name, got, want)
		}
		if whom := newView(rec).struck(f); whom != partMaster {
			t.Errorf("%s struck part %d, want the master", f.Name, whom)
		}
	}
}

// TestFindFaultDrills: they are found by names that begin as theirs do, and never by chance.
func TestFindFaultDrills(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		want    int
	}{
		{"fault-*", len(faults.Kinds())},
		{"fault-server-*", 9},
		{"fault-power-off", 1},
		{"*", len(All())},
		{"*power-off", 1}, // fig7-connections-survive-power-off
	} {
		found, err := Find(tt.pattern)
		if err != nil || len(found) != tt.want {
			t.Errorf("%s finds %d drills (%v), want %d", tt.pattern, len(found), err, tt.want)
		}
	}
	if _, err := Find("fault-nonsense"); err == nil ||
		!strings.Contains(err.Error(), "fault- and the name of a fault") {
		t.Errorf("error %v, want one that says how they are named", err)
	}
}

// TestFaultDrillsFit: each can be carried out on its network, whose checks see what is wrong with a
// real server.
func TestFaultDrillsFit(t *testing.T) {
	for i, s := range FaultDrills() {
		if err := s.Topology.Validate(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		kind := faults.Kinds()[i]
		for _, inject := range injections(s.Steps) {
			if err := fits(s.Topology, inject); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
		if kind.Family() == faults.Server && !mustSee(s.Topology.Services[0].Check, kind) {
			t.Errorf("%s: no check sees it", s.Name)
		}
	}
}
