package notify

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// startTLS plays a server up to its answer to STARTTLS.
func startTLS(c net.Conn, answer string) {
	_, _ = io.WriteString(c, "220 hello\r\n")
	one := make([]byte, 512)
	for _, reply := range []string{"250-hello\r\n250 STARTTLS\r\n", answer} {
		if _, err := c.Read(one); err != nil {
			return
		}
		_, _ = io.WriteString(c, reply)
	}
}

// TestHostileEncryption meets servers that offer TLS and do not mean it, twice; the third
// connection is to one that does. No name, no password and no mail goes to the others.
func TestHostileEncryption(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	certificates := web.TLS.Certificates[:1]
	roots := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	web.Close()
	for _, tt := range []struct {
		name, answer string
		// serve, if not nil, goes on after the answer; what it reads is kept otherwise.
		serve func(c net.Conn)
		want  string
	}{
		{"garbage in place of a handshake", "220 go on\r\n", func(c net.Conn) {
			_, _ = io.WriteString(c, "250 who needs encryption\r\n")
		}, "start TLS"},
		{"hangs in the handshake", "220 go on\r\n", nil, "timeout"},
		{"closes in the handshake", "220 go on\r\n", func(net.Conn) {}, "start TLS"},
		{"takes it back", "454 not now\r\n", nil, "454"},
		{"answers ahead of the encryption",
			"220 go on\r\n250-hello\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n", nil, "timeout"},
		{"an old version", "220 go on\r\n", func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: certificates,
				MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		}, "protocol version"},
	} {
		for _, how := range []StartTLS{WhenOffered, Required} {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					heard := make(chan string, 2)
					p := &postOffice{tls: &tls.Config{Certificates: certificates}, login: "PLAIN"}
					p.serve = func(nth int, c net.Conn) bool {
						if nth > 2 {
							return false
						}
						startTLS(c, tt.answer)
						if tt.serve != nil {
							tt.serve(c)
						} else {
							all, _ := io.ReadAll(c)
							heard <- string(all)
						}
						return true
					}
					m := Mail{Server: "example.com:25", From: post.From, To: post.To, Roots: roots,
						StartTLS: how, User: "ops", Password: "secret"}
					st, err := send(t, p, m, Event{Subject: vi1, State: Master})
					if err != nil || st.Done != 1 || st.Retries != 2 ||
						!strings.Contains(st.LastError, tt.want) {
						t.Errorf("got %+v, %v; want a mail after two attempts, and %q", st, err, tt.want)
					}
					close(heard)
					for told := range heard {
						if strings.Contains(told, "AUTH") || strings.Contains(told, "MAIL") {
							t.Errorf("told %q", told)
						}
					}
					if strings.Contains(st.LastError, "secret") {
						t.Errorf("error %q", st.LastError)
					}
				})
			})
		}
	}
}

// TestPasswordFile logs in with what is in a file.
func TestPasswordFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text, want string // the password, or part of the error
	}{
		{"a line", "secret\n", "secret"},
		{"no newline", "secret", "secret"},
		{"more lines", "se cret\r\nmore\n", "se cret"},
		{"empty", "", "expected one in its first line"},
		{"missing", "", "no such file"},
		{"a pipe", "", "expected one in its first line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Mail{User: "ops", PasswordFile: filepath.Join(dir, "password")}
			switch tt.name {
			case "missing":
				m.PasswordFile += "s"
			case "a pipe":
				m.PasswordFile = pipe
			default:
				if err := os.WriteFile(m.PasswordFile, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := m.password()
			if got != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	t.Run("login", func(t *testing.T) {
		file := filepath.Join(dir, "login")
		if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			p := &postOffice{login: "PLAIN"}
			m := Mail{Server: "localhost:25", From: post.From, To: post.To, User: "ops",
				PasswordFile: file}
			st, err := send(t, p, m, Event{Subject: vi1, State: Master})
			commands, _ := p.seen()
			plain := base64.StdEncoding.EncodeToString([]byte("\x00ops\x00secret"))
			if err != nil || st.Done != 1 || !strings.Contains(strings.Join(commands, "\n"), plain) {
				t.Errorf("got %+v, %v, commands %q", st, err, commands)
			}
		})
	})
}

func TestPasswordIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		mail Mail
		want string
	}{
		{"without a user", Mail{Password: "x"}, "expected a user"},
		{"without a password", Mail{User: "ops"}, "expected either a password"},
		{"both", Mail{User: "ops", Password: "x", PasswordFile: "/x"}, "expected either a password"},
		{"relative", Mail{User: "ops", PasswordFile: "x"}, "expected an absolute path"},
	} {
		m := tt.mail
		m.Server, m.From, m.To = post.Server, post.From, post.To
		if err := m.validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestMailOverTCP sends two mails in one session to a server behind a real socket, encrypted and
// logged in.
func TestMailOverTCP(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	certificates := web.TLS.Certificates[:1]
	roots := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	web.Close()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postOffice{tls: &tls.Config{Certificates: certificates}, login: "PLAIN"}
	p.served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.served.Go(func() {
				defer c.Close()
				p.converse(c)
			})
		}
	})
	n := New(Options{})
	configure(t, n, Config{
		Rules: map[Subject]Rules{vi1: {Mail: true}},
		Mail: Mail{Server: l.Addr().String(), From: post.From, To: post.To, Roots: roots,
			StartTLS: Required, User: "ops", Password: "secret", Timeout: time.Minute},
	})
	n.Tell(Event{Subject: vi1, State: Backup})
	n.Tell(Event{Subject: vi1, State: Master})
	if err := begin(n)(); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	p.served.Wait()
	commands, mails := p.seen()
	all := strings.Join(commands, "\n")
	if st := n.Stats().Mail; st.Done != 2 || len(mails) != 2 {
		t.Errorf("got %+v and %d mails, want 2", st, len(mails))
	}
	for word, want := range map[string]int{"STARTTLS": 1, "AUTH PLAIN ": 1, "MAIL FROM": 2} {
		if got := strings.Count(all, word); got != want {
			t.Errorf("%s: %d times, want %d\n%s", word, got, want, all)
		}
	}
}
