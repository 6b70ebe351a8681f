package reports

import (
	"time"
)

// Stream is one connection that a client opened and kept in use: a request and its answer again and
// again.
type Stream struct {
	Client string `json:"client"`
	// Server is the real server that answered first.
	Server string `json:"server"`
	// Opened is when the first answer came.
	Opened time.Duration `json:"opened_ns"`
	// Closed is when the client closed it by its plan, or the recording ended; zero: it broke.
	Closed time.Duration `json:"closed_ns,omitempty"`
	// Broken is when the first request was sent that got no answer; zero: none.
	Broken time.Duration `json:"broken_ns,omitempty"`
	// Outcome is how its last request ended: Answered unless it broke.
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail,omitempty"`
}

// inFlight is how long before a moment a request may have been sent that the moment still concerns:
// longer than an answer takes on a quiet network.
const inFlight = 250 * time.Millisecond

// at says whether the stream was there just before a moment.
func (s *Stream) at(moment time.Duration) bool {
	if s.Opened > moment {
		return false
	}
	if s.Outcome == Answered {
		return s.Closed > moment
	}
	return s.Broken > moment-inFlight
}

// Survival is what became of the streams of one age.
type Survival struct {
	// From and To are the age: From is in it, To is not; a To of zero is any greater age.
	From, To time.Duration
	// Held is how many there were, Lost how many of them broke.
	Held, Lost int
	// First is the first of them that broke, in the recording's order; nil: none did.
	First *Stream
}

// Survived is how many went on.
func (s Survival) Survived() int { return s.Held - s.Lost }

// Survivals counts the streams that were there at the begin of a window and broke in it, by their
// age at its begin. ages are the bounds between, in order: with 1 s and 3 s there are those below
// 1 s, those from 1 s to 3 s, and the older ones. What a client closed by its plan went on.
func Survivals(rec *Recording, w Window, ages ...time.Duration) []Survival {
	all := make([]Survival, len(ages)+1)
	for i, age := range ages {
		all[i].To, all[i+1].From = age, age
	}
	for i := range rec.Streams {
		s := &rec.Streams[i]
		if !s.at(w.From) {
			continue
		}
		place := 0
		for place < len(ages) && w.From-s.Opened >= ages[place] {
			place++
		}
		one := &all[place]
		one.Held++
		if s.Outcome != Answered && s.Broken < w.To {
			one.Lost++
			if one.First == nil {
				one.First = s
			}
		}
	}
	return all
}

// Taken returns when a VIP was first taken in a window by a node that did not hold it.
func Taken(rec *Recording, w Window) (at time.Duration, ok bool) {
	for _, ev := range rec.Events {
		if ev.Kind == VIPAdd && w.Contains(ev.At) {
			return ev.At, true
		}
	}
	return 0, false
}
