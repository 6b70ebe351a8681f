package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
)

// instanceKey is an instance as the wire shows it.
type instanceKey struct {
	// iface is the index of the interface, router the VRID.
	iface  int
	router uint8
}

// heard is one advert that passed an interface.
type heard struct {
	instanceKey
	// at is the kernel's time of it.
	at time.Time
	// priority is the sender's; 0 says that it leaves.
	priority uint8
	// sent says that the node itself has sent it.
	sent bool
}

// sniffer records every advert that passes a node's interfaces. It sends nothing.
type sniffer struct {
	file *os.File
	done chan struct{}

	mu  sync.Mutex
	all []heard
	err error
}

// receiveBuffer holds the adverts of several seconds of 1,000 instances.
const receiveBuffer = 4 << 20

// newSniffer begins to record.
func newSniffer(ctx context.Context, n *lab.Node) (*sniffer, error) {
	s := &sniffer{done: make(chan struct{})}
	err := n.Do(ctx, func() error {
		fd, err := openPacketSocket()
		if err == nil {
			s.file = os.NewFile(uintptr(fd), "adverts")
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record adverts on %s: %w", n, err)
	}
	go s.run()
	return s, nil
}

// openPacketSocket opens a socket that gets all VRRP over IPv4, with the kernel's time.
func openPacketSocket() (int, error) {
	const everything = unix.ETH_P_ALL
	// The protocol comes with the bind, so that nothing passes before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("open packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
		attachFilter(fd),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything<<8 | everything>>8}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("set up packet socket: %w", err)
	}
	return fd, nil
}

// Offsets in an Ethernet frame that carries IPv4.
const (
	offsetKind     = 12
	offsetHeader   = 14
	offsetProtocol = 23
	kindIPv4       = 0x0800
	protocolVRRP   = 112
)

func attachFilter(fd int) error {
	code, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetKind, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: kindIPv4, SkipTrue: 3},
		bpf.LoadAbsolute{Off: offsetProtocol, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolVRRP, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(code))
	for i, c := range code {
		filter[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// run records until close.
func (s *sniffer) run() {
	defer close(s.done)
	raw, err := s.file.SyscallConn()
	if err != nil {
		s.fail(err)
		return
	}
	frame, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		var n, controls int
		var from unix.Sockaddr
		var failure error
		err := raw.Read(func(fd uintptr) bool {
			n, controls, _, from, failure = unix.Recvmsg(int(fd), frame, control, 0)
			return !errors.Is(failure, unix.EAGAIN)
		})
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err := errors.Join(err, failure); err != nil {
			s.fail(err)
			return
		}
		if h, ok := parseHeard(frame[:n], control[:controls], from); ok {
			s.mu.Lock()
			s.all = append(s.all, h)
			s.mu.Unlock()
		}
	}
}

func (s *sniffer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = fmt.Errorf("record adverts: %w", err)
}

// parseHeard reads a frame and what the kernel says of it.
func parseHeard(frame, control []byte, from unix.Sockaddr) (heard, bool) {
	const shortest = 20 + 8
	link, ok := from.(*unix.SockaddrLinklayer)
	if !ok || len(frame) < offsetHeader+shortest {
		return heard{}, false
	}
	header := int(frame[offsetHeader]&0x0f) * 4
	if len(frame) < offsetHeader+header+3 {
		return heard{}, false
	}
	message := frame[offsetHeader+header:]
	h := heard{
		instanceKey: instanceKey{iface: link.Ifindex, router: message[1]},
		priority:    message[2],
		sent:        link.Pkttype == unix.PACKET_OUTGOING,
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return heard{}, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS &&
			len(m.Data) >= 16 {
			h.at = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)),
				int64(binary.NativeEndian.Uint64(m.Data[8:])))
			return h, true
		}
	}
	return heard{}, false
}

// await waits until adverts of so many instances have been heard that match, and returns when each
// was first.
func (s *sniffer) await(
	ctx context.Context, instances int, match func(heard) bool,
) (map[instanceKey]time.Time, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	first := map[instanceKey]time.Time{}
	read := 0
	for {
		s.mu.Lock()
		fresh, err := s.all[read:], s.err
		s.mu.Unlock()
		read += len(fresh)
		for _, h := range fresh {
			if _, known := first[h.instanceKey]; !known && match(h) {
				first[h.instanceKey] = h.at
			}
		}
		if err != nil || len(first) >= instances {
			return first, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return first, fmt.Errorf("await adverts: %d of %d instances: %w", len(first), instances,
				context.Cause(ctx))
		}
	}
}

// last returns when each instance was last heard with match.
func (s *sniffer) last(match func(heard) bool) map[instanceKey]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[instanceKey]time.Time{}
	for _, h := range s.all {
		if match(h) {
			last[h.instanceKey] = h.at
		}
	}
	return last
}

// before returns when the last advert with match was that came before a time; false: none did.
func (s *sniffer) before(limit time.Time, match func(heard) bool) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range slices.Backward(s.all) {
		if h.at.Before(limit) && match(h) {
			return h.at, true
		}
	}
	return time.Time{}, false
}

// close ends the recording. It returns when nothing reads any more.
func (s *sniffer) close() {
	_ = s.file.Close() // it was read only
	<-s.done
}
