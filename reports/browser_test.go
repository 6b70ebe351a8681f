package reports

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var pictures = flag.String("pictures", "", "keep the pages and their screenshots in this directory")

// browser runs a headless Chromium whose every request goes to a proxy of ours.
type browser struct {
	path, dir string
	proxy     *httptest.Server
	mu        sync.Mutex
	asked     []string
}

// newBrowser skips the test where there is no Chromium.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skipf("no browser to look at pages with: %v", err)
	}
	b := &browser{path: path, dir: t.TempDir()}
	if *pictures != "" {
		b.dir = *pictures
	}
	b.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ownRequest(r.Host) {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, r.Method+" "+r.Host+" "+r.URL.Path)
		http.Error(w, "nothing here", http.StatusNotFound)
	}))
	t.Cleanup(b.proxy.Close)
	return b
}

// ownRequest says whether Chromium itself asks such a host at its start, whatever the page.
func ownRequest(host string) bool {
	host, _, _ = strings.Cut(host, ":")
	return strings.HasSuffix(host, ".google.com") || strings.HasSuffix(host, ".googleapis.com")
}

// open loads a page and returns what Chromium wrote and the requests that it made for it.
func (b *browser) open(t *testing.T, file string, flags ...string) (string, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--user-data-dir=" + t.TempDir(),
		"--proxy-server=" + b.proxy.URL, "--proxy-bypass-list=<-loopback>"}, flags...)
	cmd := exec.CommandContext(ctx, b.path, append(args, "file://"+file)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run chromium: %v\n%s", err, stderr.String())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := b.asked
	b.asked = nil
	return string(out), asked
}

// save writes a page where the browser can open it.
func (b *browser) save(t *testing.T, name string, page []byte) string {
	t.Helper()
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, page, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestBrowserSeesRequests makes sure that the next test could fail.
func TestBrowserSeesRequests(t *testing.T) {
	b := newBrowser(t)
	file := b.save(t, "control.html", []byte(`<img src="http://elsewhere.invalid/x.png">`))
	_, asked := b.open(t, file, "--dump-dom")
	if !strings.Contains(strings.Join(asked, "\n"), "elsewhere.invalid") {
		t.Errorf("a page that asks for an image asked for %q", asked)
	}
}

func TestHTMLInBrowser(t *testing.T) {
	b := newBrowser(t)
	hostile := passed()
	hostile.Recording.Doc = `<img src="http://elsewhere.invalid/x.png">` +
		`<script>document.title="no"</script>`
	hostile.Recording.Diagram = `<svg><image href="http://elsewhere.invalid/y.png"/></svg>`
	pages := map[string][]Report{
		"pass.html":     {passed()},
		"fail.html":     {failed()},
		"unjudged.html": {unjudged()},
		"several.html":  {passed(), failed(), unjudged(), hostile},
		"virtual.html":  {simulated()},
		"soak.html":     {soakReport()},
	}
	for name, reports := range pages {
		t.Run(name, func(t *testing.T) {
			var page bytes.Buffer
			if err := WriteHTML(&page, reports); err != nil {
				t.Fatal(err)
			}
			file := b.save(t, name, page.Bytes())
			dom, asked := b.open(t, file, "--dump-dom")
			if len(asked) > 0 {
				t.Errorf("the page asked for %q", asked)
			}
			checkDOM(t, dom, reports)
			if *pictures != "" {
				b.shoot(t, file)
			}
		})
	}
}

// TestComparisonInBrowser: as built by the browser, the page has both sides and asks for nothing.
func TestComparisonInBrowser(t *testing.T) {
	b := newBrowser(t)
	var page bytes.Buffer
	if err := WriteCompareHTML(&page, twoRuns()); err != nil {
		t.Fatal(err)
	}
	file := b.save(t, "compare.html", page.Bytes())
	dom, asked := b.open(t, file, "--dump-dom")
	if len(asked) > 0 {
		t.Errorf("the page asked for %q", asked)
	}
	if n := strings.Count(dom, `<section class="drill`); n != 3 {
		t.Errorf("%d drills, want 3", n)
	}
	if n := strings.Count(dom, `class="oneside"`); n != 5 {
		t.Errorf("%d sides, want 5", n)
	}
	for _, want := range []string{"1 worse in B", "nobody withdrew it on lb1", "+3.392s",
		"only in A"} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if *pictures != "" {
		b.shoot(t, file)
	}
}

// checkDOM looks for what a reader must find in the page as the browser built it.
func checkDOM(t *testing.T, dom string, reports []Report) {
	t.Helper()
	if n := strings.Count(dom, `<section class="drill"`); n != len(reports) {
		t.Errorf("%d drills, want %d", n, len(reports))
	}
	if first, rest := strings.Index(dom, "<h1>"), strings.Index(dom, "<section"); first > rest {
		t.Error("the verdict does not stand first")
	}
	if n := strings.Count(dom, `class="lane"`); n < 10*len(reports) {
		t.Errorf("%d lanes, want at least %d", n, 10*len(reports))
	}
	for _, foreign := range []string{"<script", "<img", "<image"} {
		if strings.Contains(dom, foreign) {
			t.Errorf("%s> came in", foreign)
		}
	}
	if !strings.Contains(dom, "default-src 'none'") {
		t.Error("no policy keeps the page from asking")
	}
	for _, r := range reports {
		want := []string{r.Recording.Command, ">" + r.Recording.Scenario}
		for _, f := range r.Findings {
			want = append(want, f.Bound, f.Observed, f.Limit)
		}
		for _, w := range want {
			if !strings.Contains(dom, w) {
				t.Errorf("the page lacks %q", w)
			}
		}
	}
}

// shoot takes pictures of a page: light, dark and narrow.
func (b *browser) shoot(t *testing.T, file string) {
	t.Helper()
	base := strings.TrimSuffix(file, ".html")
	b.open(t, file, "--screenshot="+base+"-light.png", "--window-size=1400,2000")
	b.open(t, file, "--screenshot="+base+"-dark.png", "--window-size=1400,2000",
		"--blink-settings=preferredColorScheme=0")
	b.open(t, file, "--screenshot="+base+"-narrow.png", "--window-size=390,3000")
	b.open(t, file, "--print-to-pdf="+base+".pdf", "--no-pdf-header-footer")
	t.Logf("pictures: %s-light.png, -dark.png, -narrow.png, .pdf", base)
}
