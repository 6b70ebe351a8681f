package check_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
)

// benchServers is how many servers there are: enough for the ports of one not to run out of what is
// left of old connections.
const benchServers = 100

// listen returns servers that accept and close connections until the end of the benchmark.
func listen(b *testing.B) []netip.AddrPort {
	b.Helper()
	var servers []netip.AddrPort
	var all sync.WaitGroup
	b.Cleanup(all.Wait)
	for i := range benchServers {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i))})
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		})
		b.Cleanup(func() { _ = l.Close() })
		servers = append(servers, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return servers
}

// BenchmarkTCP is one check, with what the server that accepts it costs.
func BenchmarkTCP(b *testing.B) {
	servers := listen(b)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := check.TCP{Target: servers[i%len(servers)], Timeout: time.Second}
		if err := c.Check(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRunnerTCP is the same by a Runner: tasks that are always due.
func BenchmarkRunnerTCP(b *testing.B) {
	var checkers []check.Checker
	for _, s := range listen(b) {
		checkers = append(checkers, check.TCP{Target: s, Timeout: 10 * time.Second})
	}
	runRounds(b, checkers)
}

// BenchmarkRunner is what the Runner alone costs.
func BenchmarkRunner(b *testing.B) {
	runRounds(b, slices.Repeat([]check.Checker{check.All{}}, benchServers))
}

// counted tells of each attempt.
type counted struct {
	check.Checker
	attempts chan<- struct{}
}

func (c counted) Check(ctx context.Context) error {
	err := c.Checker.Check(ctx)
	if err != nil && ctx.Err() == nil {
		return err
	}
	select {
	case c.attempts <- struct{}{}:
	case <-ctx.Done():
	}
	return nil
}

// runRounds has a Runner make b.N attempts.
func runRounds(b *testing.B, checkers []check.Checker) {
	r := check.NewRunner(func(r check.Report) {
		if r.Change == check.Down {
			b.Error(r.Err)
		}
	})
	attempts := make(chan struct{}, len(checkers))
	var all []check.Task
	for i, c := range checkers {
		all = append(all, check.Task{
			ID: fmt.Sprint(i), Checker: counted{c, attempts}, Timeout: time.Hour,
			Params: check.Params{Interval: time.Microsecond},
		})
	}
	if err := r.Set(all); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	for range b.N {
		<-attempts
	}
	b.StopTimer()
	cancel()
	<-ended
}
