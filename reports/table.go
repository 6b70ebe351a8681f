package reports

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Table is an IPVS table as a recording has it: its services in order of their names. The nil Table
// is an empty one.
type Table []TableService

// TableService is a virtual service of a Table.
type TableService struct {
	// Name is the protocol and the address, for example "TCP 192.168.1.1:80", or "FWM" and a mark.
	Name string
	// Scheduler is the kernel's name of it, without flags.
	Scheduler string
	// Servers are in order of their addresses, each once.
	Servers []TableServer
}

// TableServer is a real server of a TableService.
type TableServer struct {
	Addr netip.AddrPort
	// Weight is 0 for one that gets no new connections.
	Weight int
}

// String prints the table in one line that ParseTable reads, for example
// "TCP 192.168.1.1:80 rr 192.168.2.11:80=1 192.168.2.12:80=0; FWM 1 sh". An empty one is "".
func (t Table) String() string {
	services := make([]string, 0, len(t))
	for _, s := range t {
		text := s.Name + " " + s.Scheduler
		for _, d := range s.Servers {
			text += fmt.Sprintf(" %s=%d", d.Addr, d.Weight)
		}
		services = append(services, text)
	}
	return strings.Join(services, "; ")
}

// Sort brings services and servers into their order.
func (t Table) Sort() {
	slices.SortFunc(t, func(a, b TableService) int { return cmp.Compare(a.Name, b.Name) })
	for _, s := range t {
		slices.SortFunc(s.Servers, func(a, b TableServer) int { return a.Addr.Compare(b.Addr) })
	}
}

// Service returns the service of a name; false: the table has none.
func (t Table) Service(name string) (TableService, bool) {
	i := slices.IndexFunc(t, func(s TableService) bool { return s.Name == name })
	if i < 0 {
		return TableService{}, false
	}
	return t[i], true
}

// Weight is that of a real server; 0 if the service does not have it.
func (s TableService) Weight(addr netip.AddrPort) int {
	for _, d := range s.Servers {
		if d.Addr == addr {
			return d.Weight
		}
	}
	return 0
}

// ParseTable reads what Table's String printed.
func ParseTable(text string) (Table, error) {
	if text == "" {
		return nil, nil
	}
	var t Table
	for part := range strings.SplitSeq(text, "; ") {
		words := strings.Split(part, " ")
		if len(words) < 3 {
			return nil, fmt.Errorf("parse table: service %q: want PROTOCOL ADDRESS SCHEDULER "+
				"SERVER=WEIGHT …", part)
		}
		s := TableService{Name: words[0] + " " + words[1], Scheduler: words[2]}
		for _, word := range words[3:] {
			d, err := parseServer(word)
			if err != nil {
				return nil, fmt.Errorf("parse table: %w", err)
			}
			s.Servers = append(s.Servers, d)
		}
		t = append(t, s)
	}
	return t, nil
}

// parseServer reads SERVER=WEIGHT.
func parseServer(word string) (TableServer, error) {
	addr, weight, ok := strings.Cut(word, "=")
	if !ok {
		return TableServer{}, fmt.Errorf("real server %q: want SERVER=WEIGHT", word)
	}
	var d TableServer
	var err error
	if d.Addr, err = netip.ParseAddrPort(addr); err != nil {
		return TableServer{}, fmt.Errorf("real server %q: %w", word, err)
	}
	if d.Weight, err = strconv.Atoi(weight); err != nil {
		return TableServer{}, fmt.Errorf("real server %q: %w", word, err)
	}
	return d, nil
}
