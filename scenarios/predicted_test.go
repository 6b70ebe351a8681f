package scenarios

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/scheduler"
)

// callsOf is what a run records whose kernel does what the model says: n calls, of which every third
// is closed before the next.
func callsOf(t *testing.T, name scheduler.Name, weights []int, n int) (Bound, *reports.Recording) {
	t.Helper()
	net := fig6(string(name), weights...)
	m, err := modelOf(net, net.Services[0])
	if err != nil {
		t.Fatal(err)
	}
	rec := &reports.Recording{}
	to := net.Services[0].Addr
	for i := range n {
		at := time.Duration(i+1) * 10 * time.Millisecond
		from := netip.AddrPortFrom(netip.MustParseAddr("192.168.1.100"), uint16(20000+i))
		call := reports.Call{ID: i + 1, From: from, To: to, Opened: at, Outcome: reports.Refused}
		c, ok := m.Connect(scheduler.Flow{From: from, To: to.Addr()}, modelEpoch.Add(at))
		if ok {
			for _, d := range net.Services[0].RealServers {
				if addressOf(net, d) == c.Server {
					call.Server, call.Outcome = d.Node, reports.Answered
				}
			}
			if i%3 == 0 {
				call.Closed = at + 5*time.Millisecond
				m.Close(c, false, modelEpoch.Add(call.Closed))
			}
		}
		rec.Calls = append(rec.Calls, call)
	}
	return Predicted(net), rec
}

func TestPredicted(t *testing.T) {
	weights := []int{3, 1, 2}
	for _, name := range []scheduler.Name{scheduler.WeightedRoundRobin,
		scheduler.WeightedLeastConnection, scheduler.WeightedOverflow} {
		t.Run(string(name), func(t *testing.T) {
			bound, rec := callsOf(t, name, weights, 30)
			f := bound.Judge(rec, 0)
			if f.Verdict != reports.Pass || f.Observed != "30 of 30 as predicted" {
				t.Fatalf("%s: %s, %s", f.Verdict, f.Observed, f.Detail)
			}
			// Another kernel: one choice differs, and so may all that depend on it.
			was := rec.Calls[6].Server
			rec.Calls[6].Server = map[string]string{"web1": "web2", "web2": "web3", "web3": "web1",
				"": "web1"}[was]
			f = bound.Judge(rec, 0)
			if f.Verdict != reports.Fail || !strings.HasPrefix(f.Detail, "connection 7, from "+
				"192.168.1.100:20006: "+rec.Calls[6].Server+", predicted "+nameOrNone(was)+"; before it "+
				string(name)) {
				t.Errorf("one choice differs: %s, %s, %s", f.Verdict, f.Observed, f.Detail)
			}
		})
	}
}

// TestPredictedNoticesOtherWeights is a director that gives a real server another weight than the
// configuration.
func TestPredictedNoticesOtherWeights(t *testing.T) {
	bound, _ := callsOf(t, scheduler.WeightedRoundRobin, []int{3, 1, 2}, 1)
	_, rec := callsOf(t, scheduler.WeightedRoundRobin, []int{3, 2, 1}, 30)
	if f := bound.Judge(rec, 0); f.Verdict != reports.Fail {
		t.Errorf("%s, %s", f.Verdict, f.Observed)
	}
}

// TestPredictedOfNothing: a run that called nobody shows nothing.
func TestPredictedOfNothing(t *testing.T) {
	bound, rec := callsOf(t, scheduler.RoundRobin, nil, 0)
	if f := bound.Judge(rec, 0); f.Verdict != reports.Fail {
		t.Errorf("%s, %s", f.Verdict, f.Observed)
	}
}

func TestCountActive(t *testing.T) {
	const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80101:0050 rr 
  -> C0A8020D:0050      Masq    1      2          7         
  -> C0A8020C:0050      Masq    0      1          0         
`
	if got := countActive(strings.NewReader(table)); got != 3 {
		t.Errorf("countActive = %d, want 3", got)
	}
}
