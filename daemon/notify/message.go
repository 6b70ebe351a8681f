package notify

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// compose returns the mail about e: header and body, with CRLF.
func compose(e *Event, router string, m *Mail) []byte {
	router = printable(router)
	var b bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	field("Date", e.Time.Format(time.RFC1123Z))
	field("From", header(m.From))
	var to []string
	for _, a := range m.To {
		to = append(to, header(a))
	}
	field("To", strings.Join(to, ",\r\n "))
	field("Subject", mime.QEncoding.Encode("utf-8", fmt.Sprintf("[%s] %s", router, e)))
	field("Message-ID", messageID(e, router, m.From))
	// So that nobody's absence is answered to us (RFC 3834).
	field("Auto-Submitted", "auto-generated")
	field("MIME-Version", "1.0")
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(body(e, router)))
	_ = w.Close()
	return b.Bytes()
}

// header returns the address in a as a header has it.
func header(a string) string {
	if parsed, err := mail.ParseAddress(a); err == nil {
		return parsed.String()
	}
	return address(a)
}

// messageID is the same for each attempt to send a mail, so that one that comes twice is known.
func messageID(e *Event, router, from string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", router, e.Seq, e.Time.UnixNano()))
	host := "localhost"
	if _, h, ok := strings.Cut(address(from), "@"); ok {
		host = h
	}
	return fmt.Sprintf("<%d.%x@%s>", e.Seq, sum[:8], host)
}

// body is what the mail says.
func body(e *Event, router string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\r\n\r\n", sentence(e, router))
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s%s\r\n", name+":", value)
		}
	}
	line("Director", router)
	line("When", e.Time.Format("2006-01-02 15:04:05.000 -0700"))
	line("Reason", printable(e.Reason))
	if e.Kind == Instance {
		line("Priority", fmt.Sprint(e.Priority))
	}
	line("Event", fmt.Sprint(e.Seq))
	return b.String()
}

// sentence says what the state means.
func sentence(e *Event, router string) string {
	what := strings.ToUpper(e.Subject.String()[:1]) + e.Subject.String()[1:]
	switch e.State {
	case Master:
		return what + " is MASTER: " + router + " has its virtual addresses"
	case Backup:
		return what + " is BACKUP: " + router + " does not have its virtual addresses"
	case Fault:
		return what + " is in FAULT: " + router + " cannot take part"
	case Stop:
		return what + " has stopped on " + router
	case Deleted:
		return what + " is no longer configured on " + router
	case Up:
		return what + " is UP"
	case Down:
		return what + " is DOWN"
	case Raised:
		return "Something is wrong on " + router + ": " + e.String()
	case Cleared:
		return "Something is well again on " + router + ": " + e.String()
	case LowerPriority, MasterPriority, BackupPriority:
	}
	return e.String()
}
