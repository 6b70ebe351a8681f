package netif

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMulticastMAC maps groups to Ethernet addresses: of an IPv4 one the last 23 bits count (RFC
// 1112, Section 6.4), of an IPv6 one the last 32 (RFC 2464, Section 7).
func TestMulticastMAC(t *testing.T) {
	for group, want := range map[string]string{
		"224.0.0.18":        "01:00:5e:00:00:12",
		"239.129.2.3":       "01:00:5e:01:02:03",
		"ff02::12":          "33:33:00:00:00:12",
		"ff05::1:0203:0405": "33:33:02:03:04:05",
	} {
		dst := netip.MustParseAddr(group)
		frame := multicastFrame(VirtualMAC(51, dst.Is6()), dst, dst, header{}, nil)
		if got := MAC(frame[:macLen]).String(); got != want {
			t.Errorf("%s: got %s, want %s", group, got, want)
		}
	}
}

// TestOutdated says which news of addresses have an interface looked at again.
func TestOutdated(t *testing.T) {
	known, unready := netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("fe80::2/64")
	s := State{Index: 7, Addrs: []netip.Prefix{known}, Unready: []netip.Prefix{unready}}
	tests := []struct {
		name   string
		kind   uint16
		index  uint32
		prefix netip.Prefix
		flags  uint32
		want   bool
	}{
		{"renewed", unix.RTM_NEWADDR, 7, known, 0, false},
		{"still being checked", unix.RTM_NEWADDR, 7, unready, unix.IFA_F_TENTATIVE, false},
		{"checked", unix.RTM_NEWADDR, 7, unready, 0, true},
		{"checked again", unix.RTM_NEWADDR, 7, known, unix.IFA_F_TENTATIVE, true},
		{"another length", unix.RTM_NEWADDR, 7, netip.MustParsePrefix("fe80::1/128"), 0, true},
		{"gone", unix.RTM_DELADDR, 7, known, 0, true},
		{"of another interface", unix.RTM_DELADDR, 8, known, 0, false},
		{"link", unix.RTM_NEWLINK, 7, known, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := []byte{unix.AF_INET6, byte(tt.prefix.Bits()), 0, 0}
			body = binary.NativeEndian.AppendUint32(body, tt.index)
			attr := func(kind uint16, value []byte) {
				body = binary.NativeEndian.AppendUint16(body, uint16(4+len(value)))
				body = append(binary.NativeEndian.AppendUint16(body, kind), value...)
			}
			attr(unix.IFA_ADDRESS, tt.prefix.Addr().AsSlice())
			attr(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, tt.flags))
			m := syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: tt.kind}, Data: body}
			if got := s.outdated(m); got != tt.want {
				t.Errorf("outdated: %t, want %t", got, tt.want)
			}
		})
	}
}
