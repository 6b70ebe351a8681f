package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/tandemlb/tandem/topology"
)

// Ailment is what is wrong with a built-in real server while its program runs. The zero Ailment is
// none.
type Ailment int

// The ailments.
const (
	// Well is none: the server answers as it should.
	Well Ailment = iota
	// Refusing: nobody listens on the port; the node's kernel refuses.
	Refusing
	// HalfOpen: what calls the port hears nothing: the listener's queue is full, and stays so. By TCP
	// only: by SCTP the kernel then refuses.
	HalfOpen
	// Silent: connections and datagrams are taken, and nothing is ever said.
	Silent
	// Slow: what is said comes by a byte a second, and what comes whole, a datagram or a message of
	// SCTP, ten seconds late.
	Slow
	// Unavailable: the server says that it cannot serve: HTTP 503, SMTP 421, DNS SERVFAIL. Echo
	// and SCTP have no words for that.
	Unavailable
	// Wrong: the server answers something else: another page, a greeting of no mail server (554),
	// the answer to another question, other bytes.
	Wrong
	// BadTLS: the server speaks HTTP where TLS should begin. By HTTPS only.
	BadTLS
)

var ailmentNames = []string{"well", "refusing", "half-open", "silent", "slow", "unavailable",
	"wrong", "bad-tls"}

// String returns the name, for example "half-open".
func (a Ailment) String() string {
	if a < 0 || int(a) >= len(ailmentNames) {
		return fmt.Sprintf("Ailment(%d)", int(a))
	}
	return ailmentNames[a]
}

// Befalls says whether a server of a protocol can have the ailment.
func (a Ailment) Befalls(p topology.Protocol) bool {
	switch a {
	case HalfOpen:
		return p.Transport() == "TCP"
	case Unavailable:
		return p != topology.Echo && p != topology.SCTP
	case BadTLS:
		return p == topology.HTTPS
	case Well, Refusing, Silent, Slow, Wrong:
		return true
	}
	return false
}

// parseAilment is the ailment of a name.
func parseAilment(name string) (Ailment, error) {
	for i, n := range ailmentNames {
		if n == name {
			return Ailment(i), nil
		}
	}
	return 0, fmt.Errorf("parse ailment %q: want one of %s", name, strings.Join(ailmentNames, ", "))
}

// ailLimit is how long a server may take to fall ill, or to get well.
const ailLimit = 10 * time.Second

// controlOf is the abstract socket of the node's namespace by which a server is told how to be.
func controlOf(port string) string { return "@tandem-real-server-" + port }

// Ail makes the built-in real server of a port have an ailment in place of the one that it has, and
// returns when it has: what it takes from then on is treated so. Its program must run.
func (n *Node) Ail(ctx context.Context, port uint16, a Ailment) error {
	if err := n.ail(ctx, fmt.Sprint(port), a); err != nil {
		return fmt.Errorf("make server %s:%d %s: %w", n, port, a, err)
	}
	return nil
}

func (n *Node) ail(ctx context.Context, port string, a Ailment) error {
	var conn net.Conn
	err := n.Do(ctx, func() (err error) {
		conn, err = net.DialTimeout("unix", controlOf(port), ailLimit)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(ailLimit)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, a); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(answer); text != a.String() {
		return fmt.Errorf("it says: %s", text)
	}
	return nil
}

// ServicePorts are the node's ports in the services of the topology, as a real server; none: nil.
func (n *Node) ServicePorts() []uint16 {
	var ports []uint16
	for _, s := range n.lab.topology.Services {
		for _, d := range s.RealServers {
			if d.Node == n.spec.Name {
				ports = append(ports, d.Port)
			}
		}
	}
	return ports
}

// IgnoreEcho makes the node's kernel answer no echo request, or with no, answer again.
//
// Equivalent to: `sysctl -w net.ipv4.icmp_echo_ignore_all=1`, or of IPv6 `net.ipv6.icmp.…`.
func (n *Node) IgnoreEcho(ctx context.Context, yes bool) error {
	value := "0"
	if yes {
		value = "1"
	}
	path := "net/ipv4/icmp_echo_ignore_all"
	if n.lab.topology.IPv6() {
		path = "net/ipv6/icmp/echo_ignore_all"
	}
	return n.Do(ctx, func() error { return writeSysctl(path, value) })
}

// MarkFile is the file on every director in which an operator notes how a real server is: "0" is
// well. Scripts and file checks of a lab read it.
func MarkFile(server string) string { return "/run/tandem-lab-" + server }

// Mark writes how a real server is into its MarkFile on this node.
func (n *Node) Mark(ctx context.Context, server string, value int) error {
	text := fmt.Sprintln(value)
	return n.Do(ctx, func() error {
		// In one piece: who reads it meanwhile sees the old value or the new one.
		beside := MarkFile(server) + ".new"
		if err := os.WriteFile(beside, []byte(text), 0o644); err != nil {
			return err
		}
		return os.Rename(beside, MarkFile(server))
	})
}
