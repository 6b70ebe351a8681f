package reports

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseTable(t *testing.T) {
	for _, text := range []string{
		"",
		"FWM 1 sh",
		"TCP 192.168.1.1:80 rr 192.168.2.11:80=1 192.168.2.12:80=0; UDP [fd00::1]:53 sh",
	} {
		table, err := ParseTable(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(text, table.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for text, want := range map[string]string{
		"TCP 192.168.1.1:80":              "want PROTOCOL",
		"FWM 1 sh 192.168.2.11:80":        "want SERVER=WEIGHT",
		"FWM 1 sh web1=1":                 `real server "web1=1"`,
		"FWM 1 sh 192.168.2.11:80=much":   `"much"`,
		"FWM 1 sh; ":                      `service ""`,
		"FWM 1 sh 192.168.2.11:80=1  x=1": `real server ""`,
	} {
		if _, err := ParseTable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %s", text, err, want)
		}
	}
}

func TestTableWeight(t *testing.T) {
	table, err := ParseTable("FWM 1 sh 192.168.2.12:80=3 192.168.2.11:80=1")
	if err != nil {
		t.Fatal(err)
	}
	table.Sort()
	s, ok := table.Service("FWM 1")
	if !ok || s.Servers[0].Weight != 1 || s.Weight(netip.MustParseAddrPort("192.168.2.12:80")) != 3 ||
		s.Weight(netip.MustParseAddrPort("192.168.2.12:81")) != 0 {
		t.Errorf("service %+v", s)
	}
	if _, ok := table.Service("FWM 2"); ok {
		t.Error("there is a service that the table does not have")
	}
}

func TestNoiseOf(t *testing.T) {
	const s = time.Second
	rec := &Recording{Length: 10 * s,
		Events: []Event{
			{At: s, Kind: VIPAdd}, // before the steady state
			{At: 5 * s, Kind: AdvertGap, Detail: "1.7s"},
			{At: 6 * s, Kind: VIPRemove},
		},
		Requests: []Request{
			{Sent: s, Outcome: Timeout, Late: 9 * s}, // likewise
			{Sent: 3 * s, Outcome: Answered, Late: s / 10},
			{Sent: 4 * s, Outcome: Timeout},
			{Sent: 4*s + s/4, Outcome: Answered},
		},
	}
	got := NoiseOf(rec, 2*s, s)
	want := Noise{Length: 8 * s, Requests: 3, Lost: 1, Outage: s / 4, Late: 7 * s / 10, Moves: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Floor() != 7*s/10 {
		t.Errorf("floor %s, want that of the late advert", got.Floor())
	}
	if (*Noise)(nil).Floor() != 0 {
		t.Error("no control run has a floor")
	}
}
