package ipvs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// maxBatch is the number of messages that go in one system call. If each of them failed, the
	// answers would still fit into a socket's default receive buffer, which holds 277.
	maxBatch = 250
	// receiveSize holds the largest part of a dump: the kernel makes them up to 32 KiB
	// (netlink_dump in net/netlink/af_netlink.c).
	receiveSize = 64 << 10
	// maxDumps is how often a table is read that changes while it is read.
	maxDumps = 3
)

// unansweredError says that it is not known what became of a request. The socket is not to be used
// again, for the answer may still come.
type unansweredError struct{ cause error }

func (e *unansweredError) Error() string {
	return fmt.Sprintf("wait for the kernel's answer: %v", e.cause)
}

func (e *unansweredError) Unwrap() error { return e.cause }

var (
	errCutShort    = errors.New("an answer was cut short")
	errInterrupted = errors.New("the table changed while it was read")
)

// transport carries netlink messages to the kernel and back.
type transport interface {
	// send hands over all messages at once, with the header fields that they have.
	send([]netlink.Message) error
	// receive returns one datagram's messages, which are good until the next call.
	receive() ([]netlink.Message, error)
	// setDeadline ends what waits and what will wait at that time.
	setDeadline(time.Time) error
	close() error
}

// wire speaks generic netlink with IPVS, one exchange at a time. After an unansweredError it is of
// no use any more.
type wire struct {
	transport
	family uint16
	seq    uint32
	text   attributes // of the last messages
}

// number makes messages of ms, with flags and numbers; the first has the number that is returned.
// They are good until the next call.
func (w *wire) number(ms []message, flags netlink.HeaderFlags) ([]netlink.Message, uint32) {
	first := w.seq + 1
	out := make([]netlink.Message, len(ms))
	w.text = w.text[:0]
	for i, m := range ms {
		at := len(w.text)
		m.encode(&w.text)
		w.seq++
		out[i] = netlink.Message{Data: w.text[at:len(w.text):len(w.text)], Header: netlink.Header{
			Length:   uint32(unix.NLMSG_HDRLEN + len(w.text) - at),
			Type:     netlink.HeaderType(w.family),
			Flags:    netlink.Request | flags,
			Sequence: w.seq,
		}}
	}
	return out, first
}

// batch carries out up to maxBatch commands in one system call, and returns the kernel's answer to
// each: nil or an errno. The kernel goes on after one that fails and tells of every failure
// (netlink_rcv_skb in net/netlink/af_netlink.c), so that only the last asks for an answer. An error
// beside them says that nothing is known.
func (w *wire) batch(ms []message) ([]error, error) {
	results := make([]error, len(ms))
	if len(ms) == 0 {
		return results, nil
	}
	out, first := w.number(ms, 0)
	out[len(out)-1].Header.Flags |= netlink.Acknowledge
	if err := w.send(out); err != nil {
		return nil, &unansweredError{err}
	}
	for {
		answers, err := w.receive()
		if err != nil {
			return nil, &unansweredError{err}
		}
		for _, a := range answers {
			i := a.Header.Sequence - first
			if a.Header.Type != netlink.Error || int64(i) >= int64(len(ms)) {
				continue // of an earlier exchange, or no verdict
			}
			if results[i], err = verdict(a); err != nil {
				return nil, &unansweredError{err}
			}
			if int(i) == len(ms)-1 {
				return results, nil
			}
		}
	}
}

// verdict returns what an answer of type netlink.Error says: nil is success.
func verdict(a netlink.Message) (result, err error) {
	if len(a.Data) < 4 {
		return nil, errCutShort
	}
	code := int32(binary.NativeEndian.Uint32(a.Data))
	if code == 0 {
		return nil, nil
	}
	return syscall.Errno(-code), nil
}

// one carries out one command.
func (w *wire) one(m message) error {
	results, err := w.batch([]message{m})
	if err != nil {
		return err
	}
	return results[0]
}

// get hands the answers to a question about one thing to each, which must not keep them.
func (w *wire) get(m message, each func(answer []byte) error) error {
	return w.ask(m, netlink.Acknowledge, each)
}

// dump hands the answers to a question about all things to each, which must not keep them. A table
// that changed meanwhile is read again, from the first answer on, after again was called;
// errInterrupted is for one that does not stop changing.
func (w *wire) dump(m message, again func(), each func(answer []byte) error) error {
	for range maxDumps {
		again()
		if err := w.ask(m, netlink.Dump, each); !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return errInterrupted
}

// ask sends a question and hands on all answers up to the last, which tells that it is. The first
// error of each is returned then.
func (w *wire) ask(m message, flags netlink.HeaderFlags, each func(answer []byte) error) error {
	out, first := w.number([]message{m}, flags)
	if err := w.send(out); err != nil {
		return &unansweredError{err}
	}
	var wrong error
	interrupted := false
	for {
		answers, err := w.receive()
		if err != nil {
			return &unansweredError{err}
		}
		for _, a := range answers {
			if a.Header.Sequence != first {
				continue
			}
			interrupted = interrupted || a.Header.Flags&netlink.DumpInterrupted != 0
			if a.Header.Type != netlink.Error && a.Header.Type != netlink.Done {
				if wrong == nil {
					wrong = each(a.Data)
				}
				continue
			}
			result, err := verdict(a)
			switch {
			case err != nil && a.Header.Type == netlink.Error:
				return &unansweredError{err}
			case result != nil:
				return result
			case interrupted:
				return errInterrupted
			}
			return wrong
		}
	}
}

// socket is the transport to the kernel.
type socket struct {
	conn     *netlink.Conn
	raw      syscall.RawConn
	buf      []byte
	out      []byte            // the last datagram that was sent
	messages []netlink.Message // of the last that was received
}

// openSocket opens a socket in the namespace of that descriptor; 0 is the thread's own.
func openSocket(ns int) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_GENERIC, &netlink.Config{NetNS: ns})
	if err != nil {
		return nil, err
	}
	// Without this each failure would bring back the whole message that failed.
	err = conn.SetOption(netlink.CapAcknowledge, true)
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return nil, errors.Join(err, conn.Close())
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &socket{conn: conn, raw: raw, buf: make([]byte, receiveSize)}, nil
}

// send is not the library's, which allocates for each message.
func (s *socket) send(ms []netlink.Message) error {
	s.out = s.out[:0]
	for _, m := range ms {
		s.out = binary.NativeEndian.AppendUint32(s.out, m.Header.Length)
		s.out = binary.NativeEndian.AppendUint16(s.out, uint16(m.Header.Type))
		s.out = binary.NativeEndian.AppendUint16(s.out, uint16(m.Header.Flags))
		s.out = binary.NativeEndian.AppendUint32(s.out, m.Header.Sequence)
		s.out = binary.NativeEndian.AppendUint32(s.out, 0) // the kernel knows whose it is
		s.out = append(s.out, m.Data...)                   // whole attributes: no need to fill up
	}
	var err error
	waitErr := s.raw.Write(func(fd uintptr) bool {
		for {
			err = unix.Sendto(int(fd), s.out, unix.MSG_DONTWAIT, &unix.SockaddrNetlink{
				Family: unix.AF_NETLINK})
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	return cmp.Or(waitErr, err)
}

// receive is not the library's, which makes one error of several answers and does not say which
// message it is the answer to. What does not come from the kernel is left out.
func (s *socket) receive() ([]netlink.Message, error) {
	var n, flags int
	var from unix.Sockaddr
	var err error
	waitErr := s.raw.Read(func(fd uintptr) bool {
		for {
			n, _, flags, from, err = unix.Recvmsg(int(fd), s.buf, nil, unix.MSG_DONTWAIT)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if waitErr != nil {
		return nil, waitErr
	}
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	if flags&unix.MSG_TRUNC != 0 {
		return nil, errCutShort
	}
	if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
		return nil, nil
	}
	s.messages, err = parseMessages(s.messages[:0], s.buf[:n])
	return s.messages, err
}

// parseMessages splits a datagram, and appends its messages to ms. They share its memory.
func parseMessages(ms []netlink.Message, b []byte) ([]netlink.Message, error) {
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return nil, errCutShort
		}
		h := netlink.Header{
			Length:   binary.NativeEndian.Uint32(b),
			Type:     netlink.HeaderType(binary.NativeEndian.Uint16(b[4:])),
			Flags:    netlink.HeaderFlags(binary.NativeEndian.Uint16(b[6:])),
			Sequence: binary.NativeEndian.Uint32(b[8:]),
			PID:      binary.NativeEndian.Uint32(b[12:]),
		}
		if h.Length < unix.NLMSG_HDRLEN || int64(h.Length) > int64(len(b)) {
			return nil, errCutShort
		}
		ms = append(ms, netlink.Message{Header: h, Data: b[unix.NLMSG_HDRLEN:h.Length]})
		b = b[min((int(h.Length)+3)&^3, len(b)):]
	}
	return ms, nil
}

func (s *socket) setDeadline(t time.Time) error { return s.conn.SetDeadline(t) }

func (s *socket) close() error { return s.conn.Close() }
