package instance

import (
	"slices"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// mostTogether is how many adverts wait for others at most, longestWait how long, while Runners
// turn that have more to do than to go on.
const (
	mostTogether = 256
	longestWait  = 2 * time.Millisecond
)

// adverts are those of masters that only go on being it, in one round of a Crowd: they are sent
// together, at the end of the round at the latest. All that a Runner does besides, and all that is
// new about it, comes after what of its own waits here.
type adverts struct {
	burst netif.Burst
	of    []waiting // of each packet
	since time.Time // when the first of them came
}

// waiting is whose advert waits, and of which priority.
type waiting struct {
	r        *Runner
	m        *member
	priority uint8
}

// join has an advert of m wait, and reports whether it does; if not, it is to be sent at once.
func (a *adverts) join(r *Runner, m *member, priority uint8) bool {
	sock, ok := m.sock.(Joiner)
	if !ok || len(m.dests) != 1 {
		return false
	}
	dst := m.dests[0]
	b, err := r.encode(m, priority, dst)
	if err != nil || !sock.Join(&a.burst, b, m.source, dst) {
		return false
	}
	if len(a.of) == 0 {
		a.since = r.now
	}
	a.of = append(a.of, waiting{r, m, priority})
	r.waiting++
	return true
}

// full reports whether it is time to send what waits, at that time.
func (a *adverts) full(now time.Time) bool {
	return len(a.of) >= mostTogether || len(a.of) > 0 && now.Sub(a.since) >= longestWait
}

// send sends what waits.
func (a *adverts) send() {
	errs := a.burst.Send()
	for i, w := range a.of {
		var err error
		if errs != nil {
			err = errs[i]
		}
		w.r.waiting--
		w.r.sent(w.m, w.priority, err)
	}
	clear(a.of)
	a.of = a.of[:0]
}

// flush sends the adverts of r that wait for others.
func (r *Runner) flush() {
	if r.waiting > 0 {
		r.adverts.send()
	}
}

// goesOn reports whether all that is to be done is to send adverts.
func goesOn(actions []vrrp.MemberAction) bool {
	return len(actions) > 0 && !slices.ContainsFunc(actions, func(a vrrp.MemberAction) bool {
		_, sends := a.Action.(vrrp.SendAdvert)
		return !sends
	})
}

// advertise sends the adverts of masters that go on, together with those of others if it may.
func (r *Runner) advertise(actions []vrrp.MemberAction) {
	r.flush()
	for _, a := range actions {
		m, advert := r.members[a.Member], a.Action.(vrrp.SendAdvert)
		if m.sock != nil && (r.adverts == nil || !r.adverts.join(r, m, advert.Priority)) {
			r.send(m, advert.Priority)
		}
	}
}
