package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/prototest"
)

// TestTranscripts plays testdata/*.txt, whose commands are:
//
//	member k=v …      adds a member to the group to come; see config
//	startup [resume] [notbefore=] leave shutdown stepdown timeout drained recovered fault recv
//	priority source   step the group at time at=, for member m= (0)
//	run until=        gives every Timeout and Drained that is due until then
func TestTranscripts(t *testing.T) {
	prototest.Transcripts(t, func(t *testing.T) prototest.Player {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		return &player{t: t, start: start, now: start}
	})
}

// player is the group of one transcript and its time.
type player struct {
	t          *testing.T
	start, now time.Time
	configs    []Config
	group      *Group
	out        strings.Builder
}

// Flush returns what happened since the last call, and the state of the group.
func (p *player) Flush() string {
	if p.group == nil {
		return "ok\n"
	}
	defer p.out.Reset()
	p.out.WriteString("=")
	for i := range p.group.Len() {
		m := p.group.Member(i)
		fmt.Fprintf(&p.out, " %s", m.State())
		if m.claiming {
			p.out.WriteString("(claims)")
		}
	}
	if d := p.group.Deadline(); !d.IsZero() {
		fmt.Fprintf(&p.out, ", wakes at %s", d.Sub(p.start))
	}
	return p.out.String() + "\n"
}

// Command is a line of a transcript.
func (p *player) Command(word string, args map[string]string) {
	if word == "member" {
		p.member(args)
		return
	}
	if p.group == nil {
		p.group = must(NewGroup(p.configs...))
	}
	if at, ok := args["at"]; ok {
		p.now = p.start.Add(must(time.ParseDuration(at)))
	}
	if word == "run" {
		p.run(p.start.Add(must(time.ParseDuration(args["until"]))))
		return
	}
	m := 0
	if s, ok := args["m"]; ok {
		m = must(strconv.Atoi(s))
	}
	p.step(m, p.event(word, args))
}

// member adds a configuration; a new one after the first step begins a new group.
func (p *player) member(args map[string]string) {
	if p.group != nil {
		p.group, p.configs, p.now = nil, nil, p.start
	}
	c := Config{
		Version: V3, VRID: 51, Priority: 100, Interval: time.Second,
		Source: netip.MustParseAddr("192.168.1.2"),
		Addrs:  []netip.Addr{netip.MustParseAddr("192.168.1.1")},
	}
	for key, value := range args {
		switch key {
		case "version":
			c.Version = Version(must(strconv.Atoi(value)))
		case "vrid":
			c.VRID = uint8(must(strconv.Atoi(value)))
		case "priority":
			c.Priority = uint8(must(strconv.Atoi(value)))
		case "every":
			c.Interval = must(time.ParseDuration(value))
		case "source":
			c.Source = netip.MustParseAddr(value)
		case "vip":
			c.Addrs = nil
			for _, s := range strings.Split(value, ",") {
				c.Addrs = append(c.Addrs, netip.MustParseAddr(s))
			}
		case "nopreempt":
			c.NoPreempt = true
		case "delay":
			c.PreemptDelay = must(time.ParseDuration(value))
		case "announce":
			c.AnnounceDelay = must(time.ParseDuration(value))
		case "pass":
			c.Auth, c.Password = AuthSimple, MakePassword(value)
		default:
			if !p.option(&c, key, value) {
				p.t.Fatalf("member: unknown key %q", key)
			}
		}
	}
	p.configs = append(p.configs, c)
}

// option sets what RFC 9568 does not know, and reports whether it knows it itself.
func (p *player) option(c *Config, key, value string) bool {
	switch key {
	case "strict":
		c.Strict = true
	case "fast":
		c.FastTakeover = true
	case "refresh":
		c.AnnounceRefresh = must(time.ParseDuration(value))
	case "lowerdelay":
		c.LowerPrioAnnounceDelay = must(time.ParseDuration(value))
	case "lowersilent":
		c.LowerPrioNoAdvert = true
	case "higheradvert":
		c.HigherPrioSendAdvert = true
	case "late":
		c.LatePriority = uint8(must(strconv.Atoi(value)))
	case "faultnopeer":
		c.Unicast, c.FaultNoPeer = true, true
	case "ownerdeaf":
		c.OwnerIgnoreAdverts = true
	case "skipaddrs":
		c.SkipCheckAddrs = true
	case "unicast":
		c.Unicast = true
	case "onlypeers":
		c.CheckUnicastSource = true
	case "peers": // 192.168.1.3,10.0.0.3/250-254
		c.Unicast = true
		for _, s := range strings.Split(value, ",") {
			addr, ttls, limited := strings.Cut(s, "/")
			peer := Peer{Addr: netip.MustParseAddr(addr)}
			if limited {
				must(fmt.Sscanf(ttls, "%d-%d", &peer.MinTTL, &peer.MaxTTL))
			}
			c.Peers = append(c.Peers, peer)
		}
	default:
		return false
	}
	return true
}

func (p *player) event(name string, args map[string]string) Event {
	switch name {
	case "startup":
		_, resume := args["resume"]
		ev := Startup{Resume: resume}
		if s, ok := args["notbefore"]; ok {
			ev.NotBefore = p.start.Add(must(time.ParseDuration(s)))
		}
		return ev
	case "stepdown":
		return StepDown{}
	case "leave":
		return Leave{}
	case "shutdown":
		return Shutdown{}
	case "timeout":
		return Timeout{}
	case "drained":
		return Drained{}
	case "recovered":
		return Recovered{}
	case "fault":
		if _, graceful := args["graceful"]; graceful {
			return Fault{ReasonTracker, true}
		}
		return Fault{Reason: ReasonLinkDown}
	case "priority":
		return SetPriority{uint8(must(strconv.Atoi(args["to"])))}
	case "source":
		return SetSource{netip.MustParseAddr(args["to"])}
	case "recv":
		return p.received(args)
	}
	p.t.Fatalf("unknown command %q", name)
	return nil
}

// received is the advert of a peer that is configured as member m but for args.
func (p *player) received(args map[string]string) Received {
	m := 0
	if s, ok := args["m"]; ok {
		m = must(strconv.Atoi(s))
	}
	a := p.configs[m].advert(p.configs[m].Priority)
	ev := Received{From: netip.MustParseAddr("192.168.1.3"), TTL: TTL}
	for key, value := range args {
		switch key {
		case "at", "m":
		case "version":
			a.Version = Version(must(strconv.Atoi(value)))
		case "vrid":
			a.VRID = uint8(must(strconv.Atoi(value)))
		case "priority":
			a.Priority = uint8(must(strconv.Atoi(value)))
		case "every":
			a.Interval = must(time.ParseDuration(value))
		case "vip":
			a.Addrs = nil
			for _, s := range strings.Split(value, ",") {
				a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
			}
		case "noauth":
			a.Auth, a.Password = AuthNone, Password{}
		case "pass":
			a.Auth, a.Password = AuthSimple, MakePassword(value)
		case "from":
			ev.From = netip.MustParseAddr(value)
		case "ttl":
			ev.TTL = must(strconv.Atoi(value))
		case "to":
			ev.To = netip.MustParseAddr(value)
		default:
			p.t.Fatalf("recv: unknown key %q", key)
		}
	}
	ev.Advert = a
	return ev
}

// step gives one event and notes what is to be done.
func (p *player) step(m int, ev Event) []MemberAction {
	actions := p.group.Step(p.now, m, ev)
	for _, a := range actions {
		if p.group.Len() == 1 {
			fmt.Fprintf(&p.out, "%-12s %s\n", p.now.Sub(p.start), a.Action)
		} else {
			fmt.Fprintf(&p.out, "%-12s %s\n", p.now.Sub(p.start), a)
		}
	}
	return actions
}

// run is a driver whose sockets are always empty.
func (p *player) run(until time.Time) {
	for {
		d := p.group.Deadline()
		if d.IsZero() || d.After(until) {
			break
		}
		p.now = d
		for _, a := range p.step(All, Timeout{}) {
			if _, ok := a.Action.(Drain); ok {
				p.step(a.Member, Drained{})
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
