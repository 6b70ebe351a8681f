package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// nothingLost looks for a request that was lost while nothing had a right to cost one.
func (h *history) nothingLost(slack time.Duration) reports.Finding {
	costly, stalls := h.costly(slack), stallsOf(h.rec)
	lost, sent := 0, 0
	var first reports.Request
	for _, q := range h.rec.Requests {
		if !h.watched.Contains(q.Sent) || inAny(q.Sent, costly) {
			continue
		}
		sent++
		silent := q.Outcome == reports.Timeout || q.Outcome == reports.Late
		if q.Outcome == reports.Answered || silent && slack > 0 && near(q, stalls, slack) {
			continue
		}
		if lost++; lost == 1 {
			first = q
		}
	}
	f := none(lost, fmt.Sprintf("%d of %d, the first from %s at %s: %s", lost, sent, first.Client,
		round(first.Sent), strings.TrimSpace(string(first.Outcome)+" "+first.Detail)))
	return f
}

// reachable looks for a VIP whose one owner is not the one that frames for it are sent to.
func (h *history) reachable(slack time.Duration) reports.Finding {
	astray, n := h.astray(slack), 0
	for i, tenures := range h.owners {
		vip := h.rec.VIPs[i]
		for _, t := range tenures {
			if len(t.Nodes) != 1 {
				continue
			}
			w := h.watchedPart(t.From, t.To)
			w.From += Allowance + slack // to say so, and to be heard
			for _, part := range outside(w, astray) {
				n++
				if what := h.elsewhere(vip, t.Nodes[0], part); what != "" {
					return broken("%s, %s, was on %s alone from %s to %s: %s", vip.Name,
						vip.Addr, t.Nodes[0], round(t.From), round(t.To), what)
				}
			}
		}
	}
	return stood(plural(n, "tenure"))
}

// elsewhere says how frames for a VIP go to another node than its owner within a window; "": they
// do not.
func (h *history) elsewhere(vip reports.VIP, owner string, w reports.Window) string {
	network := h.networkOf(vip)
	var said assertions
	ports := map[string]string{} // of a MAC address on the VIP's network
	for _, ev := range h.rec.Events {
		if ev.At >= w.To {
			break
		}
		switch {
		case ev.Kind == reports.Claim && ev.Subject == vip.Addr.String():
			said.hear(ev)
		case ev.Kind == reports.FaultHeal && retracts(ev):
			said.forget(ev.Node)
		case ev.Kind == reports.Bridge && ev.Detail == network:
			ports[ev.Subject] = ev.Node
		default:
			continue
		}
		if !w.Contains(ev.At) {
			continue
		}
		if what := wayOf(owner, said.last(), ports); what != "" {
			return fmt.Sprintf("at %s %s", round(ev.At), what)
		}
	}
	if what := wayOf(owner, said.last(), ports); what != "" {
		return fmt.Sprintf("at %s %s", round(w.From), what)
	}
	return ""
}

// assertion is that a node has a VIP at a MAC address.
type assertion struct{ node, mac string }

// assertions are what each node said last of a VIP, who spoke last at the end.
type assertions []assertion

func (s *assertions) hear(ev reports.Event) {
	s.forget(ev.Node)
	mac, _, _ := strings.Cut(ev.Detail, " ")
	*s = append(*s, assertion{ev.Node, mac})
}

// forget has what a node said be as if it had not.
func (s *assertions) forget(node string) {
	*s = slices.DeleteFunc(*s, func(one assertion) bool { return one.node == node })
}

// last is the zero assertion where nobody said anything.
func (s assertions) last() assertion {
	if len(s) == 0 {
		return assertion{}
	}
	return s[len(s)-1]
}

// retracts says that a heal has everybody forget what its node said.
func retracts(ev reports.Event) bool {
	kind, err := faults.ParseKind(ev.Subject)
	e, _ := entitlementOf(kind)
	return err == nil && e.retracts
}

// wayOf says how the node that claimed a VIP last, and the port that frames for its MAC address go
// to, are not the owner; "": they are. Of an address that the bridge was never seen to learn nothing
// is known.
func wayOf(owner string, said assertion, ports map[string]string) string {
	port := ports[said.mac]
	switch {
	case said.node == "":
		return "nobody had ever said that it has it"
	case said.node != owner:
		return said.node + " was the last to say that it has it"
	case port != "" && port != owner:
		return fmt.Sprintf("the network sent frames for %s to %s", said.mac, port)
	}
	return ""
}

// networkOf is the network of a VIP.
func (h *history) networkOf(vip reports.VIP) string {
	for _, v := range h.scenario.Topology.VIPs {
		if v.Addr == vip.Addr {
			return v.Network
		}
	}
	return ""
}

// advertsCome looks for a director that had VIPs in peace and was late to advertise them.
func (h *history) advertsCome(slack time.Duration) reports.Finding {
	unrest := h.unrest(slack)
	interval := h.scenario.Topology.VRRP.Advert
	n := 0
	first := ""
	for _, ev := range h.rec.Events {
		late := ev.Kind == reports.AdvertGap || ev.Kind == reports.State && ev.Subject == "silent"
		if !late || !h.watched.Contains(ev.At) || inAny(ev.At, unrest) || !h.holds(ev.Node, ev.At) {
			continue
		}
		what := fmt.Sprintf("was silent, %s", ev.Detail)
		if ev.Kind == reports.AdvertGap {
			gap, err := time.ParseDuration(ev.Detail)
			if err != nil || gap <= interval*3/2+slack {
				continue
			}
			what = fmt.Sprintf("came %s after the last one, %s", round(gap), ev.Subject)
		}
		if n++; n == 1 {
			first = fmt.Sprintf("the first at %s: %s %s", round(ev.At), ev.Node, what)
		}
	}
	return none(n, first)
}

// holds says whether a node had a VIP at an offset, or just before.
func (h *history) holds(node string, at time.Duration) bool {
	for _, tenures := range h.owners {
		for _, t := range tenures {
			if t.From <= at && at <= t.To && slices.Contains(t.Nodes, node) {
				return true
			}
		}
	}
	return false
}

// turnTolerance is how exactly a takeover comes when it must, with a quiet machine.
const turnTolerance = 150 * time.Millisecond

// inTurn compares the time of each takeover with the one that the protocol gives.
func (h *history) inTurn(slack time.Duration) reports.Finding {
	n := 0
	for i, ev := range h.rec.Events {
		if !h.watched.Contains(ev.At) || !h.begins(i) {
			continue
		}
		due, why, ok := h.due(i)
		if !ok {
			continue
		}
		n++
		if off := ev.At - due; off.Abs() > turnTolerance+slack {
			return broken("%s began to advertise at %s, which was due at %s, %s", ev.Node, round(ev.At),
				round(due), why)
		}
	}
	if n == 0 {
		return stood("no takeover")
	}
	return stood(plural(n, "takeover") + " in time")
}

// begins says whether an event is that a node begins to advertise, the first of its virtual
// routers: those of a sync group follow one another at once.
func (h *history) begins(i int) bool {
	ev := h.rec.Events[i]
	if ev.Kind != reports.State || ev.Subject != "master" {
		return false
	}
	for j := i - 1; j >= 0; j-- {
		before := h.rec.Events[j]
		if before.Kind == reports.State && before.Node == ev.Node && before.Subject == "master" {
			left := before.Detail != ev.Detail && ev.At-before.At < Allowance
			return !left && !h.advertising(before, i)
		}
	}
	return true
}

// advertising says whether since an event, up to the i-th, a node did not cease to advertise.
func (h *history) advertising(from reports.Event, i int) bool {
	for j := i - 1; j >= 0 && h.rec.Events[j].At >= from.At; j-- {
		ev := h.rec.Events[j]
		if ev.Kind == reports.State && ev.Node == from.Node && ev.Subject != "master" {
			return false
		}
	}
	return true
}

// due is when the node of the i-th event had to begin to advertise, and why. It is not known where
// no master ceased before, or where the node itself suffered from a fault since.
func (h *history) due(i int) (at time.Duration, why string, ok bool) {
	ev := h.rec.Events[i]
	node, known := h.scenario.Topology.Node(ev.Node)
	if !known {
		return 0, "", false
	}
	down := masterDown(h.scenario.Topology.VRRP, node.Priority)
	skew := down - 3*h.scenario.Topology.VRRP.Advert
	since := time.Duration(0)
	for _, s := range h.ceased(ev.Node, i) {
		when, text := s.at+skew, fmt.Sprintf("%s after %s left", round(skew), s.node)
		if !s.left {
			when = s.at + down
			text = fmt.Sprintf("%s after the last advert of %s", round(down), s.node)
		}
		if !ok || when < at {
			at, why, since, ok = when, text, s.at, true
		}
	}
	for _, f := range h.faults {
		if f.Node == ev.Node && f.From <= ev.At && f.To+down+StartAllowance >= since {
			return 0, "", false
		}
	}
	return at, why, ok
}

// cessation is that a node ceased to advertise a virtual router: with a word, or since its last
// advert without one.
type cessation struct {
	node string
	at   time.Duration
	left bool
}

// ceased are the cessations of the masters before the i-th event, that of a node which takes over;
// one that is silent may count as such a little later only. None, if a master went on.
func (h *history) ceased(by string, i int) []cessation {
	ev := h.rec.Events[i]
	states := map[string]reports.Event{} // the last of each node and virtual router
	for j, e := range h.rec.Events {
		late := e.Subject == "silent" && e.At <= ev.At+h.scenario.Topology.VRRP.Advert
		if e.Kind == reports.State && e.Node != by && (j < i || late) {
			router, _, _ := strings.Cut(e.Detail, ",")
			states[e.Node+" "+router] = e
		}
	}
	var all []cessation
	for _, key := range slices.Sorted(maps.Keys(states)) {
		e := states[key]
		switch e.Subject {
		case "leaving":
			all = append(all, cessation{e.Node, e.At, true})
		case "silent":
			if last, ok := lastAdvert(e.Detail); ok {
				all = append(all, cessation{e.Node, last, false})
			}
		}
	}
	return slices.DeleteFunc(all, func(c cessation) bool {
		return c.at < ev.At-10*h.scenario.Topology.VRRP.Advert ||
			h.role(c.node) != topology.Director.String()
	})
}

// lastAdvert reads when the last advert of a silent one came from the event's detail.
func lastAdvert(detail string) (time.Duration, bool) {
	_, text, ok := strings.Cut(detail, "last advert at ")
	at, err := time.ParseDuration(text)
	return at, ok && err == nil
}
