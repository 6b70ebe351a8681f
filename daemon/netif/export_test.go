package netif

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// News opens what a watch hears with.
func (h *Host) News() (sock *os.File, err error) {
	err = h.inside(func() error {
		sock, err = subscribe(h.leases.port)
		return err
	})
	return sock, err
}

// Calm returns how many ears of the host are calm now, and how many there are.
func (h *Host) Calm() (calm, all int) {
	h.hearing.Lock()
	defer h.hearing.Unlock()
	if h.gate == nil {
		return 0, 0
	}
	h.gate.mu.Lock()
	defer h.gate.mu.Unlock()
	for _, r := range h.gate.ears {
		if r.pace.calm {
			calm++
		}
	}
	return calm, len(h.gate.ears)
}

// Break has the sockets of all ears fail, and has them read.
func (h *Host) Break() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	h.hearing.Lock()
	defer h.hearing.Unlock()
	for _, r := range h.ears {
		err = errors.Join(err, r.control(func(fd int) error {
			return unix.Dup3(int(null.Fd()), fd, unix.O_CLOEXEC)
		}))
		h.gate.read(r.id)
	}
	return err
}
