package scenarios

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/tandemlb/tandem/faults"
	"github.com/tandemlb/tandem/reports"
	"github.com/tandemlb/tandem/topology"
)

// ill is a drill in which one real server of fig6 fails in a way that its health check sees.
type ill struct {
	name, doc string
	protocol  topology.Protocol
	port      uint16
	check     topology.CheckKind
	page      bool
	kind      faults.Kind
	// why are words of the reason that a director's status must give.
	why string
}

// ills are those drills: each check, and what it is for.
func ills() []ill {
	return []ill{
		{"tcp-check", "nobody listens on the port of a web server any more", topology.HTTP, 80,
			topology.TCPCheck, false, faults.ServerRefusing, "connection refused"},
		{"half-open", "the queue of a web server is full, and calls hear nothing", topology.HTTP, 80,
			topology.TCPCheck, false, faults.ServerHalfOpen, "no answer within 1s"},
		{"http-get", "a web server takes requests and answers 503", topology.HTTP, 80,
			topology.HTTPCheck, false, faults.ServerUnavailable, "HTTP 503, wanted 200"},
		{"http-digest", "a web server answers 200 with another page", topology.HTTP, 80,
			topology.HTTPCheck, true, faults.ServerWrong, "HTTP body has digest"},
		{"http-slow", "a web server answers a byte a second", topology.HTTP, 80,
			topology.HTTPCheck, false, faults.ServerSlow, "read HTTP answer: not complete within 1s"},
		{"ssl-get", "a web server speaks no TLS where it should", topology.HTTPS, 443,
			topology.SSLCheck, false, faults.ServerBadTLS, "TLS handshake"},
		{"smtp-check", "a mail server greets with 421", topology.SMTP, 25,
			topology.SMTPCheck, false, faults.ServerUnavailable, "SMTP banner is 421, wanted 220"},
		{"misc-check", "a script says no; the web server itself is well", topology.HTTP, 80,
			topology.MiscCheck, false, faults.ServerMarked, "exit status 1"},
		{"dns-check", "a name server answers other questions than it is asked", topology.DNS, 53,
			topology.DNSCheck, false, faults.ServerWrong, "no answer within 1s (1 that did not fit)"},
		{"udp-check", "a server answers datagrams by other bytes than it should", topology.Echo, 7,
			topology.UDPCheck, false, faults.ServerWrong, "answer starts with"},
		{"ping-check", "a machine answers no echo request; its web server is well", topology.HTTP, 80,
			topology.PingCheck, false, faults.EchoIgnored, "no answer within 1s"},
		{"file-check", "a file of the director's says no; the web server itself is well",
			topology.HTTP, 80, topology.FileCheck, false, faults.ServerMarked, "file has the number 1"},
	}
}

// checkDrills are the drills of health checks.
func checkDrills() []Scenario {
	var all []Scenario
	for _, i := range ills() {
		all = append(all, i.scenario())
	}
	return all
}

// illServer is the real server that falls ill.
const illServer = "web2"

func (i ill) topology() topology.Topology {
	t := preset("fig6")
	serve(&t, i.protocol, i.port, i.check)
	t.Services[0].Check.Page = i.page
	return t
}

// serve has the service of a preset speak a protocol on a port, and its real servers checked so.
func serve(t *topology.Topology, p topology.Protocol, port uint16, check topology.CheckKind) {
	s := &t.Services[0]
	s.Addr = netip.AddrPortFrom(s.Addr.Addr(), port)
	s.Protocol, s.Check.Kind = p, check
	for k := range s.RealServers {
		s.RealServers[k].Port = port
	}
}

// server is the address and port of the one that falls ill.
func (i ill) server() netip.AddrPort {
	t := i.topology()
	node, _ := t.Node(illServer) // of the preset
	return netip.AddrPortFrom(node.Links[0].Addr.Addr(), i.port)
}

func (i ill) scenario() Scenario {
	t := i.topology()
	check := t.Services[0].Check
	out, back := checkDeadline(check)+Allowance, checkRecovery(check)+Allowance
	rate := 50
	if i.protocol == topology.HTTPS || i.check == topology.MiscCheck {
		rate = 20 // handshakes and scripts take a slow guest's processor a while
	}
	server := i.server()
	return Scenario{
		Name: "fig6-" + i.name,
		Doc: fmt.Sprintf("One of three real servers fails: %s. Its check (%s) takes it out of "+
			"service, the director's status says why, no request reaches it meanwhile, and it comes "+
			"back by itself.", i.doc, checkNames[i.check]),
		Topology: t,
		Probes:   []Probe{{Client: "client1", Target: serviceOf(t), Rate: rate}},
		Steps: []Step{
			Steady{},
			Observe{For: time.Second},
			Inject{Kind: i.kind, Target: illServer},
			Await{Condition: SaysDown{Node: "lb1", Server: server}, Limit: 2 * out},
			Observe{For: out + time.Second},
			HealAll{},
			Await{Condition: FullTable{}, Limit: back},
			Await{Condition: Answers{InARow: rate}, Limit: 5 * time.Second},
		},
		Bounds: []Bound{
			NothingLostAfter(out),
			notServedAfter(illServer, serversBut(t, illServer), out),
			saysWhy(server, i.why, out),
			BackInServiceWithin(illServer, back),
		},
	}
}

// serversBut are the other real servers.
func serversBut(t topology.Topology, name string) []string {
	var others []string
	for _, n := range t.NodesOf(topology.RealServer) {
		if n.Name != name {
			others = append(others, n.Name)
		}
	}
	return others
}

// notServedAfter demands that so long after the fault, and before its heal, the others answer every
// request that is answered.
func notServedAfter(server string, others []string, delay time.Duration) Bound {
	return timed("stays out", server+" answers no request sent later than %s after the fault.", delay,
		during, func(rec *reports.Recording, w reports.Window, limit time.Duration) reports.Finding {
			if w.Length() <= limit {
				return noWindow()
			}
			last, by, answered := w.From, "", false
			for _, q := range rec.Requests {
				if !w.Contains(q.Sent) || q.Outcome != reports.Answered {
					continue
				}
				answered = answered || q.Sent-w.From > limit
				if !slices.Contains(others, q.Server) && q.Sent > last {
					last, by = q.Sent, q.Server
				}
			}
			f := atMost(last-w.From, limit)
			switch {
			case f.Verdict == reports.Fail:
				f.Detail = fmt.Sprintf("a request of %s was answered by %q", round(last), by)
			case !answered:
				f.Verdict, f.Detail = reports.Inconclusive, "nothing was answered later"
			}
			return f
		})
}

// protocolOf is what a service of a topology speaks; HTTP where there is none of that address.
func protocolOf(t topology.Topology, addr netip.AddrPort) topology.Protocol {
	for _, s := range t.Services {
		if s.Addr == addr {
			return s.Protocol
		}
	}
	return topology.HTTP
}
