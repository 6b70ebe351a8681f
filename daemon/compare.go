package daemon

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/pool"
)

// compareServices returns what makes the virtual services before those after, but for those that
// stay as they are.
func compareServices(before, after []config.VirtualServer) []step {
	wanted := make(map[pool.Name]*config.VirtualServer, len(after))
	for i := range after {
		wanted[pool.NameOf(&after[i])] = &after[i]
	}
	var steps []step
	had := make(map[pool.Name]bool, len(before))
	for i := range before {
		k := pool.NameOf(&before[i])
		had[k] = true
		next, stays := wanted[k]
		if !stays {
			steps = append(steps, step{verb: stop, key: serviceKey(k),
				reasons: []string{"not configured"}})
		} else if reasons := compareService(&before[i], next); len(reasons) > 0 {
			steps = append(steps, step{verb: change, key: serviceKey(k), reasons: reasons})
		}
	}
	for i := range after {
		if k := pool.NameOf(&after[i]); !had[k] {
			steps = append(steps, step{verb: start, key: serviceKey(k), reasons: []string{"new"}})
		}
	}
	return steps
}

func serviceKey(k pool.Name) string { return "virtual_server " + k.String() }

// compareService returns how the services differ; nil if they do not.
func compareService(before, after *config.VirtualServer) []string {
	var reasons []string
	a, b := *before, *after
	a.RealServers, b.RealServers = nil, nil
	a.Members, b.Members = nil, nil
	if !same(&a, &b) {
		reasons = append(reasons, "settings")
	}
	if !same(&before.Members, &after.Members) {
		reasons = append(reasons, "members of the group")
	}
	if same(&before.RealServers, &after.RealServers) {
		return reasons
	}
	return append(reasons, compareServers(before.RealServers, after.RealServers)...)
}

// compareServers returns how the real servers of a service differ, whatever their order.
func compareServers(before, after []config.RealServer) []string {
	var reasons []string
	wanted := make(map[netip.AddrPort]*config.RealServer, len(after))
	for i := range after {
		wanted[after[i].Address] = &after[i]
	}
	had := make(map[netip.AddrPort]bool, len(before))
	for i := range before {
		rs := &before[i]
		had[rs.Address] = true
		switch next, stays := wanted[rs.Address]; {
		case !stays:
			reasons = append(reasons, fmt.Sprintf("real server %s less", rs.Address))
		case !same(rs, next):
			reasons = append(reasons, fmt.Sprintf("real server %s", rs.Address))
		}
	}
	for i := range after {
		if a := after[i].Address; !had[a] {
			reasons = append(reasons, fmt.Sprintf("real server %s more", a))
		}
	}
	return reasons
}

// same compares what two parts of configurations say, not where they say it. A nil slice is the
// same as an empty one. It must not be given cycles.
func same[T any](a, b *T) bool {
	return sameValue(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

// The types of which same knows more than their fields.
var (
	placeType    = reflect.TypeFor[config.Pos]()
	addrPortType = reflect.TypeFor[netip.AddrPort]()
)

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Struct:
		switch {
		case a.Type() == placeType:
			return true
		case a.Type() == addrPortType && a.CanAddr() && a.CanInterface():
			// The most frequent one, and by its fields the slowest.
			return *a.Addr().Interface().(*netip.AddrPort) ==
				*b.Addr().Interface().(*netip.AddrPort)
		}
		return sameParts(a, b, a.NumField(), reflect.Value.Field)
	case reflect.Slice, reflect.Array:
		return a.Len() == b.Len() && sameParts(a, b, a.Len(), reflect.Value.Index)
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		if a.Kind() == reflect.Pointer && a.Pointer() == b.Pointer() {
			return true
		}
		return a.Elem().Type() == b.Elem().Type() && sameValue(a.Elem(), b.Elem())
	case reflect.Map, reflect.Func, reflect.Chan:
		// No configuration has one; it would be told to have changed, which costs little.
		return a.IsNil() && b.IsNil()
	}
	return a.Equal(b)
}

// sameParts compares the n fields or elements of a and b.
func sameParts(a, b reflect.Value, n int, part func(reflect.Value, int) reflect.Value) bool {
	for i := range n {
		if !sameValue(part(a, i), part(b, i)) {
			return false
		}
	}
	return true
}
