package scenarios

import (
	"fmt"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/lab/probe"
	"github.com/tandemlb/tandem/topology"
)

// fig7RandomFaults draws five faults from the seed.
func fig7RandomFaults() Scenario {
	const count = 5
	t := preset("fig7")
	d := drama{allowance{t, time.Second / probe.DefaultRate}, 3 * time.Second}
	return Scenario{
		Name: "fig7-random-faults",
		Doc: fmt.Sprintf("%d faults, one after another, drawn from the seed: a director killed, "+
			"stopped, frozen, without power or without one of its cables, master or backup, or a real "+
			"server's program ended. Each is healed, and costs no more than it does alone; a fault of "+
			"the backup costs nothing.", count),
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t)}},
		Steps:    []Step{Steady{}},
		Plan: func(seed uint64) []Step {
			l := newLottery(seed)
			var steps []Step
			for range count {
				// A director that has just started is master or backup only after a while.
				steps = append(steps, Observe{For: 2*StartAllowance + l.upTo(2*time.Second)})
				steps = append(steps, d.stage(l.hit(hits(t)), l.upTo(d.hold))...)
			}
			return append(steps, Observe{For: time.Second}, Finish{})
		},
		Bounds: d.bounds(),
	}
}

// fig7Soak is a day.
func fig7Soak() Scenario {
	s := soak(24*time.Hour, 10*time.Minute)
	s.Name = "fig7-soak"
	return s
}

// soak draws a fault from the seed at every interval of a length. In the first third of the time
// any fault may come. After that only those come that end no director's program, so that a leak has
// two thirds of the time to show in one and the same process.
func soak(length, interval time.Duration) Scenario {
	t := preset("fig7")
	t.Services[0].Check.DelayLoop = min(10*time.Second, interval/10)
	d := drama{allowance{t, time.Second}, min(time.Minute, interval/10)}
	warmUp := 6 * interval
	return Scenario{
		Doc: fmt.Sprintf("%s with a fault every %s, drawn from the seed, and one request a second. "+
			"Each fault costs no more than it does alone, and is healed. At the end neither the "+
			"directors' programs nor the lab have more descriptors, threads, goroutines, processes or "+
			"memory than after the first %s. In the first third of the time faults end directors' "+
			"programs as well, later no more, so that what leaks has time to show.",
			hours(length), hours(interval), hours(warmUp)),
		Topology: t,
		Needs:    []lab.Capability{lab.VirtualTime},
		Long:     true,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t), Rate: 1}},
		Steps:    []Step{Steady{}},
		Plan:     func(seed uint64) []Step { return soakPlan(d, seed, length, interval) },
		Bounds:   append(d.bounds(), noLeak(warmUp)...),
	}
}

// soakPlan puts a fault somewhere in the second quarter of each interval.
func soakPlan(d drama, seed uint64, length, interval time.Duration) []Step {
	l := newLottery(seed)
	all := hits(d.topology)
	var lasting []hit
	for _, h := range all {
		if !h.ends() {
			lasting = append(lasting, h)
		}
	}
	var steps []Step
	from := all
	for begin := time.Duration(0); begin < length; begin += interval {
		if begin >= length/3 && len(from) != len(lasting) {
			from, l.left = lasting, nil
		}
		steps = append(steps, Until{At: begin + interval/4 + l.upTo(interval/4)})
		steps = append(steps, d.stage(l.hit(from), l.upTo(d.hold))...)
		steps = append(steps, Until{At: begin + interval*9/10}, Sample{})
	}
	return append(steps, Until{At: length}, Finish{})
}

// hours prints a long time without its zeros.
func hours(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return plural(int(d/time.Hour), "hour")
	case d%time.Minute == 0:
		return plural(int(d/time.Minute), "minute")
	}
	return d.String()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fig5MillionAdverts is three hours of the fastest adverts that there are.
func fig5MillionAdverts() Scenario {
	s := quiet(3*time.Hour, 10*time.Millisecond)
	s.Name = "fig5-million-adverts"
	return s
}

// quiet watches two directors that have nothing to do but to advertise.
func quiet(length, interval time.Duration) Scenario {
	t := preset("fig5")
	t.VRRP = topology.VRRP{Version: 3, Advert: interval}
	least := int(length / interval * 99 / 100)
	return Scenario{
		Doc: fmt.Sprintf("Two directors advertise every %s for %s, and nothing is broken: the master "+
			"never stays silent, the backup never takes over, and no client loses a request.", interval,
			hours(length)),
		Topology: t,
		Needs:    []lab.Capability{lab.VirtualTime},
		Long:     true,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t), Rate: 1}},
		Steps:    []Step{Steady{}, CountAdverts{For: length}, Finish{}},
		Bounds: []Bound{advertsAtLeast(Best(t), least), counting().noTransition(),
			counting().nothingLost()},
	}
}
