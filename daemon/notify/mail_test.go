package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/internal/bubbletest"
)

var post = Mail{Server: "mail:25", From: "lb1 <lb1@example.com>", To: []string{"ops@example.com"}}

// send tells event and returns what became of it after a day.
func send(t *testing.T, p *postOffice, m Mail, events ...Event) (Counts, error) {
	t.Helper()
	n := New(Options{Dial: p.dial})
	rules := make(map[Subject]Rules)
	for _, e := range events {
		rules[e.Subject] = Rules{Mail: true}
	}
	configure(t, n, Config{Router: "lb1", Rules: rules, Mail: m})
	for _, e := range events {
		n.Tell(e)
	}
	end := begin(n)
	bubbletest.Pass(24 * time.Hour)
	err := end()
	p.served.Wait()
	st := n.Stats().Mail
	st.LastErrorAt = time.Time{}
	return st, err
}

func TestMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &postOffice{}
		m := post
		m.To = []string{"root", "Operators Ünit <ops@example.com>"}
		m.Hello = "lb1.example.com"
		st, err := send(t, p, m, Event{
			Subject: Subject{Kind: Instance, Name: "VI_ü\r\nBcc: evil@example.com"},
			Time:    time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC),
			State:   Master, Priority: 150, Reason: ".\r\n.\r\nQUIT",
		}, Event{Subject: web, State: Down, Reason: "connection refused"})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(Counts{Told: 2, Done: 2}, st); diff != "" {
			t.Errorf("statistics (-want +got)\n%s", diff)
		}
		commands, mails := p.seen()
		want := []string{"EHLO lb1.example.com",
			"MAIL FROM:<lb1@example.com>", "RCPT TO:<root>", "RCPT TO:<ops@example.com>", "DATA",
			"MAIL FROM:<lb1@example.com>", "RCPT TO:<root>", "RCPT TO:<ops@example.com>", "DATA",
			"QUIT"}
		if diff := cmp.Diff(want, commands); diff != "" {
			t.Errorf("commands (-want +got)\n%s", diff)
		}
		checkMail(t, mails[0])
		if !strings.Contains(mails[1], "Subject: [lb1] real server [192.168.2.11]:tcp:80 of "+
			"[192.168.1.1]:tcp:80 is DOWN\n") {
			t.Errorf("second mail:\n%s", mails[1])
		}
	})
}

// checkMail reads the mail as a mail program does.
func checkMail(t *testing.T, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("read mail: %v\n%s", err, text)
	}
	const subject = "=?utf-8?q?[lb1]_instance_VI=5F=C3=BC__Bcc:_evil@example.com_is_MASTER?="
	want := mail.Header{
		"Date":                      {"Sun, 22 Nov 2026 03:04:05 +0000"},
		"From":                      {`"lb1" <lb1@example.com>`},
		"To":                        {"root, =?utf-8?q?Operators_=C3=9Cnit?= <ops@example.com>"},
		"Subject":                   {subject},
		"Message-Id":                {m.Header.Get("Message-ID")},
		"Auto-Submitted":            {"auto-generated"},
		"Mime-Version":              {"1.0"},
		"Content-Type":              {"text/plain; charset=utf-8"},
		"Content-Transfer-Encoding": {"quoted-printable"},
	}
	if diff := cmp.Diff(want, m.Header); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
	if id := m.Header.Get("Message-ID"); !strings.HasPrefix(id, "<1.") ||
		!strings.HasSuffix(id, "@example.com>") {
		t.Errorf("Message-ID %s", id)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	const first = "Instance VI_ü  Bcc: evil@example.com is MASTER: " +
		"lb1 has its virtual addresses.\n"
	if diff := cmp.Diff(first+`
Director: lb1
When:     2026-11-22 03:04:05.000 +0000
Reason:   .  .  QUIT
Priority: 150
Event:    1
`, strings.ReplaceAll(string(body)+"\n", "\r\n", "\n")); diff != "" {
		t.Errorf("body (-want +got)\n%s", diff)
	}
}

// TestDotStuffing sends a body line of a single dot.
func TestDotStuffing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &postOffice{}
		s, err := openSession(t.Context(), &post, p.dial)
		if err != nil {
			t.Fatal(err)
		}
		l := &letter{to: post.To}
		if err := s.send(l, []byte("Subject: x\r\n\r\n.\r\n..\r\nend")); err != nil {
			t.Error(err)
		}
		s.close()
		p.served.Wait()
		if _, mails := p.seen(); !slices.Equal(mails, []string{"Subject: x\n\n.\n..\nend"}) {
			t.Errorf("got %q", mails)
		}
	})
}

// TestHostileServers meets servers that do what they should not, twice; the third connection is to
// one that works.
func TestHostileServers(t *testing.T) {
	drain := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, tt := range []struct {
		name  string
		serve func(c net.Conn)
		want  string
	}{
		{"garbage", func(c net.Conn) { _, _ = c.Write([]byte("\x00\xff\x80 GET / HTTP\r\n")) },
			"invalid response code"},
		{"closes", func(net.Conn) {}, "EOF"},
		{"hangs", drain, "timeout"},
		{"refuses", func(c net.Conn) { _, _ = c.Write([]byte("554 no\r\n")) }, "554 \"no\""},
		{"line without end", func(c net.Conn) {
			for {
				if _, err := c.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
					return
				}
			}
		}, "EOF"},
		{"reply without end", func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("220-more\r\n")); err != nil {
					return
				}
			}
		}, "EOF"},
		{"hangs in the middle", func(c net.Conn) {
			_, _ = c.Write([]byte("220 hello\r\n"))
			drain(c)
		}, "timeout"},
		{"drips", func(c net.Conn) {
			for {
				time.Sleep(20 * time.Second) // the server is that slow, on the clock of the bubble
				if _, err := c.Write([]byte("2")); err != nil {
					return
				}
			}
		}, "short response"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &postOffice{serve: func(nth int, c net.Conn) bool {
					if nth <= 2 {
						tt.serve(c)
					}
					return nth <= 2
				}}
				st, err := send(t, p, post, Event{Subject: vi1, State: Master})
				if err != nil || st.Done != 1 || st.Retries != 2 || st.Failed+st.Dropped > 0 {
					t.Errorf("got %+v, %v; want one mail after two attempts", st, err)
				}
				if !strings.Contains(st.LastError, tt.want) {
					t.Errorf("last error %q, want %q", st.LastError, tt.want)
				}
			})
		})
	}
}

// TestServerIsAway tries again ever more slowly, and gives up only at the end.
func TestServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := time.Now()
		var at []time.Duration
		n := New(Options{
			Log: slog.New(slog.NewTextHandler(&log, nil)),
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				at = append(at, time.Since(began).Round(time.Second))
				if len(at) == 1 {
					<-ctx.Done() // nobody answers
					return nil, ctx.Err()
				}
				return nil, errors.New("connection refused")
			},
		})
		m := post
		m.Timeout = 10 * time.Second
		configure(t, n, Config{Rules: map[Subject]Rules{vi1: {Mail: true}}, Mail: m})
		end := begin(n)
		for range maxMails/2 + 1 {
			n.Tell(Event{Subject: vi1, State: Master})
			n.Tell(Event{Subject: vi1, State: Backup})
		}
		bubbletest.Pass(20 * time.Minute)
		err := end()
		want := "[0s 15s 25s 45s 1m25s 2m45s 5m25s 10m25s 15m25s 20m0s]"
		if got := fmt.Sprint(at); got != want {
			t.Errorf("attempts at %s, want %s", got, want)
		}
		if err == nil || !strings.Contains(err.Error(), "1024 mails not delivered") {
			t.Errorf("got error %v", err)
		}
		if st := n.Stats().Mail; st.Told != maxMails+2 || st.Dropped != st.Told {
			t.Errorf("statistics: %+v", st)
		}
		if l := log.String(); strings.Count(l, "mail not sent") != 4 ||
			!strings.Contains(l, "mail dropped") {
			t.Errorf("log:\n%s", l)
		}
	})
}

// TestRefusedMail gives up what a server will never take, and only that.
func TestRefusedMail(t *testing.T) {
	both := []string{"a@example.com", "b@example.com"}
	for _, tt := range []struct {
		name  string
		to    []string
		reply func(command string) string
		want  Counts
		mails int
	}{
		{"sender", post.To, refuse("MAIL", "550 who are you"), Counts{Told: 1, Failed: 1,
			LastError: `send from lb1@example.com: 550 "who are you"`}, 0},
		{"text", post.To, refuse("DATA", "554 no"), Counts{Told: 1, Failed: 1,
			LastError: `send text: 554 "no"`}, 0},
		{"one of two recipients", both, refuse("RCPT TO:<a@", "550 unknown"), Counts{
			Told: 1, Failed: 1,
			LastError: `send to a@example.com: 550 "unknown"`}, 1},
		{"one of two at first", both, once(refuse("RCPT TO:<a@", "450 come again")), Counts{
			Told: 1, Done: 1, Retries: 1,
			LastError: `send to a@example.com: 450 "come again"`}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &postOffice{reply: tt.reply}
				m := post
				m.To = tt.to
				st, err := send(t, p, m, Event{Subject: vi1, State: Master})
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tt.want, st); diff != "" {
					t.Errorf("statistics (-want +got)\n%s", diff)
				}
				commands, mails := p.seen()
				if len(mails) != tt.mails {
					t.Errorf("%d mails came, want %d", len(mails), tt.mails)
				}
				commands = slices.DeleteFunc(commands, func(c string) bool {
					return c != "RCPT TO:<b@example.com>"
				})
				if len(commands) > 1 {
					t.Errorf("%d attempts to send to one who had got it", len(commands))
				}
			})
		})
	}
}

// refuse gives that reply to commands that begin so.
func refuse(beginning, reply string) func(string) string {
	return func(c string) string {
		if strings.HasPrefix(c, beginning) {
			return reply
		}
		return ""
	}
}

// once lets only the first answer of reply through.
func once(reply func(string) string) func(string) string {
	done := false
	return func(c string) string {
		if done {
			return ""
		}
		r := reply(c)
		done = r != ""
		return r
	}
}

func TestEncryptionAndLogin(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	certificate := web.TLS.Certificates[0]
	roots := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	web.Close()
	offered := &tls.Config{Certificates: []tls.Certificate{certificate}}
	base64 := base64.StdEncoding.EncodeToString
	plain := "AUTH PLAIN " + base64([]byte("\x00ops\x00secret"))
	for _, tt := range []struct {
		name   string
		office *postOffice
		mail   Mail
		want   string // a command, or the last error
	}{
		{"asked and offered", &postOffice{tls: offered}, Mail{StartTLS: WhenOffered}, "STARTTLS"},
		{"not asked", &postOffice{tls: offered}, Mail{}, "EHLO localhost"},
		{"not offered", &postOffice{}, Mail{StartTLS: WhenOffered}, "EHLO localhost"},
		{"required and not offered", &postOffice{}, Mail{StartTLS: Required}, "offers no TLS"},
		{"of another name", &postOffice{tls: offered},
			Mail{Server: "other.example.org:25", StartTLS: WhenOffered}, "not other.example.org"},
		{"plain", &postOffice{tls: offered, login: "LOGIN PLAIN"},
			Mail{StartTLS: Required, User: "ops", Password: "secret"},
			"AUTH LOGIN " + base64([]byte("ops")) + " " + base64([]byte("secret"))},
		{"login", &postOffice{tls: offered, login: "PLAIN LOGIN"},
			Mail{StartTLS: Required, User: "ops", Password: "secret"}, plain},
		{"login in the clear", &postOffice{login: "LOGIN"}, Mail{User: "ops", Password: "secret"},
			"unencrypted connection"},
		{"plain in the clear", &postOffice{login: "PLAIN"}, Mail{User: "ops", Password: "secret"},
			"unencrypted connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := tt.mail
				m.From, m.To, m.Roots = post.From, post.To, roots
				if m.Server == "" {
					m.Server = "example.com:25"
				}
				st, _ := send(t, tt.office, m, Event{Subject: vi1, State: Master})
				commands, mails := tt.office.seen()
				told := st.LastError != "" && strings.Contains(st.LastError, tt.want) &&
					len(mails) == 0 && !slices.ContainsFunc(commands, func(c string) bool {
					return strings.HasPrefix(c, "AUTH")
				})
				sent := len(mails) == 1 && slices.Contains(commands, tt.want) && st.Done == 1
				if !told && !sent {
					t.Errorf("got %+v, commands %.300q, %d mails; want %q",
						st, commands, len(mails), tt.want)
				}
				if m.StartTLS == 0 && slices.Contains(commands, "STARTTLS") {
					t.Error("encrypted though not asked to")
				}
			})
		})
	}
}

// TestWhatIsMailed mails each state once.
func TestWhatIsMailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &postOffice{}
		m := post
		m.NoFaults = true
		var events []Event
		for _, s := range []State{Backup, Backup, Fault, Backup, Master, LowerPriority,
			MasterPriority, Stop} {
			events = append(events, Event{Subject: vi1, State: s})
		}
		again := Event{Subject: vi1, State: Backup, Again: true}
		st, err := send(t, p, m, append(events, again)...)
		if err != nil || st.Done != 3 {
			t.Errorf("got %+v, %v; want 3 mails", st, err)
		}
		_, mails := p.seen()
		for i, want := range []string{"BACKUP", "MASTER", "STOP"} {
			if !strings.Contains(mails[i], "Subject: [lb1] instance VI_1 is "+want+"\n") {
				t.Errorf("mail %d: want %s\n%s", i, want, mails[i])
			}
		}
	})
}
