package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
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
	args := []string{n.spec.Name, strconv.Itoa(int(port))}
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

// realServerRole is the built-in real server. Its arguments are its name and its port.
func realServerRole() Role {
	return Role{Name: realServer, Run: func(args []string) error {
		if len(args) != 2 {
			return fmt.Errorf("want arguments NAME PORT, have %q", args)
		}
		// It allocates little and lives briefly: collecting seldom saves time of a slow guest.
		debug.SetGCPercent(800)
		// Without keep-alive probes each connection costs four system calls less.
		config := net.ListenConfig{KeepAlive: -1}
		listener, err := config.Listen(context.Background(), "tcp4", ":"+args[1])
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "%s%s\n", listening, listener.Addr())
		return serve(listener, args[0])
	}}
}

// serve answers every connection until the listener fails. A shortage of descriptors or memory
// passes.
func serve(listener net.Listener, name string) error {
	reply := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer-Name: %s\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n", name, len(name)+1)
	body := []byte(name + "\n")
	for {
		conn, err := listener.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			go answer(conn, reply, body)
		case errors.As(err, &temporary) && temporary.Temporary():
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

// answer reads one request and answers it. A peer that goes away, as TCP health checks do, gets
// none.
func answer(conn net.Conn, head, body []byte) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return
	}
	in := bufio.NewReaderSize(conn, 1024)
	first, err := readRequest(in)
	if err != nil {
		return
	}
	reply := head
	if !strings.HasPrefix(first, "HEAD ") {
		reply = append(head[:len(head):len(head)], body...)
	}
	// The peer may be gone; its probe notices.
	_, _ = conn.Write(reply)
}

// readRequest reads up to the empty line that ends a request's head and returns its first line.
func readRequest(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	first := string(line)
	for {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if len(text) <= len("\r\n") {
			return first, nil
		}
	}
}
