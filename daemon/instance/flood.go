package instance

import "github.com/tandemlb/tandem/daemon/vrrp"

// Loser is a Socket that knows how many packets found no room in it.
type Loser interface {
	// Lost counts since the socket was opened, which may be shared, and starts again after 4 billion.
	Lost() (uint32, error)
}

// floodEvery is after how many packets it is looked whether the socket has lost some: of a flood, that
// is often enough, and of a peer's adverts hardly ever.
const floodEvery = 128

// noteFlood counts what m's socket has lost, at every 128th packet that comes.
func (m *member) noteFlood() {
	if m.unasked++; m.unasked < floodEvery {
		return
	}
	was := m.flooded
	m.askFlood()
	m.lost.Add(uint64(m.flooded - was))
}

// askFlood asks how many packets m's socket has lost. One that cannot tell has lost none.
func (m *member) askFlood() {
	m.unasked = 0
	l, ok := m.sock.(Loser)
	if !ok {
		return
	}
	if n, err := l.Lost(); err == nil {
		m.flooded = n
	}
}

// addLost adds to s what has been lost before anybody looked at it.
func (m *member) addLost(s *Status) {
	if n := m.lost.Load(); n > 0 {
		count(&s.Drops, vrrp.DropFlood)
		s.Drops[vrrp.DropFlood] = n
	}
}
