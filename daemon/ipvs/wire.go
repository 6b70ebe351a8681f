package ipvs

import (
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
	// receive returns one datagram's messages.
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
}

// number makes messages of ms, with flags and numbers; the first has the number that is returned.
func (w *wire) number(ms []message, flags netlink.HeaderFlags) ([]netlink.Message, uint32, error) {
	first := w.seq + 1
	out := make([]netlink.Message, len(ms))
	for i, m := range ms {
		data, err := m.encode()
		if err != nil {
			return nil, 0, err
		}
		w.seq++
		out[i] = netlink.Message{Data: data, Header: netlink.Header{
			Length:   uint32(unix.NLMSG_HDRLEN + len(data)),
			Type:     netlink.HeaderType(w.family),
			Flags:    netlink.Request | flags,
			Sequence: w.seq,
		}}
	}
	return out, first, nil
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
	out, first, err := w.number(ms, 0)
	if err != nil {
		return nil, err
	}
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

// get returns the answers to a question about one thing.
func (w *wire) get(m message) ([][]byte, error) {
	return w.ask(m, netlink.Acknowledge)
}

// dump returns the answers to a question about all things. A table that changed meanwhile is read
// again; errInterrupted is for one that does not stop changing.
func (w *wire) dump(m message) ([][]byte, error) {
	for range maxDumps {
		data, err := w.ask(m, netlink.Dump)
		if !errors.Is(err, errInterrupted) {
			return data, err
		}
	}
	return nil, errInterrupted
}

// ask sends a question and returns all answers up to the last, which tells that it is.
func (w *wire) ask(m message, flags netlink.HeaderFlags) ([][]byte, error) {
	out, first, err := w.number([]message{m}, flags)
	if err != nil {
		return nil, err
	}
	if err := w.send(out); err != nil {
		return nil, &unansweredError{err}
	}
	var data [][]byte
	interrupted := false
	for {
		answers, err := w.receive()
		if err != nil {
			return nil, &unansweredError{err}
		}
		for _, a := range answers {
			if a.Header.Sequence != first {
				continue
			}
			interrupted = interrupted || a.Header.Flags&netlink.DumpInterrupted != 0
			if a.Header.Type != netlink.Error && a.Header.Type != netlink.Done {
				data = append(data, a.Data)
				continue
			}
			result, err := verdict(a)
			switch {
			case err != nil && a.Header.Type == netlink.Error:
				return nil, &unansweredError{err}
			case result != nil:
				return nil, result
			case interrupted:
				return nil, errInterrupted
			}
			return data, nil
		}
	}
}

// socket is the transport to the kernel.
type socket struct {
	conn *netlink.Conn
	raw  syscall.RawConn
	buf  []byte
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

func (s *socket) send(ms []netlink.Message) error {
	_, err := s.conn.SendMessages(ms)
	return err
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
	return parseMessages(s.buf[:n])
}

// parseMessages splits a datagram. The messages do not share its memory.
func parseMessages(b []byte) ([]netlink.Message, error) {
	raw, err := syscall.ParseNetlinkMessage(append([]byte(nil), b...))
	if err != nil {
		return nil, errCutShort
	}
	out := make([]netlink.Message, len(raw))
	for i, r := range raw {
		out[i] = netlink.Message{Data: r.Data, Header: netlink.Header{
			Length:   r.Header.Len,
			Type:     netlink.HeaderType(r.Header.Type),
			Flags:    netlink.HeaderFlags(r.Header.Flags),
			Sequence: r.Header.Seq,
			PID:      r.Header.Pid,
		}}
	}
	return out, nil
}

func (s *socket) setDeadline(t time.Time) error { return s.conn.SetDeadline(t) }

func (s *socket) close() error { return s.conn.Close() }
