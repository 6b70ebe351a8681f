package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/topology"
)

// server is a real server of one port, in its own process.
type server struct {
	name, port string
	protocol   topology.Protocol
	config     *tls.Config // of HTTPS; nil for others
	ailment    atomic.Int32
	failed     chan error // by what it listens on, of capacity one

	mu   sync.Mutex  // held while what it listens on changes
	open []io.Closer // what it listens on, and what fills its queue
}

func newServer(name, port string, protocol topology.Protocol) (*server, error) {
	s := &server{name: name, port: port, protocol: protocol, failed: make(chan error, 1)}
	var err error
	if protocol == topology.HTTPS {
		s.config, err = selfSigned(name)
	}
	return s, err
}

// run serves until what it listens on fails.
func (s *server) run() error {
	addr, err := s.listen()
	if err != nil {
		return err
	}
	control, err := net.Listen("unix", controlOf(s.port))
	if err != nil {
		return err
	}
	go s.obey(control)
	fmt.Fprintf(os.Stdout, "%s%s\n", listening, addr)
	return <-s.failed
}

// obey changes the ailment as it is told to. Who tells waits for the answer.
func (s *server) obey(control net.Listener) {
	for {
		conn, err := control.Accept()
		if err != nil {
			s.fail(err)
			return
		}
		name, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil {
			err = s.change(strings.TrimSpace(name))
		}
		answer := strings.TrimSpace(name)
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(conn, answer)
		conn.Close()
	}
}

func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

func (s *server) now() Ailment { return Ailment(s.ailment.Load()) }

// change gives it another ailment.
func (s *server) change(name string) error {
	a, err := parseAilment(name)
	if err != nil {
		return err
	}
	if !a.Befalls(s.protocol) {
		return fmt.Errorf("a server of %s cannot be %s", s.protocol, a)
	}
	was := s.now()
	s.ailment.Store(int32(a))
	ears := func(a Ailment) bool { return a != Refusing && a != HalfOpen }
	switch {
	case ears(was) && ears(a):
		return nil
	case a == Refusing:
		return s.stop()
	case a == HalfOpen:
		return errors.Join(s.stop(), s.fill())
	}
	if err := s.stop(); err != nil {
		return err
	}
	_, err = s.listen()
	return err
}

// stop closes what it listens on.
func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, c := range s.open {
		errs = append(errs, c.Close())
	}
	s.open = nil
	return errors.Join(errs...)
}

// listen listens on the port and serves what comes.
func (s *server) listen() (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.protocol.UDP() {
		network := networkOf("udp")
		addr, err := net.ResolveUDPAddr(network, ":"+s.port)
		if err != nil {
			return nil, err
		}
		conn, err := net.ListenUDP(network, addr)
		if err != nil {
			return nil, err
		}
		s.open = append(s.open, conn)
		go func() { s.ended(s.serveUDP(conn)) }()
		return conn.LocalAddr(), nil
	}
	listener, err := s.accepts()
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, listener)
	answer := s.answerer()
	go func() { s.ended(serve(listener, answer)) }()
	return listener.Addr(), nil
}

// accepts listens for what makes a connection first.
func (s *server) accepts() (net.Listener, error) {
	if s.protocol == topology.SCTP {
		at, err := netip.ParseAddrPort(everyAddress(networkOf("sctp")) + ":" + s.port)
		if err != nil {
			return nil, err
		}
		return ListenSCTP(at)
	}
	// Without keep-alive probes each connection costs four system calls less.
	config := net.ListenConfig{KeepAlive: -1}
	return config.Listen(context.Background(), networkOf("tcp"), ":"+s.port)
}

// ended notes why a server has ended, unless it was closed.
func (s *server) ended(err error) {
	if !errors.Is(err, net.ErrClosed) {
		s.fail(err)
	}
}

// fillLimit is how long a call may wait for a listener before its queue counts as full: within a
// machine an answer comes at once.
const fillLimit = 100 * time.Millisecond

// fill listens with a queue of one, calls until that is full, and accepts nobody: the kernel then
// says nothing to who calls (net/ipv4/tcp_input.c, tcp_conn_request).
func (s *server) fill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	network := networkOf("tcp")
	listener, err := net.Listen(network, ":"+s.port)
	if err != nil {
		return err
	}
	s.open = append(s.open, listener)
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	var shrunk error
	err = raw.Control(func(fd uintptr) { shrunk = unix.Listen(int(fd), 0) })
	if err = errors.Join(err, shrunk); err != nil {
		return err
	}
	for {
		conn, err := net.DialTimeout(network, loopback(network)+":"+s.port, fillLimit)
		var late net.Error
		switch {
		case err == nil:
			s.open = append(s.open, conn)
		case errors.As(err, &late) && late.Timeout():
			return nil
		case !errors.Is(err, syscall.EINTR):
			return err
		}
	}
}
