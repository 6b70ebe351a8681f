package probe

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/lab"
	"github.com/tandemlb/tandem/topology"
)

// conversation asks one question on a connection and returns the name of the server that answers.
type conversation func(conn net.Conn, target string) (server string, err error)

// conversations are those of every protocol but HTTP.
var conversations = map[topology.Protocol]conversation{
	topology.HTTPS: overTLS,
	topology.SMTP:  greet,
	topology.DNS:   lookUp,
	topology.Echo:  echoed,
	topology.SCTP:  echoed,
}

// udpPort is the port of the last datagram. Each has another one for as long as possible: to IPVS
// one that comes again belongs to the real server that had it before.
var udpPort atomic.Uint32

const firstUDPPort, udpPorts = 10000, 50000

// converse makes a connection and asks by any protocol but HTTP.
func (p *prober) converse(speak conversation, deadline time.Time) (string, error) {
	target := p.order.Target.String()
	if p.order.Protocol == topology.SCTP {
		conn, err := lab.DialSCTP(p.order.Target, deadline)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return speak(conn, target)
	}
	network := "tcp"
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
	if p.order.Protocol.UDP() {
		network = "udp"
		port := firstUDPPort + udpPort.Add(1)%udpPorts
		dialer.LocalAddr = &net.UDPAddr{Port: int(port)}
	}
	conn, err := dialer.Dial(network, target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	return speak(conn, target)
}

// overTLS asks by HTTPS. Whoever the server is, it is trusted.
func overTLS(conn net.Conn, target string) (string, error) {
	session := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := session.Handshake(); err != nil {
		return "", err
	}
	request := "GET / HTTP/1.1\r\nHost: " + target + "\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(session, request); err != nil {
		return "", err
	}
	return readPage(session)
}

// greet says HELO to a mail server and leaves.
func greet(conn net.Conn, _ string) (string, error) {
	in := bufio.NewReaderSize(conn, maxAnswer)
	server, err := readReply(in, "220")
	if err != nil {
		return "", err
	}
	for _, say := range []struct{ command, want string }{{"HELO client", "250"}, {"QUIT", "221"}} {
		if _, err := io.WriteString(conn, say.command+"\r\n"); err != nil {
			return "", err
		}
		if _, err := readReply(in, say.want); err != nil {
			return "", err
		}
	}
	return server, nil
}

// readReply reads a reply of one line that has a code, and returns the word behind it.
func readReply(in *bufio.Reader, want string) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != want {
		return "", errStatus{strings.TrimSpace(line)}
	}
	return words[1], nil
}

// lookUp asks for a TXT record, whose text is the server's name.
func lookUp(conn net.Conn, _ string) (string, error) {
	query := new(dns.Msg).SetQuestion("server.example.", dns.TypeTXT)
	packed, err := query.Pack()
	if err != nil {
		return "", err
	}
	if _, err := conn.Write(packed); err != nil {
		return "", err
	}
	b := make([]byte, maxAnswer)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return "", err
		}
		var answer dns.Msg
		if err := answer.Unpack(b[:n]); err != nil || answer.Id != query.Id {
			continue // it answers another question
		}
		if len(answer.Answer) == 1 {
			if txt, ok := answer.Answer[0].(*dns.TXT); ok && len(txt.Txt) == 1 {
				return txt.Txt[0], nil
			}
		}
		return "", errStatus{dns.RcodeToString[answer.Rcode]}
	}
}

// echoed sends a word that comes back behind the server's name.
func echoed(conn net.Conn, _ string) (string, error) {
	const word = "hello"
	if _, err := io.WriteString(conn, word); err != nil {
		return "", err
	}
	b := make([]byte, maxAnswer)
	n, err := conn.Read(b)
	if err != nil {
		return "", err
	}
	server, said, _ := strings.Cut(string(b[:n]), " ")
	if said != word {
		return "", fmt.Errorf("read echo: %q", said)
	}
	return server, nil
}
