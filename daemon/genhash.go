package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// PageRequest is a page to get as a health check gets it. Only Target and Path are needed.
type PageRequest struct {
	// Target is the server.
	Target netip.AddrPort
	// Path starts with a slash.
	Path string
	// Host is the Host header; empty is the target's address, with the port if that is not the
	// usual one.
	Host string
	// TLS makes it an SSL_GET, SNI one with enable_sni.
	TLS, SNI bool
	// Version is that of the request; zero is config.HTTP10.
	Version config.HTTPVersion
	// Mark is the firewall mark of its packets; 0 is none.
	Mark uint32
	// Timeout bounds it from connecting to the last byte; 0 leaves that to the context.
	Timeout time.Duration
}

// Page is what was got.
type Page struct {
	// Status is the status code, Length that of the body in bytes.
	Status int
	Length int64
	// Digest is that of the body, as the keyword digest of an HTTP_GET or SSL_GET wants it.
	Digest string
}

// GetPage gets a page, whatever its status, to its end.
func GetPage(ctx context.Context, r PageRequest) (Page, error) {
	c := check.HTTP{Target: r.Target, Timeout: r.Timeout, Version: httpVersions[r.Version]}
	if r.Mark != 0 {
		c.Dialer = &check.Dialer{Mark: r.Mark}
	}
	if r.TLS {
		c.TLS = &check.TLS{SNI: r.SNI}
	}
	p, err := c.Get(ctx, check.URL{Path: r.Path, Host: r.Host})
	if err != nil {
		return Page{}, err
	}
	return Page{Status: p.Status, Length: p.Length, Digest: p.Digest}, nil
}

// httpVersions are those of a configuration as a checker has them.
var httpVersions = map[config.HTTPVersion]check.HTTPVersion{
	config.HTTP10: check.HTTP10, config.HTTP10Close: check.HTTP10Close, config.HTTP11: check.HTTP11,
}
