package ipvs

import (
	"net/netip"
	"slices"
)

// Diff returns the operations that turn have into want, in the order in which they must be carried
// out. It is empty if the tables are equal. Destinations that both have are changed in place, never
// deleted and added, so that their connections stay counted; the kernel's order of them is left.
//
// All operations of one service stand together. Within it a destination is added before another
// loses weight or is deleted: at no time does a service that has a destination with weight before
// and after lack one in between. Services that are not wanted are deleted last.
func Diff(have, want Services) []Op {
	ops := make([]Op, 0, sizeOfDiff(have, want))
	diff(have, want, func(of func([]Op) []Op) { ops = of(ops) })
	return ops
}

// diff hands each of the pieces of Diff to piece, in order, which are those of one service, or of
// all that are to be deleted: of appends one.
func diff(have, want Services, piece func(of func([]Op) []Op)) {
	old := make(map[Key]*Service, len(have))
	for i := range have {
		old[have[i].Key] = &have[i]
	}
	for i := range want {
		s := &want[i]
		o := old[s.Key]
		delete(old, s.Key)
		piece(func(ops []Op) []Op { return diffService(ops, o, s) })
	}
	piece(func(ops []Op) []Op {
		for i := range have {
			if old[have[i].Key] != nil {
				ops = append(ops, Op{Kind: DeleteService, Key: have[i].Key})
			}
		}
		return ops
	})
}

// diffService appends the operations that turn o, which is nil if there is none, into s.
func diffService(ops []Op, o, s *Service) []Op {
	var had []Destination
	switch {
	case o == nil:
		ops = append(ops, Op{Kind: AddService, Key: s.Key, Settings: s.Settings})
	case o.Settings.canonical(s.Key) != s.Settings.canonical(s.Key):
		ops = append(ops, Op{Kind: SetService, Key: s.Key, Settings: s.Settings})
	}
	if o != nil {
		had = o.Destinations
	}
	return diffDestinations(ops, s.Key, had, s.Destinations)
}

// sizeOfDiff returns how many operations there are where all that is wanted is added. In another
// case nothing depends on it.
func sizeOfDiff(have, want Services) int {
	if len(have) > 0 {
		return 0
	}
	size := 0
	for i := range want {
		size += 1 + len(want[i].Destinations)
	}
	return size
}

// diffDestinations appends the operations on the destinations of a service to ops.
func diffDestinations(ops []Op, k Key, have, want []Destination) []Op {
	if slices.Equal(have, want) {
		return ops
	}
	old := make(map[netip.AddrPort]Destination, len(have))
	for _, d := range have {
		old[d.Addr] = d
	}
	var raise, set []Op
	for _, d := range want {
		o, ok := old[d.Addr]
		delete(old, d.Addr)
		switch {
		case !ok:
			ops = append(ops, Op{Kind: AddDestination, Key: k, Destination: d})
		case o == d:
		case d.Weight > o.Weight:
			raise = append(raise, Op{Kind: SetDestination, Key: k, Destination: d})
		default:
			set = append(set, Op{Kind: SetDestination, Key: k, Destination: d})
		}
	}
	ops = append(append(ops, raise...), set...)
	for _, d := range have {
		if _, left := old[d.Addr]; left {
			gone := Destination{Addr: d.Addr}
			ops = append(ops, Op{Kind: DeleteDestination, Key: k, Destination: gone})
		}
	}
	return ops
}
