package check

import (
	"context"
	"net/netip"
	"time"
)

// TCP finds a server healthy that accepts a connection. It sends nothing.
type TCP struct {
	// Target is where it connects to.
	Target netip.AddrPort
	// Bind is where it connects from; zero is anywhere.
	Bind netip.AddrPort
	// Timeout bounds the check; 0 leaves that to the context.
	Timeout time.Duration
}

// Check implements Checker. Its error is a *Failure.
func (c TCP) Check(ctx context.Context) error {
	conn, err := dial(ctx, c.Target, c.Bind, c.Timeout)
	if err != nil {
		return err
	}
	// The server has accepted: how it takes our going is its own affair.
	_ = conn.Close()
	return nil
}
