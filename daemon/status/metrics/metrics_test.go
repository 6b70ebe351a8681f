package metrics_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/status/metrics"
)

var update = flag.Bool("update", false, "write the goldens anew")

// fixture reads a snapshot from the goldens of the JSON view.
func fixture(t *testing.T, name string) func() *status.Snapshot {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := status.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return func() *status.Snapshot { return s }
}

// written returns the metrics of a snapshot, which Prometheus' own reader must take.
func written(t *testing.T, s *status.Snapshot) string {
	t.Helper()
	var text bytes.Buffer
	if err := metrics.Write(&text, s); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(bytes.NewReader(text.Bytes())); err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	return text.String()
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"healthy", "troubled", "empty"} {
		t.Run(name, func(t *testing.T) {
			got := written(t, fixture(t, name)())
			golden := filepath.Join("testdata", name+".prom")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			noTwice(t, got)
		})
	}
}

// noTwice checks that no two values have the same name and labels.
func noTwice(t *testing.T, text string) {
	t.Helper()
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		of := line[:strings.LastIndexByte(line, ' ')]
		if seen[of] {
			t.Errorf("%s is there twice", of)
		}
		seen[of] = true
	}
}

// TestLint has the names judged as promtool does, those of the process too.
func TestLint(t *testing.T) {
	problems, err := promlint.New(answer(t, fixture(t, "troubled"), "").Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestBadText does not let one name spoil the scrape.
func TestBadText(t *testing.T) {
	s := *fixture(t, "healthy")()
	s.Instances[0].Name = "a\xff\"\n\\"
	if want := `tandem_vrrp_state{instance="a?\"\n\\"} 2`; !strings.Contains(written(t, &s), want) {
		t.Errorf("no %s in\n%s", want, written(t, &s))
	}
}

// answer is what the handler answers who accepts a coding.
func answer(t *testing.T, take func() *status.Snapshot, accept string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	metrics.Handler(take).ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	got := answer(t, fixture(t, "healthy"), "")
	if media := got.Header.Get("Content-Type"); !strings.Contains(media, "version=0.0.4") {
		t.Errorf("content type %q", media)
	}
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"tandem_vrrp_state{instance=\"VI_1\"} 2\n", "\ngo_goroutines ", "\nprocess_open_fds ",
		"\nprocess_resident_memory_bytes ", "\nprocess_cpu_seconds_total ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("status %d: no %q in\n%s", got.StatusCode, want, text)
		}
	}
}

func TestGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"gzip": true, "deflate, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip;q=0.010": true, "identity": false, "": false,
	} {
		got := answer(t, fixture(t, "healthy"), accept)
		if packed := got.Header.Get("Content-Encoding") == "gzip"; packed != want {
			t.Errorf("%q: packed is %v", accept, packed)
		}
		if !want {
			continue
		}
		unpacked, err := gzip.NewReader(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(unpacked)
		if err != nil || !strings.Contains(string(text), "tandem_vrrp_state{") {
			t.Errorf("%q: %v in\n%s", accept, err, text)
		}
	}
}

// TestFull has the fifth who asks at once told to come again, and the next one answered.
func TestFull(t *testing.T) {
	taken, end := make(chan struct{}), make(chan struct{})
	h := metrics.Handler(func() *status.Snapshot {
		taken <- struct{}{}
		<-end
		return &status.Snapshot{}
	})
	ask := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		return w.Code
	}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			if got := ask(); got != http.StatusOK {
				t.Errorf("one of four: status %d", got)
			}
		})
	}
	for range 4 {
		<-taken
	}
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("fifth: status %d", got)
	}
	close(end)
	asking.Wait()
	go func() { <-taken }()
	if got := ask(); got != http.StatusOK {
		t.Errorf("later: status %d", got)
	}
}

func BenchmarkScrape1000(b *testing.B) {
	s := &status.Snapshot{Time: time.Now()}
	for i := range 1000 {
		s.Instances = append(s.Instances, status.Instance{Name: strings.Repeat("x", i)})
	}
	h := metrics.Handler(func() *status.Snapshot { return s })
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
