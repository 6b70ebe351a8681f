package check

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// TLS is how HTTP speaks TLS. Its zero value sends no name, shows no certificate and trusts any:
// what a health check asks is whether the server answers. It may be shared by any number of
// checkers, and must not be changed then.
type TLS struct {
	// SNI sends a name in the handshake: Name, or the URL's Host if that is empty. An address is
	// never sent (RFC 6066, Section 3).
	SNI  bool
	Name string
	// CA are those that may have signed the server's certificate, which must be for Name, else the
	// URL's Host, else the target's address; nil trusts any certificate.
	CA *x509.CertPool
	// Certificates are shown to a server that asks for one, the first if it names CAs of which none
	// has signed any; nil is none.
	Certificates []tls.Certificate
	// Compliant wants the server to end the session by close_notify (RFC 8446, Section 6.1).
	Compliant bool
}

// TLSFiles are the files of a TLS; all in PEM.
type TLSFiles struct {
	// CA are the certificates to trust; empty trusts any.
	CA string
	// Certificate, with those that lead to a CA after it, and Key are what is shown; both or none.
	Certificate, Key string
	// Password is that of Key; empty for one that is not encrypted.
	Password string
}

// Load returns a TLS of what is in the files. Its error names the file.
func (f TLSFiles) Load() (TLS, error) {
	var t TLS
	if f.CA != "" {
		text, err := os.ReadFile(f.CA)
		if err != nil {
			return TLS{}, fmt.Errorf("load CA: %w", err)
		}
		t.CA = x509.NewCertPool()
		if !t.CA.AppendCertsFromPEM(text) {
			return TLS{}, fmt.Errorf("load CA %s: no certificate in it", f.CA)
		}
	}
	if f.Certificate == "" && f.Key == "" {
		return t, nil
	}
	certificate, err := f.keyPair()
	if err != nil {
		return TLS{}, fmt.Errorf("load certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	t.Certificates = []tls.Certificate{certificate}
	return t, nil
}

func (f TLSFiles) keyPair() (tls.Certificate, error) {
	certificate, err := os.ReadFile(f.Certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(f.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if f.Password != "" {
		if key, err = decrypt(key, f.Password); err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.X509KeyPair(certificate, key)
}

// decrypt undoes the encryption of a key in PEM by RFC 1423, the one that the library knows. A key
// that is not encrypted needs no password, and stays as it is.
func decrypt(key []byte, password string) ([]byte, error) {
	block, _ := pem.Decode(key)
	switch {
	case block == nil:
		return nil, errors.New("no key in it")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("a key that PKCS #8 encrypts; decrypt it by `openssl pkey`")
	case block.Headers["DEK-Info"] == "":
		return key, nil
	}
	//lint:ignore SA1019 the operator's file is as it is
	der, err := x509.DecryptPEMBlock(block, []byte(password))
	if err != nil {
		return nil, err
	}
	// One wrong password of 256 leaves a padding that passes, and bytes that are no key.
	var fields []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &fields); err != nil || len(rest) > 0 {
		return nil, x509.IncorrectPasswordError
	}
	return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
}

// begin makes x a TLS session. Its error is a *Failure; x is to be closed in any case.
func (t *TLS) begin(x *exchange, host string) error {
	raw, ok := x.stream.(net.Conn)
	if !ok {
		return &Failure{Reason: Local, Detail: "begin TLS: no connection"}
	}
	ended := &watchedEnd{Conn: raw}
	conn := tls.Client(ended, t.config(x.target.Addr(), host))
	if err := conn.Handshake(); err != nil {
		var f *Failure
		if errors.As(err, &f) {
			return f
		}
		return x.broken(err, "TLS handshake", ended.read)
	}
	x.stream = &session{conn, ended}
	return nil
}

// config is lenient but in what a CA makes strict: old servers are health-checked too.
func (t *TLS) config(target netip.Addr, host string) *tls.Config {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS10,
		InsecureSkipVerify: true, // verify does it, with better words
	}
	if len(t.Certificates) > 0 {
		c.GetClientCertificate = t.show
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	if t.SNI {
		c.ServerName = cmp.Or(t.Name, host)
	}
	if t.CA != nil {
		name := cmp.Or(t.Name, host, target.String())
		c.VerifyConnection = func(s tls.ConnectionState) error { return t.verify(s, name) }
	}
	return c
}

// show returns the certificate for a server that asks for one, and is one of those that it has
// itself named as acceptable if there is such: the names are but a hint, which many a server that
// trusts an intermediate CA gives wrongly (RFC 8446, Section 4.2.4).
func (t *TLS) show(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	for i := range t.Certificates {
		if asked.SupportsCertificate(&t.Certificates[i]) == nil {
			return &t.Certificates[i], nil
		}
	}
	return &t.Certificates[0], nil
}

// verify says whether a CA vouches for the server by this name; if not, by a *Failure.
func (t *TLS) verify(s tls.ConnectionState, name string) error {
	options := x509.VerifyOptions{
		Roots: t.CA, DNSName: name, Intermediates: x509.NewCertPool(), CurrentTime: time.Now(),
	}
	for _, c := range s.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(options)
	if err == nil {
		return nil
	}
	f := &Failure{Reason: Certificate, Detail: "verify certificate", Err: err}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil {
		f.Err = nil
		f.Detail = "certificate expired on " + date(invalid.Cert.NotAfter)
		if options.CurrentTime.Before(invalid.Cert.NotBefore) {
			f.Detail = "certificate is not valid before " + date(invalid.Cert.NotBefore)
		}
	}
	return f
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// session is a TLS session over a connection whose end is watched.
type session struct {
	*tls.Conn
	under *watchedEnd
}

// watchedEnd is a connection that knows whether it has ended. The library takes an end without
// close_notify for a good one.
type watchedEnd struct {
	net.Conn
	read  int64
	ended bool
}

// Read implements net.Conn.
func (w *watchedEnd) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.read += int64(n)
	w.ended = w.ended || errors.Is(err, io.EOF)
	return n, err
}

// endedWell says of a session that was read to its end whether close_notify was that.
func endedWell(x *exchange) error {
	if s, ok := x.stream.(*session); ok && s.under.ended {
		return &Failure{Reason: Handshake, Detail: "TLS session ended without close_notify"}
	}
	return nil
}

// fromTLS returns the failure for an error of the TLS layer; nil for any other.
func fromTLS(err error, detail string) *Failure {
	var op *net.OpError
	alert := errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
	var record tls.RecordHeaderError
	if alert || errors.As(err, &record) {
		return &Failure{Reason: Handshake, Detail: detail, Err: err}
	}
	return nil
}
