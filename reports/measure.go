package reports

import (
	"cmp"
	"slices"
	"time"
)

// Gap is a run of requests of one client that were not answered, one after the other.
type Gap struct {
	Client string
	// From is when the first of them was sent, To when the next answered one was: by the schedule of
	// sending, so that a late answer does not shorten it.
	From, To time.Duration
	// Lost is how many requests were in it.
	Lost int
	// Open says that the window ended before a request was answered: To is the window's end and the
	// gap lasted at least so long.
	Open bool
}

// Length is the time from From to To.
func (g Gap) Length() time.Duration { return g.To - g.From }

// Gaps returns every gap within a window in order of From. A gap that began before the window
// counts from the first request sent inside it.
func Gaps(rec *Recording, w Window) []Gap {
	var gaps []Gap
	current := map[string]int{} // client -> the place in gaps of its open one
	for _, r := range within(rec, w) {
		i, open := current[r.Client]
		switch {
		case r.Outcome != Answered && open:
			gaps[i].Lost++
		case r.Outcome != Answered:
			current[r.Client] = len(gaps)
			gaps = append(gaps, Gap{Client: r.Client, From: r.Sent, To: w.To, Lost: 1, Open: true})
		case open:
			gaps[i].To, gaps[i].Open = r.Sent, false
			delete(current, r.Client)
		}
	}
	return gaps
}

// Outage returns the longest gap of any client within a window; of equal ones the first. No
// gap: the zero Gap. It is what the client worst off saw: that another was served meanwhile
// shortens nothing.
func Outage(rec *Recording, w Window) Gap { return longest(Gaps(rec, w)) }

// Outages returns the longest gap of each client within a window, in the order of Clients; for a
// client without one a Gap of its name alone.
func Outages(rec *Recording, w Window) []Gap {
	gaps := Gaps(rec, w)
	var worst []Gap
	for _, client := range Clients(rec) {
		own := slices.DeleteFunc(slices.Clone(gaps), func(g Gap) bool { return g.Client != client })
		g := longest(own)
		g.Client = client
		worst = append(worst, g)
	}
	return worst
}

func longest(gaps []Gap) Gap {
	var worst Gap
	for _, g := range gaps {
		if g.Length() > worst.Length() {
			worst = g
		}
	}
	return worst
}

// Clients returns the names of the clients that sent requests, in the topology's order, unknown
// ones after that in order of name.
func Clients(rec *Recording) []string {
	return named(rec, "client", func(r *Request) string { return r.Client }, false)
}

// Servers returns the names of the topology's real servers in its order, and after them what else
// answered in order of name.
func Servers(rec *Recording) []string {
	return named(rec, "real-server", func(r *Request) string { return r.Server }, true)
}

// named collects the names of a role's nodes and of requests: of those nodes all, or only those
// that stand in a request.
func named(rec *Recording, role string, of func(*Request) string, all bool) []string {
	seen := map[string]bool{}
	var few []string // of the names seen, to look up most without the map
	for i := range rec.Requests {
		name := of(&rec.Requests[i])
		if name == "" || slices.Contains(few, name) {
			continue
		}
		if seen[name] = true; len(few) < 8 {
			few = append(few, name)
		}
	}
	var names []string
	for _, n := range rec.Nodes {
		if n.Role == role && (all || seen[n.Name]) {
			names = append(names, n.Name)
			delete(seen, n.Name)
		}
	}
	known := len(names)
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names[known:])
	return names
}

// Counts are numbers of requests by their outcome.
type Counts struct {
	Sent, Answered, Late, Refused, Timeout, Failed int
}

// Lost is how many requests were not served: everything but Answered.
func (c Counts) Lost() int { return c.Sent - c.Answered }

// Count counts the requests sent within a window.
func Count(rec *Recording, w Window) Counts {
	var c Counts
	for _, r := range within(rec, w) {
		c.Sent++
		switch r.Outcome {
		case Answered:
			c.Answered++
		case Late:
			c.Late++
		case Refused:
			c.Refused++
		case Timeout:
			c.Timeout++
		case Failed:
			c.Failed++
		}
	}
	return c
}

// Share is how many requests of a window one real server answered.
type Share struct {
	Server   string
	Answered int
}

// Shares counts the answered requests of a window by real server, in the order of Servers,
// those with none included.
func Shares(rec *Recording, w Window) []Share { return sharesOf(rec, w, Servers(rec)) }

// sharesOf is Shares with the servers known.
func sharesOf(rec *Recording, w Window, servers []string) []Share {
	count := map[string]int{}
	for _, server := range Turns(rec, w) {
		count[server]++
	}
	var shares []Share
	for _, server := range servers {
		shares = append(shares, Share{server, count[server]})
	}
	return shares
}

// Turns returns the real servers that answered the requests of a window, one for each answered
// request in order of sending.
func Turns(rec *Recording, w Window) []string {
	var turns []string
	for _, r := range within(rec, w) {
		if r.Outcome == Answered {
			turns = append(turns, r.Server)
		}
	}
	return turns
}

// Latency describes the latencies of answered requests. With a Count of 0 all else is 0.
type Latency struct {
	Count                   int
	Min, P50, P95, P99, Max time.Duration
}

// Latencies describes the latencies of the requests sent within a window that were answered; the
// percentiles are of the nearest rank, so each is a latency that occurred.
func Latencies(rec *Recording, w Window) Latency {
	var all []time.Duration
	for _, r := range within(rec, w) {
		if r.Outcome == Answered {
			all = append(all, r.Latency)
		}
	}
	if len(all) == 0 {
		return Latency{}
	}
	slices.SortFunc(all, cmp.Compare[time.Duration])
	rank := func(percent int) time.Duration { return all[(len(all)*percent+99)/100-1] }
	return Latency{Count: len(all), Min: all[0], P50: rank(50), P95: rank(95), P99: rank(99),
		Max: all[len(all)-1]}
}
