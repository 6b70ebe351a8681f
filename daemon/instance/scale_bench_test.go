package instance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/instance"
	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/netif/netiftest"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

const (
	// perDevice is how many virtual routers share an interface: there are 255.
	perDevice = 250
	// settleSpan is how long the routers are let be before they are measured, measureSpan how long
	// they are measured.
	settleSpan, measureSpan = 6 * time.Second, 10 * time.Second
)

// cost is what a process with many instances used.
type cost struct {
	// Core is the share of a core in percent, PerAdvert the processor time of one advert.
	Core      float64
	PerAdvert time.Duration
	// Resident is in bytes, Heap and Stacks of it are in use.
	Resident, Heap, Stacks int
	// Masters and Errors are of the instances.
	Masters, Errors int
}

// BenchmarkInstances measures what many instances with adverts of a second, spread over it, cost a
// process as masters, in a process of their own, and another one as their backups. It prints both;
// its time per operation means nothing. TANDEM_TEST_INSTANCES says how many; the default is 1000.
// TANDEM_TEST_PROFILE is a directory for profiles of both.
func BenchmarkInstances(b *testing.B) {
	many := 1000
	if s := os.Getenv("TANDEM_TEST_INSTANCES"); s != "" {
		many, _ = strconv.Atoi(s)
	}
	first, second := netiftest.PairOn(b, (many+perDevice-1)/perDevice)
	var costs [2]cost
	var both sync.WaitGroup
	for i, n := range []*netiftest.Node{first, second} {
		both.Go(func() { n.Do(func() { costs[i] = measureElsewhere(b, i, many) }) })
	}
	both.Wait()
	for i, c := range costs {
		role := []string{"master", "backup"}[i]
		b.Logf("%d as %s: %.2f %% of a core, %s an advert, %.1f MB (heap %.1f, stacks %.1f), "+
			"%d masters, %d errors", many, role, c.Core, c.PerAdvert,
			float64(c.Resident)/1e6, float64(c.Heap)/1e6, float64(c.Stacks)/1e6, c.Masters, c.Errors)
		b.ReportMetric(c.Core, role+"-%core")
		b.ReportMetric(float64(c.Resident)/1e6, role+"-MB")
	}
	if costs[0].Masters != many || costs[1].Masters != 0 {
		b.Errorf("masters: %d and %d, want %d and 0", costs[0].Masters, costs[1].Masters, many)
	}
}

// measureElsewhere has this program run as a process in the namespace of the calling thread.
func measureElsewhere(b *testing.B, node, many int) (c cost) {
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestInstancesProcess$")
	if dir := os.Getenv("TANDEM_TEST_PROFILE"); dir != "" {
		name := filepath.Join(dir, fmt.Sprintf("node%d", node))
		cmd.Args = append(cmd.Args, "-test.cpuprofile", name+".cpu", "-test.memprofilerate", "512")
	}
	cmd.Env = append(os.Environ(), fmt.Sprintf("TANDEM_TEST_PROCESS=%d %d", node, many))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		_, result, _ := strings.Cut(string(out), "RESULT")
		err = json.NewDecoder(strings.NewReader(result)).Decode(&c)
	}
	if err != nil {
		b.Errorf("process %d: %v: %s", node, err, out)
	}
	return c
}

// TestInstancesProcess is the process that BenchmarkInstances measures, and nothing else.
func TestInstancesProcess(t *testing.T) {
	var node, many int
	if _, err := fmt.Sscan(os.Getenv("TANDEM_TEST_PROCESS"), &node, &many); err != nil {
		t.Skip("not a process of BenchmarkInstances")
	}
	host, err := netif.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var runners []*instance.Runner
	links := instance.OnHost(host)
	for i := range many {
		r, err := instance.New(manyGroup(node, i), links)
		if err != nil {
			t.Fatal(err)
		}
		runners = append(runners, r)
	}
	begin := time.Now()
	for i, r := range runners {
		<-time.After(time.Until(begin.Add(time.Second * time.Duration(i) / time.Duration(many))))
		running.Go(func() { _ = r.Run(ctx) })
	}
	<-time.After(settleSpan)
	used := cpu(t)
	<-time.After(measureSpan)
	used = cpu(t) - used
	c := cost{
		Core:      100 * float64(used) / float64(measureSpan),
		PerAdvert: used / time.Duration(many*int(measureSpan/time.Second)), Resident: resident(t),
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.Heap, c.Stacks = int(m.HeapInuse), int(m.StackInuse)
	if dir := os.Getenv("TANDEM_TEST_PROFILE"); dir != "" {
		writeHeap(t, filepath.Join(dir, fmt.Sprintf("node%d.heap", node)))
	}
	for _, r := range runners {
		s := r.Snapshot()[0]
		c.Errors += int(s.Errors)
		if s.State == vrrp.Master {
			c.Masters++
		}
	}
	out, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("RESULT%s\n", out)
	if node == 0 { // the others are to be backups until then
		<-time.After(time.Second)
	}
	cancel()
	running.Wait()
}

// writeHeap writes what is in use.
func writeHeap(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		runtime.GC() // what is not is not shown
		err = errors.Join(pprof.WriteHeapProfile(f), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// manyGroup is instance i of the node, the first of which has the higher priority.
func manyGroup(node, i int) instance.Group {
	device := i / perDevice
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
	return instance.Group{
		Members: []instance.Config{{
			Name: fmt.Sprintf("VI_%d", i), Interface: netiftest.DeviceOf(device),
			VIPs: []instance.VIP{{Prefix: p}},
			Router: vrrp.Config{
				Version: vrrp.V3, VRID: uint8(i%perDevice) + 1, Priority: uint8(200 - 100*node),
				Interval: time.Second,
			},
		}},
		Resume: node == 0, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// resident returns how much memory the process has, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
