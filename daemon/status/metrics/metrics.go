// Package metrics is the view of a status.Snapshot for Prometheus. Labels are names of the
// configuration and words of fixed sets, so that their number is bounded by the configuration,
// whatever is heard on the network. It keeps nothing between two scrapes, and nothing before the
// first.
package metrics

import (
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/daemon/status"
)

// atOnce is how many askers are answered at the same time.
const atOnce = 4

// Handler answers each request with the metrics of a new snapshot, and those of the process,
// compressed if the asker takes gzip. Four are answered at once, others are told to come again
// (503). Take must not be nil nor return nil, and may be called by several goroutines at once.
func Handler(take func() *status.Snapshot) http.Handler {
	room := make(chan struct{}, atOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
		default:
			http.Error(w, "others are being answered; try again", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", contentType)
		var to io.Writer = w
		if takesGzip(r.Header) {
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			defer packed.Close() // an asker that has gone is no error of ours
			to = packed
		}
		s := take()
		_ = write(to, s, slices.Concat(families(), processFamilies())) // as above
	})
}

// takesGzip reports whether who sent the header can read what gzip has packed (RFC 9110, section
// 12.5.3).
func takesGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.TrimSpace(name) == "gzip" {
			q := strings.TrimRight(strings.ReplaceAll(weight, " ", ""), "0")
			return q != "q=" && q != "q=0."
		}
	}
	return false
}

// Write writes the metrics of a snapshot, which must not be nil, in Prometheus' text format. It
// returns the error of w.
func Write(w io.Writer, s *status.Snapshot) error { return write(w, s, families()) }

// families are all metrics of a snapshot, in the order in which they are written.
func families() []family {
	return slices.Concat(
		daemonFamilies(), instanceFamilies(), trackerFamilies(),
		serviceFamilies(), serverFamilies(), tableFamilies(), notifyFamilies(),
	)
}
