package check_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tandemlb/tandem/daemon/check"
)

// counterpart starts a program of Debian's, which is ended with the test, and waits until ready
// finds it well. It skips where the program is not installed. freeze has it stand still: its kernel
// still takes connections and datagrams.
func counterpart(t *testing.T, ready check.Checker, pkg, program string, args ...string) (
	freeze func(),
) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s, of the package %s: %v", program, pkg, err)
	}
	var said bytes.Buffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, said.String())
		}
	})
	until(t, func() string { return nilOr(ready.Check(t.Context())) })
	return func() {
		t.Helper()
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
}

// frozen is what checkers have to say of a program that stands still, within this time.
const frozen = 300 * time.Millisecond

// free returns an address for a counterpart, of which neither TCP nor UDP has the port. It is not
// the loopback address that all connections here have, whose remains could be in the way.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	ip := net.IPv4(127, 77, 0, 1)
	for range 10 {
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
		if err != nil {
			t.Fatal(err)
		}
		at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		_ = udp.Close()
		if err == nil {
			_ = tcp.Close()
			return at
		}
	}
	t.Fatal("no port is free")
	return netip.AddrPort{}
}

// nilOr is empty for nil.
func nilOr(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// writeFile writes a file below dir, and returns its path.
func writeFile(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	path := dir + "/" + name
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePair writes a certificate and its key.
func writePair(t *testing.T, dir string, c tls.Certificate) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
	}
	return writeFile(t, dir, "cert.pem", encode("CERTIFICATE", c.Certificate[0])),
		writeFile(t, dir, "key.pem", encode("EC PRIVATE KEY", der))
}

// nginxConf serves "hello" at /hello, as chunks at /chunks, and sends elsewhere from /moved; with
// TLS on the second port.
const nginxConf = `
user root; daemon off; master_process off; pid %[1]s/pid;
error_log stderr; worker_rlimit_nofile 64;
events { worker_connections 32; }
http {
  access_log off; default_type text/plain;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s; listen %[3]s ssl; server_name _;
    ssl_certificate %[4]s; ssl_certificate_key %[5]s;
    location = /hello { return 200 "hello"; }
    location = /chunks { ssi on; root %[1]s; }
    location = /moved { return 302 /hello; }
    location = /busy { return 503; }
  }
}
`

func TestNginx(t *testing.T) {
	dir, ca := t.TempDir(), newAuthority(t)
	certificate, key := writePair(t, dir, ca.now(t, "www.example.com"))
	writeFile(t, dir, "chunks", []byte("hello"))
	plain, secure := free(t), free(t)
	conf := writeFile(t, dir, "conf", fmt.Appendf(nil, nginxConf, dir, plain, secure,
		certificate, key))
	freeze := counterpart(t, check.TCP{Target: secure, Timeout: time.Second}, "nginx", "nginx", "-c",
		conf, "-e", "stderr", "-p", dir)
	regex, err := check.NewRegex("^hel+o$", check.RegexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	trusted := &check.TLS{CA: ca.pool(), SNI: true, Compliant: true}
	good := check.URL{Path: "/hello", Digest: helloDigest, Regex: regex}
	for _, tt := range []struct {
		name   string
		target netip.AddrPort
		tls    *check.TLS
		url    check.URL
		reason check.Reason
		want   string
	}{
		{"good", plain, nil, good, 0, "<nil>"},
		{"chunks", plain, nil, check.URL{Path: "/chunks", Digest: helloDigest}, 0, "<nil>"},
		{"moved", plain, nil, check.URL{Path: "/moved"}, check.Status,
			"HTTP 302, wanted 200-299"},
		{"busy", plain, nil, check.URL{Path: "/busy"}, check.Status,
			"HTTP 503, wanted 200-299"},
		{"TLS", secure, &check.TLS{}, good, 0, "<nil>"},
		{"TLS with a CA", secure, trusted, check.URL{Path: "/hello", Host: "www.example.com",
			Digest: helloDigest}, 0, "<nil>"},
		{"TLS for another host", secure, trusted, check.URL{Path: "/hello",
			Host: "example.net"}, check.Certificate, "verify certificate: x509: certificate is " +
			"valid for www.example.com, not example.net"},
		{"TLS where there is none", plain, &check.TLS{}, good, check.Handshake,
			"TLS handshake: tls: first record does not look like a TLS handshake"},
		{"no TLS where there is", secure, nil, good, check.Status, "HTTP 400, wanted 200-299"},
	} {
		for _, version := range []check.HTTPVersion{check.HTTP10, check.HTTP10Close, check.HTTP11} {
			t.Run(fmt.Sprint(tt.name, " ", version), func(t *testing.T) {
				c := check.HTTP{Target: tt.target, Timeout: 10 * time.Second, TLS: tt.tls,
					Version: version, URLs: []check.URL{tt.url}}
				judge(t, c, tt.target, c.Timeout, tt.reason, tt.want)
			})
		}
	}
	freeze()
	judge(t, check.TCP{Target: plain, Timeout: frozen}, plain, frozen, 0, "<nil>")
	still := check.HTTP{Target: plain, Timeout: frozen, URLs: []check.URL{good}}
	judge(t, still, plain, frozen, check.Timeout,
		"read HTTP answer: not complete within 300ms (0 bytes)")
	still.Target, still.TLS = secure, &check.TLS{}
	judge(t, still, secure, frozen, check.Timeout,
		"TLS handshake: not complete within 300ms (0 bytes)")
}

// nginxStrict wants a certificate of the client, under TLS alone.
const nginxStrict = `
user root; daemon off; master_process off; pid %[1]s/pid;
error_log stderr; worker_rlimit_nofile 64;
events { worker_connections 32; }
http {
  access_log off; default_type text/plain;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s ssl; server_name _;
    ssl_certificate %[3]s; ssl_certificate_key %[4]s;
    ssl_client_certificate %[5]s; ssl_verify_client on;
    location = /whoami { return 200 "$ssl_client_s_dn"; }
  }
}
`

// TestNginxClientCertificates has nginx demand a certificate of the client. It says what it thinks
// of one by HTTP.
func TestNginxClientCertificates(t *testing.T) {
	dir, ca, other := t.TempDir(), newAuthority(t), newAuthority(t)
	certificate, key := writePair(t, dir, ca.now(t, "www.example.com"))
	trusted := writeFile(t, dir, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: ca.certificate.Raw}))
	target := free(t)
	conf := writeFile(t, dir, "conf", fmt.Appendf(nil, nginxStrict, dir, target, certificate, key,
		trusted))
	counterpart(t, check.TCP{Target: target, Timeout: time.Second}, "nginx", "nginx", "-c", conf,
		"-e", "stderr", "-p", dir)
	regex, err := check.NewRegex("^CN=web1$", check.RegexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := check.TLSFiles{CA: trusted, Certificate: certificate, Key: key}.Load()
	if err != nil {
		t.Fatal(err)
	}
	loaded.Name = "www.example.com"
	for _, tt := range []struct {
		name   string
		tls    check.TLS
		reason check.Reason
		want   string
	}{
		{"from files", loaded, 0, "<nil>"},
		{"none", check.TLS{}, check.Status, "HTTP 400, wanted 200-299"},
		{"one of another CA", check.TLS{Certificates: []tls.Certificate{other.now(t)}},
			check.Status, "HTTP 400, wanted 200-299"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.HTTP{Target: target, Timeout: 10 * time.Second, TLS: &tt.tls,
				URLs: []check.URL{{Path: "/whoami", Regex: regex}}}
			judge(t, c, target, c.Timeout, tt.reason, tt.want)
		})
	}
}

// TestGenhash has keepalived's own program count the digest of a page. It goes by HTTP/1.0.
func TestGenhash(t *testing.T) {
	target := serve(t, answer("HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello\n\x00\xff"))
	genhash, err := exec.LookPath("genhash")
	if err != nil {
		t.Skipf("needs genhash, of the package keepalived: %v", err)
	}
	out, err := exec.Command(genhash, "-s", target.Addr().String(), "-p",
		fmt.Sprint(target.Port()), "-u", "/").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p, err := check.HTTP{Target: target, Timeout: 10 * time.Second}.Get(t.Context(),
		check.URL{Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte(p.Digest)) {
		t.Errorf("digest %s, genhash says %s", p.Digest, out)
	}
}

func TestAiosmtpd(t *testing.T) {
	target := free(t)
	freeze := counterpart(t, check.TCP{Target: target, Timeout: time.Second}, "python3-aiosmtpd",
		"aiosmtpd", "-n", "-l", target.String(), "-c", "aiosmtpd.handlers.Sink")
	for _, extended := range []bool{false, true} {
		c := check.SMTP{Target: target, Timeout: 10 * time.Second, Extended: extended,
			Helo: "lb1.example.com"}
		judge(t, c, target, c.Timeout, 0, "<nil>")
	}
	web := check.HTTP{Target: target, Timeout: 10 * time.Second, URLs: []check.URL{{Path: "/"}}}
	if err := web.Check(t.Context()); check.ReasonOf(err) != check.Malformed {
		t.Errorf("a mail server asked by HTTP: %v, want %s", err, check.Malformed)
	}
	freeze()
	judge(t, check.SMTP{Target: target, Timeout: frozen}, target, frozen, check.Timeout,
		"no SMTP banner within 300ms")
}

func TestDnsmasq(t *testing.T) {
	target := free(t)
	ask := func(name string, want ...string) check.DNS {
		return check.DNS{Target: target, Timeout: 10 * time.Second, Name: name,
			Type: dns.TypeA, Want: want}
	}
	ready := ask("www.example.com")
	ready.Timeout = time.Second
	freeze := counterpart(t, ready, "dnsmasq-base", "dnsmasq", "--no-daemon", "--conf-file=/dev/null",
		"--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address="+target.Addr().String(),
		fmt.Sprintf("--port=%d", target.Port()), "--pid-file=", "--user=",
		"--address=/www.example.com/192.0.2.1")
	judge(t, ask("www.example.com", "192.0.2.1"), target, time.Second, 0, "<nil>")
	judge(t, ask("www.example.com", "192.0.2.2"), target, time.Second, check.Reply,
		`DNS answer lacks "192.0.2.2", has "192.0.2.1"`)
	judge(t, ask("www.example.net"), target, time.Second, check.Reply,
		"DNS answer is REFUSED, wanted NOERROR")
	udp := check.UDP{Target: target, Timeout: 10 * time.Second,
		Payload: []byte("\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01"),
		Reply:   &check.UDPReply{Start: pattern(t, "abcd8xxx"), Min: 12}}
	judge(t, udp, target, udp.Timeout, 0, "<nil>")
	freeze()
	still := ask("www.example.com")
	still.Timeout = frozen
	judge(t, still, target, frozen, check.Timeout, "DNS query to ADDR: no answer within 300ms")
}
