package lab_test

import (
	"os"
	"testing"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// upPromise is how long the preset fig7, seven nodes with nine cables, may take to be there on a quiet
// machine, without any program on its nodes.
const upPromise = 100 * time.Millisecond

// BenchmarkUp measures how long fig7 takes to come up, ms/up, and to be taken down, ms/down. The
// quickest of the labs counts: what else the machine does is not measured. It fails where that misses
// the promise.
func BenchmarkUp(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: namespaces and links cannot be made")
	}
	fig7, err := topology.Preset("fig7")
	if err != nil {
		b.Fatal(err)
	}
	var up, down, best time.Duration
	for b.Loop() {
		begin := time.Now()
		l, err := lab.Up(b.Context(), fig7, lab.Options{})
		if err != nil {
			b.Fatal(err)
		}
		there := time.Now()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		took := there.Sub(begin)
		up, down = up+took, down+time.Since(there)
		if best == 0 || took < best {
			best = took
		}
	}
	each := float64(b.N) * float64(time.Millisecond)
	b.ReportMetric(float64(up)/each, "ms/up")
	b.ReportMetric(float64(down)/each, "ms/down")
	b.ReportMetric(float64(best)/float64(time.Millisecond), "ms/best-up")
	if best > upPromise {
		b.Errorf("the quickest of %d labs was up in %s: want %s", b.N, best, upPromise)
	}
}
