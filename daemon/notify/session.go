package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxReplies bounds all that a server may say in one session, so that one that never ends a line
// costs no memory. A certificate chain takes some of it.
const maxReplies = 1 << 20

// session is a conversation with a mail server, in which each step has its time.
type session struct {
	conn    net.Conn
	client  *smtp.Client
	timeout time.Duration
	from    string
	release func() bool
}

// openSession connects, encrypts and logs in as m says. The end of ctx cuts the session short.
func openSession(
	ctx context.Context, m *Mail, dial func(context.Context, string, string) (net.Conn, error),
) (*session, error) {
	timeout := m.Timeout
	if timeout == 0 {
		timeout = DefaultMailTimeout
	}
	connect, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(connect, "tcp", m.Server)
	if err != nil {
		return nil, fmt.Errorf("connect to mail server %s: %w", m.Server, err)
	}
	s := &session{conn: conn, timeout: timeout, from: address(m.From)}
	s.release = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.greet(m); err != nil {
		s.release()
		return nil, errors.Join(fmt.Errorf("greet mail server %s: %w", m.Server, err), conn.Close())
	}
	return s, nil
}

// step gives the next step its time.
func (s *session) step() { _ = s.conn.SetDeadline(time.Now().Add(s.timeout)) }

// greet does everything up to the first mail.
func (s *session) greet(m *Mail) error {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return err
	}
	s.step()
	limited := &limitedConn{s.conn, io.LimitedReader{R: s.conn, N: maxReplies}}
	if s.client, err = smtp.NewClient(limited, host); err != nil {
		return lasting(err)
	}
	s.step()
	if m.Hello != "" {
		if err := s.client.Hello(m.Hello); err != nil {
			return lasting(err)
		}
	}
	if m.StartTLS != 0 {
		s.step()
		offered, _ := s.client.Extension("STARTTLS")
		switch {
		case offered:
			cfg := &tls.Config{ServerName: host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
			if err := s.client.StartTLS(cfg); err != nil {
				return fmt.Errorf("start TLS: %w", lasting(err))
			}
		case m.StartTLS == Required:
			return errors.New("it offers no TLS")
		}
	}
	if m.User == "" {
		return nil
	}
	s.step()
	return s.logIn(m, host)
}

// logIn logs in by the first way that the server offers.
func (s *session) logIn(m *Mail, host string) error {
	password, err := m.password()
	if err != nil {
		return fmt.Errorf("log in as %s: %w", m.User, err)
	}
	_, offered := s.client.Extension("AUTH")
	ways := strings.Fields(strings.ToUpper(offered))
	var auth smtp.Auth = smtp.PlainAuth("", m.User, password, host)
	for _, w := range ways {
		if w == "PLAIN" {
			break
		}
		if w == "LOGIN" {
			auth = &loginAuth{plain: auth, user: m.User, password: password}
		}
	}
	if err := s.client.Auth(auth); err != nil {
		return fmt.Errorf("log in as %s: %w", m.User, lasting(err))
	}
	return nil
}

// maxPassword bounds what is read of a file with a password.
const maxPassword = 4096

// password returns the password, from its file if it has one.
func (m *Mail) password() (string, error) {
	if m.PasswordFile == "" {
		return m.Password, nil
	}
	// A pipe that nobody writes to is not waited for.
	fd, err := unix.Open(m.PasswordFile, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("read password: %w", &fs.PathError{Op: "open", Path: m.PasswordFile,
			Err: err})
	}
	file := os.NewFile(uintptr(fd), m.PasswordFile)
	text, err := io.ReadAll(io.LimitReader(file, maxPassword))
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("read password: %s: expected one in its first line", m.PasswordFile)
	}
	return line, nil
}

// refusal says whether err is an answer of the server's, and not the end of the connection.
func refusal(err error) bool {
	_, ok := errors.AsType[*textproto.Error](err)
	return ok
}

// lasting takes from an error that concerns no single mail what would make it the end of one: the
// server may be mended, and the mail goes then.
func lasting(err error) error {
	if refusal(err) {
		return errors.New(err.Error())
	}
	return err
}

// send sends one mail to l.to, from which it removes those who have got it or never will. Nil means
// that all have got it.
func (s *session) send(l *letter, message []byte) (err error) {
	defer func() {
		if err != nil {
			s.step()
			_ = s.client.Reset()
		}
	}()
	s.step()
	if err := s.client.Mail(s.from); err != nil {
		return fmt.Errorf("send from %s: %w", s.from, err)
	}
	accepted := 0
	var later []string
	var refused, deferred error
	for _, to := range l.to {
		s.step()
		err := s.client.Rcpt(address(to))
		switch told := fmt.Errorf("send to %s: %w", to, err); {
		case err == nil:
			accepted++
		case permanent(err):
			refused = errors.Join(refused, told)
		case !refusal(err):
			return told
		default:
			deferred = errors.Join(deferred, told)
			later = append(later, to)
		}
	}
	if accepted > 0 {
		if err := s.data(message); err != nil {
			return err
		}
	}
	l.to = later
	return errors.Join(deferred, refused) // in this order: it is not the end of the mail
}

// data sends the text of a mail.
func (s *session) data(message []byte) error {
	s.step()
	w, err := s.client.Data()
	if err != nil {
		return fmt.Errorf("send text: %w", err)
	}
	s.step()
	if _, err = w.Write(message); err != nil {
		return fmt.Errorf("send text: %w", err)
	}
	if err = w.Close(); err != nil {
		return fmt.Errorf("send text: %w", err)
	}
	return nil
}

// close says goodbye.
func (s *session) close() {
	s.step()
	_ = s.client.Quit()
	_ = s.conn.Close()
	s.release()
}

// limitedConn is a connection that ends after so many bytes read.
type limitedConn struct {
	net.Conn
	r io.LimitedReader
}

// Read reads what there still may be.
func (c *limitedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// loginAuth is AUTH LOGIN: the name and the password, each when asked for. It holds back where
// PLAIN would: without TLS, or from another server.
type loginAuth struct {
	plain          smtp.Auth
	user, password string
	asked          int
}

// Start begins to log in.
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if _, _, err := a.plain.Start(server); err != nil {
		return "", nil, err
	}
	return "LOGIN", nil, nil
}

// Next answers the server's question: the first is for the name, the second for the password.
func (a *loginAuth) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	a.asked++
	switch a.asked {
	case 1:
		return []byte(a.user), nil
	case 2:
		return []byte(a.password), nil
	}
	return nil, errors.New("it asks for more than a name and a password")
}
