package netif

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gate is what the ears of a Host are read by: one goroutine, which lives as long as there are any.
//
//	runtime's poller ── door ─┬─ ears that are read at once
//	                          ├─ timer, which ends a rest
//	                          └─ calm ── ears that have little to hear
//
// Door and calm are epoll instances. The first packet to a calm ear shuts calm: until the end of
// the rest that begins then nothing that comes to such ears wakes the process. Then all of them
// are read.
type gate struct {
	door        *os.File
	raw         syscall.RawConn
	calm, timer int // descriptors
	ended       chan struct{}
	users       int // under Host.hearing

	mu   sync.Mutex
	ears map[int32]*ear // by id
	last int32          // the last id
}

// The ids of what is no ear.
const (
	idCalm  = -1
	idTimer = -2
)

const (
	// gateEvents are told by one call.
	gateEvents = 32
	// gateRounds is how often calm ears are read one after the other until others may be read.
	gateRounds = 16
)

// enterGate makes the gate of h, unless there is one, and counts one user more. h.hearing is held.
func (h *Host) enterGate() (err error) {
	if h.gate == nil {
		if h.gate, err = openGate(); err != nil {
			h.gate = nil
			return err
		}
	}
	h.gate.users++
	return nil
}

// leaveGate closes the gate after its last user. h.hearing is held.
func (h *Host) leaveGate() error {
	g := h.gate
	if g.users--; g.users > 0 {
		return nil
	}
	h.gate = nil
	return g.close()
}

// openGate returns a gate without ears, whose goroutine runs.
func openGate() (*gate, error) {
	g := &gate{calm: -1, timer: -1, ended: make(chan struct{}), ears: map[int32]*ear{}}
	if err := g.open(); err != nil {
		return nil, fmt.Errorf("open poller of adverts: %w", errors.Join(err, g.free()))
	}
	go g.run()
	return g, nil
}

func (g *gate) open() error {
	door, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(door, true); err != nil {
		return errors.Join(err, unix.Close(door))
	}
	g.door = os.NewFile(uintptr(door), "poller of adverts")
	if g.raw, err = g.door.SyscallConn(); err != nil {
		return err
	}
	if g.calm, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	kind := unix.TFD_CLOEXEC | unix.TFD_NONBLOCK
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, kind); err != nil {
		return err
	}
	err = control(door, unix.EPOLL_CTL_ADD, g.timer, unix.EPOLLIN, idTimer)
	if err != nil {
		return err
	}
	return control(door, unix.EPOLL_CTL_ADD, g.calm, unix.EPOLLIN|unix.EPOLLONESHOT, idCalm)
}

// free closes what is open.
func (g *gate) free() error {
	var errs []error
	if g.door != nil {
		errs = append(errs, g.door.Close())
	}
	for _, fd := range []int{g.calm, g.timer} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// close ends the goroutine; there are no ears any more.
func (g *gate) close() error {
	err := g.door.Close()
	<-g.ended
	g.door = nil
	return errors.Join(err, g.free())
}

// add has an ear be read.
func (g *gate) add(r *ear) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last++
	r.id = g.last
	g.ears[r.id] = r
	return g.place(r, unix.EPOLL_CTL_ADD)
}

// remove has an ear be read no more. A reading under way is not waited for.
func (g *gate) remove(r *ear) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ears[r.id] != r {
		return nil
	}
	delete(g.ears, r.id)
	return g.place(r, unix.EPOLL_CTL_DEL)
}

// move has an ear be read at once, or with others that are calm.
func (g *gate) move(r *ear, calm bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ears[r.id] != r || r.pace.calm == calm {
		return nil
	}
	if err := g.place(r, unix.EPOLL_CTL_DEL); err != nil {
		return err
	}
	r.pace.calm = calm
	return g.place(r, unix.EPOLL_CTL_ADD)
}

// place does that with the ear where it belongs. g.mu is held.
func (g *gate) place(r *ear, operation int) error {
	return r.control(func(fd int) error {
		if r.pace.calm {
			return control(g.calm, operation, fd, unix.EPOLLIN, r.id)
		}
		var err error
		ctrlErr := g.raw.Control(func(door uintptr) {
			err = control(int(door), operation, fd, unix.EPOLLIN, r.id)
		})
		return errors.Join(err, ctrlErr)
	})
}

// run reads until the door is closed.
func (g *gate) run() {
	defer close(g.ended)
	var events [gateEvents]unix.EpollEvent
	for {
		n := 0
		err := g.raw.Read(func(door uintptr) bool {
			n = ready(int(door), events[:])
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			switch e.Fd {
			case idCalm:
				setTimer(g.timer, restFor)
			case idTimer:
				rang(g.timer)
				g.readCalm()
			default:
				g.read(e.Fd)
			}
		}
	}
}

// readCalm reads the calm ears, and lets them wake the process again.
func (g *gate) readCalm() {
	var events [gateEvents]unix.EpollEvent
	for range gateRounds {
		n := ready(g.calm, events[:])
		for _, e := range events[:n] {
			g.read(e.Fd)
		}
		if n == 0 {
			break
		}
	}
	// It fails when the door is closed, and then there is nothing to read.
	_ = g.raw.Control(func(door uintptr) {
		_ = control(int(door), unix.EPOLL_CTL_MOD, g.calm, unix.EPOLLIN|unix.EPOLLONESHOT, idCalm)
	})
}

// read reads an ear, unless it has been removed.
func (g *gate) read(id int32) {
	g.mu.Lock()
	r := g.ears[id]
	g.mu.Unlock()
	if r == nil {
		return
	}
	calm, err := r.listen(time.Now())
	if err == nil {
		err = g.move(r, calm)
	}
	if err == nil || errors.Is(err, os.ErrClosed) {
		return
	}
	// There is nothing to be done about it: nobody hears of the socket any more.
	_ = g.remove(r)
	r.fail(fmt.Errorf("receive: %w", err))
}

// control is epoll_ctl(2).
func control(at, operation, fd int, events uint32, id int32) error {
	return unix.EpollCtl(at, operation, fd, &unix.EpollEvent{Events: events, Fd: id})
}

// ready fills in what is ready and returns how much that is. It does not block, see sendFlags.
func ready(at int, events []unix.EpollEvent) int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(at),
			uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case unix.EINTR:
		default:
			return 0
		}
	}
}
