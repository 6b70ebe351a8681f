package instance

import (
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
	of    []*member // of each packet
	owner []*Runner // likewise
	since time.Time // when the first of them came
}

// join has the advert of m wait, and reports whether it does; if not, it is to be sent at once.
func (a *adverts) join(r *Runner, m *member) bool {
	sock, ok := m.sock.(Joiner)
	if !ok || len(m.dests) != 1 {
		return false
	}
	dst := m.dests[0]
	b, err := r.encode(m, r.group.Member(m.index).Priority(), dst)
	if err != nil || !sock.Join(&a.burst, b, m.source, dst) {
		return false
	}
	if len(a.of) == 0 {
		a.since = r.now
	}
	a.of, a.owner = append(a.of, m), append(a.owner, r)
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
	for i, m := range a.of {
		var err error
		if errs != nil {
			err = errs[i]
		}
		r := a.owner[i]
		r.waiting--
		r.sent(m, r.group.Member(m.index).Priority(), err)
	}
	clear(a.of)
	clear(a.owner)
	a.of, a.owner = a.of[:0], a.owner[:0]
}

// flush sends the adverts of r that wait for others.
func (r *Runner) flush() {
	if r.waiting > 0 {
		r.adverts.send()
	}
}

// goesOn reports whether all that is to be done is to send adverts.
func goesOn(actions []vrrp.MemberAction) bool {
	for _, a := range actions {
		if _, ok := a.Action.(vrrp.SendAdvert); !ok {
			return false
		}
	}
	return len(actions) > 0
}

// advertise sends the adverts of masters that go on, together with those of others if it may.
func (r *Runner) advertise(actions []vrrp.MemberAction) {
	r.flush()
	for _, a := range actions {
		m := r.members[a.Member]
		if m.sock == nil || r.adverts != nil && r.adverts.join(r, m) {
			continue
		}
		r.perform(r.now, a.Member, a.Action)
	}
}
