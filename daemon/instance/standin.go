package instance

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/tandemlb/tandem/daemon/netif"
	"github.com/tandemlb/tandem/daemon/vrrp"
)

// Advertise sends the advert that the claim's master sends, once, for one that cannot.
func (c Claim) Advertise(links Links) error { return c.send(links, c.Priority) }

// Listen calls heard for each advert of another master of the claim's virtual router, until stop is
// called, which waits for the last call.
func (c Claim) Listen(links Links, heard func()) (stop func(), err error) {
	sock, err := c.open(links)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", c.Instance, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// Its error is that of a link which is gone: there is nothing to hear there.
		_ = sock.Receive(func(p netif.Packet) {
			a, err := vrrp.Parse(p.Payload, p.From, p.To)
			if err == nil && a.VRID == c.VRID && a.Priority != vrrp.PriorityResign &&
				p.From != c.Source {
				heard()
			}
		})
	}()
	return func() {
		_ = sock.Close() // what there was to hear has been heard
		<-ended
	}, nil
}

// Down is the shortest silence of the claim's master after which a backup takes over.
func (c Claim) Down() time.Duration {
	return time.Duration(cmp.Or(c.DownAdverts, vrrp.DefaultDownAdverts)) * c.Interval
}

// Patience is how long a successor may take to be heard after the master has resigned: the longest
// skew there is, and half a second for it to wake up and act.
func (c Claim) Patience() time.Duration {
	longest := c.Interval
	if c.Version == vrrp.V2 {
		longest = time.Second
	}
	return longest + 500*time.Millisecond
}

func (c Claim) open(links Links) (Socket, error) { return open(links(c.Interface), c.config()) }

// send sends an advert of that priority to everybody.
func (c Claim) send(links Links, priority uint8) (err error) {
	sock, err := c.open(links)
	if err != nil {
		return fmt.Errorf("speak for %s: %w", c.Instance, err)
	}
	defer func() { err = errors.Join(err, sock.Close()) }()
	var errs []error
	cfg := c.config()
	m := &member{cfg: &cfg}
	for _, dst := range m.cfg.destinations() {
		b, err := c.advert(priority).Append(nil, c.Source, m.covered(dst))
		if err == nil {
			err = sock.Send(b, c.Source, dst)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("speak for %s: %w", c.Instance, err))
		}
	}
	return errors.Join(errs...)
}

// ClaimOf is what an instance of that configuration has as a master, as far as it can be known
// without its network: enough to Withdraw it.
func ClaimOf(c Config) Claim {
	c = c.withDefaults()
	claim := Claim{
		Instance: c.Name, Interface: c.Interface, Version: c.Router.Version,
		VRID: c.Router.VRID, Interval: c.Router.Interval, DownAdverts: c.Router.DownAdverts,
	}
	claim.add(c)
	return claim
}
