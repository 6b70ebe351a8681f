package pool

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// Index says which real server each check is of, and which checks each real server has. Its zero
// value knows none. It has an ID and two numbers for each check, for there may be thousands.
type Index struct {
	// servers are the virtual servers of the configuration, and named their numbers, sorted by name.
	servers []config.VirtualServer
	named   []int32
	// first is the number of the first real server of each virtual server, in the order of all.
	first []int
	// ids are those of all checks in the order of the configuration, one after another, and end is
	// the number of the check behind the last one of each real server.
	ids string
	end []int32
	// sorted are the numbers of all checks, sorted by their IDs.
	sorted []int32
}

// newIndex returns the index of those virtual servers, whose checks have those IDs in their order.
func newIndex(vss []config.VirtualServer, ids string) Index {
	reals, checks := count(vss)
	x := Index{servers: vss, named: make([]int32, 0, len(vss)), first: make([]int, 0, len(vss)),
		ids: ids, sorted: make([]int32, 0, checks)}
	x.end = make([]int32, 0, reals)
	last := int32(0)
	for i := range vss {
		x.named = append(x.named, int32(i))
		x.first = append(x.first, len(x.end))
		for j := range vss[i].RealServers {
			last += int32(len(vss[i].RealServers[j].Checks))
			x.end = append(x.end, last)
		}
	}
	slices.SortFunc(x.named, func(a, b int32) int {
		return NameOf(&vss[a]).compare(NameOf(&vss[b]))
	})
	for n := range int32(checks) {
		x.sorted = append(x.sorted, n)
	}
	slices.SortFunc(x.sorted, func(a, b int32) int { return strings.Compare(x.id(a), x.id(b)) })
	return x
}

// number returns the number of the virtual server of that name; false if there is none.
func (x Index) number(name Name) (int, bool) {
	at, known := slices.BinarySearchFunc(x.named, name, func(i int32, name Name) int {
		return NameOf(&x.servers[i]).compare(name)
	})
	if !known {
		return 0, false
	}
	return int(x.named[at]), true
}

// id returns the ID of check n.
func (x Index) id(n int32) string { return x.ids[n*idSize:][:idSize] }

// place is where a check is: it is check k of real server j of virtual server i.
type place struct{ i, j, k int }

// find returns where the check of that ID is; false if there is none.
func (x Index) find(id string) (place, bool) {
	at, known := slices.BinarySearchFunc(x.sorted, id, func(n int32, id string) int {
		return strings.Compare(x.id(n), id)
	})
	if !known {
		return place{}, false
	}
	// The first real server that ends behind the check, and the last virtual server that begins
	// before that.
	n := x.sorted[at]
	real, _ := slices.BinarySearchFunc(x.end, n+1, cmp.Compare)
	i := sort.SearchInts(x.first, real+1) - 1
	return place{i, real - x.first[i], int(n - x.begin(real))}, true
}

// begin returns the number of the first check of a real server, of all.
func (x Index) begin(real int) int32 {
	if real == 0 {
		return 0
	}
	return x.end[real-1]
}

// Text returns in words what the check of that ID looks at for whom; the ID if there is no such
// check.
func (x Index) Text(id string) string {
	p, known := x.find(id)
	if !known {
		return id
	}
	vs := x.servers[p.i]
	vs.RealServers = vs.RealServers[p.j : p.j+1]
	out := id
	_ = eachCheck([]config.VirtualServer{vs}, everyCheck, func(text []byte, _ *config.Check) error {
		if p.k == 0 {
			out = string(text)
		}
		p.k--
		return nil // there is nothing to go wrong
	})
	return out
}

// Server returns the real server that the check of that ID is of; false if it is of none.
func (x Index) Server(id string) (ID, bool) {
	p, known := x.find(id)
	if !known {
		return ID{}, false
	}
	vs := &x.servers[p.i]
	return ID{NameOf(vs), vs.RealServers[p.j].Address}, true
}

// Checks returns the IDs of the checks of a real server.
func (x Index) Checks(server ID) []string {
	i, known := x.number(server.Service)
	if !known {
		return nil
	}
	j := slices.IndexFunc(x.servers[i].RealServers, func(rs config.RealServer) bool {
		return rs.Address == server.Server
	})
	if j < 0 {
		return nil
	}
	return x.appendOf(nil, i, j)
}

// appendOf appends the IDs of the checks of real server j of virtual server i.
func (x Index) appendOf(to []string, i, j int) []string {
	real := x.first[i] + j
	for n := x.begin(real); n < x.end[real]; n++ {
		to = append(to, x.id(n))
	}
	return to
}

// Note puts into health whether the real server is up by its checks: it is if none of their IDs is
// in down.
func (x Index) Note(health *Health, service Name, rs *config.RealServer, down map[string]bool) {
	health.note(rs, x.Checks(ID{service, rs.Address}), down)
}

// HealthOf returns the health of all real servers of a virtual server, likewise.
func (x Index) HealthOf(service Name, down map[string]bool) Health {
	var health Health
	if i, known := x.number(service); known {
		var ids []string
		for j := range x.servers[i].RealServers {
			ids = x.appendOf(ids[:0], i, j)
			health.note(&x.servers[i].RealServers[j], ids, down)
		}
	}
	return health
}

// WeightsOf returns the weights of all real servers of a virtual server that its checks change, by
// what those have said by their IDs.
func (x Index) WeightsOf(service Name, said map[string]check.Weight) Weights {
	var weights Weights
	if i, known := x.number(service); known && len(said) > 0 {
		var ids []string
		for j := range x.servers[i].RealServers {
			ids = x.appendOf(ids[:0], i, j)
			weights.weigh(&x.servers[i].RealServers[j], ids, said)
		}
	}
	return weights
}

// Weigh puts into weights that of one real server, or takes it out if it is as configured.
func (x Index) Weigh(
	weights *Weights, service Name, rs *config.RealServer, said map[string]check.Weight,
) {
	weights.weigh(rs, x.Checks(ID{service, rs.Address}), said)
}

func (w *Weights) weigh(rs *config.RealServer, ids []string, said map[string]check.Weight) {
	var all []check.Weight
	for _, id := range ids {
		if s := said[id]; s != (check.Weight{}) {
			all = append(all, s)
		}
	}
	weight := check.EffectiveWeight(rs.Weight, all...)
	if weight == rs.Weight {
		delete(*w, rs.Address)
		return
	}
	if *w == nil {
		*w = make(Weights)
	}
	(*w)[rs.Address] = weight
}
