package live

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Line is one connection that carries many: the two ends of a guest's standard streams, of which
// one asks and the other answers. Each end is made once.
type Line = yamux.Session

// lineWriteLimit is how long one end may not take anything before the line is given up.
const lineWriteLimit = 5 * time.Minute

func lineConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	// The other end lives and dies with the guest, and that may be slow.
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = lineWriteLimit
	c.StreamOpenTimeout = 0
	c.LogOutput = io.Discard
	return c
}

// Asking is the end of a line that opens connections.
func Asking(over io.ReadWriteCloser) (*Line, error) { return yamux.Client(over, lineConfig()) }

// Answering is the end of a line that accepts connections: a listener.
func Answering(over io.ReadWriteCloser) (*Line, error) { return yamux.Server(over, lineConfig()) }

// RemoteOver is a lab that answers at the other end of a line.
func RemoteOver(name string, to *Line) Remote {
	return NewRemote(name, func(context.Context) (net.Conn, error) { return to.Open() })
}

// Relay hands every connection that comes by a listener on over a line, until the listener is
// closed, and returns when all of them have ended.
func Relay(from net.Listener, to *Line) {
	var relayed sync.WaitGroup
	defer relayed.Wait()
	for {
		near, err := from.Accept()
		if err != nil {
			return
		}
		relayed.Go(func() {
			defer near.Close()
			far, err := to.Open()
			if err != nil {
				_ = newLine(near).say(message{Failure: &Failure{Failed,
					fmt.Sprintf("reach the lab: %v", err)}}) // who asked may be gone
				return
			}
			splice(near, far)
		})
	}
}

// splice hands on what both ends of two connections say until one hangs up, and then hangs up
// itself.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	oneWay := func(to, from net.Conn) {
		defer a.Close()
		defer b.Close()
		_, _ = io.Copy(to, from) // who hung up wants no more, and nobody else does
	}
	both.Go(func() { oneWay(a, b) })
	both.Go(func() { oneWay(b, a) })
	both.Wait()
}

// Pipes makes one connection of a Reader and a Writer.
func Pipes(r io.ReadCloser, w io.WriteCloser) io.ReadWriteCloser { return pipes{r, w} }

type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error {
	err := p.WriteCloser.Close()
	if other := p.ReadCloser.Close(); err == nil {
		err = other
	}
	return err
}
