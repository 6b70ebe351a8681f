package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxAnswer bounds what is read of an answer, in bytes. Without EDNS it has 512 at most (RFC 1035,
// Section 4.2.1).
const maxAnswer = 4096

// DNS finds a name server healthy that answers a question by UDP with NOERROR. Datagrams that are
// no answer to it, by their ID or the question in them, are disregarded (RFC 5452, Section 9.1).
type DNS struct {
	// Target is where it sends to.
	Target netip.AddrPort
	// Bind is where it sends from; zero is anywhere.
	Bind netip.AddrPort
	// Dialer is how it gets there; nil is plainly.
	Dialer *Dialer
	// Timeout bounds the check; 0 leaves that to the context.
	Timeout time.Duration
	// Type is that of the records, such as dns.TypeSOA; zero is SOA. Name is whose; empty is the
	// root.
	Type uint16
	Name string
	// Want is the data of records that must be among the answers, as a zone file has it, such as
	// "192.0.2.1"; nil is any answer, or none.
	Want []string
}

// DNSType returns the number of a type of record, such as SOA; false if there is none of that name.
func DNSType(name string) (uint16, bool) {
	t, known := dns.StringToType[strings.ToUpper(name)]
	return t, known
}

// Check implements Checker. Its error is a *Failure.
func (c DNS) Check(ctx context.Context) error {
	question := c.question()
	packed, err := question.Pack()
	if err != nil {
		return &Failure{Reason: Local, Detail: "make DNS query", Err: err}
	}
	x, err := endpoint{c.Target, c.Bind, c.Dialer, c.Timeout}.open(ctx, "udp")
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }()
	if _, err := x.Write(packed); err != nil {
		return x.unsent(err, "DNS query")
	}
	b := make([]byte, maxAnswer)
	for ignored := 0; ; ignored++ {
		n, err := x.Read(b)
		if err != nil {
			return x.unanswered(err, "DNS query", ignored)
		}
		var answer dns.Msg
		if err := answer.Unpack(b[:n]); err == nil && answers(question, &answer) {
			return c.judge(&answer)
		}
	}
}

func (c DNS) question() *dns.Msg {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(c.Name), c.Type)
	if c.Type == 0 {
		q.Question[0].Qtype = dns.TypeSOA
	}
	return q
}

// answers says whether a is an answer to q. Some servers leave out the question when they refuse.
func answers(q, a *dns.Msg) bool {
	if a.Id != q.Id || !a.Response || a.Opcode != q.Opcode {
		return false
	}
	if len(a.Question) == 0 {
		return a.Rcode != dns.RcodeSuccess
	}
	asked, said := q.Question[0], a.Question[0]
	return asked.Qtype == said.Qtype && asked.Qclass == said.Qclass &&
		strings.EqualFold(asked.Name, said.Name)
}

func (c DNS) judge(a *dns.Msg) error {
	if a.Rcode != dns.RcodeSuccess {
		name, known := dns.RcodeToString[a.Rcode]
		if !known {
			name = fmt.Sprint(a.Rcode)
		}
		return &Failure{Reason: Reply, Detail: "DNS answer is " + name + ", wanted NOERROR"}
	}
	var got []string
	for _, rr := range a.Answer {
		got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	for _, want := range c.Want {
		if !slices.Contains(got, want) {
			detail := fmt.Sprintf("DNS answer lacks %q, has %s", want, shownRecords(got))
			return &Failure{Reason: Reply, Detail: detail}
		}
	}
	return nil
}

// shownRecords is what of the answer is shown.
func shownRecords(got []string) string {
	const most = 4
	if len(got) == 0 {
		return "nothing"
	}
	words := make([]string, 0, most+1)
	for i, g := range got {
		if i == most {
			words = append(words, fmt.Sprintf("%d more", len(got)-most))
			break
		}
		words = append(words, fmt.Sprintf("%q", shown(g)))
	}
	return strings.Join(words, ", ")
}
