package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/config"
)

// BenchmarkCompareFiles compares the largest configuration, read from a file, with itself less one
// real server. cpu-ms is the processor's time for one comparison, whatever else it had to do.
func BenchmarkCompareFiles(b *testing.B) {
	cfg := largest()
	before := loadWritten(b, cfg)
	lessOne(cfg)
	after := loadWritten(b, cfg)
	start := processorTime(b)
	for b.Loop() {
		if got := compare(before, after).steps(); len(got) != 1 {
			b.Fatalf("got %v, want one real server less", got)
		}
	}
	used := processorTime(b) - start
	b.ReportMetric(used.Seconds()*1000/float64(b.N), "cpu-ms")
}

// loadWritten writes a configuration to a file and reads it.
func loadWritten(b *testing.B, cfg *config.Config) *config.Config {
	b.Helper()
	file := filepath.Join(b.TempDir(), "bench.conf")
	if err := os.WriteFile(file, []byte(cfg.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	read, ds := config.Load(file, config.Options{})
	if err := ds.Err(); err != nil {
		b.Fatal(err)
	}
	return read
}

// processorTime is what the process has had of all processors, exactly.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Nano())
}
