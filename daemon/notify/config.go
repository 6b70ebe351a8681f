package notify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Config is who is told of what. Its zero value tells nobody.
type Config struct {
	// Router names this director in mail.
	Router string
	// Rules say what is done for events of a subject. One without rules goes to FIFOs only.
	// Conditions of what has none have those of the Subject that is a Condition without a name.
	Rules map[Subject]Rules
	// FIFOs get a line for each event; their paths differ.
	FIFOs []FIFO
	// Mail is where mail goes.
	Mail Mail
}

// Rules are what is done for events of one subject; nil scripts are not run.
type Rules struct {
	// Master, Backup, Fault, Stop, Deleted and LowerPriority are run on entering the state of that
	// name (notify_master and so on), with no arguments of ours.
	Master, Backup, Fault, Stop, Deleted, LowerPriority *Script
	// Up and Down are the scripts of services and servers (notify_up, quorum_up and so on).
	Up, Down *Script
	// Any is run after them (notify), for Master, Backup, Fault, Stop and Deleted, with four more
	// arguments: INSTANCE or GROUP, the name, the state, and the priority or 0.
	Any *Script
	// Condition is run when a condition is raised or cleared, with four more arguments: CONDITION,
	// the name, RAISED or CLEARED, and the condition.
	Condition *Script
	// Mail sends a mail for each state that differs from the one last mailed.
	Mail bool
}

// Script is a command. Beside what its runner gives it, its environment has TANDEM_SEQ, the number
// of the event, which grows over the daemon's life; TANDEM_TIME, when it happened, as in RFC 3339;
// and TANDEM_REASON, why, in words. A reader of a FIFO has none of them.
type Script struct {
	// Args is the command with its arguments; never empty.
	Args []string
	// User and Group run it; empty means the runner's choice.
	User, Group string
}

func (s *Script) same(o *Script) bool {
	if s == nil || o == nil {
		return s == o
	}
	return slices.Equal(s.Args, o.Args) && s.User == o.User && s.Group == o.Group
}

// String returns the command as one line.
func (s *Script) String() string { return strings.Join(s.Args, " ") }

// FIFO is a named pipe that gets a line for each event; see Event.Line. One that is not there is
// made, with mode 0600, and removed at the end of Run or when it is configured no more; one that
// was there before stays as it is.
type FIFO struct {
	// Path is absolute.
	Path string
	// User and Group own a pipe that is made here; empty means the daemon's.
	User, Group string
	// VRRP and LVS are the events that go there; at least one is set.
	VRRP, LVS bool
	// Conditions also sends conditions there, which keepalived's readers do not know.
	Conditions bool
	// Script reads the pipe, whose path is its last argument. It is started again when it ends,
	// at once and then ever more slowly. Nil means that somebody else does.
	Script *Script
}

// wants says whether events of kind k go to f.
func (f *FIFO) wants(k Kind) bool {
	if k == Condition {
		return f.Conditions
	}
	return k.VRRP() && f.VRRP || !k.VRRP() && f.LVS
}

// StartTLS says whether a mail server is asked for encryption. Zero never does, as keepalived.
type StartTLS uint8

const (
	// WhenOffered encrypts if the server can; a certificate that does not fit is an error then.
	WhenOffered StartTLS = iota + 1
	// Required sends nothing in the clear.
	Required
)

// Mail is where mail goes. The zero value sends none.
type Mail struct {
	// Server takes the mail: host:port. Empty sends none.
	Server string
	// From is the sender, To the recipients, at least one.
	From string
	To   []string
	// Hello is the name given in EHLO; empty means localhost.
	Hello string
	// Timeout bounds the connection, and each step after it; zero means 30 s.
	Timeout time.Duration
	// NoFaults sends no mail about State Fault.
	NoFaults bool
	// StartTLS, and whom to trust; nil Roots are the system's.
	StartTLS StartTLS
	Roots    *x509.CertPool
	// User logs in with Password if it is not empty, by PLAIN or else LOGIN, and only through TLS
	// or to this machine.
	User, Password string
	// PasswordFile has the password in its first line, and is read at each login; empty means that
	// Password counts. At most one of them is set.
	PasswordFile string
}

// DefaultMailTimeout is keepalived's smtp_connect_timeout.
const DefaultMailTimeout = 30 * time.Second

// validate returns everything that is wrong with c.
func (c *Config) validate(runner bool) error {
	var errs []error
	for _, f := range c.FIFOs {
		errs = append(errs, f.validate())
	}
	for i, f := range c.FIFOs {
		same := func(o FIFO) bool { return o.Path == f.Path }
		if slices.IndexFunc(c.FIFOs, same) < i {
			errs = append(errs, fmt.Errorf("fifo %s: named twice", f.Path))
		}
	}
	for _, s := range c.scripts() {
		switch {
		case len(s.Args) == 0:
			errs = append(errs, errors.New("script: no command"))
		case !runner:
			errs = append(errs, fmt.Errorf("script %s: nothing to run it with", s))
		}
	}
	return errors.Join(append(errs, c.Mail.validate())...)
}

// scripts returns all scripts of c.
func (c *Config) scripts() []*Script {
	var all []*Script
	add := func(scripts ...*Script) {
		for _, s := range scripts {
			if s != nil {
				all = append(all, s)
			}
		}
	}
	for _, r := range c.Rules {
		add(r.Master, r.Backup, r.Fault, r.Stop, r.Deleted, r.LowerPriority, r.Up, r.Down, r.Any,
			r.Condition)
	}
	for i := range c.FIFOs {
		add(c.FIFOs[i].Script)
	}
	return all
}

func (f *FIFO) validate() error {
	switch {
	case !filepath.IsAbs(f.Path):
		return fmt.Errorf("fifo %q: expected an absolute path", f.Path)
	case !f.VRRP && !f.LVS:
		return fmt.Errorf("fifo %s: expected events to write to it", f.Path)
	}
	return nil
}

func (m *Mail) validate() error {
	if m.Server == "" {
		return nil
	}
	var errs []error
	if !strings.Contains(m.Server, ":") || !safe(m.Server) {
		errs = append(errs, fmt.Errorf("mail server %q: expected host:port", m.Server))
	}
	if len(m.To) == 0 {
		errs = append(errs, errors.New("mail: no recipient"))
	}
	for _, a := range append([]string{m.From}, m.To...) {
		if address(a) == "" {
			errs = append(errs, fmt.Errorf("mail address %q: expected name@host", a))
		}
	}
	if !safe(m.Hello) {
		errs = append(errs, fmt.Errorf("mail hello %q: expected a host name", m.Hello))
	}
	switch {
	case m.User == "" && m.Password+m.PasswordFile != "":
		errs = append(errs, errors.New("mail password: expected a user beside it"))
	case m.User != "" && (m.Password == "") == (m.PasswordFile == ""):
		errs = append(errs, fmt.Errorf("mail user %q: expected either a password or a file with one",
			m.User))
	case m.PasswordFile != "" && !filepath.IsAbs(m.PasswordFile):
		errs = append(errs, fmt.Errorf("mail password file %q: expected an absolute path",
			m.PasswordFile))
	}
	if m.Timeout < 0 {
		errs = append(errs, fmt.Errorf("mail timeout %s: expected more than 0", m.Timeout))
	}
	return errors.Join(errs...)
}

// address returns the address in a, which may be bare (root), plain (root@host) or with a name
// (Operators <ops@host>); empty if there is none.
func address(a string) string {
	if parsed, err := mail.ParseAddress(a); err == nil && safe(parsed.Address) {
		return parsed.Address
	}
	if a == "" || !safe(a) || strings.ContainsAny(a, "<>(),;:\\\"") {
		return ""
	}
	return a
}

// safe says whether s is one printable word.
func safe(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
}

// scriptsFor returns what is run for e, in order: the command, and whether it is Any.
func (r *Rules) scriptsFor(e *Event) (own, any *Script) {
	switch e.State {
	case Master:
		return r.Master, r.Any
	case Backup:
		return r.Backup, r.Any
	case Fault:
		return r.Fault, r.Any
	case Stop:
		return r.Stop, r.Any
	case Deleted:
		return r.Deleted, r.Any
	case LowerPriority:
		return r.LowerPriority, nil
	case Up:
		return r.Up, nil
	case Down:
		return r.Down, nil
	case Raised, Cleared:
		return nil, r.Condition
	case MasterPriority, BackupPriority:
	}
	return nil, nil
}

// rulesFor returns the rules for e.
func (c *Config) rulesFor(e *Event) Rules {
	r, known := c.Rules[e.Subject]
	if !known && e.Kind == Condition {
		return c.Rules[Subject{Kind: Condition}]
	}
	return r
}

// mails says whether e, which has those rules, is a matter for mail.
func (c *Config) mails(e *Event, r *Rules) bool {
	switch e.State {
	case LowerPriority, MasterPriority, BackupPriority:
		return false
	case Fault:
		if c.Mail.NoFaults {
			return false
		}
	}
	return c.Mail.Server != "" && r.Mail
}
