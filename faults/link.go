package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandemlb/tandem/lab"
)

// linkDown pulls a cable.
func linkDown(r request, _ *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := hasCarrier(n, r.detail); err != nil {
			return nil, err
		}
		if err := n.SetLink(ctx, r.detail, false); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return plugIn(ctx, n, r.detail) }, nil
	}
}

// hasCarrier returns an error where an interface is down already.
func hasCarrier(n *lab.Node, iface string) error {
	carrier, err := n.Carrier(iface)
	if err == nil && !carrier {
		err = errors.New("the link is down already")
	}
	return err
}

func plugIn(ctx context.Context, n *lab.Node, iface string) error {
	if err := n.SetLink(ctx, iface, true); err != nil {
		return err
	}
	if up, err := n.Carrier(iface); err != nil || !up {
		return errors.Join(err, fmt.Errorf("%w: no carrier", ErrNotHealed))
	}
	return nil
}

// interfaceOff switches an interface off. The heal sets the routes that led over it again.
func interfaceOff(r request, _ *values) injector {
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := hasCarrier(n, r.detail); err != nil {
			return nil, err
		}
		routes, err := routesOver(n, r.detail)
		if err != nil {
			return nil, err
		}
		if err := n.SetAdmin(ctx, r.detail, false); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if err := n.SetAdmin(ctx, r.detail, true); err != nil {
				return err
			}
			if up, err := n.Carrier(r.detail); err != nil || !up {
				return errors.Join(err, fmt.Errorf("%w: no carrier", ErrNotHealed))
			}
			return restoreRoutes(n, routes)
		}, nil
	}
}

// directions are the words that a parameter "direction" takes.
var directions = map[string][]lab.Direction{
	"out":  {lab.Outward},
	"in":   {lab.Inward},
	"both": {lab.Outward, lab.Inward},
}

// directed is the parameter of faults that strike one direction over a cable or both.
func directed(usual string) Parameter {
	return Parameter{"direction", "what the node sends, what it receives, or both", usual, "out|in|both"}
}

// impaired makes a builder of what a cable does to frames.
func impaired(of func(v *values) lab.Impairment) func(request, *values) injector {
	return func(r request, v *values) injector {
		impairment, ways := of(v), directions[v.word("direction")]
		return func(ctx context.Context, n *lab.Node) (Heal, error) {
			return impair(ctx, n, r.detail, impairment, ways)
		}
	}
}

// impair makes a cable a bad one in each direction, or in none.
func impair(
	ctx context.Context, n *lab.Node, iface string, i lab.Impairment, ways []lab.Direction,
) (Heal, error) {
	var ends all
	for _, way := range ways {
		end, err := n.Impair(ctx, iface, way, i)
		if err != nil {
			return nil, errors.Join(err, ends.heal(context.WithoutCancel(ctx)))
		}
		ends = append(ends, end)
	}
	return ends.heal, nil
}

// all are heals that belong together.
type all []Heal

// heal does every one, the last first, whatever becomes of the others.
func (a all) heal(ctx context.Context) error {
	var errs []error
	for i := len(a) - 1; i >= 0; i-- {
		errs = append(errs, a[i](ctx))
	}
	return errors.Join(errs...)
}

func delayed(v *values) lab.Impairment { return lab.Impairment{Delay: v.duration("delay")} }

// jittered delays by the jitter at least: no frame can arrive before it was sent.
func jittered(v *values) lab.Impairment {
	jitter := v.duration("jitter")
	delay := v.duration("delay")
	if v.err == nil && delay < jitter {
		v.fail("jitter", "no more than the delay, "+delay.String())
	}
	return lab.Impairment{Delay: delay, Jitter: jitter}
}

func lost(v *values) lab.Impairment { return lab.Impairment{Loss: v.share("share")} }

func duplicated(v *values) lab.Impairment { return lab.Impairment{Duplicate: v.share("share")} }

func corrupted(v *values) lab.Impairment { return lab.Impairment{Corrupt: v.share("share")} }

func reordered(v *values) lab.Impairment {
	return lab.Impairment{Delay: v.duration("delay"), Reorder: v.share("share")}
}

func limited(v *values) lab.Impairment { return lab.Impairment{Rate: v.rate("rate")} }

// linkFlapping pulls a cable and plugs it in, again and again.
func linkFlapping(r request, v *values) injector {
	period, up := v.duration("period"), v.share("up")
	if v.err == nil && up == 1 {
		v.fail("up", "less than 100%")
	}
	plugged := time.Duration(float64(period) * up)
	return func(ctx context.Context, n *lab.Node) (Heal, error) {
		if err := hasCarrier(n, r.detail); err != nil {
			return nil, err
		}
		if err := n.SetLink(ctx, r.detail, false); err != nil {
			return nil, err
		}
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- flap(n, r.detail, period-plugged, plugged, stop) }()
		halt := sync.OnceValue(func() error {
			close(stop)
			return <-done
		})
		return func(ctx context.Context) error {
			return errors.Join(halt(), plugIn(ctx, n, r.detail))
		}, nil
	}
}

// flap changes a cable that is pulled until stop.
func flap(n *lab.Node, iface string, down, up time.Duration, stop <-chan struct{}) error {
	for plugged := false; ; {
		pause := time.NewTimer(map[bool]time.Duration{false: down, true: up}[plugged])
		select {
		case <-stop:
			pause.Stop()
			return nil
		case <-pause.C:
		}
		plugged = !plugged
		if err := n.SetLink(context.Background(), iface, plugged); err != nil {
			return err
		}
	}
}
