package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/ipvs"
	"github.com/tandemlb/tandem/daemon/ipvs/ipvstest"
)

// writeFarm writes a configuration of so many real servers with a TCP_CHECK each, in so many
// virtual servers, but for the one of that number.
func writeFarm(b *testing.B, services, servers, without int) string {
	b.Helper()
	var text strings.Builder
	for i := range services {
		fmt.Fprintf(&text, "virtual_server 10.1.%d.%d 80 {\n    delay_loop 600\n    lb_algo rr\n"+
			"    lb_kind NAT\n    protocol TCP\n", i/256, i%256)
		for k := i * servers / services; k < (i+1)*servers/services; k++ {
			if k != without {
				fmt.Fprintf(&text, "    real_server 10.%d.%d.%d 80 {\n        weight 1\n"+
					"        TCP_CHECK {\n            connect_timeout 5\n            retry 0\n"+
					"        }\n    }\n", 16+k>>16, k>>8&255, k&255)
			}
		}
		text.WriteString("}\n")
	}
	file := filepath.Join(b.TempDir(), "farm.conf")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	return file
}

// emptyTable takes every change and keeps none.
type emptyTable struct{ ipvstest.Memory }

func (*emptyTable) Apply(context.Context, []ipvs.Op) error { return nil }

// BenchmarkScale has a director's parts know the largest configuration, and then the same without
// one real server. What stays in use is in bytes for each real server: of the configuration, and of
// all with the checks.
func BenchmarkScale(b *testing.B) {
	const services, servers = 2300, 37300
	file := writeFarm(b, services, servers, -1)
	less := writeFarm(b, services, servers, servers/2)
	load := func(file string) *config.Config {
		cfg, ds := config.Load(file, config.Options{})
		if err := ds.Err(); err != nil {
			b.Fatal(err)
		}
		return cfg
	}
	table := &emptyTable{}
	for b.Loop() {
		empty := inUse()
		cfg := load(file)
		read := inUse()
		s, err := servicesOf(cfg, table, true, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		wanted := inUse()
		s.firstChecks()
		checked := inUse()
		next := load(less)
		if got := compare(cfg, next).steps(); len(got) != 1 {
			b.Fatalf("got %v, want one real server less", got)
		}
		if err := s.configure(next); err != nil {
			b.Fatal(err)
		}
		cfg, next = nil, nil
		reloaded := inUse()
		runtime.KeepAlive(s)
		b.ReportMetric((read-empty)/servers, "config-B/each")
		b.ReportMetric((wanted-empty)/servers, "wanted-B/each")
		b.ReportMetric((checked-empty)/servers, "all-B/each")
		b.ReportMetric((reloaded-empty)/servers, "reloaded-B/each")
	}
}

// inUse returns the bytes that are in use after all garbage has been collected.
func inUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
