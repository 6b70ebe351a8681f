package ipvs

import "net/netip"

// Diff returns the operations that turn have into want, in the order in which they must be carried
// out. It is empty if the tables are equal. Destinations that both have are changed in place, never
// deleted and added, so that their connections stay counted; the kernel's order of them is left.
//
// All operations of one service stand together. Within it a destination is added before another
// loses weight or is deleted: at no time does a service that has a destination with weight before
// and after lack one in between. Services that are not wanted are deleted last.
func Diff(have, want Services) []Op {
	old := make(map[Key]Service, len(have))
	for _, s := range have {
		old[s.Key] = s
	}
	var ops []Op
	for _, s := range want {
		o, ok := old[s.Key]
		delete(old, s.Key)
		switch {
		case !ok:
			ops = append(ops, Op{Kind: AddService, Key: s.Key, Settings: s.Settings})
		case o.Settings.canonical(s.Key) != s.Settings.canonical(s.Key):
			ops = append(ops, Op{Kind: SetService, Key: s.Key, Settings: s.Settings})
		}
		ops = append(ops, diffDestinations(s.Key, o.Destinations, s.Destinations)...)
	}
	for _, s := range have {
		if _, left := old[s.Key]; left {
			ops = append(ops, Op{Kind: DeleteService, Key: s.Key})
		}
	}
	return ops
}

func diffDestinations(k Key, have, want []Destination) []Op {
	old := make(map[netip.AddrPort]Destination, len(have))
	for _, d := range have {
		old[d.Addr] = d
	}
	var add, raise, set, remove []Op
	for _, d := range want {
		o, ok := old[d.Addr]
		delete(old, d.Addr)
		switch {
		case !ok:
			add = append(add, Op{Kind: AddDestination, Key: k, Destination: d})
		case o == d:
		case d.Weight > o.Weight:
			raise = append(raise, Op{Kind: SetDestination, Key: k, Destination: d})
		default:
			set = append(set, Op{Kind: SetDestination, Key: k, Destination: d})
		}
	}
	for _, d := range have {
		if _, left := old[d.Addr]; left {
			gone := Destination{Addr: d.Addr}
			remove = append(remove, Op{Kind: DeleteDestination, Key: k, Destination: gone})
		}
	}
	ops := append(add, raise...)
	ops = append(ops, set...)
	return append(ops, remove...)
}
