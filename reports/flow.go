package reports

import (
	"cmp"
	"fmt"
	"slices"
)

// flows are the flow classes in the order in which reports show them.
var flows = []Flow{FlowNew, FlowHeld, FlowUDP, FlowICMP}

// FlowLoss is what became of one flow class in a window.
type FlowLoss struct {
	Flow Flow
	// Sent is how many requests or pings were sent, Lost how many of them were not answered in time.
	Sent, Lost int
	// Outage is the longest gap of a client.
	Outage Gap
	// Broken is how many kept connections broke, Held how many of the recording's Streams there were
	// at the window's begin; of FlowHeld only.
	Broken, Held int
}

// FlowLosses returns the losses of each flow class of which the recording has anything.
func FlowLosses(rec *Recording, w Window) []FlowLoss {
	var all []FlowLoss
	for _, flow := range flows {
		own := recordingOfFlow(rec, flow)
		count := Count(own, w)
		loss := FlowLoss{Flow: flow, Sent: count.Sent, Lost: count.Lost(), Outage: Outage(own, w)}
		if flow == FlowHeld {
			for _, s := range Survivals(rec, w) {
				loss.Held, loss.Broken = loss.Held+s.Held, loss.Broken+s.Lost
			}
			for _, p := range rec.Pings {
				if p.Broke && w.Contains(p.Sent) {
					loss.Broken++
				}
			}
		}
		if len(own.Requests) > 0 || loss.Held > 0 {
			all = append(all, loss)
		}
	}
	return all
}

// recordingOfFlow is a recording whose requests are those of a flow class alone.
func recordingOfFlow(rec *Recording, flow Flow) *Recording {
	own := &Recording{Length: rec.Length, Nodes: rec.Nodes, Requests: rec.Requests}
	if flow == FlowNew {
		return own
	}
	own.Requests = nil
	for _, p := range rec.Pings {
		if p.Flow == flow {
			own.Requests = append(own.Requests, Request{Sent: p.Sent, Latency: p.Latency,
				Client: p.Client, Outcome: p.Outcome, Detail: p.Detail})
		}
	}
	return own
}

// SortPings puts pings in the order that a recording has them in.
func SortPings(pings []Ping) {
	slices.SortStableFunc(pings, func(a, b Ping) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Client, b.Client),
			cmp.Compare(a.Flow, b.Flow))
	})
}

// flowLanes has a lane for each client and flow class of pings: those that it lost.
func (t *timeline) flowLanes() {
	if len(t.rec.Pings) == 0 {
		return
	}
	t.heading("Lost of other flows")
	for _, flow := range flows[1:] {
		own := recordingOfFlow(t.rec, flow)
		for _, client := range Clients(own) {
			title := fmt.Sprintf("%s, %s: pings lost, by the time of sending", client, flow)
			top := t.laneOnly(title)
			t.text("scaledlabel", 4, top+laneHeight-11, cut(shortFlow(flow), 14))
			t.text("scale", 4, top+laneHeight+2, cut(client, 18))
			t.lossBoxes(own, client, top, func(l loss) string { return "✕ " + shown(l.to-l.from) })
		}
	}
}

// shortFlow is a flow class in a word or two.
func shortFlow(f Flow) string {
	if f == FlowHeld {
		return "established"
	}
	return string(f)
}

// lossBoxes draws what a client lost of the requests of a recording.
func (t *timeline) lossBoxes(rec *Recording, client string, top float64, label func(loss) string) {
	for _, l := range t.losses(rec, client) {
		part := float64(l.count.Lost()) / float64(max(l.count.Sent, 1))
		height := laneHeight * max(part, 0.35)
		b := box{class: "lost", from: l.from, to: l.to,
			label: label(l), title: l.title(client)}
		t.box(b, top+laneHeight-height, height)
		if t.x(l.to)-t.x(l.from) < 60 {
			fmt.Fprintf(&t.out, `<path class="lostmark" d="M%s %sl7 7m0 -7l-7 7"/>`+"\n",
				num(max(t.x(l.to), t.x(l.from)+2)+4), num(top+laneHeight/2-4))
		}
	}
}

// flowView is a FlowLoss in words.
type flowView struct{ Flow, Sent, Lost, Outage, When, Connections string }

// flowViews are the flow classes of a recording; none where it has new connections only.
func flowViews(rec *Recording) []flowView {
	if len(rec.Pings) == 0 && len(rec.Streams) == 0 {
		return nil
	}
	from := Whole(rec)
	if faults := Faults(rec); len(faults) > 0 {
		from.From = faults[0].From
	}
	var views []flowView
	for _, l := range FlowLosses(rec, from) {
		v := flowView{Flow: string(l.Flow), Sent: fmt.Sprint(l.Sent), Lost: fmt.Sprint(l.Lost),
			Outage: outageText(l.Outage), When: "–", Connections: "–"}
		if l.Sent == 0 {
			v.Sent, v.Lost, v.Outage = "–", "–", "–"
		}
		if l.Outage.Lost > 0 {
			v.When = fmt.Sprintf("%s, from %s", l.Outage.Client, shown(l.Outage.From))
		}
		switch {
		case l.Held > 0:
			v.Connections = fmt.Sprintf("%d of %d", l.Broken, l.Held)
		case l.Flow == FlowHeld:
			v.Connections = fmt.Sprint(l.Broken)
		}
		views = append(views, v)
	}
	return views
}
