package scenarios

import (
	"slices"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/topology"
)

// visible has the faults of a real server by which of them a health check must find it, and keep it
// out of service until the heal.
var visible = []struct {
	kinds  []faults.Kind
	checks []topology.CheckKind
	// page: checks of an HTTP page's digest, too.
	page bool
}{
	{kinds: []faults.Kind{faults.LinkDown, faults.InterfaceOff, faults.PowerOff, faults.Paused},
		checks: []topology.CheckKind{topology.TCPCheck, topology.HTTPCheck, topology.SSLCheck,
			topology.SMTPCheck, topology.DNSCheck, topology.UDPCheck, topology.PingCheck}},
	{kinds: []faults.Kind{faults.ServerStopped, faults.ServerRefusing},
		checks: []topology.CheckKind{topology.TCPCheck, topology.HTTPCheck, topology.SSLCheck,
			topology.SMTPCheck, topology.DNSCheck, topology.UDPCheck}},
	{kinds: []faults.Kind{faults.ServerHalfOpen},
		checks: []topology.CheckKind{topology.TCPCheck, topology.HTTPCheck, topology.SSLCheck,
			topology.SMTPCheck}},
	{kinds: []faults.Kind{faults.ServerSilent},
		checks: []topology.CheckKind{topology.HTTPCheck, topology.SSLCheck, topology.SMTPCheck,
			topology.DNSCheck, topology.UDPCheck}},
	{kinds: []faults.Kind{faults.ServerSlow},
		checks: []topology.CheckKind{topology.HTTPCheck, topology.SSLCheck, topology.SMTPCheck}},
	{kinds: []faults.Kind{faults.ServerUnavailable},
		checks: []topology.CheckKind{topology.HTTPCheck, topology.SSLCheck, topology.SMTPCheck,
			topology.DNSCheck}},
	{kinds: []faults.Kind{faults.ServerWrong}, page: true,
		checks: []topology.CheckKind{topology.DNSCheck, topology.UDPCheck}},
	{kinds: []faults.Kind{faults.ServerBadTLS}, checks: []topology.CheckKind{topology.SSLCheck}},
	{kinds: []faults.Kind{faults.ServerMarked},
		checks: []topology.CheckKind{topology.MiscCheck, topology.FileCheck}},
	{kinds: []faults.Kind{faults.EchoIgnored}, checks: []topology.CheckKind{topology.PingCheck}},
}

// mustSee says whether a health check must find that a real server has a fault of a kind.
func mustSee(c topology.Check, kind faults.Kind) bool {
	for _, v := range visible {
		if slices.Contains(v.kinds, kind) {
			return slices.Contains(v.checks, c.Kind) || v.page && c.Page
		}
	}
	return false
}
