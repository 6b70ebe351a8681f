package ipvs

import (
	"context"
	"net/netip"
)

// Table is a table of virtual services: the kernel's, or one like it.
type Table interface {
	// List returns the whole table.
	List(ctx context.Context) (Services, error)
	// Get returns the service of that key alone; nil if it is not there.
	Get(ctx context.Context, k Key) (Services, error)
	// Loads returns what each destination of a service has to do at the moment; an empty map if
	// the service is not there.
	Loads(ctx context.Context, k Key) (map[netip.AddrPort]Load, error)
	// Apply carries out ops in their order and goes on after one that fails, so that a bad
	// destination does not keep its neighbours out. Its error joins an *OpError for each that
	// failed, but not for what follows on a service that could not be added: that is left out, or
	// fails too, or is carried out because another had added the service. When ctx ends, or an
	// answer does not come in time, the rest is left out.
	Apply(ctx context.Context, ops []Op) error
}

// Load is what a destination has to do.
type Load struct {
	// Weight is that of the moment.
	Weight int
	// Active are connections that are being made or are established, Inactive the others that the
	// kernel still remembers: for TCP those of which either side has said that it will send no
	// more, 10 to 120 s after their last packet. A UDP flow is never active, and remembered for
	// 300 s (tcp_state_active_table and the timeouts in net/netfilter/ipvs/ip_vs_proto_*.c).
	Active, Inactive int
	// Persistent are clients that the kernel will bring to the destination again.
	Persistent int
}
