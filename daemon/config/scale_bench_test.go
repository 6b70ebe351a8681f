package config

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sequence is 65,024 instances as one definition and three sequences: each VRID on each of 256
// interfaces, each instance with a tracker of its own.
const sequence = `$ROUTER= \
track_file offset.${BOND}.${VLAN}.${ID} { \
    file "${_PWD}/offsets/${BOND}.${VLAN}.${ID}" \
    weight -100 \
} \
vrrp_instance router.${BOND}.${VLAN}.${ID} { \
    interface bond${BOND}.${VLAN} \
    use_vmac vmac.${BOND}.${VLAN}.${ID} \
    virtual_router_id ${ID} \
    priority 130 \
    virtual_ipaddress { \
        10.${BOND}.${VLAN}.${ID}/24 \
    } \
    track_file { \
        offset.${BOND}.${VLAN}.${ID} \
    } \
}
~SEQ(BOND, 0, 7) ~SEQ(VLAN, 0, 31) ~SEQ(ID, 1, 254) $ROUTER
`

// writeServers writes services, each with reals real servers and an instance's VIP.
func writeServers(w io.Writer, services, reals int) {
	for i := range services {
		if i%20 == 0 {
			fmt.Fprintf(w, "vrrp_instance V%d {\n    interface eth%d\n    virtual_router_id %d\n"+
				"    virtual_ipaddress {\n", i, i/4000, i/20%200+1)
			for k := i; k < min(i+20, services); k++ {
				fmt.Fprintf(w, "        10.%d.%d.1/24\n", k/250, k%250)
			}
			fmt.Fprint(w, "    }\n}\n")
		}
		fmt.Fprintf(w, "virtual_server 10.%d.%d.1 80 {\n    delay_loop 10\n    lb_algo wlc\n"+
			"    lb_kind NAT\n    protocol TCP\n", i/250, i%250)
		for k := range reals {
			fmt.Fprintf(w, "    real_server 10.%d.%d.%d %d {\n        weight 10\n"+
				"        HTTP_GET {\n            url {\n                path /health\n"+
				"                status_code 200\n            }\n"+
				"            connect_timeout 3\n            retry 2\n        }\n    }\n",
				i/250, i%250, k%200+2, 8000+k/200)
		}
		fmt.Fprint(w, "}\n")
	}
}

// writeService writes one more service with so many real servers.
func writeService(w io.Writer, reals int) {
	fmt.Fprint(w, "virtual_server 10.99.0.1 80 {\nprotocol TCP\n")
	for k := range reals {
		fmt.Fprintf(w, "real_server 10.99.%d.%d 80 { TCP_CHECK { } }\n", k/200, k%200+2)
	}
	fmt.Fprint(w, "}\n")
}

// scales are the files that are promised to be read fast: name, how many of what, and the text.
var scales = []struct {
	name  string
	count int
	of    func(*Config) int
	write func(io.Writer)
}{
	{"sequence", 65024, countInstances, func(w io.Writer) { fmt.Fprint(w, sequence) }},
	// The largest file seen in the wild.
	{"largest", 37300, countReals, func(w io.Writer) {
		writeServers(w, 2300, 16)
		writeService(w, 500)
	}},
	{"1000", 1000, countReals, func(w io.Writer) { writeServers(w, 10, 100) }},
	{"10000", 10000, countReals, func(w io.Writer) { writeServers(w, 100, 100) }},
	{"100000", 100000, countReals, func(w io.Writer) { writeServers(w, 1000, 100) }},
}

func countInstances(c *Config) int { return len(c.Instances) }

func countReals(c *Config) int {
	n := 0
	for i := range c.VirtualServers {
		n += len(c.VirtualServers[i].RealServers)
	}
	return n
}

// BenchmarkLoad reads each file of scales from disk. cpu-ms is the processor's time for one
// reading, whatever else the processor had to do; ns/each that for one instance or real server;
// peak-MB the most memory that the process has ever had: it is that of one reading with -benchtime
// 1x and in a process of its own, as scripts/bench does it.
func BenchmarkLoad(b *testing.B) {
	for _, s := range scales {
		b.Run(s.name, func(b *testing.B) {
			file := writeBench(b, s.write)
			start := processorTime(b)
			for b.Loop() {
				c, ds := Load(file, Options{})
				if err := ds.Err(); err != nil || s.of(c) != s.count {
					b.Fatalf("load: %v; got %d, want %d", err, s.of(c), s.count)
				}
			}
			used := processorTime(b) - start
			b.ReportMetric(used.Seconds()*1000/float64(b.N), "cpu-ms")
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*s.count), "ns/each")
			b.ReportMetric(peakMemory(b)/1e6, "peak-MB")
		})
	}
}

// writeBench writes a file piece by piece: its text is not to count as memory.
func writeBench(b *testing.B, write func(io.Writer)) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "bench.conf")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	write(w)
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return file
}

// processorTime is what the process has had of all processors, exactly.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Nano())
}

// peakMemory is the most memory that the process has had, in bytes.
func peakMemory(t testing.TB) float64 {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return float64(used.Maxrss) * 1024
}
