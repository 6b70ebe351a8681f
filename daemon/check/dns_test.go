package check_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/daemon/check"
)

// nameServer answers each query by what change makes of a good answer.
func nameServer(t testing.TB, change func(*dns.Msg)) netip.AddrPort {
	t.Helper()
	return serveUDP(t, func(b []byte) []byte {
		var query, reply dns.Msg
		if err := query.Unpack(b); err != nil {
			t.Errorf("unpack query: %v", err)
			return nil
		}
		reply.SetReply(&query)
		change(&reply)
		out, err := reply.Pack()
		if err != nil {
			t.Errorf("pack answer: %v", err)
		}
		return out
	})
}

func record(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func TestDNS(t *testing.T) {
	const short, long = 300 * time.Millisecond, 5 * time.Second
	addresses := func(m *dns.Msg) {
		m.Answer = append(m.Answer, record(t, "www.example.com. 60 IN A 192.0.2.1"),
			record(t, "www.example.com. 60 IN A 192.0.2.2"))
	}
	many := func(m *dns.Msg) {
		for range 3 {
			addresses(m)
		}
	}
	const other = "DNS query to ADDR: no answer within 300ms (1 that did not fit)"
	for _, tt := range []struct {
		name    string
		change  func(*dns.Msg)
		want    []string
		timeout time.Duration
		reason  check.Reason
		error   string
	}{
		{"good", func(*dns.Msg) {}, nil, long, 0, "<nil>"},
		{"in other letters", func(m *dns.Msg) { m.Question[0].Name = "WWW.example.com." }, nil,
			long, 0, "<nil>"},
		{"refuses", func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }, nil, long,
			check.Reply, "DNS answer is REFUSED, wanted NOERROR"},
		{"refuses without the question", func(m *dns.Msg) {
			m.Rcode, m.Question = dns.RcodeServerFailure, nil
		}, nil, long, check.Reply, "DNS answer is SERVFAIL, wanted NOERROR"},
		{"a code that is none", func(m *dns.Msg) { m.Rcode = 15 }, nil, long,
			check.Reply, "DNS answer is 15, wanted NOERROR"},
		{"another id", func(m *dns.Msg) { m.Id++ }, nil, short, check.Timeout, other},
		{"a query", func(m *dns.Msg) { m.Response = false }, nil, short, check.Timeout, other},
		{"another kind", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, nil, short,
			check.Timeout, other},
		{"another question", func(m *dns.Msg) { m.Question[0].Name = "example.com." }, nil,
			short, check.Timeout, other},
		{"another type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX }, nil, short,
			check.Timeout, other},
		{"no question", func(m *dns.Msg) { m.Question = nil }, nil, short, check.Timeout, other},
		{"the answer", addresses, []string{"192.0.2.2"}, long, 0, "<nil>"},
		{"not the answer", addresses, []string{"192.0.2.1", "192.0.2.3"}, long, check.Reply,
			`DNS answer lacks "192.0.2.3", has "192.0.2.1", "192.0.2.2"`},
		{"not in many", many, []string{"192.0.2.3"}, long, check.Reply,
			`DNS answer lacks "192.0.2.3", has "192.0.2.1", "192.0.2.2", "192.0.2.1", ` +
				`"192.0.2.2", 2 more`},
		{"no answer", func(*dns.Msg) {}, []string{"192.0.2.3"}, long, check.Reply,
			`DNS answer lacks "192.0.2.3", has nothing`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := nameServer(t, tt.change)
			c := check.DNS{Target: target, Timeout: tt.timeout, Type: dns.TypeA,
				Name: "www.example.com", Want: tt.want}
			judge(t, c, target, tt.timeout, tt.reason, tt.error)
		})
	}
}

func TestDNSServers(t *testing.T) {
	const short = 300 * time.Millisecond
	for _, tt := range []struct {
		name   string
		target netip.AddrPort
		reason check.Reason
		want   string
	}{
		{"says nothing", serveUDP(t, mute), check.Timeout,
			"DNS query to ADDR: no answer within 300ms"},
		{"is not there", refusedUDP(t), check.Refused, "DNS query to ADDR: connection refused"},
		{"garbage", serveUDP(t, func(b []byte) []byte { return b[:5] }), check.Timeout,
			"DNS query to ADDR: no answer within 300ms (1 that did not fit)"},
		{"half an answer", serveUDP(t, func(b []byte) []byte {
			b[2] |= 0x80
			return b[:len(b)-2]
		}), check.Timeout, "DNS query to ADDR: no answer within 300ms (1 that did not fit)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.DNS{Target: tt.target, Timeout: short}
			judge(t, c, tt.target, short, tt.reason, tt.want)
		})
	}
}

func TestDNSAsks(t *testing.T) {
	asked := make(chan dns.Question, 1)
	target := nameServer(t, func(m *dns.Msg) { asked <- m.Question[0] })
	for _, tt := range []struct {
		check check.DNS
		want  dns.Question
	}{
		{check.DNS{}, dns.Question{Name: ".", Qtype: dns.TypeSOA, Qclass: dns.ClassINET}},
		{check.DNS{Name: "example.com", Type: dns.TypeMX},
			dns.Question{Name: "example.com.", Qtype: dns.TypeMX, Qclass: dns.ClassINET}},
	} {
		tt.check.Target, tt.check.Timeout = target, 5*time.Second
		judge(t, tt.check, target, tt.check.Timeout, 0, "<nil>")
		if got := <-asked; got != tt.want {
			t.Errorf("asked %v, want %v", got, tt.want)
		}
	}
	c := check.DNS{Target: target, Timeout: time.Second, Name: "a..b"}
	if err := c.Check(t.Context()); check.ReasonOf(err) != check.Local {
		t.Errorf("error %v, want %s", err, check.Local)
	}
}

func TestDNSType(t *testing.T) {
	for _, name := range []string{"A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG",
		"DNSKEY", "soa"} {
		if n, known := check.DNSType(name); !known || n == 0 {
			t.Errorf("%s is %d, known %t", name, n, known)
		}
	}
	if _, known := check.DNSType("X"); known {
		t.Error("X is known")
	}
}
