package netif

import "os"

// News opens what a watch hears with.
func (h *Host) News() (sock *os.File, err error) {
	err = h.inside(func() error {
		sock, err = subscribe(h.leases.port)
		return err
	})
	return sock, err
}
