package ipvs

import (
	"fmt"
	"math"
	"net/netip"
)

// Forward is how packets reach a destination. Zero is unset; List returns it for a method that is
// none of the three.
type Forward uint8

// The forwarding methods.
const (
	NAT Forward = iota + 1
	DR
	TUN
)

// String returns keepalived's word for f.
func (f Forward) String() string {
	switch f {
	case NAT:
		return "NAT"
	case DR:
		return "DR"
	case TUN:
		return "TUN"
	}
	return fmt.Sprintf("Forward(%d)", uint8(f))
}

// TunnelType is what packets to a destination of method TUN are wrapped in, with the kernel's
// values (IP_VS_CONN_F_TUNNEL_TYPE_ in linux/ip_vs.h). Linux has all three since 5.3.
type TunnelType uint8

// The types of tunnels.
const (
	IPIP TunnelType = iota
	GUE
	GRE
)

// String returns keepalived's and ipvsadm's word for t.
func (t TunnelType) String() string {
	switch t {
	case IPIP:
		return "ipip"
	case GUE:
		return "gue"
	case GRE:
		return "gre"
	}
	return fmt.Sprintf("TunnelType(%d)", uint8(t))
}

// Checksum is how a tunnel secures the packets in it, with the kernel's values
// (IP_VS_TUNNEL_ENCAP_FLAG_ in linux/ip_vs.h).
type Checksum uint16

// The checksums of a tunnel. Zero is none. Remote is checksum offload to the other end, for GUE.
const (
	NoChecksum     Checksum = 0
	FullChecksum   Checksum = 1
	RemoteChecksum Checksum = 2
)

// String returns keepalived's word for c.
func (c Checksum) String() string {
	switch c {
	case NoChecksum:
		return "nocsum"
	case FullChecksum:
		return "csum"
	case RemoteChecksum:
		return "remcsum"
	}
	return fmt.Sprintf("Checksum(%d)", uint16(c))
}

// Tunnel is how packets to a destination of method TUN are wrapped. Zero is IPIP, and the only one
// for the other methods.
type Tunnel struct {
	Type TunnelType
	// Port is the destination port of a GUE tunnel, not 0; 0 for the other types.
	Port uint16
	// Checksum is for GUE and GRE.
	Checksum Checksum
}

// Validate returns an error if ipvsadm or the kernel would refuse the tunnel.
func (t Tunnel) Validate() error {
	switch {
	case t.Type > GRE:
		return fmt.Errorf("unknown tunnel type %d", uint8(t.Type))
	case t.Checksum > RemoteChecksum:
		return fmt.Errorf("unknown tunnel checksum %d", uint16(t.Checksum))
	case t.Type == GUE && t.Port == 0:
		return fmt.Errorf("tunnel %s without a port", t.Type)
	case t.Type != GUE && t.Port != 0:
		return fmt.Errorf("tunnel %s with a port", t.Type)
	case t.Type == IPIP && t.Checksum != 0, t.Type == GRE && t.Checksum == RemoteChecksum:
		return fmt.Errorf("tunnel %s with %s", t.Type, t.Checksum)
	}
	return nil
}

// MaxWeight is the largest weight that the kernel takes (ip_vs_add_dest: a negative int is ERANGE).
const MaxWeight = math.MaxInt32

// Destination is one real server of a virtual service. Addr identifies it within the service.
// Destinations are comparable.
type Destination struct {
	// Addr may be of the other family than the service if Forward is TUN.
	Addr netip.AddrPort
	// Weight is 0 to MaxWeight; 0 takes no new connections and keeps those that it has.
	Weight int
	// Upper is the number of connections from which on the destination gets no new ones, Lower
	// the one below which it gets some again. Upper 0 is no limit; Lower 0 is three quarters of
	// Upper.
	Upper, Lower uint32
	Forward      Forward
	// Tunnel is used if Forward is TUN, else zero.
	Tunnel Tunnel
}

// Validate returns an error if d cannot be in a table, or would not come back from it as it is.
func (d Destination) Validate() error {
	switch {
	case d.Forward != NAT && d.Forward != DR && d.Forward != TUN:
		return fmt.Errorf("destination %s: unknown forwarding method", d.Addr)
	case d.Forward != TUN && d.Tunnel != Tunnel{}:
		return fmt.Errorf("destination %s: a tunnel with method %s", d.Addr, d.Forward)
	case d.Weight < 0 || d.Weight > MaxWeight:
		return fmt.Errorf("destination %s: weight %d is not 0 to %d", d.Addr, d.Weight, MaxWeight)
	case d.Lower > d.Upper:
		return fmt.Errorf("destination %s: lower threshold %d above the upper, %d",
			d.Addr, d.Lower, d.Upper)
	}
	if err := d.Tunnel.Validate(); err != nil {
		return fmt.Errorf("destination %s: %w", d.Addr, err)
	}
	return validateAddr("destination", d.Addr)
}

// validateIn is Validate for a destination of that service.
func (d Destination) validateIn(k Key) error {
	if err := d.Validate(); err != nil {
		return err
	}
	if d.Forward != TUN && d.Addr.Addr().Is6() != k.IsIPv6() {
		return fmt.Errorf("destination %s: only TUN leads to another family, not %s",
			d.Addr, d.Forward)
	}
	return nil
}
