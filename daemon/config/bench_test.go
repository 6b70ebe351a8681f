package config

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyServers is a file of services, each with reals real servers and an instance's VIP.
func manyServers(services, reals int) []byte {
	var b strings.Builder
	for i := range services {
		if i%20 == 0 {
			fmt.Fprintf(&b, "vrrp_instance V%d {\n    interface eth%d\n    virtual_router_id %d\n"+
				"    virtual_ipaddress {\n", i, i/4000, i/20%200+1)
			for k := i; k < min(i+20, services); k++ {
				fmt.Fprintf(&b, "        10.%d.%d.1/24\n", k/250, k%250)
			}
			b.WriteString("    }\n}\n")
		}
		fmt.Fprintf(&b, "virtual_server 10.%d.%d.1 80 {\n    delay_loop 10\n    lb_algo wlc\n"+
			"    lb_kind NAT\n    protocol TCP\n", i/250, i%250)
		for k := range reals {
			fmt.Fprintf(&b, "    real_server 10.%d.%d.%d %d {\n        weight 10\n"+
				"        HTTP_GET {\n            url {\n                path /health\n"+
				"                status_code 200\n            }\n"+
				"            connect_timeout 3\n            retry 2\n        }\n    }\n",
				i/250, i%250, k%200+2, 8000+k/200)
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

func countReals(c *Config) int {
	n := 0
	for i := range c.VirtualServers {
		n += len(c.VirtualServers[i].RealServers)
	}
	return n
}

// BenchmarkLargest reads 2,300 services with 37,300 real servers, the largest file seen in the
// wild. B/op is what is allocated in all, live-MB what is in use at the end,
// cpu-ms/op what the processor did, whatever else it had to do.
func BenchmarkLargest(b *testing.B) {
	text := append(manyServers(2300, 16), manyMore(500)...)
	b.ReportAllocs()
	var c *Config
	start := processorTime(b)
	for b.Loop() {
		var ds Diagnostics
		if c, ds = Parse("bench", text); ds.Err() != nil {
			b.Fatal(ds.Err())
		}
	}
	if n := countReals(c); n != 37300 {
		b.Fatalf("real servers: got %d, want 37300", n)
	}
	b.ReportMetric(float64((processorTime(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "live-MB")
	b.ReportMetric(float64(m.Sys)/1e6, "sys-MB")
	runtime.KeepAlive(c)
}

// manyMore is one more service with so many real servers.
func manyMore(reals int) []byte {
	var b strings.Builder
	b.WriteString("virtual_server 10.99.0.1 80 {\nprotocol TCP\n")
	for k := range reals {
		fmt.Fprintf(&b, "real_server 10.99.%d.%d 80 { TCP_CHECK { } }\n", k/200, k%200+2)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// BenchmarkInstances reads 65,024 instances: each VRID on each of 256 interfaces.
func BenchmarkInstances(b *testing.B) {
	var text strings.Builder
	for i := range 256 {
		for vrid := 1; vrid < 255; vrid++ {
			fmt.Fprintf(&text, "vrrp_instance vrrp4.%d.%d {\n    interface eth0.%d\n"+
				"    virtual_router_id %d\n    priority 100\n    advert_int 1\n"+
				"    virtual_ipaddress {\n        10.%d.%d.1/24\n    }\n}\n",
				i, vrid, i, vrid, i, vrid)
		}
	}
	b.ReportAllocs()
	start := processorTime(b)
	for b.Loop() {
		if _, ds := Parse("bench", []byte(text.String())); ds.Err() != nil {
			b.Fatal(ds.Err())
		}
	}
	b.ReportMetric(float64((processorTime(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// BenchmarkSize reads files of growing size: ns/server must not grow with them.
func BenchmarkSize(b *testing.B) {
	for _, n := range []int{1000, 10000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := manyServers(n/100, 100)
			for b.Loop() {
				if _, ds := Parse("bench", text); ds.Err() != nil {
					b.Fatal(ds.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/server")
		})
	}
}

// BenchmarkOneService reads one service with growing numbers of real servers.
func BenchmarkOneService(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := manyMore(n)
			for b.Loop() {
				if _, ds := Parse("bench", text); ds.Err() != nil {
					b.Fatal(ds.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/server")
		})
	}
}

// TestTimeGrowsLinearly compares a file with one ten times its size: what is quadratic would take a
// hundred times as long. It counts the processor's time, for the machine may be busy.
func TestTimeGrowsLinearly(t *testing.T) {
	best := func(services, reals int) time.Duration {
		text := manyServers(services, reals)
		least := time.Hour
		for range 3 {
			start := processorTime(t)
			if _, ds := Parse("size", text); ds.Err() != nil {
				t.Fatal(ds.Err())
			}
			least = min(least, processorTime(t)-start)
		}
		return least
	}
	for _, tt := range []struct {
		name          string
		few, many     int
		reals, riches int
	}{
		{"services", 100, 1000, 4, 4},
		{"real servers of one", 1, 1, 1000, 10000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			few, many := best(tt.few, tt.reals), best(tt.many, tt.riches)
			if many > 40*max(few, time.Millisecond) {
				t.Errorf("ten times the size: took %s, not %s", many, few)
			}
		})
	}
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano())
}

// TestNesting reads 10,000 blocks in each other.
func TestNesting(t *testing.T) {
	deep := "vrrp_script a {\n" + strings.Repeat("a {\n", 10000)
	const (
		tooDeep = "expected at most 64 blocks in each other"
		tooMany = "expected fewer mistakes up to here"
	)
	for _, tt := range []struct{ name, text, want string }{
		{"open", deep, tooDeep},
		{"open and closed", deep + strings.Repeat("}\n", 10001), tooDeep},
		{"in one line", strings.Repeat("a { ", 10000), tooDeep},
		{"closed only", strings.Repeat("}\n", 10000), tooMany},
		{"without keywords", strings.Repeat("{", 10000), tooMany},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, ds := Parse("deep", []byte(tt.text))
			if len(ds) > 100 || !strings.Contains(ds.String(), tt.want) {
				t.Errorf("got %d diagnostics, want at most 100 with %q\n%.300s",
					len(ds), tt.want, ds)
			}
		})
	}
}
