package source

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// instances is the manual's configuration of 65,024 instances, each of 15 lines.
const instances = `$VI4= \
track_file offset_instance_4.${IF}.${NUM}.${ID} { \
    file "${_PWD}/679/track_files/4.${IF}.${NUM}.${ID}" \
    weight -100 \
} \
vrrp_instance vrrp4.${IF}.${NUM}.${ID} { \
    interface bond${IF}.${NUM} \
    use_vmac vrrp4.${IF}.${NUM}.${ID} \
    virtual_router_id ${ID} \
    priority 130 \
    virtual_ipaddress { \
        10.${IF}.${NUM}.${ID}/24 \
    } \
    track_file { \
        offset_instance_4.${IF}.${NUM}.${ID} \
    } \
}
~SEQ(IF,0,7) ~SEQ(NUM,0,31) ~SEQ(ID,1,254) $VI4
`

// BenchmarkSequence expands the manual's 65,024 instances.
func BenchmarkSequence(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		ds := ReadText("bench.conf", instances, Options{}, func(l Line) { n++ })
		if err := ds.Err(); err != nil || n != 65024*16 {
			b.Fatalf("read: %v, %d lines", err, n)
		}
	}
}

// BenchmarkPlain reads a file of 37,300 real servers.
func BenchmarkPlain(b *testing.B) {
	var text strings.Builder
	for i := range 37300 {
		fmt.Fprintf(&text, "real_server 10.%d.%d.%d 80 {\n    weight 1\n    TCP_CHECK {\n"+
			"        connect_timeout 3 # seconds\n    }\n}\n", i>>16, i>>8&255, i&255)
	}
	files := fstest.MapFS{"a.conf": {Data: []byte(text.String()), Mode: 0o644}}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		ds := Read("/a.conf", Options{Files: files}, func(l Line) { n++ })
		if err := ds.Err(); err != nil || n != 37300*6 {
			b.Fatalf("read: %v, %d lines", err, n)
		}
	}
}
