package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
)

// authority signs the certificates of servers and clients.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	template := a.template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	a.certificate = template
	signed := a.sign(template)
	var err error
	if a.certificate, err = x509.ParseCertificate(signed.Certificate[0]); err != nil {
		t.Fatal(err)
	}
	a.key = signed.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// sign returns a certificate with a new key; the first is signed by itself.
func (a *authority) sign(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	by := a.key
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.certificate, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write writes the authority's own certificate and one for a client, with a key that needs the
// password "secret", and returns an SSL block of all that.
func (a *authority) write(dir string) string {
	a.t.Helper()
	client := a.sign(a.template("lb1"))
	der, err := x509.MarshalECPrivateKey(client.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		a.t.Fatal(err)
	}
	//lint:ignore SA1019 what the operators' files are like
	key, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("secret"),
		x509.PEMCipherAES128)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca":   {Type: "CERTIFICATE", Bytes: a.certificate.Raw},
		"cert": {Type: "CERTIFICATE", Bytes: client.Certificate[0]},
		"key":  key,
	} {
		err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600)
		if err != nil {
			a.t.Fatal(err)
		}
	}
	return fmt.Sprintf("SSL {\nca %[1]s/ca\ncertificate %[1]s/cert\nkey %[1]s/key\n"+
		"password secret\n}\n", dir)
}

// serveStrictly is a web server under a certificate of one authority, which demands one of another
// of who asks.
func serveStrictly(t *testing.T, own, clients *authority) uint16 {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(clients.certificate)
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "hello "+r.TLS.PeerCertificates[0].Subject.CommonName)
		}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		Certificates: []tls.Certificate{own.sign(own.template("web1"))}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return portOf(t, server.Listener.Addr())
}

// TestSSLCertificates has what the SSL block names used end to end, from a file of configuration to
// the table, against a server that demands a certificate of the client.
func TestSSLCertificates(t *testing.T) {
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	ssl := ours.write(t.TempDir())
	strict := serveStrictly(t, ours, ours)
	for _, tt := range []struct {
		name, ssl string
		port      uint16
		want      string
	}{
		{"certificate", ssl, strict, "UP: "},
		{"certificate, any server", withoutCA(ssl), serveStrictly(t, others, ours),
			"UP: "},
		{"no certificate", "", strict,
			"DOWN: read HTTP answer: remote error: tls: certificate required"},
		{"certificate that the server does not trust", withoutCA(ssl),
			serveStrictly(t, others, others),
			"DOWN: read HTTP answer: remote error: tls: unknown certificate authority"},
		{"server that we do not trust", ssl, serveStrictly(t, others, ours),
			"DOWN: verify certificate: x509: certificate signed by unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const check = "SSL_GET {\nretry 0\nurl {\npath /\nregex \"^hello lb1$\"\n}\n}"
			text := tt.ssl + checkText(check, tt.port)
			cfg, ds := config.Parse("test.conf", []byte(text))
			if err := ds.Err(); err != nil {
				t.Fatal(err)
			}
			c := newChecking(t, cfg)
			until(t, tt.want, func() bool { return strings.HasPrefix(c.why(cfg), tt.want) })
			up := strings.HasPrefix(tt.want, "UP")
			until(t, "the table", func() bool {
				return strings.Contains(c.table.String(), "-r 127.0.0.1:") == up
			})
		})
	}
}

// withoutCA is an SSL block that trusts any server.
func withoutCA(ssl string) string {
	before, after, _ := strings.Cut(ssl, "ca ")
	_, after, _ = strings.Cut(after, "\n")
	return before + after
}
