package bench

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestIPVSParts(t *testing.T) {
	for _, p := range IPVSParts() {
		if got, err := ParseIPVSPart(p.String()); err != nil || got != p {
			t.Errorf("parse %q: got %v, %v", p.String(), got, err)
		}
	}
	if _, err := ParseIPVSPart("fuel"); err == nil || !strings.Contains(err.Error(), "largest") {
		t.Errorf("parse %q: got %v, want the names", "fuel", err)
	}
}

// TestFarm: every real server is in one service, and no two have one address.
func TestFarm(t *testing.T) {
	lan := standTopology()
	if err := lan.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []farm{tableFarm, largestFarm, checksFarm, failureFarm} {
		next := 0
		seen := map[netip.AddrPort]bool{}
		for i := range f.services {
			first, end := f.of(i)
			if first != next || end <= first {
				t.Fatalf("service %d: got %d to %d, want it to begin at %d", i, first, end, next)
			}
			next = end
			seen[f.service(i)] = true
			for j := first; j < end; j++ {
				seen[f.server(j)] = true
				if !serverPrefix.Contains(f.server(j).Addr()) {
					t.Fatalf("server %d: %s is not in %s", j, f.server(j), serverPrefix)
				}
			}
			if got := f.serviceOf(first); got != i {
				t.Fatalf("server %d: got service %d, want %d", first, got, i)
			}
		}
		if next != f.servers || len(seen) != f.servers+f.services {
			t.Errorf("got %d servers, %d addresses; want %d of %d", next, len(seen), f.servers,
				f.services)
		}
	}
}

func TestFarmConfig(t *testing.T) {
	f := farm{services: 2, servers: 3, loop: 10 * time.Second, timeout: time.Second}
	const want = "global_defs {\n    router_id lb1\n}\n" +
		"virtual_server 10.1.16.1 80 {\n    delay_loop 10\n    lb_algo rr\n    lb_kind NAT\n" +
		"    protocol TCP\n" +
		"    real_server 10.16.0.0 80 {\n        weight 1\n        TCP_CHECK {\n" +
		"            connect_timeout 1\n            retry 0\n        }\n    }\n}\n" +
		"virtual_server 10.1.16.2 80 {\n    delay_loop 10\n    lb_algo rr\n    lb_kind NAT\n" +
		"    protocol TCP\n" +
		"    real_server 10.16.0.2 80 {\n        weight 1\n        TCP_CHECK {\n" +
		"            connect_timeout 1\n            retry 0\n        }\n    }\n}\n"
	if diff := cmp.Diff(want, f.config(1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKernelTableAnswers(t *testing.T) {
	services := make([]byte, servicesHead+3*serviceEntry)
	for i, n := range []uint32{250, 3, 0} {
		binary.NativeEndian.PutUint32(services[servicesHead+i*serviceEntry+offsetCount:], n)
	}
	if got := sumCounts(services); got != 253 {
		t.Errorf("real servers: got %d, want 253", got)
	}
	at := netip.MustParseAddrPort("10.16.0.7:80")
	dests := make([]byte, destsHead+2*destEntry)
	copy(dests[destsHead+destEntry:], []byte{10, 16, 0, 7, 0, 80})
	dests[destsHead+destEntry+offsetWeight] = 5
	if w, there := weightIn(dests, at); !there || w != 5 {
		t.Errorf("weight: got %d, %t; want 5", w, there)
	}
	if _, there := weightIn(dests, netip.MustParseAddrPort("10.16.0.7:81")); there {
		t.Error("weight of another port: got one, want none")
	}
}

func TestJudgeChecks(t *testing.T) {
	from := time.Unix(100, 0)
	var times []time.Time
	for i := range 40 { // ten in each tenth of a second, and ten more in the last
		times = append(times, from.Add(time.Duration(i+1)*10*ms-time.Microsecond))
	}
	for range 10 {
		times = append(times, from.Add(399*ms))
	}
	got, err := judgeChecks(times, from, 400*ms, 5*ms)
	want := Checks{Rate: 125, CPU: 1.25, PerCheck: 100 * time.Microsecond, Busiest: 1.6}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v; (-want +got):\n%s", err, diff)
	}
	if _, err := judgeChecks(nil, from, time.Second, 0); err == nil {
		t.Error("no check: want an error")
	}
}

// sampleIPVS are results of both directors.
func sampleIPVS() *IPVSResults {
	r := &IPVSResults{
		Started: time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC), Length: 351 * time.Second,
		Kernel: "6.1.0", Directors: []string{"tandemd", "keepalived"},
		Problems: []string{"failure on virtual time: there is no such kernel"},
	}
	for _, f := range []farm{tableFarm, largestFarm} {
		n := int64(f.servers)
		r.Tables = append(r.Tables,
			TableResult{"tandemd", f.servers, 5, Table{600 * ms, 550 * ms, 20e6 + 2000*n, 150 * ms,
				300 * ms, false}},
			TableResult{"keepalived", f.servers, 5, Table{1000 * ms, 900 * ms, 2500 * n, 375 * ms,
				600 * ms, false}})
	}
	last := &r.Tables[len(r.Tables)-1].Table
	last.Reload, last.Unfinished = reloadLimit, true
	r.Checks = []ChecksResult{
		{"tandemd", 10000, 3, Checks{500, 32.5, 650 * time.Microsecond, 1.5}},
		{"keepalived", 10000, 3, Checks{499.5, 27.5, 550 * time.Microsecond, 4.2}}}
	r.Failures = []FailureResult{{"tandemd", true, 3, Failure{5 * ms}},
		{"keepalived", true, 3, Failure{4 * ms}}, {"tandemd", false, 3, Failure{150 * ms}}}
	r.Targets = IPVSTargets(r)
	return r
}

func ipvsTableOf(t *testing.T, r *IPVSResults) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteIPVSTable(&b, r); err != nil {
		t.Fatal(err)
	}
	checkWidth(t, b.String())
	return b.String()
}

func TestIPVSTable(t *testing.T) { golden(t, "ipvs.golden", ipvsTableOf(t, sampleIPVS())) }

// TestIPVSTableAlone is the table where there is nothing to compare with: no promise of a ratio.
func TestIPVSTableAlone(t *testing.T) {
	r := sampleIPVS()
	r.Directors, r.Absent, r.Problems = r.Directors[:1], "keepalived", nil
	r.Tables = slices.DeleteFunc(r.Tables, func(t TableResult) bool { return t.Director != "tandemd" })
	r.Checks = r.Checks[:1]
	r.Failures = slices.DeleteFunc(r.Failures,
		func(f FailureResult) bool { return f.Director != "tandemd" })
	r.Targets = IPVSTargets(r)
	golden(t, "ipvs-alone.golden", ipvsTableOf(t, r))
}

func TestIPVSJSONHasEverything(t *testing.T) {
	var b bytes.Buffer
	if err := WriteIPVSJSON(&b, sampleIPVS()); err != nil {
		t.Fatal(err)
	}
	var got IPVSResults
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleIPVS(), &got, cmpopts.IgnoreUnexported(Target{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestIPVSTargets: what a promise allows, and the least that it does not.
func TestIPVSTargets(t *testing.T) {
	theirs := Table{Start: 1000 * ms, Reload: 400 * ms, Memory: 10_000_000}
	good := Table{Start: 700 * ms, Reload: 200 * ms, Memory: 30_000_000}
	for _, c := range []struct {
		name   string
		farm   farm
		change func(*Table)
		missed int
	}{
		{"all as promised", tableFarm, func(*Table) {}, 0},
		{"slow start", tableFarm, func(t *Table) { t.Start += ms }, 1},
		{"slow reload", tableFarm, func(t *Table) { t.Reload += ms }, 1},
		{"much memory", tableFarm, func(t *Table) { t.Memory++ }, 1},
		{"as much memory, largest", largestFarm, func(t *Table) { t.Memory = 10_000_000 }, 0},
		{"more memory, largest", largestFarm, func(t *Table) { t.Memory = 10_000_001 }, 1},
	} {
		ours := good
		c.change(&ours)
		if _, missed := Missed(tableTargets(c.farm, ours, theirs)); missed != c.missed {
			t.Errorf("%s: got %d missed, want %d", c.name, missed, c.missed)
		}
	}
	for _, c := range []struct {
		name         string
		ours, theirs Checks
		missed       int
	}{
		{"as promised", Checks{PerCheck: 5, Busiest: 2}, Checks{PerCheck: 5}, 0},
		{"dear", Checks{PerCheck: 6, Busiest: 2}, Checks{PerCheck: 5}, 1},
		{"uneven", Checks{PerCheck: 5, Busiest: 2.1}, Checks{PerCheck: 5}, 1},
	} {
		if _, got := Missed(checksTargets(c.ours, c.theirs, true)); got != c.missed {
			t.Errorf("%s: got %d missed, want %d", c.name, got, c.missed)
		}
	}
	if failureTarget(Failure{51 * ms}, true).Met || !failureTarget(Failure{51 * ms}, false).Met {
		t.Error("51 ms late: want it missed on virtual time, and met on real time")
	}
}

func TestLineWriter(t *testing.T) {
	var got []string
	w := &lineWriter{to: func(line string) { got = append(got, line) }}
	for _, part := range []string{"a", "b\nc\n", "\nd"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if diff := cmp.Diff([]string{"ab", "c", ""}, got); diff != "" || w.last != "" {
		t.Errorf("last %q; (-want +got):\n%s", w.last, diff)
	}
}
