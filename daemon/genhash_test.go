package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/tandemlb/tandem/daemon/check"
	"github.com/tandemlb/tandem/daemon/config"
)

// TestGetPage gets the digest of a page, which a check of that page takes, and of no other.
func TestGetPage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "page "+r.URL.Path+" of "+r.Host)
	}))
	defer s.Close()
	r := PageRequest{Target: netip.MustParseAddrPort(s.Listener.Addr().String()), Path: "/a",
		Host: "www.example", Version: config.HTTP11}
	p, err := GetPage(t.Context(), r)
	if err != nil || p.Status != 200 || p.Length != 22 {
		t.Fatalf("got %+v, %v, want 22 bytes with status 200", p, err)
	}
	for path, want := range map[string]check.Reason{"/a": 0, "/b": check.Digest} {
		c := check.HTTP{Target: r.Target, URLs: []check.URL{{Path: path, Host: r.Host,
			Digest: p.Digest}}}
		if got := check.ReasonOf(c.Check(t.Context())); got != want {
			t.Errorf("check of %s by the digest of /a: got %s, want %s", path, got, want)
		}
	}
}
