package config

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// realBlock is a RealServer while it is read, with what its checks inherit. The settings that the
// real server will have are nil.
type realBlock struct {
	RealServer
	settings RealServerSettings
	timing
}

func newReal(s *serverBlock) realBlock {
	r := realBlock{timing: s.timing}
	r.Weight, r.settings.InhibitOnFailure = s.weight, s.inhibit
	return r
}

// sharedReal returns those settings, or equal ones of the real server before: mostly many in a row
// are alike.
func (d *decoder) sharedReal(s RealServerSettings) *RealServerSettings {
	if d.lastReal == nil || *d.lastReal != s {
		own := s // not for those that are shared
		d.lastReal = &own
	}
	return d.lastReal
}

func realTable() *table[realBlock] {
	type b = realBlock
	threshold := number[int](0, 1<<31-1)
	return newTable("real_server",
		[]keyword[b]{
			leaf("weight", "", number[int](0, 65535), func(b *b) *int { return &b.Weight },
				"its share of the work").as(inherits[b]("as in virtual_server")),
			leaf("inhibit_on_failure", "", boolean(),
				func(b *b) *bool { return &b.settings.InhibitOnFailure },
				"weight 0 instead of taking it out when it fails").
				as(inherits[b]("as in virtual_server")),
			methodKeyword("lvs_method", "as in virtual_server",
				func(b *b) (*Forward, *Tunnel) { return &b.settings.Forward, &b.settings.Tunnel }),
			leaf("uthreshold", "0", threshold, func(b *b) *int { return &b.settings.UpperThreshold },
				"connections at which it gets no more; 0 is any"),
			leaf("lthreshold", "0", threshold, func(b *b) *int { return &b.settings.LowerThreshold },
				"connections at which it gets more again"),
			scriptLeaf("notify_up", func(b *b) **Script { return &b.settings.NotifyUp },
				"run when it comes up"),
			scriptLeaf("notify_down", func(b *b) **Script { return &b.settings.NotifyDown },
				"run when it goes down"),
			leaf("smtp_alert", "", switched(), func(b *b) *Switch { return &b.settings.Alert },
				"mail when it changes").as(otherwise[b]("as in virtual_server")),
			leaf("snmp_name", "", text("one name"), func(b *b) *string { return &b.settings.SNMPName },
				"name in SNMP"),
		},
		timingKeywords(nil, func(b *b) *timing { return &b.timing }),
		checkerBlocks())
}

// serverAddress is the form of what names a real server.
var serverAddress = sync.OnceValue(addressPort)

// addReal settles what does not need the virtual server: its header may not be read yet.
func addReal(d *decoder, s *serverBlock, r *realBlock, n *Node) {
	a, ok := arguments(d, n, serverAddress())
	if !ok {
		return
	}
	r.Pos, r.Address, r.settings.Alpha = n.Pos(), a, r.timing.alpha
	// By kind, as they are written: their order in the file means nothing.
	slices.SortStableFunc(r.Checks, func(a, b Check) int { return cmp.Compare(a.Kind, b.Kind) })
	if s.reals == nil {
		s.reals = d.reals[:0]
	}
	s.reals = append(s.reals, *r)
}

func headOfReal(r *realBlock) []string {
	return []string{r.Address.Addr().String(), strconv.Itoa(int(r.Address.Port()))}
}
