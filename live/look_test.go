package live

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
)

func TestParseTable(t *testing.T) {
	const head = "IP Virtual Server version 1.2.1 (size=4096)\n" +
		"Prot LocalAddress:Port Scheduler Flags\n" +
		"  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
	owners := map[netip.Addr]string{netip.MustParseAddr("192.168.2.11"): "web1"}
	tests := []struct {
		name, table string
		want        []TableService
	}{
		{"empty", head, []TableService{}},
		{"two real servers, the last one first", head +
			"TCP  C0A80101:0050 wrr persistent 360\n" +
			"  -> C0A8020C:1F90      Masq    0      1          20        \n" +
			"  -> C0A8020B:0050      Masq    3      0          2         \n",
			[]TableService{{Protocol: "tcp", Address: "192.168.1.1:80", Scheduler: "wrr",
				Servers: []TableServer{
					{Address: netip.MustParseAddrPort("192.168.2.11:80"), Node: "web1", Weight: 3,
						Inactive: 2},
					{Address: netip.MustParseAddrPort("192.168.2.12:8080"), Active: 1, Inactive: 20},
				}}}},
		{"a firewall mark and no real server", head + "FWM  0000002A sh \n",
			[]TableService{{Protocol: "fwmark", Address: "42", Scheduler: "sh",
				Servers: []TableServer{}}}},
		{"IPv6", head + "UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr\n",
			[]TableService{{Protocol: "udp", Address: "[2001:db8::1]:53", Scheduler: "rr",
				Servers: []TableServer{}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseTable(strings.NewReader(tt.table), owners)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
	for _, bad := range []string{"TCP x rr", "TCP C0A80101 rr", "TCP C0A80101:zz rr",
		"TCP C0:0050 rr", "FWM zz rr", "TCP C0A80101:0050 rr\n -> C0A80101:0050 Masq x 0 0"} {
		if got, err := parseTable(strings.NewReader(bad), nil); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}

func TestRipen(t *testing.T) {
	at := func(times ...int) []packet {
		var all []packet
		for i, ms := range times {
			all = append(all, packet{info: gopacket.CaptureInfo{InterfaceIndex: i,
				Timestamp: noon.Add(time.Duration(ms) * time.Millisecond)}})
		}
		return all
	}
	order := func(all []packet) []int {
		ms := []int{}
		for _, p := range all {
			ms = append(ms, int(p.info.Timestamp.Sub(noon)/time.Millisecond))
		}
		return ms
	}
	ripe, rest := ripen(at(30, 10, 50, 20, 40), noon.Add(40*time.Millisecond))
	want := [][]int{{10, 20, 30}, {40, 50}}
	if diff := cmp.Diff(want, [][]int{order(ripe), order(rest)}); diff != "" {
		t.Errorf("ripe and rest (-want +got):\n%s", diff)
	}
	ripe, rest = ripen(nil, noon)
	if len(ripe) != 0 || len(rest) != 0 {
		t.Errorf("of nothing %v and %v", ripe, rest)
	}
}
