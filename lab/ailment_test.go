package lab

import (
	"strings"
	"testing"

	"github.com/tandemlb/tandem/topology"
)

func TestAilmentsHaveNames(t *testing.T) {
	for a := Well; a <= BadTLS; a++ {
		if got, err := parseAilment(a.String()); err != nil || got != a {
			t.Errorf("parse %q: %s, %v", a.String(), got, err)
		}
		if !a.Befalls(topology.HTTPS) {
			t.Errorf("HTTPS cannot be %s", a)
		}
	}
	const none = Ailment(99)
	if _, err := parseAilment(none.String()); err == nil || none.Befalls(topology.HTTP) {
		t.Errorf("%s is an ailment: error %v", none, err)
	}
}

func TestServerRefusesWhatItCannotHave(t *testing.T) {
	for _, tt := range []struct {
		protocol topology.Protocol
		ailment  string
		want     string
	}{
		{topology.DNS, "half-open", "a server of dns cannot be half-open"},
		{topology.Echo, "unavailable", "a server of echo cannot be unavailable"},
		{topology.HTTP, "bad-tls", "a server of http cannot be bad-tls"},
		{topology.HTTP, "ill", `parse ailment "ill": want one of well, refusing`},
	} {
		s := &server{protocol: tt.protocol}
		err := s.change(tt.ailment)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %s", tt.protocol, err, tt.want)
		}
		if s.now() != Well {
			t.Errorf("%s: it is %s", tt.protocol, s.now())
		}
	}
}

func TestRealServerRoleRefusesWrongArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"web1", "80"}, {"web1", "80", "gopher"}} {
		if err := realServerRole().Run(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
