package check_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/check"
)

const helloDigest = "5d41402abc4b2a76b9719d911017c592" // of "hello"

func TestHTTPAnswers(t *testing.T) {
	only204 := []check.StatusRange{{First: 204, Last: 204}, {First: 301, Last: 302}}
	for _, tt := range []struct {
		name   string
		answer string
		url    check.URL
		reason check.Reason
		want   string
	}{
		{"200", "HTTP/1.0 200 OK\r\n\r\nhello", check.URL{}, 0, "<nil>"},
		{"any 2xx", "HTTP/1.1 204 No Content\r\n\r\n", check.URL{}, 0, "<nil>"},
		{"200 after 100 and 103", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" +
			"HTTP/1.1 200 OK\r\n\r\nhello", check.URL{Digest: helloDigest}, 0, "<nil>"},
		{"101 is the last", "HTTP/1.1 101 Switching\r\n\r\n", check.URL{},
			check.Status, "HTTP 101, wanted 200-299"},
		{"503", "HTTP/1.0 503 Busy\r\n\r\n", check.URL{},
			check.Status, "HTTP 503, wanted 200-299"},
		{"redirect", "HTTP/1.0 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n", check.URL{},
			check.Status, "HTTP 302, wanted 200-299"},
		{"redirect that is wanted", "HTTP/1.0 302 Found\r\nLocation: /\r\n\r\n",
			check.URL{Status: only204}, 0, "<nil>"},
		{"200 that is not wanted", "HTTP/1.0 200 OK\r\n\r\n", check.URL{Status: only204},
			check.Status, "HTTP 200, wanted 204 301-302"},
		{"digest", "HTTP/1.0 200 OK\r\n\r\nhello", check.URL{Digest: helloDigest}, 0, "<nil>"},
		{"digest in upper case", "HTTP/1.0 200 OK\r\n\r\nhello",
			check.URL{Digest: strings.ToUpper(helloDigest)}, 0, "<nil>"},
		{"digest of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", check.URL{Digest: helloDigest}, 0, "<nil>"},
		{"other digest", "HTTP/1.0 200 OK\r\n\r\nbye", check.URL{Digest: helloDigest},
			check.Digest, "HTTP body has digest bfa99df33b137bc8fb5f5407d7e58da8, wanted " +
				helloDigest},
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", check.URL{}, check.Malformed,
			`read HTTP answer: malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		{"nothing", "", check.URL{},
			check.Closed, "read HTTP answer: connection closed after 0 bytes"},
		{"half a status line", "HTTP/1.0 20", check.URL{},
			check.Closed, "read HTTP answer: connection closed after 11 bytes"},
		{"half a header", "HTTP/1.0 200 OK\r\nServer: x", check.URL{},
			check.Closed, "read HTTP answer: connection closed after 26 bytes"},
		{"half a body", "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhello", check.URL{},
			check.Closed, "read HTTP body: connection closed after 5 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			target := serve(t, answer(tt.answer))
			tt.url.Path = "/"
			c := check.HTTP{Target: target, Timeout: 5 * time.Second, URLs: []check.URL{tt.url}}
			judge(t, c, target, c.Timeout, tt.reason, tt.want)
		})
	}
}

func TestHTTPHostileServers(t *testing.T) {
	const short, long = 500 * time.Millisecond, 10 * time.Second
	const ok = "HTTP/1.0 200 OK\r\n"
	for _, tt := range []struct {
		name    string
		target  netip.AddrPort
		timeout time.Duration
		reason  check.Reason
		want    string
	}{
		{"accepts and says nothing", serve(t, silent), short, check.Timeout,
			"read HTTP answer: not complete within 500ms (0 bytes)"},
		{"refuses", refused(t), long, check.Refused, "connect to ADDR: connection refused"},
		{"does not accept", deaf(t), short, check.Timeout,
			"connect to ADDR: no answer within 500ms"},
		{"endless header", serve(t, endless(ok, strings.Repeat("X: y\r\n", 1000), 0)), long,
			check.Malformed, "read HTTP answer: header of more than 64 KiB"},
		{"endless line", serve(t, endless("", strings.Repeat("x", 1000), 0)), long,
			check.Malformed, "read HTTP answer: header of more than 64 KiB"},
		{"a byte a second", serve(t, endless("H", "T", time.Second)), short, check.Timeout,
			"read HTTP answer: not complete within 500ms (1 bytes)"},
		{"a body that stops", serve(t, endless(ok+"\r\nhello", "", time.Second)), short,
			check.Timeout, "read HTTP body: not complete within 500ms (5 bytes)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := check.HTTP{Target: tt.target, Timeout: tt.timeout,
				URLs: []check.URL{{Path: "/"}}}
			judge(t, c, tt.target, tt.timeout, tt.reason, tt.want)
		})
	}
}

func TestHTTPClosesAtOnce(t *testing.T) {
	// Whether the request is still sent before the end is seen depends on the kernel's timing: the
	// reason does not.
	c := check.HTTP{
		Target:  serve(t, func(net.Conn) {}),
		Timeout: time.Second,
		URLs:    []check.URL{{Path: "/"}},
	}
	if err := c.Check(t.Context()); check.ReasonOf(err) != check.Closed {
		t.Errorf("error %v, want reason %s", err, check.Closed)
	}
}

func TestHTTPEndlessBodyEnds(t *testing.T) {
	body := endless("HTTP/1.0 200 OK\r\n\r\n", strings.Repeat("x", 1<<16), 0)
	c := check.HTTP{
		Target:  serve(t, body),
		Timeout: 200 * time.Millisecond,
		URLs:    []check.URL{{Path: "/"}},
	}
	if err := c.Check(t.Context()); check.ReasonOf(err) != check.Timeout {
		t.Errorf("error %v, want reason %s", err, check.Timeout)
	}
}

func TestHTTPEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := check.HTTP{Target: serve(t, silent), URLs: []check.URL{{Path: "/"}}}
	err := c.Check(ctx)
	want := "read HTTP answer: not complete in time (0 bytes)"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestHTTPRequest(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version check.HTTPVersion
		url     check.URL
		want    string
	}{
		{"default", 0, check.URL{Path: "/a?b=c"},
			"GET /a?b=c HTTP/1.0\r\nHost: ADDR\r\nUser-Agent: tandemd\r\n\r\n"},
		{"1.0 with close", check.HTTP10Close, check.URL{Path: "/"},
			"GET / HTTP/1.0\r\nHost: ADDR\r\nUser-Agent: tandemd\r\nConnection: close\r\n\r\n"},
		{"1.1", check.HTTP11, check.URL{Path: "/"},
			"GET / HTTP/1.1\r\nHost: ADDR\r\nUser-Agent: tandemd\r\nConnection: close\r\n\r\n"},
		{"virtual host", 0, check.URL{Path: "/", Host: "www.example.com"},
			"GET / HTTP/1.0\r\nHost: www.example.com\r\nUser-Agent: tandemd\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := make(chan string, 1)
			target := serve(t, func(c net.Conn) {
				requests <- readHead(c)
				_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
			})
			c := check.HTTP{
				Target: target, Timeout: time.Second, Version: tt.version,
				URLs: []check.URL{tt.url},
			}
			judge(t, c, target, time.Second, 0, "<nil>")
			got := strings.ReplaceAll(<-requests, target.String(), "ADDR")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// readHead reads up to and with the first empty line.
func readHead(c net.Conn) string {
	var head strings.Builder
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String()
		}
	}
}

func TestHTTPAsksAllURLs(t *testing.T) {
	target := serve(t, func(c net.Conn) {
		path := strings.Fields(readHead(c))[1]
		code := map[string]int{"/a": 200, "/b": 404, "/c": 500}[path]
		_, _ = fmt.Fprintf(c, "HTTP/1.0 %d X\r\n\r\n", code)
	})
	c := check.HTTP{Target: target, Timeout: time.Second,
		URLs: []check.URL{{Path: "/a"}, {Path: "/b"}, {Path: "/c"}}}
	judge(t, c, target, time.Second, check.Status, "/b: HTTP 404, wanted 200-299")
	c.URLs[1].Status = []check.StatusRange{{First: 404, Last: 404}}
	judge(t, c, target, time.Second, check.Status, "/c: HTTP 500, wanted 200-299")
	c.URLs = c.URLs[:2]
	judge(t, c, target, time.Second, 0, "<nil>")
}
