package lab

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/topology"
)

const (
	// silence is how long a silent server keeps a connection, if the other side does.
	silence = time.Minute
	// slowPause is between two bytes of a slow server, slowAnswer how late what comes whole is.
	slowPause, slowAnswer = time.Second, 10 * time.Second
)

// slowly writes a byte at a time.
type slowly struct{ net.Conn }

func (c slowly) Write(b []byte) (int, error) {
	for i := range b {
		time.Sleep(slowPause)
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// lately writes a message late.
type lately struct{ net.Conn }

func (c lately) Write(b []byte) (int, error) {
	time.Sleep(slowAnswer)
	return c.Conn.Write(b)
}

// answerer answers the connections of a server.
func (s *server) answerer() func(net.Conn) {
	right := newPage("200 OK", s.name, s.name+"\n")
	wrong := newPage("200 OK", s.name, "this is another page\n")
	unavailable := newPage("503 Service Unavailable", s.name, "")
	speak := func(conn net.Conn) {
		switch s.now() {
		case Unavailable:
			unavailable.answer(conn)
		case Wrong:
			wrong.answer(conn)
		default:
			right.answer(conn)
		}
	}
	switch s.protocol {
	case topology.HTTPS:
		plain := speak
		speak = func(conn net.Conn) { s.overTLS(conn, plain) }
	case topology.SMTP:
		speak = s.mail
	case topology.SCTP:
		speak = s.echo
	}
	return func(conn net.Conn) {
		defer conn.Close()
		limit := requestTimeout
		if a := s.now(); a == Silent || a == Slow {
			limit = silence
		}
		if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
			return
		}
		switch a := s.now(); {
		case a == Silent:
			_, _ = io.Copy(io.Discard, conn) // until the other side goes
		case a == Slow && s.protocol == topology.SCTP:
			speak(lately{conn})
		case a == Slow:
			speak(slowly{conn})
		default:
			speak(conn)
		}
	}
}

// echo answers a message. The other side ends the association.
func (s *server) echo(conn net.Conn) {
	b := make([]byte, 1<<16)
	n, err := conn.Read(b)
	if err != nil {
		return
	}
	if _, err := conn.Write(s.reply(b[:n], s.now())); err == nil {
		_, _ = io.Copy(io.Discard, conn) // until the other side goes
	}
}

// overTLS speaks within a TLS session.
func (s *server) overTLS(conn net.Conn, speak func(net.Conn)) {
	if s.now() == BadTLS {
		// What it was sent is read, so that its end is no reset.
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\n")
		return
	}
	session := tls.Server(conn, s.config)
	if session.Handshake() == nil {
		speak(session)
		_ = session.Close()
	}
}

// selfSigned is what an HTTPS server shows: a certificate of its own name.
func selfSigned(name string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der},
		PrivateKey: key}}}, nil
}

// mail speaks SMTP, and throws away what it is sent (RFC 5321, Section 4.1).
func (s *server) mail(conn net.Conn) {
	say := func(text string) bool {
		_, err := io.WriteString(conn, text+"\r\n")
		return err == nil
	}
	switch s.now() {
	case Unavailable:
		say("421 " + s.name + " Service not available")
		return
	case Wrong:
		say("554 " + s.name + " No SMTP service here")
		return
	}
	in := bufio.NewReader(conn)
	for more := say("220 " + s.name + " ESMTP"); more; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch verb {
		case "HELO", "EHLO", "MAIL", "RCPT", "RSET", "NOOP":
			more = say("250 " + s.name)
		case "DATA":
			more = say("354 Go on") && skipMail(in) && say("250 "+s.name)
		case "QUIT":
			say("221 " + s.name)
			return
		default:
			more = say("502 What is that?")
		}
	}
}

// skipMail reads up to the line of a single dot.
func skipMail(in *bufio.Reader) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.TrimRight(line, "\r\n") == "." {
			return true
		}
	}
}

// serveUDP answers datagrams until the socket fails.
func (s *server) serveUDP(conn *net.UDPConn) error {
	b := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		a := s.now()
		reply := s.reply(b[:n], a)
		switch {
		case reply == nil || a == Silent:
		case a == Slow:
			time.AfterFunc(slowAnswer, func() { send(conn, reply, from) })
		default:
			send(conn, reply, from)
		}
	}
}

// send sends a datagram; who it is for may be gone.
func send(conn *net.UDPConn, b []byte, to netip.AddrPort) { _, _ = conn.WriteToUDPAddrPort(b, to) }

// reply is the answer to a datagram; nil for one that gets none.
func (s *server) reply(b []byte, a Ailment) []byte {
	if s.protocol == topology.Echo || s.protocol == topology.SCTP {
		name := s.name
		if a == Wrong {
			name = "what?"
		}
		return append([]byte(name+" "), b...)
	}
	var query, answer dns.Msg
	if err := query.Unpack(b); err != nil || len(query.Question) != 1 {
		return nil
	}
	answer.SetReply(&query)
	switch a {
	case Unavailable:
		answer.Rcode = dns.RcodeServerFailure
	case Wrong:
		answer.Id++
	}
	if q := query.Question[0]; q.Qtype == dns.TypeTXT && a != Unavailable {
		answer.Answer = []dns.RR{&dns.TXT{Txt: []string{s.name}, Hdr: dns.RR_Header{Name: q.Name,
			Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}}}
	}
	out, err := answer.Pack()
	if err != nil {
		return nil
	}
	return out
}
