package bfd

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/prototest"
)

// TestTranscripts plays testdata/*.txt, whose commands are:
//
//	session tx= rx= idle= mult= [passive] random=   begins a session; its discriminator is 1
//	start stop timeout drained set recv             step it at time at=
//	run until=                                      gives every Timeout and Drained due until then
//
// The neighbour of recv has discriminator 9, knows the session's, and offers tx 1s rx 10ms x3
// unless it says otherwise: state= mine= yours= tx= rx= mult= diag= [poll] [final] [demand].
func TestTranscripts(t *testing.T) {
	prototest.Transcripts(t, func(t *testing.T) prototest.Player {
		return &player{t: t, start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	})
}

// player is the session of one transcript and its time.
type player struct {
	t          *testing.T
	start, now time.Time
	params     Params
	session    *Session
	out        strings.Builder
}

// Flush returns what happened since the last call, and where the session stands.
func (p *player) Flush() string {
	defer p.out.Reset()
	s := p.session
	fmt.Fprintf(&p.out, "= %s, sends every %s", s.State(), s.Interval())
	if !s.heardAt.IsZero() {
		fmt.Fprintf(&p.out, ", detects in %s", s.Detection())
	}
	if d := s.Deadline(); !d.IsZero() {
		fmt.Fprintf(&p.out, ", wakes at %s", d.Sub(p.start))
	}
	return p.out.String() + "\n"
}

// Command is a line of a transcript.
func (p *player) Command(word string, args map[string]string) {
	if word == "session" {
		p.begin(args)
		return
	}
	if at, ok := args["at"]; ok {
		p.now = p.start.Add(must(time.ParseDuration(at)))
	}
	if word == "run" {
		p.run(p.start.Add(must(time.ParseDuration(args["until"]))))
		return
	}
	p.step(p.event(word, args))
}

// begin makes a session.
func (p *player) begin(args map[string]string) {
	p.now, p.params = p.start, Params{Multiplier: 3}
	random := must(strconv.ParseFloat("0"+args["random"], 64))
	delete(args, "random")
	p.setParams(args)
	p.session = must(NewSession(p.params, 1, func() float64 { return random }))
}

func (p *player) setParams(args map[string]string) {
	for key, value := range args {
		switch key {
		case "at":
		case "tx":
			p.params.MinTx = must(time.ParseDuration(value))
		case "rx":
			p.params.MinRx = must(time.ParseDuration(value))
		case "idle":
			p.params.IdleTx = must(time.ParseDuration(value))
		case "mult":
			p.params.Multiplier = uint8(must(strconv.Atoi(value)))
		case "passive":
			p.params.Passive = true
		default:
			p.t.Fatalf("unknown key %q", key)
		}
	}
}

func (p *player) event(name string, args map[string]string) Event {
	switch name {
	case "start":
		return Start{}
	case "stop":
		return Stop{}
	case "timeout":
		return Timeout{}
	case "drained":
		return Drained{}
	case "set":
		p.setParams(args)
		return SetParams{p.params}
	case "recv":
		return p.received(args)
	}
	p.t.Fatalf("unknown command %q", name)
	return nil
}

func (p *player) received(args map[string]string) Received {
	a := Packet{
		Mine: 9, Yours: 1, Multiplier: 3, MinTx: time.Second, MinRx: 10 * time.Millisecond,
	}
	for key, value := range args {
		switch key {
		case "at":
		case "state":
			for s := AdminDown; s <= Up; s++ {
				if s.String() == value {
					a.State = s
				}
			}
		case "mine":
			a.Mine = uint32(must(strconv.Atoi(value)))
		case "yours":
			a.Yours = uint32(must(strconv.Atoi(value)))
		case "tx":
			a.MinTx = must(time.ParseDuration(value))
		case "rx":
			a.MinRx = must(time.ParseDuration(value))
		case "mult":
			a.Multiplier = uint8(must(strconv.Atoi(value)))
		case "diag":
			a.Diag = Diag(must(strconv.Atoi(value)))
		case "poll":
			a.Poll = true
		case "final":
			a.Final = true
		case "demand":
			a.Demand = true
		default:
			p.t.Fatalf("recv: unknown key %q", key)
		}
	}
	// What no packet can say is no test of a Session.
	if a.Poll && a.Final {
		return Received{a}
	}
	return Received{must(Parse(must(a.Append(nil))))}
}

// step gives one event and notes what is to be done.
func (p *player) step(ev Event) []Action {
	actions := p.session.Step(p.now, ev)
	for _, a := range actions {
		fmt.Fprintf(&p.out, "%-8s %s\n", p.now.Sub(p.start), a)
	}
	return actions
}

// run is a driver whose socket is always empty.
func (p *player) run(until time.Time) {
	for {
		d := p.session.Deadline()
		if d.IsZero() || d.After(until) {
			break
		}
		if d.After(p.now) {
			p.now = d
		}
		for _, a := range p.step(Timeout{}) {
			if _, ok := a.(Drain); ok {
				p.step(Drained{})
			}
		}
	}
	p.now = until
}

// must is for values that the test itself wrote.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
