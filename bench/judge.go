package bench

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// vipsOf are the addresses of a topology's VIPs.
func vipsOf(t topology.Topology) []netip.Addr {
	var vips []netip.Addr
	for _, v := range t.VIPs {
		vips = append(vips, v.Addr)
	}
	return vips
}

// recording is what the run has recorded, as far as an outage needs it.
func (r *outageRun) recording(vips []netip.Addr) *reports.Recording {
	rec := &reports.Recording{Length: r.lab.Now(), Events: r.recorder.Events(),
		Requests: r.recorder.Requests()}
	for _, v := range vips {
		rec.VIPs = append(rec.VIPs, reports.VIP{Name: v.String(), Addr: v})
	}
	return rec
}

// judgeOutage measures a recording within the window from a fault on; backup is the node that shall
// take over. Phase is not set.
func judgeOutage(rec *reports.Recording, w reports.Window, backup string) Outage {
	c := reports.Count(rec, w)
	out := Outage{
		Watched: w.Length(), Client: reports.Outage(rec, w).Length(), Lost: c.Lost(), Sent: c.Sent,
		Settled: settled(rec, w),
	}
	for _, v := range rec.VIPs {
		out.Neither = max(out.Neither, reports.Neither(rec, v.Addr, w))
		out.Both = max(out.Both, reports.Both(rec, v.Addr, w))
		at := gained(rec, w, v.Addr, backup)
		if at == Never || out.Takeover == Never {
			out.Takeover = Never
		} else {
			out.Takeover = max(out.Takeover, at)
		}
	}
	return out
}

// gained is from the begin of a window until a node gets a VIP.
func gained(rec *reports.Recording, w reports.Window, vip netip.Addr, node string) time.Duration {
	for _, ev := range rec.Events {
		if ev.Kind == reports.VIPAdd && ev.Node == node && ev.Subject == vip.String() &&
			w.Contains(ev.At) {
			return ev.At - w.From
		}
	}
	return Never
}

// settled is from the begin of a window until the same director alone has every VIP, up to its end.
func settled(rec *reports.Recording, w reports.Window) time.Duration {
	since := w.From
	var owner []string
	for _, v := range rec.VIPs {
		for _, t := range reports.Owners(rec, v.Addr) {
			if t.From >= w.To || t.To < w.To {
				continue
			}
			if len(t.Nodes) != 1 || owner != nil && !slices.Equal(owner, t.Nodes) {
				return Never
			}
			owner, since = t.Nodes, max(since, t.From)
		}
	}
	if owner == nil {
		return Never
	}
	return since - w.From
}
