package netif

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// newsFilter drops what the kernel tells of renewals of IPv4 addresses that were asked for by that
// port: with many VIPs that is nearly all there is to hear. An address that was not there before
// has the same time of creation as of its last change, and is heard of, whoever added it; so are
// all addresses of IPv6, of whose renewals the kernel does not say who asked. Of routes only those
// matter that are this daemon's and go, of rules those that go.
func newsFilter(port uint32) []bpf.Instruction {
	const (
		typeAt, portAt, familyAt = 4, 12, unix.SizeofNlMsghdr
		protocolAt               = unix.SizeofNlMsghdr + 5 // in rtmsg
		attrsAt                  = unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg
		createdAt, changedAt     = 4 + 8, 4 + 12 // in the attribute IFA_CACHEINFO
		all                      = 1<<32 - 1
	)
	// BPF reads in network order what the kernel has written in its own.
	swap16 := func(n uint16) uint32 {
		return uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, n)))
	}
	swap32 := func(n uint32) uint32 {
		return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, n))
	}
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: typeAt, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: swap16(unix.RTM_NEWROUTE), SkipTrue: 19},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: swap16(unix.RTM_NEWRULE), SkipTrue: 18},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: swap16(unix.RTM_DELROUTE), SkipTrue: 2},
		bpf.LoadAbsolute{Off: protocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: Protocol, SkipTrue: 16, SkipFalse: 15},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: swap16(unix.RTM_NEWADDR), SkipTrue: 15},
		bpf.LoadAbsolute{Off: portAt, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: swap32(port), SkipTrue: 13},
		bpf.LoadAbsolute{Off: familyAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_INET, SkipTrue: 11},
		bpf.LoadConstant{Dst: bpf.RegX, Val: unix.IFA_CACHEINFO},
		bpf.LoadConstant{Dst: bpf.RegA, Val: attrsAt},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr}, // where the attribute X is, or zero
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 7},
		bpf.TAX{},
		bpf.LoadIndirect{Off: createdAt, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadIndirect{Off: changedAt, Size: 4},
		bpf.LoadScratch{Dst: bpf.RegX, N: 0},
		bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: all},
	}
}
