package reports

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// taking is the taking of VIPs by one node.
type taking struct {
	from, to string
	// vips are the VIPAdd events.
	vips []Event
	// trigger is from the fault or heal before to the next one, turn what of it no other taking has.
	trigger, turn Window
}

// advertising is a change of what a node's adverts for a virtual router say, or the end of them.
type advertising struct {
	node, router, state string
	// at is when: of silence the time of the last advert.
	at       time.Duration
	priority int
	// interval is that of a silent one's adverts; 0: not known.
	interval time.Duration
}

// handover is a recording and what is known of its masters.
type handover struct {
	rec     *Recording
	adverts []advertising
	// triggers are windows from one fault or heal to the next; the first one has no name.
	triggers []Window
}

func newHandover(rec *Recording) *handover {
	end := max(rec.Length, 1)
	h := &handover{rec: rec, triggers: []Window{{To: end}}}
	for _, ev := range rec.Events {
		switch ev.Kind {
		case FaultInject, FaultHeal:
			name := strings.TrimSpace(ev.Subject + " " + ev.Node)
			if ev.Kind == FaultHeal {
				name = "heal of " + name
			}
			h.triggers[len(h.triggers)-1].To = ev.At
			h.triggers = append(h.triggers, Window{Name: name, From: ev.At, To: max(end, ev.At+1)})
		case State:
			h.adverts = append(h.adverts, parseState(ev))
		}
	}
	slices.SortStableFunc(h.adverts, func(a, b advertising) int { return cmp.Compare(a.at, b.at) })
	return h
}

// silentAfter is after how many intervals without an advert a node counts as silent: lab/probe's.
const silentAfter = 3.5

// parseState reads a State event, for example one that says "client: virtual router 51, priority
// 150, last advert at 4.4s".
func parseState(ev Event) advertising {
	a := advertising{node: ev.Node, state: ev.Subject, at: ev.At}
	router, rest, _ := strings.Cut(ev.Detail, ", ")
	a.router = router
	for part := range strings.SplitSeq(rest, ", ") {
		if text, ok := strings.CutPrefix(part, "priority "); ok {
			// What is no number is not known.
			a.priority, _ = strconv.Atoi(text)
		}
		if text, ok := strings.CutPrefix(part, "last advert at "); ok {
			if at, err := time.ParseDuration(text); err == nil && at <= ev.At {
				a.at, a.interval = at, time.Duration(float64(ev.At-at)/silentAfter)
			}
		}
	}
	return a
}

// takings groups the VIPAdd events of VIPs that another node had before.
func (h *handover) takings() []taking {
	var all []taking
	holder := map[string]string{} // VIP -> the last node that took it
	for _, ev := range h.rec.Events {
		if ev.Kind != VIPAdd {
			continue
		}
		before, known := holder[ev.Subject]
		holder[ev.Subject] = ev.Node
		if !known || before == ev.Node {
			continue
		}
		w := h.triggered(ev.At)
		i := slices.IndexFunc(all, func(k taking) bool {
			return k.to == ev.Node && k.trigger == w && !slices.ContainsFunc(k.vips,
				func(other Event) bool { return other.Subject == ev.Subject })
		})
		if i < 0 {
			i = len(all)
			all = append(all, taking{from: before, to: ev.Node, trigger: w})
		}
		all[i].vips = append(all[i].vips, ev)
	}
	for i := range all {
		all[i].turn = all[i].trigger
		if i > 0 && all[i-1].trigger == all[i].trigger {
			all[i].turn.From = all[i-1].last()
		}
		if i+1 < len(all) && all[i+1].trigger == all[i].trigger {
			all[i].turn.To = max(all[i+1].vips[0].At, all[i].turn.From)
		}
	}
	return all
}

// last is when the last of the VIPs was taken.
func (k taking) last() time.Duration { return k.vips[len(k.vips)-1].At }

// triggered is the window that begins with the last fault or heal before a time.
func (h *handover) triggered(at time.Duration) Window {
	w := h.triggers[0]
	for _, next := range h.triggers[1:] {
		if next.From > at {
			break
		}
		w = next
	}
	return w
}

// becameMaster returns for each virtual router when the taker began to advertise in its turn.
func (h *handover) becameMaster(k taking) []advertising {
	var all []advertising
	state := map[string]string{}
	for _, a := range h.adverts {
		if a.node != k.to {
			continue
		}
		if a.state == "master" && state[a.router] != "master" && k.turn.Contains(a.at) {
			all = append(all, a)
		}
		state[a.router] = a.state
	}
	return all
}

// begin says why VIPs changed hands, and when that began. Who was silent for less than two
// intervals before the taker made up its mind still advertised.
func (h *handover) begin(k taking, decided time.Duration) (Cause, time.Duration) {
	died := time.Duration(-1)
	for _, a := range h.adverts {
		if a.node != k.from || a.at > decided {
			continue
		}
		switch {
		case a.state == "leaving" && k.turn.Contains(a.at):
			return Left, a.at
		case a.state == "master":
			died = -1 // whatever was silent before
		case a.state == "silent" && a.interval > 0 && decided-a.at > 2*a.interval && died < 0:
			died = a.at
		}
	}
	switch {
	case died >= 0:
		return Died, died
	case k.trigger.Name != "":
		return Preempted, min(k.trigger.From, decided)
	}
	return Preempted, decided
}

// claimed returns when the taker had claimed each of its VIPs for the first time in its turn;
// false: no claim was recorded.
func (h *handover) claimed(k taking) (time.Duration, bool) {
	var at time.Duration
	found := false
	for _, vip := range k.vips {
		i := slices.IndexFunc(h.rec.Events, func(ev Event) bool {
			return ev.Kind == Claim && ev.Node == k.to && ev.Subject == vip.Subject &&
				k.turn.Contains(ev.At)
		})
		if i >= 0 {
			at, found = max(at, h.rec.Events[i].At), true
		}
	}
	return at, found
}

// served returns when the client that was worst off had an answer again; false: none lost a
// request, or none was answered before the next fault or heal.
func (h *handover) served(k taking, begin time.Duration) (time.Duration, bool) {
	w := Window{From: min(begin, k.turn.From), To: k.turn.To}
	var worst Gap
	for _, g := range Gaps(h.rec, w) {
		if g.From <= k.last() && g.Length() > worst.Length() {
			worst = g
		}
	}
	if worst.Lost == 0 || worst.Open {
		return 0, false
	}
	for _, q := range within(h.rec, Window{From: worst.To, To: h.rec.Length}) {
		if q.Client == worst.Client && q.Outcome == Answered {
			return q.Sent + q.Latency, true
		}
	}
	return 0, false
}

// vipName is the name of a VIP by its address; of an unknown one its address.
func (h *handover) vipName(addr string) string {
	for _, v := range h.rec.VIPs {
		if isAddr(addr, v.Addr) {
			return v.Name
		}
	}
	return addr
}
