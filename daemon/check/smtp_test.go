package check_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

// mailer greets and then answers each command whose verb it knows; it hangs up at others, and when
// the answer is empty. What it hears goes to heard, unless that is nil.
func mailer(greeting string, answers map[string]string, heard chan<- string) func(net.Conn) {
	return func(c net.Conn) {
		if heard != nil {
			defer close(heard)
		}
		_, _ = io.WriteString(c, greeting)
		in := bufio.NewScanner(c)
		for in.Scan() {
			if heard != nil {
				heard <- in.Text()
			}
			verb, _, _ := strings.Cut(in.Text(), " ")
			if answers[verb] == "" {
				return
			}
			_, _ = io.WriteString(c, answers[verb])
		}
	}
}

// with are the usual answers but for one.
func with(verb, answer string) map[string]string {
	m := map[string]string{"HELO": "250 hello\r\n", "QUIT": "221 bye\r\n"}
	m[verb] = answer
	return m
}

func TestSMTP(t *testing.T) {
	usual := with("", "")
	for _, tt := range []struct {
		name     string
		greeting string
		answers  map[string]string
		extended bool
		reason   check.Reason
		want     string
	}{
		{"good", "220 mx ESMTP\r\n", usual, false, 0, "<nil>"},
		{"several lines", "220-mx\r\n220-no spam\r\n220 ESMTP\r\n", usual, false, 0, "<nil>"},
		{"bare lines", "220\n", with("HELO", "250\n"), false, 0, "<nil>"},
		{"answer in several lines", "220 mx\r\n", with("HELO", "250-mx\r\n250 SIZE\r\n"), false,
			0, "<nil>"},
		{"goes without a word", "220 mx\r\n", with("QUIT", ""), false, 0, "<nil>"},
		{"does not let go gladly", "220 mx\r\n", with("QUIT", "500 what\r\n"), false, 0, "<nil>"},
		{"extended", "220 mx\r\n", map[string]string{"EHLO": "250-mx\r\n250 SIZE\r\n"}, true,
			0, "<nil>"},
		{"not extended", "220 mx\r\n", with("EHLO", "502 what\r\n"), true, 0, "<nil>"},
		{"extended, but not now", "220 mx\r\n", with("EHLO", "421 busy\r\n"), true,
			check.Reply, "answer to EHLO is 421, wanted 250: busy"},
		{"busy", "421-wait\r\n421 too many\r\n", usual, false,
			check.Reply, "SMTP banner is 421, wanted 220: too many"},
		{"without words", "554\r\n", usual, false, check.Reply, "SMTP banner is 554, wanted 220"},
		{"refuses us", "220 mx\r\n", with("HELO", "550 who?\x1b[2J\r\n"), false,
			check.Reply, "answer to HELO is 550, wanted 250: who??[2J"},
		{"greets with garbage", "SSH-2.0-OpenSSH_9.2\r\n", usual, false,
			check.Malformed, `SMTP banner is not SMTP: "SSH-2.0-OpenSSH_9.2"`},
		{"a code that is none", "999 mx\r\n", usual, false,
			check.Malformed, `SMTP banner is not SMTP: "999 mx"`},
		{"a word after the code", "2200 mx\r\n", usual, false,
			check.Malformed, `SMTP banner is not SMTP: "2200 mx"`},
		{"two codes", "220-mx\r\n250 mx\r\n", usual, false,
			check.Malformed, `SMTP banner is not SMTP: "250 mx"`},
		{"answers with garbage", "220 mx\r\n", with("HELO", "\x00\x01\r\n"), false,
			check.Malformed, `answer to HELO is not SMTP: "??"`},
		{"hangs up at once", "220 mx\r\n", nil, false,
			check.Closed, "read answer to HELO: connection closed after 0 bytes"},
		{"half an answer", "220 mx\r\n", with("HELO", "250-mx\r\n"), false,
			check.Timeout, "read answer to HELO: not complete within 500ms (8 bytes)"},
		{"no answer to QUIT", "220 mx\r\n", with("QUIT", "221-\r\n"), false,
			check.Timeout, "read answer to QUIT: not complete within 500ms (6 bytes)"},
		{"half a greeting", "220-mx\r\n220", usual, false,
			check.Timeout, "read SMTP banner: not complete within 500ms (11 bytes)"},
		{"no greeting", "", usual, false, check.Timeout, "no SMTP banner within 500ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := serve(t, mailer(tt.greeting, tt.answers, nil))
			c := check.SMTP{Target: target, Timeout: 5 * time.Second, Extended: tt.extended}
			if tt.reason == check.Timeout {
				c.Timeout = 500 * time.Millisecond
			}
			judge(t, c, target, c.Timeout, tt.reason, tt.want)
		})
	}
}

func TestSMTPSays(t *testing.T) {
	for _, tt := range []struct {
		name, helo string
		extended   bool
		want       []string
	}{
		{"a name", "lb1.example.com", false, []string{"HELO lb1.example.com", "QUIT"}},
		{"no name", "", false, []string{"HELO [127.0.0.1]", "QUIT"}},
		{"extended", "lb1", true, []string{"EHLO lb1", "HELO lb1", "QUIT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heard := make(chan string, 10)
			target := serve(t, mailer("220 mx\r\n", map[string]string{
				"EHLO": "500 what\r\n", "HELO": "250 mx\r\n", "QUIT": "221 bye\r\n",
			}, heard))
			c := check.SMTP{Target: target, Timeout: 5 * time.Second, Helo: tt.helo,
				Extended: tt.extended}
			judge(t, c, target, c.Timeout, 0, "<nil>")
			var got []string
			for line := range heard {
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSMTPNamesItsIPv6Address(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	heard := make(chan string, 10)
	target := serveOn(t, l, mailer("220 mx\r\n", map[string]string{"HELO": "250 mx\r\n"}, heard))
	c := check.SMTP{Target: target, Timeout: 5 * time.Second}
	judge(t, c, target, c.Timeout, 0, "<nil>")
	if diff := cmp.Diff("HELO [IPv6:::1]", <-heard); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
}

func FuzzParseReply(f *testing.F) {
	for _, s := range []string{"220 mx", "220-mx", "220", "22", "220x", "-20 ", "+20 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, last := check.ParseReply(line)
		switch {
		case code == 0:
		case code < 200 || code > 599:
			t.Errorf("code %d of %q", code, line)
		case last == strings.HasPrefix(line[3:], "-"):
			t.Errorf("%q is the last line: %t", line, last)
		}
	})
}
