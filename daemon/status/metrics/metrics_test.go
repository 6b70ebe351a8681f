package metrics_test

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

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

func registry(t *testing.T, take func() *status.Snapshot) *prometheus.Registry {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(metrics.New(take)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"healthy", "troubled", "empty"} {
		t.Run(name, func(t *testing.T) {
			families, err := registry(t, fixture(t, name)).Gather()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			for _, f := range families {
				if _, err := expfmt.MetricFamilyToText(&got, f); err != nil {
					t.Fatal(err)
				}
			}
			golden := filepath.Join("testdata", name+".prom")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestLint has the names judged as promtool does.
func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(t, fixture(t, "troubled")))
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
	s.Instances[0].Name = "a\xff\"\n"
	r := registry(t, func() *status.Snapshot { return &s })
	got, err := testutil.GatherAndCount(r, "tandem_vrrp_state")
	if err != nil || got != 2 {
		t.Errorf("got %d instances, %v; want 2", got, err)
	}
}

func TestHandler(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	metrics.Handler(fixture(t, "healthy")).ServeHTTP(w, r)
	for _, want := range []string{
		"tandem_vrrp_state{instance=\"VI_1\"} 2\n", "\ngo_goroutines ", "\nprocess_open_fds ",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("status %d: no %q in\n%s", w.Code, want, w.Body)
		}
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
