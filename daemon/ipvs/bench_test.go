package ipvs_test

import (
	"context"
	"testing"

	"github.com/tandemlb/tandem/daemon/ipvs"
)

// BenchmarkReconciler has a Reconciler fill the kernel's table with 5,000 destinations in 20
// services, and take one destination out and in again.
func BenchmarkReconciler(b *testing.B) {
	k := kernelTable(b)
	passes := make(chan ipvs.Status, 10)
	r := ipvs.New(k, ipvs.Options{Changed: func(s ipvs.Status) { passes <- s }})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	next := func() {
		b.Helper()
		if s := <-passes; !s.Synced {
			b.Fatalf("status %+v, want synced", s)
		}
	}
	want := many(20, 5000)
	b.Run("fill", func(b *testing.B) {
		for b.Loop() {
			r.Set(want)
			next()
			b.StopTimer()
			r.Set(nil)
			next()
			b.StartTimer()
		}
	})
	r.Set(want)
	next()
	b.Run("one destination", func(b *testing.B) {
		less := want[7]
		less.Destinations = less.Destinations[1:]
		for b.Loop() {
			r.SetService(less)
			next()
			r.SetService(want[7])
			next()
		}
	})
}
