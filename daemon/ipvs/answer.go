package ipvs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

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
	r, err := nestedIn(b, attrService)
	for err == nil && r.next() {
		switch r.typ {
		case svcFamily:
			raw.family = r.uint16()
		case svcProtocol:
			s.Protocol = Protocol(r.uint16())
		case svcAddr:
			raw.addr = r.data
		case svcPort:
			raw.port = bigEndian16(r.data)
		case svcMark:
			s.Mark = r.uint32()
		case svcScheduler:
			s.Scheduler = Scheduler(r.string())
		case svcFlags:
			if len(r.data) >= 4 {
				flags = binary.NativeEndian.Uint32(r.data)
			}
		case svcTimeout:
			timeout = time.Duration(r.uint32()) * time.Second
		case svcNetmask:
			mask = r.data
		case svcEngine:
			s.Engine = Engine(r.string())
		case svcStats64:
			err = a.stats.decode(r.nested())
		}
	}
	if err = cmp.Or(err, r.err); err == nil {
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
	r, err := nestedIn(b, attrDest)
	for err == nil && r.next() {
		switch r.typ {
		case destAddr:
			raw.addr = r.data
		case destPort:
			raw.port = bigEndian16(r.data)
		case destFamily:
			raw.family = r.uint16()
		default:
			err = a.decodeAttribute(&r)
		}
	}
	if err = cmp.Or(err, r.err); err == nil {
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
func (a *destinationAnswer) decodeAttribute(r *attributeReader) error {
	d := &a.destination
	switch r.typ {
	case destForward:
		d.Forward = fromForwardFlags(r.uint32())
	case destWeight:
		d.Weight = int(r.uint32())
	case destUpper:
		d.Upper = r.uint32()
	case destLower:
		d.Lower = r.uint32()
	case destActive:
		a.load.Active = int(r.uint32())
	case destInactive:
		a.load.Inactive = int(r.uint32())
	case destPersistent:
		a.load.Persistent = int(r.uint32())
	case destStats64:
		return a.stats.decode(r.nested())
	case destTunType:
		d.Tunnel.Type = TunnelType(r.uint8())
	case destTunPort:
		d.Tunnel.Port = bigEndian16(r.data)
	case destTunFlags:
		d.Tunnel.Checksum = Checksum(r.uint16())
	}
	return nil
}
