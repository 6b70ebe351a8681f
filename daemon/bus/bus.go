package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// queueLength is how many signals wait for the bus at most.
	queueLength = 256
	// The bus is tried again after firstPause, then after twice that, up to longestPause.
	firstPause, longestPause = time.Second, 30 * time.Second
	// patience is how long the bus may take until it has taken us in.
	patience = 10 * time.Second
	// lastWords is how long the signals that wait at the end may take.
	lastWords = time.Second
)

// Options are what a Bus is told.
type Options struct {
	// Address is that of the bus; empty is the system bus.
	Address string
	// Name is ours on the bus; empty is DefaultName.
	Name string
	// NoInterface leaves interfaces out of the paths of instances.
	NoInterface bool
	Director    Director
	// Log gets a line when the bus is there and when it is gone; nil means slog.Default.
	Log *slog.Logger
}

// Bus is a director on the message bus.
type Bus struct {
	options Options
	queue   chan func() (Signal, bool)
	lost    atomic.Uint64
	// greeted is that everybody was told of the start.
	greeted bool
}

// New returns a Bus that does nothing yet.
func New(o Options) *Bus {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Address == "" {
		o.Address = systemBus()
	}
	return &Bus{options: o, queue: make(chan func() (Signal, bool), queueLength)}
}

// systemBus is the address of the bus of this machine.
func systemBus() string {
	if a := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); a != "" {
		return a
	}
	return "unix:path=/var/run/dbus/system_bus_socket"
}

// Tell has what make returns be sent, if it is anything. It never waits: make is called later, by
// the goroutine of Run. Where too many wait already, it is not told, and counted.
func (b *Bus) Tell(make func() (Signal, bool)) {
	select {
	case b.queue <- make:
	default:
		b.lost.Add(1)
	}
}

// Lost returns how many were not told.
func (b *Bus) Lost() uint64 { return b.lost.Load() }

// Run serves until ctx ends; then it tells what waits, if there is a bus, and leaves. It looks for
// the bus again and again, and returns nil.
func (b *Bus) Run(ctx context.Context) error {
	log := b.options.Log.With("bus", b.options.Address, "name", b.options.Name)
	pause := firstPause
	for quiet := false; ctx.Err() == nil; quiet = true {
		served, err := b.connect(ctx, log)
		if ctx.Err() != nil {
			break
		}
		if served {
			pause, quiet = firstPause, false
		}
		if !quiet {
			log.Warn("no message bus; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
	return nil
}

// connect serves one connection; served says whether the bus has taken us in.
func (b *Bus) connect(ctx context.Context, log *slog.Logger) (served bool, err error) {
	// What the connection waits for ends with living: soon after ctx, or if the bus is too slow.
	living, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	handler := &objects{living, &b.options.Director, !b.options.NoInterface}
	conn, err := dbus.Dial(b.options.Address, dbus.WithHandler(handler), dbus.WithContext(living))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	late := time.AfterFunc(patience, func() {
		end(fmt.Errorf("no answer within %s", patience))
	})
	err = b.enter(conn)
	if !late.Stop() {
		return false, errors.Join(context.Cause(living), err)
	}
	if err != nil {
		return false, err
	}
	log.Info("message bus")
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, func() { end(nil) }) })()
	return true, b.serve(ctx, conn)
}

// enter introduces us.
func (b *Bus) enter(conn *dbus.Conn) error {
	if err := conn.Auth(nil); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if err := conn.Hello(); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	reply, err := conn.RequestName(b.options.Name, dbus.NameFlagDoNotQueue)
	if err != nil {
		return fmt.Errorf("take name: %w", err)
	}
	if reply != dbus.RequestNameReplyPrimaryOwner {
		return errors.New("take name: somebody else has it")
	}
	return nil
}

// serve tells what there is to tell until ctx ends, or the connection does.
func (b *Bus) serve(ctx context.Context, conn *dbus.Conn) error {
	if !b.greeted {
		if err := emit(conn, started()); err != nil {
			return err
		}
		b.greeted = true
	}
	for {
		select {
		case <-ctx.Done():
			return b.leave(conn)
		case <-conn.Context().Done():
			return errors.New("the bus has hung up")
		case make := <-b.queue:
			if err := b.send(conn, make); err != nil {
				return err
			}
		}
	}
}

// leave tells what waits, and says goodbye.
func (b *Bus) leave(conn *dbus.Conn) error {
	for {
		select {
		case make := <-b.queue:
			if err := b.send(conn, make); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	err := emit(conn, stopped())
	_, released := conn.ReleaseName(b.options.Name)
	return errors.Join(err, released)
}

func (b *Bus) send(conn *dbus.Conn, make func() (Signal, bool)) error {
	s, ok := make()
	if !ok {
		return nil
	}
	return emit(conn, s)
}

func emit(conn *dbus.Conn, s Signal) error { return conn.Emit(s.path, s.name, s.args...) }
