package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/tandemlb/tandem/daemon/prototest"
)

// TestDecodedByTshark has another decoder read what Append writes: fields and checksums.
func TestDecodedByTshark(t *testing.T) {
	var packets [][]byte
	var want []string
	for _, w := range wire {
		if w.advert.Version == V3 && w.src.Is4() && w.advert.Checksum == ChecksumPlain {
			continue // it takes RFC 5798 as meant with a pseudo-header
		}
		packets = append(packets, ipPacket(must(w.advert.Append(nil, w.src, w.dst)), w.src, w.dst))
		want = append(want, tsharkLine(w.advert))
	}
	fields := []string{"version", "virt_rtr_id", "prio", "addr_count", "adver_int",
		"short_adver_int", "checksum.status", "ip_addr", "ipv6_addr"}
	prototest.Decoded(t, packets, "vrrp", fields, []string{"vrrp.v3_checksum_as_in_v2:FALSE"}, want)
}

// tsharkLine is what tshark says of a, its fields separated by tabs; a right checksum is 1.
func tsharkLine(a Advert) string {
	seconds, centiseconds := "", fmt.Sprint(int64(a.Interval/centisecond))
	if a.Version == V2 {
		seconds, centiseconds = fmt.Sprint(a.Interval.Seconds()), ""
	}
	var v4, v6 []string
	for _, addr := range a.Addrs {
		if addr.Is4() {
			v4 = append(v4, addr.String())
		} else {
			v6 = append(v6, addr.String())
		}
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%s\t%s\t1\t%s\t%s", a.Version, a.VRID, a.Priority,
		len(a.Addrs), seconds, centiseconds, strings.Join(v4, ","), strings.Join(v6, ","))
}

// ipPacket puts an IP header before an advert. Nobody looks at the header's own checksum.
func ipPacket(b []byte, src, dst netip.Addr) []byte {
	var h []byte
	if src.Is4() {
		h = []byte{0x45, 0xc0, 0, 0, 0, 0, 0, 0, TTL, Protocol, 0, 0}
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(b)))
	} else {
		h = []byte{0x60, 0, 0, 0, 0, 0, Protocol, TTL}
		binary.BigEndian.PutUint16(h[4:], uint16(len(b)))
	}
	h = append(h, src.AsSlice()...)
	h = append(h, dst.AsSlice()...)
	return append(h, b...)
}
