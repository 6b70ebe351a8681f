package netif

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// hub watches all interfaces of a Host that anybody watches, with one socket: of a thousand virtual
// routers on one network each would else hear, and look at, what every other one does. Its
// goroutine lives as long as there are watchers.
type hub struct {
	host *Host

	looking sync.Mutex // what was looked at first is noted, and told, first

	mu       sync.Mutex
	watchers map[*watcher]bool
	states   map[string]State       // of what is watched
	users    map[string]int         // how many watchers each has
	sock     *os.File               // nil: nobody watches
	ended    chan struct{}          // closed when the goroutine of sock has ended
	dropping map[int][]netip.Prefix // what this process deletes, by index, until that is heard of
}

// watcher is one call of Watch.
type watcher struct {
	name string
	// changed and failed are called at once, if they are not nil. With lost, which is, it hears of
	// losses instead, and name is empty.
	changed func(State)
	lost    func(Loss)
	failed  func(error)
	// wake has room for one: it says that there may be states.
	wake chan struct{}

	mu     sync.Mutex
	states []State
	err    error // why no more will come
}

const (
	// watchBuffer holds the news of some thousand addresses that change at once.
	watchBuffer = 1 << 20
	// newsSize is more than the kernel puts into one message.
	newsSize = 1 << 16
	// lookAttempts is how often a look that changes have interrupted begins again.
	lookAttempts = 50
)

func newHub(h *Host) *hub {
	return &hub{
		host: h, watchers: map[*watcher]bool{},
		states: map[string]State{}, users: map[string]int{}, dropping: map[int][]netip.Prefix{},
	}
}

// known returns the state of an interface as last looked at, or the zero State.
func (h *hub) known(name string) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.states[name]
}

// join takes on a watcher, which then has the present state already.
func (h *hub) join(w *watcher) error {
	h.looking.Lock()
	defer h.looking.Unlock()
	s, known, err := h.add(w)
	if err != nil {
		return err
	}
	if known {
		w.put(s, nil)
		return nil
	}
	all, err := h.look([]string{w.name})
	if err != nil {
		h.leave(w)
		return err
	}
	h.mu.Lock()
	h.states[w.name] = all[w.name]
	h.mu.Unlock()
	w.put(all[w.name], nil)
	return nil
}

// add notes a watcher and returns the state if that is known. From then on nothing is missed.
func (h *hub) add(w *watcher) (s State, known bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sock == nil {
		if err := h.begin(); err != nil {
			return State{}, false, err
		}
	}
	h.watchers[w] = true
	if w.lost != nil {
		return State{}, true, nil
	}
	h.users[w.name]++
	s, known = h.states[w.name]
	return s, known, nil
}

// leave ends a watcher; with the last one it waits for the end of the goroutine.
func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	if h.watchers[w] {
		delete(h.watchers, w)
		h.users[w.name]--
	}
	if h.users[w.name] <= 0 {
		delete(h.users, w.name)
		delete(h.states, w.name)
	}
	sock, ended := h.endIfAlone()
	h.mu.Unlock()
	if sock != nil {
		_ = sock.Close() // it was only read
		<-ended
	}
}

// stopOf returns what ends w; after it w is told nothing any more.
func (h *hub) stopOf(w *watcher) func() {
	return func() {
		h.leave(w)
		h.looking.Lock() // until what is being told has been
		defer h.looking.Unlock()
	}
}

// begin opens the socket and starts to read it.
func (h *hub) begin() error {
	var sock *os.File
	err := h.host.inside(func() (err error) {
		sock, err = subscribe(h.host.leases.port)
		return err
	})
	if err != nil {
		return fmt.Errorf("subscribe to links: %w", err)
	}
	h.sock, h.ended = sock, make(chan struct{})
	go h.run(sock, h.ended)
	return nil
}

// endIfAlone gives the socket up if nobody watches. It returns it, to be closed without the lock,
// which its goroutine may wait for, and what says that the goroutine has ended.
func (h *hub) endIfAlone() (*os.File, <-chan struct{}) {
	sock := h.sock
	if len(h.watchers) > 0 || sock == nil {
		return nil, nil
	}
	h.sock = nil
	clear(h.states)
	clear(h.users)
	clear(h.dropping)
	return sock, h.ended
}

// subscribe opens a socket that hears of links, addresses, routes and rules, but not of renewals
// from that port.
func subscribe(renewals uint32) (*os.File, error) {
	kind := unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	// Without the right to a larger buffer the default one serves.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer)
	const groups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) |
		1<<(unix.RTNLGRP_IPV6_IFADDR-1) | 1<<(unix.RTNLGRP_IPV4_ROUTE-1) |
		1<<(unix.RTNLGRP_IPV6_ROUTE-1) | 1<<(unix.RTNLGRP_IPV4_RULE-1) |
		1<<(unix.RTNLGRP_IPV6_RULE-1)
	err = attach(fd, newsFilter(renewals))
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "news of links"), nil
}

// run reads the socket until it is closed.
func (h *hub) run(sock *os.File, ended chan<- struct{}) {
	defer close(ended)
	raw, err := sock.SyscallConn()
	if err != nil {
		h.fail(sock, err)
		return
	}
	buf := make([]byte, newsSize)
	for n := newNews(); ; {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			failed = h.hear(int(fd), buf, n)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil { // closed
			return
		}
		if failed == nil {
			failed = h.refresh(sock, n)
		}
		switch {
		case errors.Is(failed, netlink.ErrDumpInterrupted): // by what is the next message
		case failed != nil:
			h.fail(sock, failed)
			return
		default:
			n = newNews()
		}
	}
}

// hear reads all that has arrived and notes in heard what it means. It returns EAGAIN when there
// was nothing.
func (h *hub) hear(fd int, buf []byte, heard news) error {
	for some := false; ; some = true {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN) && some:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // something was lost
			h.forget()
			h.mark(heard.old, func(State) bool { return true })
		case err != nil:
			return err
		default:
			messages, err := syscall.ParseNetlinkMessage(buf[:n])
			if err != nil {
				return fmt.Errorf("read news of links: %w", err)
			}
			for _, m := range messages {
				if m.Header.Type == unix.RTM_DELROUTE || m.Header.Type == unix.RTM_DELRULE {
					h.lose(m)
					continue
				}
				if m.Header.Type == unix.RTM_DELADDR {
					h.deleted(m, heard)
				}
				h.mark(heard.old, func(s State) bool { return s.outdated(m) })
			}
		}
	}
}

// lose tells of a loss.
func (h *hub) lose(m syscall.NetlinkMessage) {
	l, ok := lossOf(m)
	if !ok {
		return
	}
	h.looking.Lock()
	defer h.looking.Unlock()
	h.mu.Lock()
	var told []*watcher
	for w := range h.watchers {
		if w.lost != nil {
			told = append(told, w)
		}
	}
	h.mu.Unlock()
	for _, w := range told {
		w.lost(l)
	}
}

// mark adds the names of what is watched whose state is outdated, or is being looked at for the first
// time: that look may have been too early for the news.
func (h *hub) mark(old map[string]bool, outdated func(State) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.users {
		if s, known := h.states[name]; !old[name] && (!known || outdated(s)) {
			old[name] = true
		}
	}
}

// refresh looks at the interfaces that there is news of and tells who watches them.
func (h *hub) refresh(sock *os.File, n news) error {
	if len(n.old) == 0 {
		return nil
	}
	h.looking.Lock()
	defer h.looking.Unlock()
	now, err := h.look(slices.Collect(maps.Keys(n.old)))
	if err != nil {
		return err
	}
	for name, s := range now {
		s.Deleted = n.deleted[s.Index]
		now[name] = s
	}
	for _, w := range h.note(sock, now) {
		w.put(now[w.name], nil)
	}
	return nil
}

// note keeps the states and returns who is to be told of them.
func (h *hub) note(sock *os.File, now map[string]State) []*watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sock != sock {
		return nil
	}
	var told []*watcher
	for w := range h.watchers {
		if s, looked := now[w.name]; looked && !s.equal(h.states[w.name]) {
			told = append(told, w)
		}
	}
	for name, s := range now {
		if _, watched := h.states[name]; watched {
			s.Deleted = nil
			h.states[name] = s
		}
	}
	return told
}

// look is the Host's, but begins again when changes interrupt the list.
func (h *hub) look(names []string) (map[string]State, error) {
	for attempt := 1; ; attempt++ {
		var all map[string]State
		var err error
		apart(func() { all, err = h.host.look(names) })
		if !errors.Is(err, netlink.ErrDumpInterrupted) || attempt >= lookAttempts {
			return all, err
		}
	}
}

// fail ends all watchers.
func (h *hub) fail(sock *os.File, err error) {
	h.mu.Lock()
	if h.sock == sock {
		for w := range h.watchers {
			w.put(State{}, fmt.Errorf("hear of links: %w", err))
		}
		clear(h.watchers)
		h.endIfAlone()
	}
	h.mu.Unlock()
	_ = sock.Close() // it was only read
}

// put adds a state, or the end.
func (w *watcher) put(s State, err error) {
	if w.changed != nil {
		if err != nil {
			w.failed(err)
			return
		}
		w.changed(s)
		return
	}
	w.mu.Lock()
	if err == nil {
		w.states = append(w.states, s)
	}
	w.err = err
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take removes and returns what there is.
func (w *watcher) take() ([]State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	states := w.states
	w.states = nil
	return states, w.err
}

// outdated reports whether the message may have changed s. The renewal of an address that is known
// does not: with many VIPs that is nearly all there is to hear.
func (s State) outdated(m syscall.NetlinkMessage) bool {
	// Both ifinfomsg and ifaddrmsg have the index in bytes 4 to 7.
	if len(m.Data) < 8 {
		return true
	}
	isLink := m.Header.Type == unix.RTM_NEWLINK || m.Header.Type == unix.RTM_DELLINK
	if s.Index == 0 {
		return isLink
	}
	if int(binary.NativeEndian.Uint32(m.Data[4:])) != s.Index {
		return false
	}
	return m.Header.Type != unix.RTM_NEWADDR || !s.renewed(m.Data)
}

// renewed reports whether the body of a NEWADDR message says nothing new of an address that s has.
func (s State) renewed(body []byte) bool {
	if len(body) < unix.SizeofIfAddrmsg {
		return false
	}
	attrs, err := nl.ParseRouteAttr(body[unix.SizeofIfAddrmsg:])
	if err != nil {
		return false
	}
	var a addrNews
	for _, attr := range attrs {
		a.read(attr)
	}
	if a.flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
		return slices.Contains(s.Unready, a.prefix(body))
	}
	return slices.Contains(s.Addrs, a.prefix(body))
}
