package daemon

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tandemlb/tandem/daemon/config"
)

// maxChoices is how many names an error lists.
const maxChoices = 20

// nameOf is the name of a virtual server among those of its configuration: tcp/192.168.1.1:80,
// inet/fwmark:7 or tcp/group:web.
func nameOf(vs *config.VirtualServer) string {
	switch {
	case vs.Mark != 0 && vs.Family != 0:
		return fmt.Sprintf("%s/fwmark:%d", vs.Family, vs.Mark)
	case vs.Mark != 0:
		return fmt.Sprintf("fwmark:%d", vs.Mark)
	case vs.Group != "" && vs.Protocol == 0:
		return "group:" + vs.Group
	case vs.Group != "":
		return strings.ToLower(vs.Protocol.String()) + "/group:" + vs.Group
	}
	return strings.ToLower(vs.Protocol.String()) + "/" + vs.Address.String()
}

// findServer returns the real server that an operator means by VIRTUAL/REAL: an address and a port,
// fwmark:NUMBER or group:NAME, each perhaps after its protocol or family and a slash; and an
// address and a port. A port may be left out where one fits. An error lists what there is.
func findServer(
	servers []config.VirtualServer, word string,
) (*config.VirtualServer, *config.RealServer, error) {
	virtual, real, ok := cutLast(word, "/")
	if !ok || virtual == "" || real == "" {
		return nil, nil, fmt.Errorf("%q: expected a virtual and a real server, as in "+
			"192.168.1.1:80/192.168.2.11:80", word)
	}
	var found []*config.VirtualServer
	var names, all []string
	for i := range servers {
		vs := &servers[i]
		all = append(all, nameOf(vs))
		if meansService(vs, virtual) {
			found, names = append(found, vs), append(names, nameOf(vs))
		}
	}
	if len(found) != 1 {
		if len(found) == 0 {
			names = all
		}
		return nil, nil, fmt.Errorf("virtual server %q: %s", virtual, expected(names))
	}
	vs := found[0]
	rs, err := findReal(vs, real)
	return vs, rs, err
}

// findReal is findServer among the real servers of one virtual server.
func findReal(vs *config.VirtualServer, word string) (*config.RealServer, error) {
	var found []*config.RealServer
	var names, all []string
	for i := range vs.RealServers {
		rs := &vs.RealServers[i]
		all = append(all, rs.Address.String())
		if namesAddress(rs.Address, word) {
			found, names = append(found, rs), append(names, rs.Address.String())
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) == 0 {
		names = all
	}
	return nil, fmt.Errorf("real server %q of %s: %s", word, nameOf(vs), expected(names))
}

// meansService says whether word names the virtual server.
func meansService(vs *config.VirtualServer, word string) bool {
	kind, rest, ok := strings.Cut(word, "/")
	if ok && !strings.HasPrefix(word, "group:") { // whose name may have a slash
		kind = strings.ToLower(kind)
		byProtocol := vs.Mark == 0 && vs.Protocol != 0 &&
			kind == strings.ToLower(vs.Protocol.String())
		byFamily := vs.Mark != 0 && vs.Family != 0 && kind == vs.Family.String()
		if !byProtocol && !byFamily {
			return false
		}
		word = rest
	}
	if number, ok := strings.CutPrefix(word, "fwmark:"); ok {
		mark, err := strconv.ParseUint(number, 0, 32)
		return err == nil && mark != 0 && uint32(mark) == vs.Mark
	}
	if name, ok := strings.CutPrefix(word, "group:"); ok {
		return vs.Group != "" && vs.Group == name
	}
	return vs.Mark == 0 && vs.Group == "" && namesAddress(vs.Address, word)
}

// namesAddress says whether word is that address, with the port or without one.
func namesAddress(a netip.AddrPort, word string) bool {
	if with, err := netip.ParseAddrPort(word); err == nil {
		return with == a
	}
	without, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(word, "["), "]"))
	return err == nil && without == a.Addr()
}

// expected says which names would do.
func expected(names []string) string {
	if len(names) == 0 {
		return "there is none in the configuration"
	}
	more := ""
	if n := len(names) - maxChoices; n > 0 {
		names, more = names[:maxChoices], fmt.Sprintf(" and %d more", n)
	}
	if len(names) == 1 {
		return "expected " + names[0]
	}
	return "expected one of " + strings.Join(names, ", ") + more
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
