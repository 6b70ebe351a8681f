package check_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
	}}
	der, err := x509.CreateCertificate(rand.Reader, a.certificate, a.certificate,
		&a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.certificate)
	return p
}

// sign returns a certificate for names and addresses, valid between two times.
func (a *authority) sign(t testing.TB, from, to time.Time, names ...string) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "web1"},
		NotBefore: from, NotAfter: to,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, c, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) now(t testing.TB, names ...string) tls.Certificate {
	return a.sign(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), names...)
}

// secure is handle within a TLS session, which ends without close_notify if rude.
func secure(c *tls.Config, rude bool, handle func(net.Conn)) func(net.Conn) {
	return func(raw net.Conn) {
		s := tls.Server(raw, c)
		if s.Handshake() != nil {
			return
		}
		handle(s)
		if !rude {
			_ = s.Close()
		}
	}
}

const page = "HTTP/1.0 200 OK\r\n\r\nhello"

func get(target netip.AddrPort, t check.TLS) check.HTTP {
	return check.HTTP{Target: target, Timeout: 5 * time.Second, TLS: &t,
		URLs: []check.URL{{Path: "/", Digest: helloDigest}}}
}

func TestTLSCertificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	past := ca.sign(t, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2021, 2, 3, 23, 0, 0, 0, time.UTC), "127.0.0.1")
	future := ca.sign(t, time.Date(2120, 1, 2, 0, 0, 0, 0, time.UTC),
		time.Date(2121, 2, 3, 0, 0, 0, 0, time.UTC), "127.0.0.1")
	self := tls.Certificate{Certificate: [][]byte{ca.certificate.Raw}, PrivateKey: ca.key}
	for _, tt := range []struct {
		name        string
		certificate tls.Certificate
		tls         check.TLS
		host        string
		reason      check.Reason
		want        string
	}{
		{"any without CA", past, check.TLS{}, "", 0, "<nil>"},
		{"good for the address", ca.now(t, "127.0.0.1"), check.TLS{CA: ca.pool()}, "", 0, "<nil>"},
		{"good for the host", ca.now(t, "www.example.com"), check.TLS{CA: ca.pool()},
			"www.example.com", 0, "<nil>"},
		{"good for the name", ca.now(t, "web.example.com"),
			check.TLS{CA: ca.pool(), Name: "web.example.com"}, "www.example.com", 0, "<nil>"},
		{"expired", past, check.TLS{CA: ca.pool()}, "", check.Certificate,
			"certificate expired on 2021-02-03"},
		{"not yet valid", future, check.TLS{CA: ca.pool()}, "", check.Certificate,
			"certificate is not valid before 2120-01-02"},
		{"for another address", ca.now(t, "192.0.2.1"), check.TLS{CA: ca.pool()}, "",
			check.Certificate, "verify certificate: x509: certificate is valid for 192.0.2.1, " +
				"not 127.0.0.1"},
		{"of another CA", ca.now(t, "127.0.0.1"), check.TLS{CA: other.pool()}, "",
			check.Certificate, "verify certificate: x509: certificate signed by unknown authority"},
		{"of itself", self, check.TLS{CA: other.pool()}, "www.example.com",
			check.Certificate, "verify certificate: x509: certificate is not valid for any " +
				"names, but wanted to match www.example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{tt.certificate}}
			target := serve(t, secure(config, false, answer(page)))
			c := get(target, tt.tls)
			c.URLs[0].Host = tt.host
			err := c.Check(t.Context())
			if got := check.ReasonOf(err); got != tt.reason {
				t.Errorf("reason %s, want %s", got, tt.reason)
			}
			// The library may say more of an unknown authority.
			if got := message(err); !strings.HasPrefix(got, tt.want) {
				t.Errorf("error %s, want %s", got, tt.want)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

func TestTLSServers(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{newAuthority(t).now(t)}}
	old := config.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	strict := config.Clone()
	strict.ClientAuth = tls.RequireAnyClientCert
	hinting := strict.Clone()
	leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	hinting.ClientCAs = x509.NewCertPool() // of a name that no certificate is signed by
	hinting.ClientCAs.AddCert(leaf)
	strict12 := strict.Clone()
	strict12.MaxVersion = tls.VersionTLS12
	const long = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	compliant := check.TLS{Compliant: true}
	for _, tt := range []struct {
		name   string
		target netip.AddrPort
		tls    check.TLS
		reason check.Reason
		want   string
	}{
		{"good", serve(t, secure(config, false, answer(page))), compliant, 0, "<nil>"},
		{"old", serve(t, secure(old, false, answer(page))), check.TLS{}, 0, "<nil>"},
		{"rude", serve(t, secure(config, true, answer(page))), check.TLS{}, 0, "<nil>"},
		{"rude, and must not be", serve(t, secure(config, true, answer(page))), compliant,
			check.Handshake, "TLS session ended without close_notify"},
		{"rude after a length", serve(t, secure(config, true, answer(long))), check.TLS{}, 0,
			"<nil>"},
		{"rude after a length, and must not be",
			serve(t, secure(config, true, answer(long))), compliant,
			check.Handshake, "TLS session ended without close_notify"},
		{"good after a length", serve(t, secure(config, false, answer(long))), compliant, 0,
			"<nil>"},
		{"half a page", serve(t, secure(config, true,
			answer("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhello"))), check.TLS{},
			check.Closed, "read HTTP body: connection closed after 5 bytes"},
		{"no TLS", serve(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n")
			silent(c)
		}), check.TLS{}, check.Handshake,
			"TLS handshake: tls: first record does not look like a TLS handshake"},
		{"wants a certificate", serve(t, secure(strict, false, answer(page))), check.TLS{},
			check.Handshake, "read HTTP answer: remote error: tls: certificate required"},
		{"wants a certificate at once", serve(t, secure(strict12, false, answer(page))),
			check.TLS{}, check.Handshake, "TLS handshake: remote error: tls: handshake failure"},
		{"gets a certificate", serve(t, secure(strict, false, answer(page))),
			check.TLS{Certificates: config.Certificates}, 0, "<nil>"},
		{"gets a certificate that it did not name", serve(t, secure(hinting, false, answer(page))),
			check.TLS{Certificates: config.Certificates}, 0, "<nil>"},
		{"stops in the handshake", serve(t, stopsInHandshake), check.TLS{}, check.Timeout,
			"TLS handshake: not complete within 500ms (5 bytes)"},
		{"closes in the handshake", serve(t, closesInHandshake), check.TLS{}, check.Closed,
			"TLS handshake: connection closed after 5 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := get(tt.target, tt.tls)
			if tt.reason == check.Timeout {
				c.Timeout = 500 * time.Millisecond
			}
			judge(t, c, tt.target, c.Timeout, tt.reason, tt.want)
		})
	}
}

// closesInHandshake sends the head of a record, and reads what it was sent: to close before would
// be another end.
func closesInHandshake(c net.Conn) {
	_, _ = bufio.NewReaderSize(c, 1<<14).Peek(5)
	_, _ = c.Write([]byte{22, 3, 3, 0, 100})
}

func stopsInHandshake(c net.Conn) {
	closesInHandshake(c)
	silent(c)
}

func TestTLSName(t *testing.T) {
	certificate := newAuthority(t).now(t)
	for _, tt := range []struct {
		name string
		tls  check.TLS
		host string
		want string
	}{
		{"none", check.TLS{Name: "b.example.com"}, "a.example.com", ""},
		{"the host's", check.TLS{SNI: true}, "a.example.com", "a.example.com"},
		{"another", check.TLS{SNI: true, Name: "b.example.com"}, "a.example.com",
			"b.example.com"},
		{"no host", check.TLS{SNI: true}, "", ""},
		{"an address", check.TLS{SNI: true}, "192.0.2.1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			names := make(chan string, 1)
			hosts := make(chan string, 1)
			config := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate,
				error,
			) {
				names <- h.ServerName
				return &certificate, nil
			}}
			target := serve(t, secure(config, false, func(c net.Conn) {
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					hosts <- r.Host
				}
				_, _ = io.WriteString(c, page)
			}))
			c := get(target, tt.tls)
			c.URLs[0].Host = tt.host
			if err := c.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := <-names; got != tt.want {
				t.Errorf("name %q, want %q", got, tt.want)
			}
			if got := <-hosts; tt.host != "" && got != tt.host {
				t.Errorf("host %q, want %q", got, tt.host)
			}
		})
	}
}

// tlsFiles writes a CA, a certificate and keys of several forms, and returns where.
func tlsFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca := newAuthority(t)
	pair := ca.now(t, "web1")
	der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 what the operators' files are like
	secret, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("pass"),
		x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca":     {Type: "CERTIFICATE", Bytes: ca.certificate.Raw},
		"cert":   {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		"key":    {Type: "EC PRIVATE KEY", Bytes: der},
		"secret": secret,
		"pkcs8":  {Type: "ENCRYPTED PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(dir+"/"+name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/empty", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTLSFiles(t *testing.T) {
	dir := tlsFiles(t)
	const load = "load certificate DIR/cert with key DIR/"
	for _, tt := range []struct {
		ca, certificate, key, password string
		want                           string
	}{
		{"", "", "", "", "<nil>"},
		{"ca", "cert", "key", "", "<nil>"},
		{"ca", "", "", "", "<nil>"},
		{"", "cert", "secret", "pass", "<nil>"},
		{"", "cert", "key", "pass", "<nil>"},
		{"", "cert", "secret", "word", load + "secret: x509: decryption password incorrect"},
		{"", "cert", "pkcs8", "pass",
			load + "pkcs8: a key that PKCS #8 encrypts; decrypt it by `openssl pkey`"},
		{"", "cert", "empty", "pass", load + "empty: no key in it"},
		{"", "cert", "none", "", load + "none: open DIR/none: no such file or directory"},
		{"", "cert", "empty", "",
			load + "empty: tls: failed to find any PEM data in key input"},
		{"empty", "", "", "", "load CA DIR/empty: no certificate in it"},
		{"none", "", "", "", "load CA: open DIR/none: no such file or directory"},
	} {
		at := func(name string) string {
			if name == "" {
				return ""
			}
			return dir + "/" + name
		}
		got, err := check.TLSFiles{CA: at(tt.ca), Certificate: at(tt.certificate),
			Key: at(tt.key), Password: tt.password}.Load()
		if text := strings.ReplaceAll(message(err), dir, "DIR"); text != tt.want {
			t.Errorf("%v: error %s, want %s", tt, text, tt.want)
		}
		if err == nil && ((got.CA != nil) != (tt.ca != "") ||
			(got.Certificates != nil) != (tt.certificate != "")) {
			t.Errorf("%v: %+v", tt, got)
		}
	}
	if _, err := (check.TLSFiles{Key: dir + "/key"}).Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("key without certificate: error %v", err)
	}
}

// TestWrongPasswordThatFits looks for a wrong password that RFC 1423's padding does not tell from the
// right one: one of 256 on average.
func TestWrongPasswordThatFits(t *testing.T) {
	dir := tlsFiles(t)
	text, err := os.ReadFile(dir + "/secret")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	fits := func(password string) bool {
		//lint:ignore SA1019 what the operators' files are like
		_, err := x509.DecryptPEMBlock(block, []byte(password))
		return err == nil
	}
	tries := 0
	for !fits(strconv.Itoa(tries)) {
		tries++
	}
	_, err = check.TLSFiles{Certificate: dir + "/cert", Key: dir + "/secret",
		Password: strconv.Itoa(tries)}.Load()
	if !errors.Is(err, x509.IncorrectPasswordError) {
		t.Errorf("password %d: error %v", tries, err)
	}
}
