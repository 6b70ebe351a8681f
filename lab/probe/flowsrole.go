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
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/reports"
)

const (
	flowsRoleName = "flows"
	echoRoleName  = "udp-echo"
	// echoListens begins the line that an echo server writes when it listens.
	echoListens = "listening on "
	// maxDatagram is how much of a datagram is read.
	maxDatagram = 1500
)

// echoRole is an echo server of UDP. Its arguments are its name and the address and port.
func echoRole() lab.Role {
	return lab.Role{Name: echoRoleName, Run: func(args []string) error {
		if len(args) != 2 {
			return fmt.Errorf("want arguments NAME ADDRESS:PORT, have %q", args)
		}
		conn, err := listenFree(args[1])
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "%s%s\n", echoListens, conn.LocalAddr())
		return echo(conn, args[0])
	}}
}

// listenFree listens on an address that the node need not have.
func listenFree(addr string) (net.PacketConn, error) {
	free := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		level, option := unix.IPPROTO_IP, unix.IP_FREEBIND
		if network == "udp6" {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
		}
		var set error
		err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, 1) })
		return errors.Join(err, set)
	}}
	return free.ListenPacket(context.Background(), "udp", addr)
}

// echo answers until the socket fails. Who asks may be gone, and the address that the answer comes
// from may be too: neither ends it.
func echo(conn net.PacketConn, name string) error {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(b)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			continue // an ICMP error about an answer
		}
		_, _ = conn.WriteTo(append([]byte(name+" "), b[:n]...), from)
	}
}

// flowsRole is the process of Flows. Its argument is a flowsOrder; it writes flowsRecords to
// standard output and ends when standard input does.
func flowsRole() lab.Role {
	return lab.Role{Name: flowsRoleName, Run: func(args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, have %d", len(args))
		}
		var order flowsOrder
		if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
			return fmt.Errorf("decode order: %w", err)
		}
		debug.SetGCPercent(800)
		stop, cancel := context.WithCancel(context.Background())
		go func() {
			defer cancel()
			// Whatever ends the input ends the pings.
			_, _ = io.Copy(io.Discard, os.Stdin)
		}()
		p := &pinger{order: order, clock: lab.NewClock(order.Clock), stop: stop,
			out: json.NewEncoder(os.Stdout)}
		return p.run()
	}}
}

// pinger is the inside of the process.
type pinger struct {
	order flowsOrder
	clock lab.Clock
	stop  context.Context
	due   sync.WaitGroup // pings whose outcome is not known

	mu  sync.Mutex
	out *json.Encoder
	err error // the first error of writing
}

// run sends pings of all classes until stop. What cannot even begin is an error.
func (p *pinger) run() error {
	var echoes *echoes
	if p.order.ICMP.IsValid() {
		echoes = newEchoes(p.order.ICMP)
		if err := echoes.listen(); err != nil {
			return fmt.Errorf("listen for echo replies: %w", err)
		}
		defer echoes.conn.Close()
		go echoes.read()
	}
	p.write(flowsRecord{Ready: true})
	var schedules sync.WaitGroup
	if echoes != nil {
		schedules.Go(func() { p.schedule(reports.FlowICMP, echoes.ask) })
	}
	if p.order.UDP.IsValid() {
		schedules.Go(func() { p.schedule(reports.FlowUDP, p.askUDP) })
	}
	if p.order.Held.IsValid() {
		schedules.Go(p.hold)
	}
	schedules.Wait()
	p.due.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// interval is the time between two pings of a class.
func (p *pinger) interval() time.Duration { return time.Second / time.Duration(p.order.Rate) }

// await waits until a time; false: stop came first.
func (p *pinger) await(at time.Duration) bool {
	timer := time.NewTimer(at - p.clock.Now())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.stop.Done():
		return false
	}
}

// schedule pings at the planned times until stop, whatever becomes of the pings.
func (p *pinger) schedule(flow reports.Flow, ask func(limit time.Duration) error) {
	for planned := p.clock.Now() + p.interval(); p.await(planned); planned += p.interval() {
		p.due.Go(func() {
			err := ask(p.order.Limit)
			ping := reports.Ping{Sent: planned, Latency: p.clock.Now() - planned,
				Client: p.order.Client, Flow: flow}
			ping.Outcome, ping.Detail = judge(err)
			p.record(ping)
		})
	}
}

// record writes a ping. One that was answered after the limit is late.
func (p *pinger) record(ping reports.Ping) {
	if ping.Outcome == reports.Answered && ping.Latency > p.order.Limit {
		ping.Outcome = reports.Late
	}
	p.write(flowsRecord{Ping: ping})
}

// askUDP sends a datagram from a fresh port and reads what comes back.
func (p *pinger) askUDP(limit time.Duration) error {
	dialer := net.Dialer{Timeout: limit}
	conn, err := dialer.Dial("udp", p.order.UDP.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err = echoed(conn, "")
	return err
}

// hold keeps a connection, opened anew whenever it breaks, with a request at a time until stop.
func (p *pinger) hold() {
	var held *kept
	defer func() {
		if held != nil {
			held.conn.Close()
		}
	}()
	for next := p.clock.Now() + p.interval(); p.await(next); {
		ping := reports.Ping{Sent: p.clock.Now(), Client: p.order.Client, Flow: reports.FlowHeld}
		kept := held != nil
		var err error
		if !kept {
			held, err = p.open()
		}
		if err == nil {
			err = p.askHeld(held)
		}
		ping.Latency = p.clock.Now() - ping.Sent
		ping.Outcome, ping.Detail = judge(err)
		if err != nil {
			if p.stop.Err() != nil {
				// What stop cut short says something only if it was late already.
				if ping.Outcome, ping.Detail = reports.Timeout, ""; ping.Latency > p.order.Limit {
					p.record(ping)
				}
				return
			}
			ping.Broke = kept
			if held != nil {
				held.conn.Close()
				held = nil
			}
		}
		p.record(ping)
		next = max(next+p.interval(), p.clock.Now())
	}
}

// open opens the connection that is held.
func (p *pinger) open() (*kept, error) {
	dialer := net.Dialer{Timeout: openLimit, KeepAlive: -1}
	conn, err := dialer.DialContext(p.stop, "tcp", p.order.Held.String())
	if err != nil {
		return nil, err
	}
	return &kept{conn: conn, in: bufio.NewReaderSize(conn, maxAnswer)}, nil
}

// askHeld asks on the connection that is held; stop cuts it short by closing it.
func (p *pinger) askHeld(k *kept) error {
	end := context.AfterFunc(p.stop, func() { k.conn.Close() })
	defer end()
	_, err := k.ask(p.order.Patience)
	return err
}

func (p *pinger) write(r flowsRecord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = cmp.Or(p.err, p.out.Encode(r))
}

// echoes sends ICMP echo requests and finds the replies.
type echoes struct {
	conn net.PacketConn
	to   net.Addr
	id   int
	// protocol is ICMP's number, request and reply are its messages.
	protocol       int
	request, reply icmp.Type

	mu   sync.Mutex
	next uint16
	out  map[uint16]chan struct{}
}

// newEchoes are those of an address of IPv4 or IPv6.
func newEchoes(to netip.Addr) *echoes {
	e := &echoes{to: &net.IPAddr{IP: to.AsSlice()}, id: os.Getpid() & 0xffff,
		out: make(map[uint16]chan struct{}), protocol: unix.IPPROTO_ICMP, request: ipv4.ICMPTypeEcho,
		reply: ipv4.ICMPTypeEchoReply}
	if to.Is6() {
		e.protocol, e.request, e.reply = unix.IPPROTO_ICMPV6, ipv6.ICMPTypeEchoRequest,
			ipv6.ICMPTypeEchoReply
	}
	return e
}

// listen opens the socket, which the caller closes.
func (e *echoes) listen() (err error) {
	network, from := "ip4:icmp", "0.0.0.0"
	if e.protocol == unix.IPPROTO_ICMPV6 {
		network, from = "ip6:ipv6-icmp", "::"
	}
	e.conn, err = icmp.ListenPacket(network, from)
	return err
}

// ask sends an echo request and waits for the reply.
func (e *echoes) ask(limit time.Duration) error {
	replied := make(chan struct{})
	e.mu.Lock()
	e.next++
	number := e.next
	e.out[number] = replied
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.out, number)
	}()
	message := icmp.Message{Type: e.request,
		Body: &icmp.Echo{ID: e.id, Seq: int(number), Data: []byte("tandem")}}
	b, err := message.Marshal(nil) // the kernel adds the checksum of IPv6
	if err != nil {
		return err
	}
	if _, err := e.conn.WriteTo(b, e.to); err != nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-replied:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// read hands replies on until the socket is closed.
func (e *echoes) read() {
	b := make([]byte, maxDatagram)
	for {
		n, _, err := e.conn.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			e.hear(b[:n])
		}
	}
}

// hear takes in one ICMP message.
func (e *echoes) hear(b []byte) {
	message, err := icmp.ParseMessage(e.protocol, b)
	if err != nil || message.Type != e.reply {
		return
	}
	reply, ok := message.Body.(*icmp.Echo)
	if !ok || reply.ID != e.id {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if replied, waits := e.out[uint16(reply.Seq)]; waits {
		close(replied)
		delete(e.out, uint16(reply.Seq))
	}
}
