package probe

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// frame returns an Ethernet frame that carries an IPv4 packet with a message.
func frame(protocol byte, options int, message ...byte) []byte {
	ethernet := []byte{
		0x01, 0x00, 0x5e, 0x00, 0x00, 0x12, // to 224.0.0.18
		0x02, 0x00, 0xc0, 0xa8, 0x01, 0x02, // from lb1
		0x08, 0x00,
	}
	packet := make([]byte, ipv4Header+options)
	packet[0] = 0x40 | byte(len(packet)/4)
	packet[8], packet[9] = 255, protocol
	copy(packet[12:], []byte{192, 168, 1, 2})
	copy(packet[16:], []byte{224, 0, 0, 18})
	return append(append(ethernet, packet...), message...)
}

// frame6 is a frame of IPv6 without extension headers.
func frame6(protocol byte, message ...byte) []byte {
	packet := make([]byte, ipv6Header)
	packet[0], packet[5], packet[6], packet[7] = 0x60, byte(len(message)), protocol, 255
	copy(packet[8:], netip.MustParseAddr("fe80::1ff:fe00:2").AsSlice())
	copy(packet[24:], netip.MustParseAddr("ff02::12").AsSlice())
	ethernet := []byte{0x33, 0x33, 0, 0, 0, 0x12, 2, 0, 192, 168, 1, 2, 0x86, 0xdd}
	return append(append(ethernet, packet...), message...)
}

var (
	version2 = []byte{0x21, 51, 150, 1, 0, 1, 0xba, 0x52, 192, 168, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	version3 = []byte{0x31, 51, 150, 1, 0x00, 0x64, 0, 0, 192, 168, 1, 1}
)

func TestParseAdvert(t *testing.T) {
	t.Parallel()
	lb1 := advert{
		mac:    net.HardwareAddr{2, 0, 192, 168, 1, 2},
		source: netip.MustParseAddr("192.168.1.2"),
		router: 51, priority: 150, interval: time.Second,
	}
	v2, v3, fast, leaving := lb1, lb1, lb1, lb1
	v2.version, v3.version, fast.version, leaving.version = 2, 3, 3, 3
	six := v3
	six.source = netip.MustParseAddr("fe80::1ff:fe00:2")
	fast.interval, leaving.priority = 40950*time.Millisecond, 0
	for _, test := range []struct {
		name  string
		frame []byte
		want  advert
		err   string
	}{
		{"version 2", frame(112, 0, version2...), v2, ""},
		{"version 3", frame(112, 0, version3...), v3, ""},
		{"IP options", frame(112, 4, version3...), v3, ""},
		{"reserved bits set", frame(112, 0, 0x31, 51, 150, 1, 0xff, 0xff, 0, 0), fast, ""},
		{"priority 0", frame(112, 0, 0x31, 51, 0, 1, 0, 100, 0, 0), leaving, ""},
		{"version 4", frame(112, 0, 0x41, 51, 0, 1, 0, 100, 0, 0), advert{}, "version 4"},
		{"type 2", frame(112, 0, 0x32, 51, 0, 1, 0, 100, 0, 0), advert{}, "type 2"},
		{"cut off", frame(112, 0, version3[:7]...), advert{}, "too short"},
		{"TCP", frame(6, 0, version3...), advert{}, errNoAdvert.Error()},
		{"header too short", frame(112, -4, version3...), advert{}, "too short"},
		{"nothing", nil, advert{}, errNoAdvert.Error()},
		{"IPv6", frame6(112, version3...), six, ""},
		{"IPv6, cut off", frame6(112, version3[:7]...), advert{}, "too short"},
		{"IPv6, TCP", frame6(6, version3...), advert{}, errNoAdvert.Error()},
		{"IPv6, half a header", frame6(112)[:ethernetHeader+30], advert{}, errNoAdvert.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseAdvert(test.frame)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("parseAdvert = %+v, %v; want an error with %q", got, err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			diff := cmp.Diff(test.want, got, cmp.AllowUnexported(advert{}),
				cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
			if diff != "" {
				t.Errorf("advert (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseAdvert(f *testing.F) {
	f.Add(frame(112, 0, version2...))
	f.Add(frame(112, 4, version3...))
	f.Add(frame6(112, version3...))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		a, err := parseAdvert(bytes)
		if err != nil {
			return
		}
		message := []byte{byte(a.version<<4) | 1, a.router, a.priority, 0, 0, 0, 0, 0}
		if a.version == 2 {
			message[5] = byte(a.interval / time.Second)
		} else {
			centiseconds := a.interval / (10 * time.Millisecond)
			message[4], message[5] = byte(centiseconds>>8), byte(centiseconds)
		}
		again, source := frame(112, 0, message...), 12
		if a.source.Is6() {
			again, source = frame6(112, message...), 8
		}
		copy(again[6:], a.mac)
		copy(again[ethernetHeader+source:], a.source.AsSlice())
		if b, err := parseAdvert(again); err != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%+v, built and parsed again: %+v, %v", a, b, err)
		}
	})
}
