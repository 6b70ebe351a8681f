package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon"
	"github.com/tandemlb/tandem/daemon/config"
)

// hashPatience bounds genhash when option -t says nothing.
const hashPatience = 5 * time.Second

// hashing is the command line of genhash.
type hashing struct {
	server netip.Addr
	// port 0 is the usual one.
	port    uint16
	request daemon.PageRequest
	verbose bool
	help    bool
}

// isGenhash says whether the command line asks for a digest, and returns the rest of it.
func isGenhash(args []string) ([]string, bool) {
	if len(args) > 0 && (args[0] == "genhash" || args[0] == "--genhash") {
		return args[1:], true
	}
	return nil, false
}

// genhash prints the digest of a page as an HTTP_GET or SSL_GET counts it. It returns the exit
// status.
func genhash(args []string, stdout, stderr io.Writer) int {
	h := hashing{request: daemon.PageRequest{Path: "/", Timeout: hashPatience}}
	table := h.options()
	err := parse(table, args, &command{})
	switch {
	case err == nil && h.help:
		writeOptions(stdout, "Usage: tandemd genhash -s ADDRESS [OPTION...]\n\n"+
			"Prints the MD5 of a page, for the keyword digest of HTTP_GET and SSL_GET.\n\n", table)
		return exitOK
	case err == nil && !h.server.IsValid():
		err = errors.New("option -s: expected the address of the server")
	}
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: genhash: %v\n", err)
		return exitConfig
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	h.request.Target = netip.AddrPortFrom(h.server, h.portOrUsual())
	page, err := daemon.GetPage(ctx, h.request)
	if err != nil {
		fmt.Fprintf(stderr, "tandemd: genhash: get %s from %s: %v\n", h.request.Path,
			h.request.Target, err)
		return exitFatal
	}
	if h.verbose {
		fmt.Fprintf(stderr, "HTTP %d, %d bytes\n", page.Status, page.Length)
	}
	if page.Status/100 != 2 {
		fmt.Fprintf(stderr, "tandemd: genhash: warning: HTTP %d: a check takes it only with "+
			"status_code %[1]d\n", page.Status)
	}
	fmt.Fprintln(stdout, page.Digest)
	return exitOK
}

func (h *hashing) portOrUsual() uint16 {
	switch {
	case h.port != 0:
		return h.port
	case h.request.TLS:
		return 443
	}
	return 80
}

// options are those of keepalived's genhash.
func (h *hashing) options() []option {
	r := &h.request
	return []option{
		{'s', "server", required, "ADDRESS", "the server", func(_ *command, v string) (err error) {
			if h.server, err = netip.ParseAddr(strings.Trim(v, "[]")); err != nil {
				return errors.New("expected an address")
			}
			return nil
		}},
		{'p', "port", required, "PORT", "its port (80, or 443 with -S)", number(16, "a port",
			func(n uint64) { h.port = uint16(n) })},
		{'u', "url", required, "PATH", "the page, which starts with a slash (/)",
			func(_ *command, v string) error {
				if !strings.HasPrefix(v, "/") || strings.ContainsAny(v, " \r\n") {
					return errors.New("expected a path that starts with a slash")
				}
				r.Path = v
				return nil
			}},
		{'S', "use-ssl", noArgument, "", "by TLS, as an SSL_GET", set(&r.TLS)},
		{'I', "use-sni", noArgument, "", "send the name of -V in the TLS handshake, as with " +
			"enable_sni", set(&r.SNI)},
		{'V', "use-virtualhost", required, "NAME", "the Host header, as virtualhost (the address)",
			func(_ *command, v string) error {
				if strings.ContainsAny(v, " \r\n") {
					return errors.New("expected the name of a host")
				}
				r.Host = v
				return nil
			}},
		{'P', "protocol", required, "VERSION", "1.0 (as without), 1.0c, which adds the header " +
			"Connection: close, or 1.1",
			func(_ *command, v string) error {
				version, known := hashVersions[strings.ToLower(v)]
				if !known {
					return errors.New("expected 1.0, 1.0c or 1.1")
				}
				r.Version = version
				return nil
			}},
		{'m', "fwmark", required, "MARK", "firewall mark of the packets", number(32, "a mark",
			func(n uint64) { r.Mark = uint32(n) })},
		{'t', "timeout", required, "SECONDS", "bounds the whole (5)", number(16, "seconds",
			func(n uint64) { r.Timeout = time.Duration(n) * time.Second })},
		{'v', "verbose", noArgument, "", "say the status and the length too", set(&h.verbose)},
		{'h', "help", noArgument, "", "print this", set(&h.help)},
	}
}

// hashVersions are the words of option -P.
var hashVersions = map[string]config.HTTPVersion{
	"1.0": config.HTTP10, "1.0c": config.HTTP10Close, "1.1": config.HTTP11,
}

// set makes an option that turns something on.
func set(at *bool) func(*command, string) error {
	return func(*command, string) error {
		*at = true
		return nil
	}
}

// number makes an option that takes a number of that many bits, more than 0.
func number(bits int, what string, take func(uint64)) func(*command, string) error {
	return func(_ *command, v string) error {
		n, err := strconv.ParseUint(v, 10, bits)
		if err != nil || n == 0 {
			return fmt.Errorf("expected %s from 1 to %d", what, uint64(1)<<bits-1)
		}
		take(n)
		return nil
	}
}
