package ipvs

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Info is what the kernel says of its IPVS.
type Info struct {
	// Version is that of the interface, such as "1.2.1".
	Version string
	// ConnectionTableSize is the number of buckets of the table of connections.
	ConnectionTableSize int
}

// Info returns what the kernel says of its IPVS.
func (k *Kernel) Info(ctx context.Context) (Info, error) {
	var i Info
	err := k.read(ctx, cmdGetInfo, func(r *attributeReader) {
		switch r.typ {
		case 1: // IPVS_INFO_ATTR_VERSION
			v := r.uint32()
			i.Version = fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
		case 2: // IPVS_INFO_ATTR_CONN_TAB_SIZE
			i.ConnectionTableSize = int(r.uint32())
		}
	})
	if err != nil {
		return Info{}, fmt.Errorf("read IPVS version: %w", err)
	}
	return i, nil
}

// read hands the attributes of a one-message answer to a question without attributes to f.
func (k *Kernel) read(ctx context.Context, c command, f func(*attributeReader)) error {
	return k.do(ctx, func(w *wire) error {
		count := 0
		err := w.get(message{command: c}, func(answer []byte) error {
			count++
			if len(answer) < genlHeader {
				return errShort
			}
			r := attributeReader{rest: answer[genlHeader:]}
			for r.next() {
				f(&r)
			}
			return r.err
		})
		if err == nil && count != 1 {
			return fmt.Errorf("%d answers, want 1", count)
		}
		return err
	})
}

// command carries out one command.
func (k *Kernel) command(ctx context.Context, m message) error {
	return k.do(ctx, func(w *wire) error { return w.one(m) })
}

// Flush deletes all services, whoever made them. Connections stay until their time is over.
// Equivalent to: ipvsadm -C.
func (k *Kernel) Flush(ctx context.Context) error {
	if err := k.command(ctx, message{command: cmdFlush}); err != nil {
		return fmt.Errorf("flush table: %w", err)
	}
	return nil
}

// Zero sets the counters of a service and its destinations to 0. Equivalent to: ipvsadm -Z -t
// ADDRESS.
func (k *Kernel) Zero(ctx context.Context, key Key) error {
	if err := k.command(ctx, keyMessage(cmdZero, key)); err != nil {
		return fmt.Errorf("zero counters of %s: %w", key, err)
	}
	return nil
}

// ZeroAll sets all counters to 0. Equivalent to: ipvsadm -Z.
func (k *Kernel) ZeroAll(ctx context.Context) error {
	if err := k.command(ctx, message{command: cmdZero}); err != nil {
		return fmt.Errorf("zero counters: %w", err)
	}
	return nil
}

// Stats returns what a service and each of its destinations carry. The error is ESRCH for one that
// is not there. Equivalent to: ipvsadm -L -n --stats --exact -t ADDRESS, and --rate.
func (k *Kernel) Stats(
	ctx context.Context, key Key,
) (service Stats, destinations map[netip.AddrPort]Stats, err error) {
	a, err := k.service(ctx, key)
	if err != nil {
		return Stats{}, nil, err
	}
	destinations = make(map[netip.AddrPort]Stats)
	err = k.destinations(ctx, key, func() { clear(destinations) }, func(d *destinationAnswer) {
		destinations[d.destination.Addr] = d.stats
	})
	if err != nil {
		return Stats{}, nil, err
	}
	return a.stats, destinations, nil
}

// Timeouts are how long the kernel remembers a connection without packets, in whole seconds. Zero
// leaves a timeout as it is (ip_vs_set_timeout in net/netfilter/ipvs/ip_vs_ctl.c).
type Timeouts struct {
	// TCP is for established connections, TCPFin for those that one side has closed, UDP for
	// flows: by default 15 min, 2 min and 5 min.
	TCP, TCPFin, UDP time.Duration
}

// Validate returns an error if the kernel would refuse a timeout or forget a part of it.
func (t Timeouts) Validate() error {
	for name, d := range map[string]time.Duration{"TCP": t.TCP, "TCP FIN": t.TCPFin, "UDP": t.UDP} {
		// The kernel counts them in ticks of up to 1000 a second, in 31 bits.
		if d < 0 || d%time.Second != 0 || d/time.Second > math.MaxInt32/1000 {
			return fmt.Errorf("%s timeout %s is not whole seconds from 0 to %d",
				name, d, math.MaxInt32/1000)
		}
	}
	return nil
}

// Timeouts returns those of the table's namespace. Equivalent to: ipvsadm -L --timeout.
func (k *Kernel) Timeouts(ctx context.Context) (Timeouts, error) {
	var t Timeouts
	err := k.read(ctx, cmdGetConfig, func(r *attributeReader) {
		switch r.typ {
		case attrTimeoutTCP:
			t.TCP = time.Duration(r.uint32()) * time.Second
		case attrTimeoutTCPFin:
			t.TCPFin = time.Duration(r.uint32()) * time.Second
		case attrTimeoutUDP:
			t.UDP = time.Duration(r.uint32()) * time.Second
		}
	})
	if err != nil {
		return Timeouts{}, fmt.Errorf("read timeouts: %w", err)
	}
	return t, nil
}

// SetTimeouts sets those of the table's namespace that are not zero. Equivalent to: ipvsadm --set
// TCP TCPFIN UDP.
func (k *Kernel) SetTimeouts(ctx context.Context, t Timeouts) error {
	err := t.Validate()
	if err == nil {
		err = k.command(ctx, timeoutsMessage(t))
	}
	if err != nil {
		return fmt.Errorf("set timeouts: %w", err)
	}
	return nil
}

func timeoutsMessage(t Timeouts) message {
	return message{command: cmdSetConfig, fill: func(a *attributes) {
		a.uint32(attrTimeoutTCP, uint32(t.TCP/time.Second))
		a.uint32(attrTimeoutTCPFin, uint32(t.TCPFin/time.Second))
		a.uint32(attrTimeoutUDP, uint32(t.UDP/time.Second))
	}}
}
