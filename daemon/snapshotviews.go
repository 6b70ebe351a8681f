package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
	"github.com/tandemlb/tandem/daemon/status"
	"github.com/tandemlb/tandem/daemon/status/metrics"
)

const (
	// listenAfter is how long an address for metrics that cannot be had is let be.
	listenAfter = 5 * time.Second
	// scrapePatience is how long an asker for metrics may take to ask, and to take the answer.
	scrapePatience = 30 * time.Second
	// maxScrapeHeader bounds what is read of a request for metrics.
	maxScrapeHeader = 16 << 10
)

// Dump is a file that keepalived writes when a signal asks for it. Zero is unset.
type Dump uint8

// The files: the state of VRRP, its counters, and both as JSON.
const (
	DumpData Dump = iota + 1
	DumpStats
	DumpJSON
)

// beginViews begins all that answers who asks how the director is: the control socket, the dumps
// and the metrics; and what says so unasked, of conditions. None of them waits for a reload under
// way, or is one that it could not do without.
func (d *director) beginViews(ctx context.Context) []*worker {
	d.public.started = time.Now()
	views := []*worker{begin(ctx, "conditions", d.watchConditions),
		begin(ctx, "reload time", d.keepTime)}
	if control := d.openControl(ctx); control != nil {
		views = append(views, control)
	}
	if d.options.Dumps != nil {
		views = append(views, begin(ctx, "dumps", d.dumps))
	}
	if d.options.Metrics != "" {
		views = append(views, begin(ctx, "metrics", d.metrics))
	}
	return views
}

// dumps writes the files that are asked for until ctx ends.
func (d *director) dumps(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case dump := <-d.options.Dumps:
			path, err := d.dump(ctx, dump)
			if err != nil {
				d.log.Warn("status was not written", "err", err)
				continue
			}
			d.log.Info("status written", "file", path)
		}
	}
}

// dump writes one file and returns its path.
func (d *director) dump(ctx context.Context, dump Dump) (string, error) {
	files, here, mask := config.Files{JSONVersion: 1}, config.Namespace{}, fs.FileMode(0o022)
	if r := d.public.runs.Load(); r != nil {
		g := &r.config.Global
		files, here, mask = g.Files, g.Namespace, fs.FileMode(g.Start.Umask)
	}
	path, write := files.State, status.Data
	otherwise := "/tmp/keepalived.data"
	switch dump {
	case DumpData:
	case DumpStats:
		path, otherwise, write = files.Stats, "/tmp/keepalived.stats", status.Stats
	case DumpJSON:
		path, otherwise = files.JSON, "/tmp/keepalived.json"
		write = func(w io.Writer, s *status.Snapshot) error {
			return status.KeepalivedJSON(w, s, files.JSONVersion)
		}
	default:
		return "", fmt.Errorf("dump %d: not known", dump)
	}
	if path == "" {
		path = otherwise
	}
	if files.UseInstance {
		path = namedFor(path, here.Network, here.Instance)
	}
	var b bytes.Buffer
	if err := write(&b, d.snapshot(ctx)); err != nil {
		return "", err
	}
	return path, replaceFile(path, b.Bytes(), 0o666&^mask)
}

// namedFor returns the path with names, those of them that are not empty, before its extension:
// /tmp/keepalived_NAME.data, as keepalived has it.
func namedFor(path string, names ...string) string {
	extension := filepath.Ext(path)
	path = strings.TrimSuffix(path, extension)
	for _, name := range names {
		if name != "" {
			path += "_" + strings.ReplaceAll(name, "/", "_")
		}
	}
	return path + extension
}

// replaceFile puts a file of that content and mode in the place of whatever is at path: a link
// there is replaced, and never followed, for the directory may be /tmp. Whoever reads meanwhile
// reads the old file.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	// The name is new, and O_EXCL refuses a link that somebody has put there in the meantime.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// metrics answers Prometheus until ctx ends.
func (d *director) metrics(ctx context.Context) error {
	listener := d.listenMetrics(ctx, func() (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", d.options.Metrics)
	})
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics.Handler(func() *status.Snapshot { return d.snapshot(ctx) }))
	server := &http.Server{
		Handler: mux, ReadTimeout: scrapePatience, WriteTimeout: scrapePatience,
		IdleTimeout: 2 * scrapePatience, MaxHeaderBytes: maxScrapeHeader,
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = server.Close() // who asks now is not answered any more
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		d.log.Warn("metrics are not answered any more", "err", err)
	}
	if !stop() {
		<-closed
	}
	return nil
}

// listenMetrics listens on the address for metrics, as soon as that can be had; nil when ctx ends
// before. The first failure is logged.
func (d *director) listenMetrics(
	ctx context.Context, listen func() (net.Listener, error),
) net.Listener {
	for tried := false; ; tried = true {
		l, err := listen()
		if err == nil {
			d.log.Info("metrics", "address", l.Addr().String())
			return l
		}
		if ctx.Err() != nil {
			return nil
		}
		if !tried {
			d.log.Warn("no metrics yet; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenAfter):
		}
	}
}
