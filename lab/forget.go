package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket options of linux/ip_vs.h. Unlike netlink they need no library, and none of the programs
// that libraries start to load the kernel's module.
const (
	ipvsBase    = 64 + 1024 + 64
	ipvsFlush   = ipvsBase + 5
	ipvsTimeout = ipvsBase + 10
	ipvsStop    = ipvsBase + 12
)

const (
	// ipvsState is there in a namespace that has IPVS.
	ipvsState = "/proc/thread-self/net/ip_vs"
	// ipvsConnections has a line of heading, and one for each connection.
	ipvsConnections = "/proc/thread-self/net/ip_vs_conn"
	ipvsExpire      = "/proc/sys/net/ipv4/vs/expire_nodest_conn"
	// forgetLimit is how long the kernel may take to forget connections, which it does in its own
	// time.
	forgetLimit = time.Second
)

// forgetIPVS has the IPVS of the calling thread's namespace, where the kernel has it, forget its
// services, the connections of their real servers, its timeouts and its sync daemons.
//
// Equivalent to: `ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup; ipvsadm --set 900 120
// 300; sysctl net.ipv4.vs.expire_nodest_conn=1; ipvsadm -C`.
func forgetIPVS() error {
	if _, err := os.Stat(ipvsState); err != nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return fmt.Errorf("open raw socket: %w", err)
	}
	defer unix.Close(fd)
	for _, role := range []byte{1, 2} {
		daemon := make([]byte, 24) // struct ip_vs_daemon_user: state, name, id
		daemon[0] = role
		err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsStop, string(daemon))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop sync daemon: %w", err)
		}
	}
	timeouts := make([]byte, 12) // struct ip_vs_timeout_user: tcp, tcp_fin, udp
	for i, seconds := range []uint16{900, 120, 300} {
		binary.NativeEndian.PutUint32(timeouts[4*i:], uint32(seconds))
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsTimeout, string(timeouts)); err != nil {
		return fmt.Errorf("set timeouts: %w", err)
	}
	return forgetConnections(func() error {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsFlush, ""); err != nil {
			return fmt.Errorf("flush ipvs: %w", err)
		}
		return nil
	})
}

// forgetConnections has flush take connections with it.
//
// Source: net/netfilter/ipvs/ip_vs_conn.c, ip_vs_expire_nodest_conn_flush.
func forgetConnections(flush func() error) error {
	was, err := os.ReadFile(ipvsExpire)
	if errors.Is(err, fs.ErrNotExist) {
		return flush() // a kernel without it
	}
	if err == nil {
		err = os.WriteFile(ipvsExpire, []byte("1"), 0)
	}
	if err != nil {
		return fmt.Errorf("set expire_nodest_conn: %w", err)
	}
	err = flush()
	for begin := time.Now(); err == nil && time.Since(begin) < forgetLimit; {
		var text []byte
		if text, err = os.ReadFile(ipvsConnections); bytes.Count(text, []byte("\n")) <= 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if restored := os.WriteFile(ipvsExpire, was, 0); restored != nil {
		err = errors.Join(err, fmt.Errorf("restore expire_nodest_conn: %w", restored))
	}
	return err
}
