package main

import (
	"crypto/md5"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// pages is a server with a page that depends on the version and the host of the request.
func pages(t *testing.T, start func(*httptest.Server)) (host, port string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/none":
				w.WriteHeader(http.StatusNotFound)
			case r.TLS != nil:
				fmt.Fprintf(w, "name %s of %s", r.TLS.ServerName, r.Host)
				return
			case r.URL.Path == "/host":
				fmt.Fprintf(w, "%s %s close %t", r.Proto, r.Host, r.Close)
				return
			}
			for range 3 {
				fmt.Fprint(w, "page\n")
				w.(http.Flusher).Flush() // in parts, which HTTP/1.1 sends as chunks
			}
		}))
	start(s)
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// TestGenhash prints the digest of what the server says, and only that.
func TestGenhash(t *testing.T) {
	const page = "page\npage\npage\n"
	host, port := pages(t, (*httptest.Server).Start)
	_, secret := pages(t, (*httptest.Server).StartTLS)
	for _, tt := range []struct{ name, args, page, said string }{
		{"page", "-p " + port + " -u /a", page, ""},
		{"root", "--port=" + port, page, ""},
		{"chunks", "-P 1.1 -p " + port, page, ""},
		{"status", "-p " + port + " -u /none", page, "warning: HTTP 404: a check takes it only with " +
			"status_code 404\n"},
		{"verbose", "-v -t 3 -p " + port, page, "HTTP 200, 15 bytes\n"},
		{"host", "-V www.example -u /host -p " + port, "HTTP/1.0 www.example close true", ""},
		{"no host", "-u /host -p " + port, "HTTP/1.0 " + host + ":" + port + " close true", ""},
		{"TLS", "-S -V www.example -p " + secret, "name  of www.example", ""},
		{"TLS with a name", "-S -I -V www.example -p " + secret,
			"name www.example of www.example", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			args := append([]string{"genhash", "-s", host}, strings.Fields(tt.args)...)
			if got := run(args, &stdout, &stderr); got != exitOK {
				t.Fatalf("got status %d\n%s", got, &stderr)
			}
			if want := fmt.Sprintf("%x\n", md5.Sum([]byte(tt.page))); stdout.String() != want {
				t.Errorf("got %q, want %q", &stdout, want)
			}
			if !strings.HasSuffix(stderr.String(), tt.said) || tt.said == "" && stderr.Len() > 0 {
				t.Errorf("standard error: got %q, want %q", &stderr, tt.said)
			}
		})
	}
}

// TestGenhashIsKeepaliveds compares with the program of that name.
func TestGenhashIsKeepaliveds(t *testing.T) {
	theirs, err := exec.LookPath("genhash")
	if err != nil {
		t.Skip("no genhash: apt-get install keepalived")
	}
	host, port := pages(t, (*httptest.Server).Start)
	_, secret := pages(t, (*httptest.Server).StartTLS)
	for _, line := range []string{
		"-p " + port + " -u /a", "-p " + port + " -u /host -V www.example",
		"-S -p " + secret + " -u /a -V www.example",
		"-S -I -p " + secret + " -u /a -V www.example",
	} {
		args := append([]string{"-s", host}, strings.Fields(line)...)
		want, err := exec.CommandContext(t.Context(), theirs, args...).Output()
		if err != nil {
			t.Fatalf("genhash %s: %v", line, err)
		}
		var got strings.Builder
		if status := run(append([]string{"genhash"}, args...), &got, &got); status != exitOK ||
			got.String() != string(want) {
			t.Errorf("genhash %s: got %q, want %q", line, &got, want)
		}
	}
}

func TestGenhashRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, args, want string
		status           int
	}{
		{"no server", "", "option -s: expected the address of the server", exitConfig},
		{"name of a server", "-s www.example", `-s "www.example": expected an address`, exitConfig},
		{"port", "-s ::1 -p 0", `-p "0": expected a port from 1 to 65535`, exitConfig},
		{"path", "-s ::1 -u a", "expected a path that starts with a slash", exitConfig},
		{"header in a host", "-s ::1 -V a\nb", "expected the name of a host", exitConfig},
		{"version", "-s ::1 -P 2", "expected 1.0, 1.0c or 1.1", exitConfig},
		{"option", "-s ::1 -x", "option -x: unknown", exitConfig},
		{"nobody", "-s 127.0.0.1 -p 1 -t 3", "get / from 127.0.0.1:1: ", exitFatal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			args := append([]string{"--genhash"}, strings.Split(tt.args, " ")...)
			if tt.args == "" {
				args = args[:1]
			}
			got := run(args, &stdout, &stderr)
			if got != tt.status || !strings.Contains(stderr.String(), tt.want) || stdout.Len() > 0 {
				t.Errorf("got status %d, %q and %q, want %d and %q", got, &stdout, &stderr, tt.status,
					tt.want)
			}
		})
	}
	var stdout strings.Builder
	if got := run([]string{"genhash", "-h"}, &stdout, &stdout); got != exitOK ||
		!strings.Contains(stdout.String(), "--use-virtualhost=NAME") {
		t.Errorf("genhash -h: got status %d and %s", got, &stdout)
	}
}
