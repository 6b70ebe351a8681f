package probe

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

// callerRoleName is the name of the caller's role.
const callerRoleName = "caller"

// Caller makes connections from a client's node, one strictly after another, and keeps each open
// until it is told to close it. It is a process of its own on that node.
type Caller struct {
	client *lab.Node
	stream *stream
	in     *bufio.Scanner
	out    *json.Encoder
	last   int
}

// order is what a caller's process is told, as a line of JSON.
type order struct {
	// ID is that of the connection.
	ID int `json:"id"`
	// From and To are set for one to open.
	From  netip.AddrPort `json:"from,omitzero"`
	To    netip.AddrPort `json:"to,omitzero"`
	Limit time.Duration  `json:"limit_ns,omitempty"`
	// Reset closes by RST instead of FIN.
	Reset bool `json:"reset,omitempty"`
}

// answer is what it says to an order.
type answer struct {
	Server  string          `json:"server,omitempty"`
	Outcome reports.Outcome `json:"outcome,omitempty"`
	Detail  string          `json:"detail,omitempty"`
}

// NewCaller starts the process. The caller closes it.
func NewCaller(ctx context.Context, client *lab.Node) (*Caller, error) {
	s, err := startStream(ctx, client, callerRoleName, nil)
	if err != nil {
		return nil, fmt.Errorf("start caller on %s: %w", client, err)
	}
	return &Caller{
		client: client, stream: s, in: bufio.NewScanner(s.output), out: json.NewEncoder(s.input),
	}, nil
}

// Open opens a connection, asks for the server's name and keeps the connection. From must be an
// address of the node; port 0 is any. No answer within limit, or none at all, is no error: it is in
// the call's Outcome, and there is nothing to close then.
func (c *Caller) Open(
	ctx context.Context, from, to netip.AddrPort, limit time.Duration,
) (reports.Call, error) {
	c.last++
	call := reports.Call{
		ID: c.last, Client: c.client.Name(), From: from, To: to, Opened: c.client.Lab().Clock().Now(),
	}
	a, err := c.do(ctx, order{ID: call.ID, From: from, To: to, Limit: limit})
	if err != nil {
		return call, fmt.Errorf("open %s from %s on %s: %w", to, from, c.client, err)
	}
	call.Answered = c.client.Lab().Clock().Now()
	call.Server, call.Outcome, call.Detail = a.Server, a.Outcome, a.Detail
	return call, nil
}

// Hang closes a connection by a FIN, or at once by an RST. With a FIN it waits for that of the
// server.
func (c *Caller) Hang(ctx context.Context, id int, reset bool) error {
	if _, err := c.do(ctx, order{ID: id, Reset: reset}); err != nil {
		return fmt.Errorf("close connection %d of %s: %w", id, c.client, err)
	}
	return nil
}

// Close ends the process, and with it all connections.
func (c *Caller) Close() { c.stream.close() }

// do sends an order and waits for the answer.
func (c *Caller) do(ctx context.Context, o order) (answer, error) {
	var a answer
	defer context.AfterFunc(ctx, func() { _ = c.stream.process.Kill() })() // it ends the wait
	if err := c.out.Encode(o); err != nil {
		return a, fmt.Errorf("tell process: %w", err)
	}
	if !c.in.Scan() {
		err := cmp.Or(context.Cause(ctx), c.in.Err(), io.ErrUnexpectedEOF)
		return a, fmt.Errorf("hear process: %w; last lines: %q", err, c.stream.process.Tail(5))
	}
	if err := json.Unmarshal(c.in.Bytes(), &a); err != nil {
		return a, fmt.Errorf("decode answer: %w", err)
	}
	return a, nil
}

// callerRole is the process of a Caller: orders on standard input, answers on standard output.
func callerRole() lab.Role {
	return lab.Role{Name: callerRoleName, Run: func([]string) error {
		held := map[int]*net.TCPConn{}
		out := json.NewEncoder(os.Stdout)
		for in := json.NewDecoder(os.Stdin); ; {
			var o order
			switch err := in.Decode(&o); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return fmt.Errorf("decode order: %w", err)
			}
			var a answer
			if o.To.IsValid() {
				a = call(o, held)
			} else if conn := held[o.ID]; conn != nil {
				delete(held, o.ID)
				if err := hang(conn, o.Reset); err != nil {
					return err
				}
			}
			if err := out.Encode(a); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
		}
	}}
}

// call opens a connection and keeps it in held.
func call(o order, held map[int]*net.TCPConn) answer {
	end := time.Now().Add(o.Limit)
	// The kernel may not lend the port to another connection from this address to another server.
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(o.From), Deadline: end, KeepAlive: -1}
	conn, err := dialer.Dial("tcp", o.To.String())
	if err == nil {
		tcp := conn.(*net.TCPConn)
		var name string
		if name, err = nameOf(tcp, end); err == nil {
			held[o.ID] = tcp
			return answer{Server: name, Outcome: reports.Answered}
		}
		err = errors.Join(err, tcp.Close())
	}
	var a answer
	a.Outcome, a.Detail = judge(err)
	return a
}

// nameOf asks a server for its name and keeps the connection.
func nameOf(conn *net.TCPConn, end time.Time) (string, error) {
	if err := conn.SetDeadline(end); err != nil {
		return "", fmt.Errorf("set limit: %w", err)
	}
	_, err := io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: "+conn.RemoteAddr().String()+
		"\r\nConnection: keep-alive\r\n\r\n")
	if err != nil {
		return "", fmt.Errorf("send request: %w", err)
	}
	reply, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodHead})
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return reply.Header.Get("Server-Name"), conn.SetDeadline(time.Time{})
}

// hang closes a connection.
func hang(conn *net.TCPConn, reset bool) error {
	defer conn.Close()
	if reset {
		if err := conn.SetLinger(0); err != nil {
			return fmt.Errorf("close by RST: %w", err)
		}
		return nil
	}
	if err := conn.CloseWrite(); err != nil {
		return fmt.Errorf("close by FIN: %w", err)
	}
	// The server closes in its turn; what it may have said is of no interest.
	_, _ = io.Copy(io.Discard, conn)
	return nil
}
