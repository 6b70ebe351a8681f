package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/tandemlb/tandem/topology"
)

// realServer is the name of the built-in real server's role.
const realServer = "real-server"

// listening begins the line that the real server writes when it accepts connections.
const listening = "listening on "

// requestTimeout is how long the real server waits for a request on a new connection.
const requestTimeout = 5 * time.Second

// StartRealServer starts the built-in HTTP server on a port of all the node's addresses, and
// returns when it listens. It answers every request with status 200, a Server-Name header and the
// node's name as the body, and closes the connection. The program must call Main.
func (n *Node) StartRealServer(ctx context.Context, port uint16) (*Process, error) {
	return n.StartService(ctx, topology.HTTP, port)
}

// StartService is StartRealServer for any protocol. Each server gives its node's name: HTTPS as
// HTTP does, under a certificate that nobody has signed; SMTP in its greeting; DNS as the TXT record
// of every name; Echo and SCTP before what they were sent. Ail makes it fall ill.
func (n *Node) StartService(
	ctx context.Context, protocol topology.Protocol, port uint16,
) (*Process, error) {
	args := []string{n.spec.Name, strconv.Itoa(int(port)), protocol.String()}
	p, err := n.StartRole(ctx, realServer, Command{Args: args})
	if err != nil {
		return nil, err
	}
	err = p.AwaitLine(ctx, func(text string) bool { return strings.HasPrefix(text, listening) })
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// realServerRole is the built-in real server. Its arguments are its name, its port and its
// protocol.
func realServerRole() Role {
	return Role{Name: realServer, Run: func(args []string) error {
		if len(args) != 3 {
			return fmt.Errorf("want arguments NAME PORT PROTOCOL, have %q", args)
		}
		protocol, err := topology.ParseProtocol(args[2])
		if err != nil {
			return fmt.Errorf("parse protocol %w", err)
		}
		// It allocates little and lives briefly: collecting seldom saves time of a slow guest.
		debug.SetGCPercent(800)
		s, err := newServer(args[0], args[1], protocol)
		if err != nil {
			return err
		}
		return s.run()
	}}
}

// serve hands every connection to answer until the listener fails. A shortage of descriptors or
// memory passes.
func serve(listener net.Listener, answer func(net.Conn)) error {
	for {
		conn, err := listener.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			go answer(conn)
		case errors.As(err, &temporary) && temporary.Temporary():
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

// page is what the real server answers: the heads of an answer that ends the connection and of one
// that keeps it, and the body.
type page struct {
	last, kept, body []byte
}

func newPage(status, name, body string) page {
	head := func(connection string) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nServer-Name: %s\r\n"+
			"Content-Length: %d\r\nConnection: %s\r\n\r\n", status, name, len(body), connection)
	}
	return page{last: head("close"), kept: head("keep-alive"), body: []byte(body)}
}

// answer answers the requests of a connection until one does not want to keep it. A peer that goes
// away, as TCP health checks do, gets no answer. Only the first request has a time limit.
func (p page) answer(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 1024)
	for {
		q, err := readRequest(in)
		if err != nil {
			return
		}
		reply := p.last
		if q.keep {
			reply = p.kept
		}
		if !strings.HasPrefix(q.line, "HEAD ") {
			reply = append(reply[:len(reply):len(reply)], p.body...)
		}
		// The peer may be gone; its probe notices.
		if _, err := conn.Write(reply); err != nil || !q.keep {
			return
		}
		if err := conn.SetDeadline(time.Time{}); err != nil {
			return
		}
	}
}

// request is the head of a request: its first line, and whether it wants to keep the connection.
type request struct {
	line string
	keep bool
}

// readRequest reads up to the empty line that ends a request's head.
func readRequest(in *bufio.Reader) (request, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return request{}, err
	}
	q := request{line: string(line)}
	for {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return request{}, err
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			return q, nil
		}
		q.keep = q.keep || bytes.EqualFold(text, []byte("Connection: keep-alive"))
	}
}
