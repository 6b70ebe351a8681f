package probe

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/reports"
)

// BenchmarkRecording measures what recording takes of a probe's rate: requests as fast as they can
// be answered, one after another over loopback on one processor, measured but not recorded, and
// recorded. A record goes the whole way: encoded, through a pipe, decoded, and kept. The rate of a
// processor that is never idle is what its time allows, so the times are the processor's, which the
// load of the machine moves little. Rounds of both take turns, and the medians are compared.
func BenchmarkRecording(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const round = 100
	p, kept := recorded(b)
	p.order.Target = served(b)
	ask := func() httpRecord {
		r := p.probe(p.clock.Now())
		if r.Request.Outcome != reports.Answered {
			b.Fatal(r.Request.Detail)
		}
		return r
	}
	var alone, with []time.Duration
	for b.Loop() {
		begin := processorTime(b)
		for range round {
			ask()
		}
		middle := processorTime(b)
		for range round {
			p.write(ask())
		}
		if err := p.failure(); err != nil {
			b.Fatal(err)
		}
		kept(round)
		alone, with = append(alone, middle-begin), append(with, processorTime(b)-middle)
	}
	seconds := func(all []time.Duration) float64 {
		slices.Sort(all)
		return all[len(all)/2].Seconds()
	}
	b.ReportMetric(round/seconds(alone), "requests/s")
	b.ReportMetric(round/seconds(with), "recorded/s")
	b.ReportMetric(100*(1-seconds(alone)/seconds(with)), "%lost")
}

// processorTime is what this process has taken of the processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// recorded returns the inside of a probe's process whose records are read and kept, and what waits
// until so many more of them are.
func recorded(b *testing.B) (p *prober, kept func(int)) {
	b.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	var recorder Recorder
	done := make(chan struct{}, 1024)
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			r, err := parseRecord(lines.Text())
			if err != nil {
				b.Error(err)
				return
			}
			recorder.Request(r.Request)
			done <- struct{}{}
		}
	}()
	b.Cleanup(func() {
		out.Close()
		<-done
		in.Close()
	})
	p = &prober{out: out, order: httpOrder{Client: "client1", Limit: 10 * time.Second,
		Tolerance: time.Hour}}
	return p, func(n int) {
		for range n {
			<-done
		}
	}
}

// served answers every connection on loopback as a real server does.
func served(b *testing.B) netip.AddrPort {
	b.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	b.Cleanup(func() {
		listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		request := make([]byte, 4096)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(request)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"+
				"Connection: close\r\n\r\nweb1\n")
			conn.Close()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}
