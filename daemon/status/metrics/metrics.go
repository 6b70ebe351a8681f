// Package metrics is the view of a status.Snapshot for Prometheus. Labels are names of the
// configuration and words of fixed sets, so that their number is bounded by the configuration,
// whatever is heard on the network. It never keeps anything between two scrapes.
package metrics

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tandemlb/tandem/daemon/status"
)

// New returns a Collector that takes a snapshot for each scrape; take must not be nil, and may be
// called by several goroutines at once.
func New(take func() *status.Snapshot) prometheus.Collector { return &collector{take} }

// Handler answers each GET with the metrics of a new snapshot, and those of the Go runtime and the
// process, in the format that the asker prefers. At most four are answered at once.
func Handler(take func() *status.Snapshot) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(New(take), runtimeCollector(), processCollector())
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	})
}

// metric is one name, with its labels in order.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func counter(name, help string, labels ...string) metric {
	return describe(prometheus.CounterValue, name+"_total", help, labels)
}

func gauge(name, help string, labels ...string) metric {
	return describe(prometheus.GaugeValue, name, help, labels)
}

func describe(kind prometheus.ValueType, name, help string, labels []string) metric {
	return metric{prometheus.NewDesc("tandem_"+name, help, labels, nil), kind}
}

// collector makes a snapshot into metrics.
type collector struct{ take func() *status.Snapshot }

// Describe describes no metric, which makes the collector an unchecked one: instances come and go.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of a new snapshot.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := c.take()
	out := &sink{to: to}
	out.daemon(s)
	for i := range s.Instances {
		out.instance(&s.Instances[i])
	}
	out.trackers(s.Trackers)
	for i := range s.Services {
		out.service(&s.Services[i])
	}
	out.table(s.Table)
	out.notify(&s.Notify)
}

// sink takes metrics.
type sink struct{ to chan<- prometheus.Metric }

// put sends one value. Text that is not UTF-8, which would spoil the whole scrape, is mended.
func (s *sink) put(m metric, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "?")
	}
	got, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
	if err != nil {
		got = prometheus.NewInvalidMetric(m.desc, err)
	}
	s.to <- got
}

// truth is 1 or 0.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is t since 1970, 0 if it is not known.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
