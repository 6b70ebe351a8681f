package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// diary is a player that writes down what it is told, with the time.
type diary struct {
	start time.Time
	// slow is how long injecting a kind takes, broken what fails.
	slow   map[faults.Kind]time.Duration
	broken map[faults.Kind]error

	mu    sync.Mutex
	lines []string
}

func (d *diary) write(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%s %s", time.Since(d.start), what))
}

func (d *diary) inject(ctx context.Context, i Inject) (func(context.Context) error, error) {
	if err := wait(ctx, time.Now().Add(d.slow[i.Kind])); err != nil {
		return nil, err
	}
	if err := d.broken[i.Kind]; err != nil {
		return nil, err
	}
	d.write("broken: " + i.Target)
	return func(context.Context) error {
		d.write("whole: " + i.Target)
		return nil
	}, nil
}

func (d *diary) step(ctx context.Context, s Step) error { return s.do(ctx, nil) }

func (d *diary) begin(what string) { d.write(what) }

const second = time.Second

func TestSchedulePlays(t *testing.T) {
	link := Inject{Kind: faults.LinkDown, Target: "lb1:eth0"}
	web := Inject{Kind: faults.ServerStopped, Target: "web2"}
	slow := Inject{Kind: faults.DirectorTerminated, Target: "lb1"}
	tests := []struct {
		name string
		acts []Act
		want []string
		err  string
	}{
		{"none", nil, nil, ""},
		{"overlapping, in any order", []Act{
			{At: 4 * second, For: second, Step: web},
			{At: second, For: 8 * second, Step: link},
		}, []string{
			"1s inject link-down on lb1:eth0 for 8s", "1s broken: lb1:eth0",
			"4s inject server-stopped on web2 for 1s", "4s broken: web2",
			"5s heal server-stopped on web2", "5s whole: web2",
			"9s heal link-down on lb1:eth0", "9s whole: lb1:eth0",
		}, ""},
		{"healed by another act", []Act{
			{At: second, Step: link}, {At: 3 * second, Step: Heal{Act: 0}},
		}, []string{"1s inject link-down on lb1:eth0", "1s broken: lb1:eth0",
			"3s heal link-down on lb1:eth0", "3s whole: lb1:eth0"}, ""},
		{"left to who comes after", []Act{{At: second, Step: link}}, []string{
			"1s inject link-down on lb1:eth0", "1s broken: lb1:eth0"}, ""},
		{"slow to take hold: only its own heal is late", []Act{
			{For: 2 * second, Step: slow}, {At: second, For: 2 * second, Step: web},
		}, []string{
			"0s inject director-terminated on lb1 for 2s",
			"1s inject server-stopped on web2 for 2s", "1s broken: web2",
			"3s heal server-stopped on web2", "3s whole: web2",
			"5s broken: lb1", "5s heal director-terminated on lb1", "5s whole: lb1",
		}, ""},
		{"observes to the end", []Act{{At: second, For: second, Step: web},
			{At: second, Step: Observe{For: 9 * second}}, {At: 10 * second, Step: Observe{For: second}}},
			[]string{"1s inject server-stopped on web2 for 1s", "1s broken: web2",
				"1s observe for 9s", "2s heal server-stopped on web2", "2s whole: web2",
				"10s observe for 1s"}, ""},
		{"the first failure ends it", []Act{{For: 9 * second, Step: web},
			{At: second, Step: Inject{Kind: faults.VIPDeleted, Target: "lb1"}},
			{At: 2 * second, Step: link}}, []string{"0s inject server-stopped on web2 for 9s",
			"0s broken: web2", "1s inject vip-deleted on lb1"}, "no such address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{start: time.Now(),
					slow:   map[faults.Kind]time.Duration{faults.DirectorTerminated: 5 * second},
					broken: map[faults.Kind]error{faults.VIPDeleted: errors.New("no such address")}}
				err := Schedule{tt.acts}.play(t.Context(), d)
				if got := fmt.Sprint(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				// Acts of the same moment may write in any order.
				if diff := cmp.Diff(slices.Sorted(slices.Values(tt.want)),
					slices.Sorted(slices.Values(d.lines))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestScheduleIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeoutCause(t.Context(), 3*second, errors.New("too long"))
		defer stop()
		d := &diary{start: time.Now()}
		acts := []Act{{Step: Observe{For: time.Hour}}, {For: time.Hour, Step: Inject{Target: "web1"}},
			{At: time.Hour, Step: Inject{Target: "web2"}}}
		err := Schedule{acts}.play(ctx, d)
		if err == nil || err.Error() != "too long" || time.Since(d.start) != 3*second {
			t.Errorf("error %v after %s, want the cause after 3s", err, time.Since(d.start))
		}
	})
}

func TestScheduleCheck(t *testing.T) {
	fault := func(at, length time.Duration, kind faults.Kind, target string) Act {
		return Act{At: at, For: length, Step: Inject{Kind: kind, Target: target}}
	}
	frozen := fault(second, 5*second, faults.DirectorFrozen, "lb1")
	tests := []struct {
		name string
		acts []Act
		want []string
	}{
		{"good", []Act{frozen, fault(2*second, second, faults.LinkDown, "lb1:eth0"),
			fault(6*second, second, faults.DirectorFrozen, "lb1"),
			fault(second, second, faults.ServerStopped, "web*"), {Step: Observe{For: second}},
			fault(0, 0, faults.LinkDown, "lb2:eth0"), {At: 9 * second, Step: Heal{Act: 5}},
			fault(9*second, 0, faults.LinkDown, "lb2:eth0")}, nil},
		{"below zero", []Act{{At: -1, Step: Observe{}}}, []string{
			"0 a time below zero: expected 0s or more"}},
		{"nothing matches", []Act{fault(0, 0, faults.ServerStopped, "wob*")}, []string{
			"0 find target wob*: it matches none of client1, client2, lb1, lb2, web1, web2, web3; there " +
				"are also @master, @backup, @directors, all"}},
		{"no such interface", []Act{fault(0, 0, faults.LinkDown, "@master:eth7")}, []string{
			`0 lb1 has no interface "eth7": it has eth0, eth1`}},
		{"wrong form", []Act{fault(0, 0, faults.LinkDown, "lb1")}, []string{
			`0 make fault link-down on "lb1": want NODE:INTERFACE`}},
		{"wrong role", []Act{fault(0, 0, faults.ServerStopped, "lb1"),
			fault(0, 0, faults.DirectorKilled, "client1")}, []string{
			"0 server-stopped strikes a real-server: lb1 is a director",
			"1 director-killed strikes a director: client1 is a client"}},
		{"the same at once", []Act{frozen, fault(4*second, second, faults.DirectorFrozen, "@directors")},
			[]string{"1 inject director-frozen on @directors contradicts inject director-frozen on lb1, " +
				"which holds on lb1 from 1s to 6s: have it begin later, or heal the first one before"}},
		{"two about one program", []Act{fault(5*second, second, faults.DirectorKilled, "lb1"), frozen},
			[]string{"0 inject director-killed on lb1 contradicts inject director-frozen on lb1, which " +
				"holds on lb1 from 1s to 6s: have it begin later, or heal the first one before"}},
		{"a node that is gone", []Act{fault(0, 9*second, faults.PowerOff, "lb1"),
			fault(second, second, faults.LinkDown, "lb1:eth0"),
			fault(2*second, second, faults.OneWay, "lb2:eth0"),
			fault(2*second, second, faults.LinkDelay, "lb2:eth0")}, []string{
			"1 inject link-down on lb1:eth0 contradicts inject power-off on lb1, which holds on lb1 " +
				"from 0s to 9s: have it begin later, or heal the first one before",
			"2 inject one-way on lb2:eth0 contradicts inject power-off on lb1, which holds on lb1 " +
				"from 0s to 9s: have it begin later, or heal the first one before"}},
		{"a cable that is pulled", []Act{fault(0, 9*second, faults.LinkFlapping, "lb1:eth0"),
			fault(second, second, faults.LinkDown, "lb1:eth0"),
			fault(second, second, faults.LinkDown, "lb1:eth1"),
			fault(second, second, faults.LinkLoss, "lb1:eth0")}, []string{
			"1 inject link-down on lb1:eth0 contradicts inject link-flapping on lb1:eth0, which holds " +
				"on lb1:eth0 from 0s to 9s: have it begin later, or heal the first one before"}},
		{"two of one path", []Act{fault(0, 9*second, faults.BothWays, "lb1:eth1"),
			fault(second, second, faults.OneWay, "lb2:eth1"),
			fault(2*second, second, faults.OneWay, "lb2:eth0")}, []string{
			"1 inject one-way on lb2:eth1 contradicts inject both-ways on lb1:eth1, which holds on " +
				"lb1:eth1 from 0s to 9s: have it begin later, or heal the first one before"}},
		{"two that stand still", []Act{fault(0, 9*second, faults.Paused, "web1"),
			fault(second, second, faults.Paused, "web2"),
			fault(2*second, second, faults.Paused, "client1")}, []string{
			"1 inject paused on web2 contradicts inject paused on web1, which holds on web1 " +
				"from 0s to 9s: have it begin later, or heal the first one before"}},
		{"one way each", []Act{fault(0, 9*second, faults.OneWay, "lb1:eth1"),
			fault(second, second, faults.OneWay, "lb2:eth1")}, nil},
		{"two of what one cable carries", []Act{fault(0, 9*second, faults.OneWay, "lb1:eth1"),
			fault(second, second, faults.AdvertsLost, "lb1:eth1")}, []string{
			"1 inject adverts-lost on lb1:eth1 contradicts inject one-way on lb1:eth1, which holds on " +
				"lb1:eth1 from 0s to 9s: have it begin later, or heal the first one before"}},
		{"after one without an end", []Act{fault(0, 0, faults.LinkDown, "lb1:eth0"),
			fault(time.Hour, second, faults.LinkDown, "lb1:eth0")}, []string{
			"1 inject link-down on lb1:eth0 contradicts inject link-down on lb1:eth0, which holds on " +
				"lb1:eth0 from 0s to the end: have it begin later, or heal the first one before"}},
		{"heals nothing", []Act{{At: second, Step: Heal{Act: 4}}, {At: second, Step: Heal{Act: 0}}},
			[]string{"0 heal the fault of act 5: there are 2 acts",
				"1 heal the fault of act 1: heal the fault of act 5 is no fault"}},
		{"heals what heals itself", []Act{frozen, {At: 2 * second, Step: Heal{}}}, []string{
			"1 heal the fault of act 1: it heals by itself after 5s: leave out one of the two"}},
		{"heals before", []Act{fault(second, 0, faults.LinkDown, "lb1:eth0"),
			{At: second, Step: Heal{}}}, []string{
			"1 heal the fault of act 1 at 1s: the fault comes at 1s: a heal must come later"}},
		{"heals twice", []Act{fault(second, 0, faults.LinkDown, "lb1:eth0"),
			{At: 2 * second, Step: Heal{}}, {At: 3 * second, Step: Heal{}}}, []string{
			"2 heal the fault of act 1: another act heals it too"}},
		{"a time for what has none", []Act{{For: second, Step: Requests{Client: "client1", Count: 3}}},
			[]string{"0 send 3 requests one after another from client1 lasts as long as it takes: only a " +
				"fault has a time to last"}},
	}
	for _, tt := range tests {
		var got []string
		for _, f := range (Schedule{tt.acts}).Check(preset("fig7")) {
			got = append(got, fmt.Sprint(f.Act, " ", f.Text))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestScheduleRefusesFlaws: a schedule that nobody has checked heals nothing twice.
func TestScheduleRefusesIPv4OnIPv6(t *testing.T) {
	s := Schedule{Acts: []Act{{Step: Inject{Kind: faults.HostileFlood, Target: "client1:eth0"}}}}
	want := []Flaw{{0, "hostile-flood works by IPv4: expected a topology of IPv4, such as preset fig7"}}
	if diff := cmp.Diff(want, s.Check(preset("fig7-v6"))); diff != "" {
		t.Errorf("flaws (-want +got):\n%s", diff)
	}
	if got := s.Check(preset("fig7")); got != nil {
		t.Errorf("fig7: flaws %v", got)
	}
}

func TestScheduleRefusesFlaws(t *testing.T) {
	r := &run{scenario: Scenario{Topology: preset("fig7")}}
	err := Schedule{[]Act{{At: second, Step: Heal{Act: 7}}}}.do(t.Context(), r)
	if err == nil || !strings.Contains(err.Error(), "act 1: heal the fault of act 8") {
		t.Errorf("error %v, want the flaw", err)
	}
}

func TestScheduleNeedsWhatItsFaultsNeed(t *testing.T) {
	s := Scenario{Steps: []Step{Schedule{[]Act{{Step: Observe{}},
		{Step: Inject{Kind: faults.AdvertsLost, Target: "lb1:eth0"}}}}}}
	want := append(Needs(Scenario{}), lab.NftablesBridge)
	if diff := cmp.Diff(want, Needs(s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTargetsOfTopology(t *testing.T) {
	one := preset("fig7")
	one.Nodes = append(one.Nodes[:3:3], one.Nodes[4:]...) // without lb2
	tests := []struct {
		name, where string
		topology    topology.Topology
		want        []string
		err         string
	}{
		{"a node", "web1", preset("fig7"), []string{"web1"}, ""},
		{"its interface", "lb1:eth1", preset("fig7"), []string{"lb1:eth1"}, ""},
		{"an address", "lb1:192.168.1.1", preset("fig7"), []string{"lb1:192.168.1.1"}, ""},
		{"a glob", "web*", preset("fig7"), []string{"web1", "web2", "web3"}, ""},
		{"of interfaces", "lb?:eth0", preset("fig7"), []string{"lb1:eth0", "lb2:eth0"}, ""},
		{"for the run", "@backup:eth0", preset("fig7"), []string{"@backup:eth0"}, ""},
		{"no backup", "@backup", one, nil, "the topology has 1 director"},
		{"bad glob", "web[", preset("fig7"), nil, "syntax error in pattern"},
		{"every node", "all", preset("fig6"), []string{"client1", "client2", "lb1", "web1", "web2",
			"web3"}, ""},
		{"no selector", "@masters", preset("fig7"), nil, "it matches none of"},
	}
	for _, tt := range tests {
		got, err := Targets(tt.topology, tt.where)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if got := fmt.Sprint(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
	}
}

// TestScheduleOfControlRun: it takes the same time, and nothing is broken in it.
func TestScheduleOfControlRun(t *testing.T) {
	s := Schedule{[]Act{{At: second, For: 3 * second, Step: Inject{Target: "web1"}},
		{At: 2 * second, Step: Inject{Target: "web2"}}, {At: 9 * second, Step: Heal{Act: 1}},
		{At: 4 * second, Step: Requests{Client: "client1", Count: 3}}}}
	control := Control(Scenario{Steps: []Step{Steady{}, s}}, 1)
	want := []Step{Steady{}, Schedule{[]Act{{At: second, Step: Observe{For: 3 * second}},
		{At: 2 * second, Step: Observe{}}, {At: 9 * second, Step: Observe{}},
		{At: 4 * second, Step: Requests{Client: "client1", Count: 3}}}}}
	if diff := cmp.Diff(want, control.Steps); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
