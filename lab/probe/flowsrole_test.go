package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// TestEchoesHear: only a reply to what was asked, by this process, is an answer.
func TestEchoesHear(t *testing.T) {
	t.Parallel()
	reply := func(kind icmp.Type, id, number int) []byte {
		m := icmp.Message{Type: kind, Body: &icmp.Echo{ID: id, Seq: number}}
		b, err := m.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const id, number = 77, 5
	tests := []struct {
		name    string
		message []byte
		want    bool
	}{
		{"the reply", reply(ipv4.ICMPTypeEchoReply, id, number), true},
		{"one of IPv6", reply(ipv6.ICMPTypeEchoReply, id, number), false},
		{"another process's", reply(ipv4.ICMPTypeEchoReply, id+1, number), false},
		{"another number", reply(ipv4.ICMPTypeEchoReply, id, number+1), false},
		{"a request", reply(ipv4.ICMPTypeEcho, id, number), false},
		{"noise", []byte{0}, false},
		{"nothing", nil, false},
	}
	for _, tt := range tests {
		e := newEchoes(netip.MustParseAddr("192.0.2.1"))
		e.id = id
		answer := make(chan struct{})
		e.out[number] = answer
		e.hear(tt.message)
		e.hear(tt.message) // a second one changes nothing
		got := false
		select {
		case <-answer:
			got = true
		default:
		}
		if got != tt.want {
			t.Errorf("%s: an answer: %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	conn, err := listenFree("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- echo(conn, "lb1") }()
	client, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if server, err := echoed(client, ""); err != nil || server != "lb1" {
			t.Errorf("%q, error %v; want lb1's echo", server, err)
		}
	}
	conn.Close()
	if err := <-ended; err != nil {
		t.Errorf("error %v at its end", err)
	}
}
