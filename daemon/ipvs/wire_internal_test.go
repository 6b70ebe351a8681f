package ipvs

import (
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// result is the kernel's verdict on a message.
func result(m netlink.Message, errno syscall.Errno) netlink.Message {
	data := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	return netlink.Message{Data: append(data, make([]byte, unix.NLMSG_HDRLEN)...),
		Header: netlink.Header{Type: netlink.Error, Sequence: m.Header.Sequence}}
}

// like is a message that is part of the answer to m.
func like(m netlink.Message, typ netlink.HeaderType, flags netlink.HeaderFlags, data string,
) netlink.Message {
	return netlink.Message{Data: []byte(data),
		Header: netlink.Header{Type: typ, Flags: flags, Sequence: m.Header.Sequence}}
}

// playKernel answers as Linux does: to what fails, and to what asks for it.
func playKernel(fails map[uint32]syscall.Errno) func([]netlink.Message) [][]netlink.Message {
	return func(ms []netlink.Message) [][]netlink.Message {
		var out [][]netlink.Message
		for _, m := range ms {
			errno := fails[m.Header.Sequence]
			if errno != 0 || m.Header.Flags&netlink.Acknowledge != 0 {
				out = append(out, []netlink.Message{result(m, errno)})
			}
		}
		return out
	}
}

func newFakeWire(f *fakeTransport) *wire {
	f.deadline = make(chan struct{})
	close(f.deadline)
	return &wire{transport: f, family: 26}
}

func TestBatch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails map[uint32]syscall.Errno
		want  []error
	}{
		{"all well", nil, []error{nil, nil, nil}},
		{"one in the middle fails", map[uint32]syscall.Errno{2: unix.EEXIST},
			[]error{nil, unix.EEXIST, nil}},
		{"the last fails", map[uint32]syscall.Errno{3: unix.ENOENT},
			[]error{nil, nil, unix.ENOENT}},
		{"all fail", map[uint32]syscall.Errno{1: unix.EPERM, 2: unix.EPERM, 3: unix.EPERM},
			[]error{unix.EPERM, unix.EPERM, unix.EPERM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeTransport(playKernel(tt.fails))
			w := newFakeWire(f)
			got, err := w.batch([]message{{command: cmdFlush}, {command: cmdZero}, {command: cmdFlush}})
			if err != nil || !slices.Equal(tt.want, got) {
				t.Errorf("got %v, error %v, want %v", got, err, tt.want)
			}
			if len(f.sent) != 1 {
				t.Errorf("%d system calls, want 1", len(f.sent))
			}
			// The next exchange is not confused by this one.
			if err := w.one(message{command: cmdZero}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBatchHeaders(t *testing.T) {
	f := newFakeTransport(playKernel(nil))
	w := newFakeWire(f)
	for range 2 {
		if _, err := w.batch([]message{{command: cmdFlush}, {command: cmdZero}}); err != nil {
			t.Fatal(err)
		}
	}
	head := func(seq uint32, flags netlink.HeaderFlags) netlink.Header {
		return netlink.Header{Length: 20, Type: 26, Flags: netlink.Request | flags, Sequence: seq}
	}
	want := []netlink.Header{
		head(1, 0), head(2, netlink.Acknowledge), head(3, 0), head(4, netlink.Acknowledge),
	}
	var got []netlink.Header
	for _, m := range slices.Concat(f.sent...) {
		got = append(got, m.Header)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBatchUnanswered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func([]netlink.Message) [][]netlink.Message
		want   error
	}{
		{"no answer", silent, errDeadline},
		{"only that of a message before", func(ms []netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{result(ms[0], unix.EEXIST)}}
		}, errDeadline},
		{"only that of an earlier exchange", func(ms []netlink.Message) [][]netlink.Message {
			old := ms[1]
			old.Header.Sequence = 1
			return [][]netlink.Message{{result(old, 0)}}
		}, errDeadline},
		{"cut short", func(ms []netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{like(ms[1], netlink.Error, 0, "abc")}}
		}, errCutShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newFakeWire(newFakeTransport(tt.answer))
			w.seq = 10
			_, err := w.batch([]message{{command: cmdFlush}, {command: cmdZero}})
			var unanswered *unansweredError
			if !errors.Is(err, tt.want) || !errors.As(err, &unanswered) {
				t.Errorf("error %v, want an unanswered %v", err, tt.want)
			}
		})
	}
}

func TestSendFails(t *testing.T) {
	f := newFakeTransport(silent)
	f.err = unix.ENOBUFS
	w := newFakeWire(f)
	var unanswered *unansweredError
	err := w.one(message{command: cmdFlush})
	if !errors.As(err, &unanswered) || !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("command: error %v, want an unanswered %v", err, unix.ENOBUFS)
	}
	err = w.get(message{command: cmdGetInfo}, func([]byte) error { return nil })
	if !errors.As(err, &unanswered) || !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("question: error %v, want an unanswered %v", err, unix.ENOBUFS)
	}
}

// dumpCase is what the kernel answers to the nth question, and what is made of it.
type dumpCase struct {
	name   string
	answer func(n int, m netlink.Message) [][]netlink.Message
	want   []string
	err    error
	dumps  int
}

func dumpCases() []dumpCase {
	const typ = 26
	done := func(m netlink.Message) netlink.Message {
		return like(m, netlink.Done, netlink.Multi, "\x00\x00\x00\x00")
	}
	part := func(m netlink.Message, data string) netlink.Message {
		return like(m, typ, netlink.Multi, data)
	}
	interrupted := func(m netlink.Message) netlink.Message {
		return like(m, typ, netlink.Multi|netlink.DumpInterrupted, "x")
	}
	return []dumpCase{
		{"nothing", func(_ int, m netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{done(m)}}
		}, nil, nil, 1},
		{"in parts", func(_ int, m netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{part(m, "a"), part(m, "b")}, {part(m, "c")}, {done(m)}}
		}, []string{"a", "b", "c"}, nil, 1},
		{"refused", func(_ int, m netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{result(m, unix.EPERM)}}
		}, nil, unix.EPERM, 1},
		{"fails at the end", func(_ int, m netlink.Message) [][]netlink.Message {
			end := like(m, netlink.Done, netlink.Multi, "\xf4\xff\xff\xff")
			return [][]netlink.Message{{part(m, "a")}, {end}}
		}, nil, unix.ENOMEM, 1},
		{"changed meanwhile, once", func(n int, m netlink.Message) [][]netlink.Message {
			if n == 1 {
				return [][]netlink.Message{{interrupted(m)}, {done(m)}}
			}
			return [][]netlink.Message{{part(m, "a")}, {done(m)}}
		}, []string{"a"}, nil, 2},
		{"changes all the time", func(_ int, m netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{interrupted(m)}, {done(m)}}
		}, nil, errInterrupted, maxDumps},
		{"the rest of another dump before it", func(_ int, m netlink.Message) [][]netlink.Message {
			old := m
			old.Header.Sequence--
			return [][]netlink.Message{{part(old, "old")}, {done(old)}, {part(m, "a")}, {done(m)}}
		}, []string{"a"}, nil, 1},
		{"stops in the middle", func(_ int, m netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{part(m, "a")}}
		}, nil, errDeadline, 1},
	}
}

func TestDump(t *testing.T) {
	for _, tt := range dumpCases() {
		t.Run(tt.name, func(t *testing.T) {
			var f *fakeTransport
			f = newFakeTransport(func(ms []netlink.Message) [][]netlink.Message {
				return tt.answer(len(f.sent), ms[0])
			})
			var got []string
			err := newFakeWire(f).dump(message{command: cmdGetService}, func() { got = nil },
				func(answer []byte) error {
					got = append(got, string(answer))
					return nil
				})
			if err != nil {
				got = nil // what came before is worth nothing
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v; answers (-want +got):\n%s", err, tt.err, diff)
			}
			if len(f.sent) != tt.dumps {
				t.Errorf("asked %d times, want %d", len(f.sent), tt.dumps)
			}
		})
	}
}

func TestKernelNamesTheMissingCapability(t *testing.T) {
	k := newFakeKernel(t, func() transport {
		return newFakeTransport(func(ms []netlink.Message) [][]netlink.Message {
			return [][]netlink.Message{{result(ms[0], unix.EPERM)}}
		})
	})
	_, err := k.List(t.Context())
	want := "list services: operation not permitted " +
		"(needs CAP_NET_ADMIN in the initial user namespace)"
	if !errors.Is(err, unix.EPERM) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// TestDumpTellsWhatIsWrong reads on to the end, so that the next exchange finds nothing of this one.
func TestDumpTellsWhatIsWrong(t *testing.T) {
	f := newFakeTransport(func(ms []netlink.Message) [][]netlink.Message {
		end := like(ms[0], netlink.Done, netlink.Multi, "\x00\x00\x00\x00")
		return [][]netlink.Message{{like(ms[0], 26, netlink.Multi, "a")},
			{like(ms[0], 26, netlink.Multi, "b"), end}}
	})
	w := newFakeWire(f)
	calls := 0
	err := w.dump(message{command: cmdGetService}, func() {}, func([]byte) error {
		calls++
		return errShort
	})
	if !errors.Is(err, errShort) || calls != 1 || len(f.inbox) != 0 {
		t.Errorf("error %v after %d calls, %d datagrams unread; want %v after 1, none unread",
			err, calls, len(f.inbox), errShort)
	}
}
