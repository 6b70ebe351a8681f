package live

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// fake is a Lab that does what its fields say; what is nil fails.
type fake struct {
	status  func(context.Context) (Status, error)
	exec    func(context.Context, ExecRequest, Streams) (int, error)
	log     func(LogRequest) ([]string, error)
	capture func(context.Context, CaptureRequest, Streams) (Captured, error)
	inject  func(InjectRequest) (Fault, error)
	heal    func(HealRequest) ([]Fault, error)
}

var errNotFaked = errors.New("not faked")

func (f fake) Status(ctx context.Context) (Status, error) {
	if f.status == nil {
		return Status{}, errNotFaked
	}
	return f.status(ctx)
}

func (f fake) Exec(ctx context.Context, r ExecRequest, s Streams) (int, error) {
	if f.exec == nil {
		return 0, errNotFaked
	}
	return f.exec(ctx, r, s)
}

func (f fake) Log(_ context.Context, r LogRequest) ([]string, error) {
	if f.log == nil {
		return nil, errNotFaked
	}
	return f.log(r)
}

func (f fake) Capture(ctx context.Context, r CaptureRequest, s Streams) (Captured, error) {
	if f.capture == nil {
		return Captured{}, errNotFaked
	}
	return f.capture(ctx, r, s)
}

func (f fake) Inject(_ context.Context, r InjectRequest) (Fault, error) {
	if f.inject == nil {
		return Fault{}, errNotFaked
	}
	return f.inject(r)
}

func (f fake) Heal(_ context.Context, r HealRequest) ([]Fault, error) {
	if f.heal == nil {
		return nil, errNotFaked
	}
	return f.heal(r)
}

// memory is a listener whose connections are in memory.
type memory struct {
	conns chan net.Conn
	once  sync.Once
	end   chan struct{}
}

func newMemory() *memory {
	return &memory{conns: make(chan net.Conn), end: make(chan struct{})}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.end:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.end) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{} }

func (m *memory) dial(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.end:
		return nil, unix.ECONNREFUSED
	}
}

// serving is a server that runs until the test's end, and how it ended.
type serving struct {
	remote Remote
	listen *memory
	ended  chan error
	closed int // how often its lab was closed
}

// serve has a server answer for a lab.
func serve(t *testing.T, l Lab, closing error) *serving {
	t.Helper()
	s := &serving{listen: newMemory(), ended: make(chan error, 1)}
	s.remote = NewRemote("test", s.listen.dial)
	server := &Server{Lab: l, Close: func() error { s.closed++; return closing }}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		s.ended <- server.Serve(ctx, s.listen)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// relayed has a server answer for a lab at the other end of a line, and hands requests on to it.
func relayed(t *testing.T, l Lab) Remote {
	t.Helper()
	a, toB := io.Pipe()
	b, toA := io.Pipe()
	asking, err := Asking(Pipes(a, toA))
	if err != nil {
		t.Fatal(err)
	}
	answering, err := Answering(Pipes(b, toB))
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Lab: l, Close: func() error { return nil }}
	listen := newMemory()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(ctx, answering) })
	running.Go(func() { Relay(listen, asking) })
	t.Cleanup(func() {
		cancel()
		listen.Close()
		asking.Close()
		running.Wait()
	})
	return NewRemote("test", listen.dial)
}
