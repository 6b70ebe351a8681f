package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestServicesRoundTrip has every protocol and check written and read back.
func TestServicesRoundTrip(t *testing.T) {
	for p := HTTP; p <= SCTP; p++ {
		for k := TCPCheck; k <= FileCheck; k++ {
			if p == SCTP && !slices.Contains(checksBeside, k) {
				continue
			}
			want := mustPreset(t, "fig6")
			want.Services[0].Protocol = p
			want.Services[0].Check.Kind = k
			want.Services[0].Check.Page = k == HTTPCheck || k == SSLCheck
			want.Services[0].Marked = netip.MustParsePrefix("10.0.0.0/24")
			want.Services[0].Scheduler = "mh"
			want.Services[0].HashPort, want.Services[0].Fallback = k == TCPCheck, p == HTTP
			want.Services[0].RealServers[0].Upper, want.Services[0].RealServers[0].Lower = 9, 3
			b, err := Marshal(want)
			if err != nil {
				t.Fatalf("%s by %s: %v", p, k, err)
			}
			back, err := Parse("it.yml", b)
			if err != nil {
				t.Fatalf("%s by %s: %v\n%s", p, k, err, b)
			}
			if diff := cmp.Diff(want, back, compareAddresses); diff != "" {
				t.Errorf("%s by %s (-want +got):\n%s", p, k, diff)
			}
		}
	}
}

func TestServiceProblems(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Service)
		want   string
	}{
		{"a protocol that is none", func(s *Service) { s.Protocol = 9 },
			"services[192.168.1.1:80].protocol: protocol 9: expected http, https, smtp, dns, echo or sctp"},
		{"a check that is none", func(s *Service) { s.Check.Kind = 99 },
			"services[192.168.1.1:80].check.kind: kind 99: expected tcp, http, ssl, smtp, misc, dns, " +
				"udp, ping or file"},
		{"a check by another transport", func(s *Service) { s.Protocol = SCTP },
			"services[192.168.1.1:80].check.kind: a http check does not go by SCTP: expected misc, " +
				"ping or file"},
		{"a page that is not seen", func(s *Service) { s.Check.Kind, s.Check.Page = TCPCheck, true },
			"services[192.168.1.1:80].check.page: a tcp check sees no page: expected http or ssl"},
		{"a marked network that is somebody's",
			func(s *Service) { s.Marked = netip.MustParsePrefix("192.168.0.0/16") },
			"services[192.168.1.1:80].marked: network 192.168.0.0/16: expected none of client, " +
				"192.168.1.0/24\nservices[192.168.1.1:80].marked: network 192.168.0.0/16: expected none " +
				"of server, 192.168.2.0/24"},
		{"a marked network that is an address",
			func(s *Service) { s.Marked = netip.MustParsePrefix("10.0.0.1/24") },
			"services[192.168.1.1:80].marked: network 10.0.0.1/24: expected an IPv4 network such as " +
				"10.0.0.0/24"},
		{"a port that is not hashed", func(s *Service) { s.HashPort = true },
			"services[192.168.1.1:80]: hash_port or fallback: expected scheduler sh or mh, not rr"},
		{"a fallback without a hash", func(s *Service) { s.Scheduler, s.Fallback = "dh", true },
			"services[192.168.1.1:80]: hash_port or fallback: expected scheduler sh or mh, not dh"},
		{"thresholds that cross",
			func(s *Service) { s.RealServers[0].Upper, s.RealServers[0].Lower = 2, 3 },
			"services[192.168.1.1:80].real_servers.web1.lthreshold: lthreshold 3: expected 0 to " +
				"uthreshold, 2"},
		{"too high a threshold", func(s *Service) { s.RealServers[0].Upper = 1_000_001 },
			"services[192.168.1.1:80].real_servers.web1.uthreshold: uthreshold 1000001: expected 0 to " +
				"1000000"},
	} {
		fig6 := mustPreset(t, "fig6")
		tt.change(&fig6.Services[0])
		if err := fig6.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestParseProtocol(t *testing.T) {
	for p := HTTP; p <= SCTP; p++ {
		if got, err := ParseProtocol(p.String()); err != nil || got != p {
			t.Errorf("%s: %s, %v", p, got, err)
		}
		want := "TCP"
		switch p {
		case DNS, Echo:
			want = "UDP"
		case SCTP:
			want = "SCTP"
		}
		if got := p.Transport(); got != want || p.UDP() != (want == "UDP") {
			t.Errorf("%s by %s, by UDP: %t; want %s", p, got, p.UDP(), want)
		}
	}
	_, err := ParseProtocol("htps")
	want := `"htps": expected http, https, smtp, dns, echo or sctp (did you mean "https"?)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPageIsABoolean(t *testing.T) {
	_, err := Parse("it.yml",
		[]byte("preset: fig6\nservices:\n  192.168.1.1:80: {check: {page: 1}}\n"))
	want := "it.yml:3:34: services[192.168.1.1:80].check.page: the number 1: expected true or false"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestDrawingsNameTheProtocol(t *testing.T) {
	fig6 := mustPreset(t, "fig6")
	fig6.Services[0].Protocol = DNS
	if text := Text(fig6); !strings.Contains(text, "DNS service 192.168.1.1:80") {
		t.Errorf("no DNS in\n%s", text)
	}
}
