package ipvs

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// serviceAnswer is what the kernel says of a service.
type serviceAnswer struct {
	service Service // without Destinations
	stats   Stats
}

// decodeService reads an answer of cmdGetService (ip_vs_genl_fill_service in
// net/netfilter/ipvs/ip_vs_ctl.c).
func decodeService(b []byte) (serviceAnswer, error) {
	var a serviceAnswer
	var raw rawAddr
	var flags uint32
	var timeout time.Duration
	var mask []byte
	s := &a.service
	err := decodeNested(b, attrService, func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			switch ad.Type() {
			case svcFamily:
				raw.family = ad.Uint16()
			case svcProtocol:
				s.Protocol = Protocol(ad.Uint16())
			case svcAddr:
				raw.addr = ad.Bytes()
			case svcPort:
				raw.port = bigEndian16(ad.Bytes())
			case svcMark:
				s.Mark = ad.Uint32()
			case svcScheduler:
				s.Scheduler = Scheduler(ad.String())
			case svcFlags:
				if b := ad.Bytes(); len(b) >= 4 {
					flags = binary.NativeEndian.Uint32(b)
				}
			case svcTimeout:
				timeout = time.Duration(ad.Uint32()) * time.Second
			case svcNetmask:
				mask = ad.Bytes()
			case svcEngine:
				s.Engine = Engine(ad.String())
			case svcStats64:
				ad.Nested(a.stats.decode)
			}
		}
		return ad.Err()
	})
	if err == nil {
		err = s.identify(raw)
	}
	if err != nil {
		return serviceAnswer{}, fmt.Errorf("decode service: %w", err)
	}
	s.Flags = Flags(flags) & allFlags
	if flags&flagPersistent != 0 {
		s.Persistence = timeout
	}
	s.PersistenceBits = fromNetmask(mask, s.IsIPv6())
	s.Settings = s.canonical().Settings
	return a, nil
}

// identify completes the key of a service.
func (s *Service) identify(raw rawAddr) error {
	if s.Mark != 0 {
		s.Protocol, s.Family = 0, IPv4
		if raw.family == unix.AF_INET6 {
			s.Family = IPv6
		}
		return nil
	}
	addr, err := raw.decode()
	s.Addr = addr
	return err
}

// destinationAnswer is what the kernel says of a destination.
type destinationAnswer struct {
	destination Destination
	load        Load
	stats       Stats
}

// decodeDestination reads an answer of cmdGetDest for a destination of the service k
// (ip_vs_genl_fill_dest in net/netfilter/ipvs/ip_vs_ctl.c).
func decodeDestination(b []byte, k Key) (destinationAnswer, error) {
	var a destinationAnswer
	raw := rawAddr{family: familyNumber(k.IsIPv6())} // kernels before 3.18 do not say it
	err := decodeNested(b, attrDest, func(ad *netlink.AttributeDecoder) error {
		for ad.Next() {
			switch ad.Type() {
			case destAddr:
				raw.addr = ad.Bytes()
			case destPort:
				raw.port = bigEndian16(ad.Bytes())
			case destFamily:
				raw.family = ad.Uint16()
			default:
				a.decodeAttribute(ad)
			}
		}
		return ad.Err()
	})
	if err == nil {
		a.destination.Addr, err = raw.decode()
	}
	if err != nil {
		return destinationAnswer{}, fmt.Errorf("decode destination: %w", err)
	}
	if a.destination.Forward != TUN {
		a.destination.Tunnel = Tunnel{}
	}
	a.load.Weight = a.destination.Weight
	return a, nil
}

// decodeAttribute reads what does not identify the destination.
func (a *destinationAnswer) decodeAttribute(ad *netlink.AttributeDecoder) {
	d := &a.destination
	switch ad.Type() {
	case destForward:
		d.Forward = fromForwardFlags(ad.Uint32())
	case destWeight:
		d.Weight = int(ad.Uint32())
	case destUpper:
		d.Upper = ad.Uint32()
	case destLower:
		d.Lower = ad.Uint32()
	case destActive:
		a.load.Active = int(ad.Uint32())
	case destInactive:
		a.load.Inactive = int(ad.Uint32())
	case destPersistent:
		a.load.Persistent = int(ad.Uint32())
	case destStats64:
		ad.Nested(a.stats.decode)
	case destTunType:
		d.Tunnel.Type = TunnelType(ad.Uint8())
	case destTunPort:
		d.Tunnel.Port = bigEndian16(ad.Bytes())
	case destTunFlags:
		d.Tunnel.Checksum = Checksum(ad.Uint16())
	}
}
