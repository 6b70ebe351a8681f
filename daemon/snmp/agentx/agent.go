package agentx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultSocket is where net-snmp's master agent listens.
	DefaultSocket = "unix:/var/agentx/master"
	// queueLength is how many notifications wait for the master at most.
	queueLength = 256
	// The master is tried again after firstPause, then after twice that, up to longestPause.
	firstPause, longestPause = time.Second, 30 * time.Second
	// patience is how long the master may take to answer, and to take what is written.
	patience = 10 * time.Second
	// pingEvery is the time between two looks at whether the master is there.
	pingEvery = 30 * time.Second
	// lastWords is how long the notifications that wait at the end may take.
	lastWords = time.Second
	// priority is that of all subagents that have no reason for another.
	priority = 127
)

// Options are what an Agent is told.
type Options struct {
	// Socket is that of the master agent: unix:PATH, a PATH, tcp:HOST:PORT or HOST:PORT. Empty is
	// DefaultSocket.
	Socket string
	// Name and Text are what the master is told of the subagent.
	Name OID
	Text string
	// Regions are the subtrees that it serves.
	Regions []OID
	// Tree returns what there is to read at the moment. Epoch is when the master's sysUpTime was 0.
	Tree func(ctx context.Context, epoch time.Time) Tree
	// Log gets a line when the master is there and when it is gone; nil means slog.Default.
	Log *slog.Logger
}

// Notification is what a manager is to be told.
type Notification struct {
	// Name is that of its kind, the value of snmpTrapOID.0.
	Name     OID
	Bindings []Binding
}

// Agent is a subagent.
type Agent struct {
	options          Options
	network, address string
	queue            chan func() []Notification
	lost             atomic.Uint64
	dial             func(ctx context.Context) (net.Conn, error)
}

// New returns an Agent that does nothing yet. The error is that of the socket.
func New(o Options) (*Agent, error) {
	network, address, err := ParseSocket(o.Socket)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &Agent{options: o, network: network, address: address,
		queue: make(chan func() []Notification, queueLength)}
	a.dial = func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
	}
	return a, nil
}

// ParseSocket returns what to dial for a socket of Options.
func ParseSocket(s string) (network, address string, err error) {
	if s == "" {
		s = DefaultSocket
	}
	kind, rest, named := strings.Cut(s, ":")
	switch {
	case strings.HasPrefix(s, "/"):
		return "unix", s, nil
	case named && kind == "unix" && rest != "":
		return "unix", rest, nil
	case named && kind == "tcp":
		s = rest
	}
	if host, port, err := net.SplitHostPort(s); err == nil && host != "" && port != "" {
		return "tcp", s, nil
	}
	return "", "", fmt.Errorf("socket %q: expected unix:PATH, a PATH or tcp:HOST:PORT", s)
}

// Tell has what build returns be sent, unless it returns nothing. It never waits: build is called
// later, by the goroutine of Run. Where too many wait already, it is not told, and counted.
func (a *Agent) Tell(build func() []Notification) {
	select {
	case a.queue <- build:
	default:
		a.lost.Add(1)
	}
}

// Lost returns how many were not told.
func (a *Agent) Lost() uint64 { return a.lost.Load() }

// Run serves until ctx ends; then it tells what waits, if there is a master, and says goodbye. It
// looks for the master again and again, and returns nil.
func (a *Agent) Run(ctx context.Context) error {
	log := a.options.Log.With("socket", a.network+":"+a.address)
	pause := firstPause
	for quiet := false; ctx.Err() == nil; quiet = true {
		served, err := a.connect(ctx, log)
		if served {
			pause, quiet = firstPause, false
		}
		if ctx.Err() != nil {
			break
		}
		if !quiet {
			log.Warn("no SNMP master agent; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// connect serves one connection; served says whether the master has taken the subagent.
func (a *Agent) connect(ctx context.Context, log *slog.Logger) (served bool, err error) {
	conn, err := a.dial(ctx)
	if err != nil {
		return false, err
	}
	s := &session{Agent: a, conn: conn, got: make(chan Packet)}
	read := make(chan error, 1)
	over := make(chan struct{})
	go func() { read <- s.read(over) }()
	defer func() {
		close(over)
		err = errors.Join(err, conn.Close())
		if why := <-read; err == nil && why != nil {
			err = why
		}
	}()
	if err := s.open(ctx); err != nil {
		return false, err
	}
	log.Info("SNMP master agent", "regions", len(a.options.Regions))
	return true, s.serve(ctx)
}

// session is one connection to the master.
type session struct {
	*Agent
	conn  net.Conn
	got   chan Packet
	id    uint32
	last  uint32 // number of the last packet that asked for something
	epoch time.Time
	// unanswered is that a ping has no answer yet.
	unanswered bool
	buffer     []byte
}

// read hands packets over until the connection or over ends.
func (s *session) read(over <-chan struct{}) error {
	defer close(s.got)
	for {
		p, err := ReadPacket(s.conn)
		if err != nil {
			return err
		}
		select {
		case s.got <- p:
		case <-over:
			return nil
		}
	}
}

func (s *session) write(p *Packet) error {
	s.buffer = p.Append(s.buffer[:0])
	_ = s.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := s.conn.Write(s.buffer)
	return err
}

// ask writes a packet with a number of its own.
func (s *session) ask(p Packet) error {
	s.last++
	p.Session, p.ID = s.id, s.last
	return s.write(&p)
}

// call asks, and waits for the answer. What the master asks meanwhile is answered.
func (s *session) call(ctx context.Context, p Packet) (Packet, error) {
	if err := s.ask(p); err != nil {
		return Packet{}, err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return Packet{}, ctx.Err()
		case <-late.C:
			return Packet{}, fmt.Errorf("%s: no answer within %s", p.Kind, patience)
		case r, open := <-s.got:
			switch {
			case !open:
				return Packet{}, fmt.Errorf("%s: %w", p.Kind, io.ErrUnexpectedEOF)
			case r.Kind == Response && r.ID == s.last:
				if r.Error != noError {
					return r, fmt.Errorf("%s %s: the master refuses with error %d", p.Kind,
						p.Name, r.Error)
				}
				return r, nil
			}
			if err := s.handle(ctx, &r); err != nil {
				return Packet{}, err
			}
		}
	}
}

// open opens the session and registers the regions. One that the master refuses is an error.
func (s *session) open(ctx context.Context) error {
	r, err := s.call(ctx, Packet{Kind: Open, Name: s.options.Name, Text: s.options.Text})
	if err != nil {
		return err
	}
	s.id = r.Session
	s.epoch = time.Now().Add(-10 * time.Millisecond * time.Duration(r.UpTime))
	for _, region := range s.options.Regions {
		_, err := s.call(ctx, Packet{Kind: Register, Name: region, Priority: priority})
		if err != nil {
			return err
		}
	}
	return nil
}

// serve answers and tells until ctx ends, or the connection does.
func (s *session) serve(ctx context.Context) error {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return s.leave()
		case p, open := <-s.got:
			if !open {
				return nil // the reader knows why
			}
			err = s.handle(ctx, &p)
		case build := <-s.queue:
			err = s.tell(build)
		case <-ping.C:
			if s.unanswered {
				return fmt.Errorf("ping: no answer within %s", pingEvery)
			}
			s.unanswered = true
			err = s.ask(Packet{Kind: Ping})
		}
		if err != nil {
			return err
		}
	}
}

// leave tells what waits, and says goodbye.
func (s *session) leave() error {
	for end := time.Now().Add(lastWords); time.Now().Before(end); {
		select {
		case build := <-s.queue:
			if err := s.tell(build); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	return s.ask(Packet{Kind: Close, Reason: reasonShutdown})
}

// tell sends notifications. Their answers are of no interest: they say that the master has them.
func (s *session) tell(build func() []Notification) error {
	snmpTrapOID := OID{1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0}
	for _, n := range build() {
		all := append([]Binding{{snmpTrapOID, ID(n.Name)}}, n.Bindings...)
		if err := s.ask(Packet{Kind: Notify, Bindings: all}); err != nil {
			return err
		}
	}
	return nil
}

// handle answers what the master asks.
func (s *session) handle(ctx context.Context, p *Packet) error {
	r := Packet{Kind: Response, Session: p.Session, Transaction: p.Transaction, ID: p.ID}
	switch p.Kind {
	case Response:
		s.unanswered = false
		return nil
	case Close:
		return fmt.Errorf("the master has closed the session with reason %d", p.Reason)
	case CleanupSet:
		return nil // Section 6.2.9: there is no answer
	case Get, GetNext, GetBulk:
		if p.Context == "" {
			r.Bindings = Answer(s.options.Tree(ctx, s.epoch), p)
		} else {
			r.Bindings = nothing(p)
		}
	case TestSet:
		r.Error, r.Index = notWritable, 1
	case CommitSet:
		r.Error, r.Index = commitFailed, 1
	case UndoSet:
		r.Error, r.Index = undoFailed, 1
	case Ping:
	default:
		r.Error = requestDenied
	}
	return s.write(&r)
}

// nothing is the answer for a context that there is not.
func nothing(p *Packet) []Binding { return Answer(empty{}, p) }

type empty struct{}

func (empty) Get(OID) Value          { return Value{} }
func (empty) Next(OID, bool) Binding { return Binding{} }

// maxBindings bounds what one answer holds, whatever is asked for.
const maxBindings = 4096

// Answer returns what a tree answers to Get, GetNext or GetBulk (RFC 2741, Section 7.2.3).
func Answer(t Tree, p *Packet) []Binding {
	var all []Binding
	if p.Kind != GetBulk {
		for _, r := range p.Ranges {
			all = append(all, find(t, p.Kind, r))
		}
		return all
	}
	fixed := min(int(p.NonRepeaters), len(p.Ranges))
	for _, r := range p.Ranges[:fixed] {
		all = append(all, find(t, GetNext, r))
	}
	rest := slices.Clone(p.Ranges[fixed:])
	for range p.MaxRepetitions {
		ended := true
		for i := range rest {
			b := find(t, GetNext, rest[i])
			rest[i].Start, rest[i].Included = b.Name, false
			ended = ended && b.Value.Type == EndOfMIBView
			all = append(all, b)
		}
		if ended || len(all) >= maxBindings {
			break
		}
	}
	return all
}

// find returns one variable of an answer, or why there is none.
func find(t Tree, kind Kind, r Range) Binding {
	if kind == Get {
		v := t.Get(r.Start)
		if v.Type == 0 {
			v.Type = absence(t, r.Start)
		}
		return Binding{r.Start, v}
	}
	b := t.Next(r.Start, r.Included)
	if b.Value.Type == 0 || len(r.End) > 0 && slices.Compare(b.Name, r.End) >= 0 {
		return Binding{r.Start, Value{Type: EndOfMIBView}}
	}
	return b
}

// absence says whether nothing is there of the object that name is of, or only that variable.
func absence(t Tree, name OID) Type {
	if len(name) > 0 {
		object := name[:len(name)-1]
		if b := t.Next(object, true); b.Value.Type != 0 && b.Name.Begins(object) {
			return NoSuchInstance
		}
	}
	return NoSuchObject
}
