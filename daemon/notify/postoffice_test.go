package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
)

// postOffice is a mail server of a test.
type postOffice struct {
	// serve, if not nil, takes the nth connection, from 1, instead of the server; it says whether.
	serve func(nth int, c net.Conn) bool
	// reply, if not nil, may answer a command in place of the server.
	reply func(command string) string
	// tls, if not nil, is offered; login is what AUTH is offered.
	tls   *tls.Config
	login string

	mu          sync.Mutex
	connections int
	commands    []string
	mails       []string
	served      sync.WaitGroup
}

func (p *postOffice) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	p.mu.Lock()
	p.connections++
	nth := p.connections
	p.mu.Unlock()
	p.served.Go(func() {
		defer theirs.Close()
		if p.serve == nil || !p.serve(nth, theirs) {
			p.converse(theirs)
		}
	})
	return ours, nil
}

// converse is a session as RFC 5321 has it.
func (p *postOffice) converse(conn net.Conn) {
	text := textproto.NewConn(conn)
	say := func(format string, args ...any) { _ = text.PrintfLine(format, args...) }
	say("220 post office")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.commands = append(p.commands, line)
		p.mu.Unlock()
		if p.reply != nil {
			if r := p.reply(line); r != "" {
				say("%s", r)
				continue
			}
		}
		word, _, _ := strings.Cut(line, " ")
		switch word {
		case "EHLO":
			_, encrypted := conn.(*tls.Conn)
			say("250-post office")
			if p.tls != nil && !encrypted {
				say("250-STARTTLS")
			}
			if p.login != "" {
				say("250-AUTH %s", p.login)
			}
			say("250 HELP")
		case "STARTTLS":
			say("220 go on")
			conn = tls.Server(conn, p.tls)
			text = textproto.NewConn(conn)
			say = func(format string, args ...any) { _ = text.PrintfLine(format, args...) }
		case "AUTH":
			p.authenticate(line, text, say)
		case "DATA":
			say("354 go on")
			lines, err := text.ReadDotLines()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.mails = append(p.mails, strings.Join(lines, "\n"))
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (p *postOffice) authenticate(line string, text *textproto.Conn, say func(string, ...any)) {
	if line == "AUTH LOGIN" {
		for _, question := range []string{"Username:", "Password:"} {
			say("334 %s", base64.StdEncoding.EncodeToString([]byte(question)))
			answer, _ := text.ReadLine()
			line += " " + answer
		}
	}
	p.mu.Lock()
	p.commands[len(p.commands)-1] = line
	p.mu.Unlock()
	say("235 welcome")
}

func (p *postOffice) seen() (commands, mails []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.commands), slices.Clone(p.mails)
}
