package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/daemon/config"
)

func TestParseAppointment(t *testing.T) {
	zone := time.FixedZone("X", 3600)
	now := time.Date(2026, 11, 23, 5, 0, 0, 0, zone)
	for _, tt := range []struct{ line, want string }{
		{"05:00:01", "2026-11-23T05:00:01+01:00"},
		{"05:00:00", "2026-11-24T05:00:00+01:00"},
		{"04:59:59Z", "2026-11-23T04:59:59Z"},
		{"03:59:59Z", "2026-11-24T03:59:59Z"},
		{"2026-11-30 00:00:00", "2026-11-30T00:00:00+01:00 dated"},
		{"26-11-30 00:00:00Z", "2026-11-30T00:00:00Z dated"},
		{"2026-11-23 05:00:00", "none"},
		{"1999-01-01 00:00:00", "none"},
		{"", "refused"}, {"5:00:00", "refused"}, {"05:00", "refused"}, {" 05:00:01", "refused"},
		{"05:00:01 ", "refused"}, {"24:00:00", "refused"}, {"2026-02-30 00:00:00", "refused"},
		{"05:00:01.5", "refused"}, {"2026-11-30  00:00:00", "refused"}, {"05:00:01z", "refused"},
	} {
		a, err := parseAppointment(tt.line, now)
		got := a.at.Format(time.RFC3339)
		switch {
		case err != nil:
			got = "refused"
		case a.at.IsZero():
			got = "none"
		case a.dated:
			got += " dated"
		}
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.line, got, tt.want)
		}
	}
}

// appointed is a director that reloads by a file; clock are the times at which it did.
type appointed struct {
	path  string
	log   strings.Builder
	clock []string
	stop  func()
}

func appoint(t *testing.T, repeat bool) *appointed {
	t.Helper()
	a := &appointed{path: filepath.Join(t.TempDir(), "time")}
	d := &director{log: slog.New(slog.NewTextHandler(&a.log, nil)),
		questions: make(chan question)}
	c := &config.Config{}
	c.Global.Reload = config.Reload{TimeFile: a.path, Repeat: repeat}
	d.public.runs.Store(&running{config: c})
	ctx, cancel := context.WithCancel(t.Context())
	keeper := begin(ctx, "reload time", d.keepTime)
	reloads := begin(ctx, "reloads", func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case q := <-d.questions:
				a.clock = append(a.clock, q.Ask+" "+time.Now().UTC().Format("02 15:04:05"))
				q.answer <- Outcome{Applied: true}
			}
		}
	})
	a.stop = func() {
		cancel()
		_ = keeper.wait()
		_ = reloads.wait()
	}
	return a
}

// write puts a line into the file; an empty one takes it away.
func (a *appointed) write(t *testing.T, line string) {
	t.Helper()
	err := os.WriteFile(a.path, []byte(line+"\nanything\n"), 0o644)
	if line == "" {
		err = os.Remove(a.path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestReloadTime appoints, moves and takes back reloads. Time begins on the first of a month.
func TestReloadTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		repeat bool
		then   func(t *testing.T, a *appointed)
		want   []string
		stays  bool
	}{
		{"once", false, func(t *testing.T, a *appointed) { a.write(t, "00:10:00Z") },
			[]string{"reload 01 00:10:00"}, false},
		{"daily", true, func(t *testing.T, a *appointed) { a.write(t, "00:10:00Z") },
			[]string{"reload 01 00:10:00"}, true},
		{"dated", true, func(t *testing.T, a *appointed) { a.write(t, "00-01-01 00:10:00Z") },
			[]string{"reload 01 00:10:00"}, true},
		{"moved", false, func(t *testing.T, a *appointed) {
			a.write(t, "00:10:00Z")
			<-time.After(5 * time.Minute)
			a.write(t, "00:15:00Z")
		}, []string{"reload 01 00:15:00"}, false},
		{"taken back", false, func(t *testing.T, a *appointed) {
			a.write(t, "00:10:00Z")
			<-time.After(5 * time.Minute)
			a.write(t, "")
		}, nil, false},
		{"no time", false, func(t *testing.T, a *appointed) { a.write(t, "soon") }, nil, true},
		{"over", false, func(t *testing.T, a *appointed) { a.write(t, "1999-12-31 23:00:00Z") }, nil,
			true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := appoint(t, tt.repeat)
				<-time.After(1500 * time.Millisecond)
				tt.then(t, a)
				<-time.After(30 * time.Minute)
				a.stop()
				if diff := cmp.Diff(tt.want, a.clock); diff != "" {
					t.Errorf("reloads (-want +got)\n%s\n%s", diff, &a.log)
				}
				if _, err := os.Stat(a.path); err == nil != tt.stays {
					t.Errorf("file: %v, want it to stay: %t", err, tt.stays)
				}
				if tt.name == "no time" && !strings.Contains(a.log.String(), "expected HH:MM:SS") {
					t.Errorf("log: got %s", &a.log)
				}
			})
		})
	}
}

// TestReloadDaily keeps a time without a date for the next day, and one with a date for nothing.
func TestReloadDaily(t *testing.T) {
	for line, want := range map[string]string{
		"05:00:00Z": "2026-11-24T05:00:00Z", "2026-11-23 05:00:00Z": "0001-01-01T00:00:00Z",
	} {
		k := timer{d: &director{log: slog.New(slog.DiscardHandler)}}
		path, at := write(t, line), time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
		k.look(path, at.Add(-time.Second))
		if !k.next.at.Equal(at) {
			t.Fatalf("%s: got %s", line, k.next.at)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		k.reload(ctx, true)
		k.look(path, at)
		k.look(path, at.Add(time.Second))
		if got := k.next.at.Format(time.RFC3339); got != want {
			t.Errorf("%s: the next is at %s, want %s", line, got, want)
		}
	}
}

// TestReloadFile is there, and empty, while the configuration is read.
func TestReloadFile(t *testing.T) {
	path := write(t, "somebody wants a reload")
	d := director{log: slog.Default(), config: &config.Config{}}
	d.lock()() // makes nothing
	d.config.Global.Reload.Lock = path
	unlock := d.lock()
	if text, err := os.ReadFile(path); err != nil || len(text) > 0 {
		t.Errorf("while it is read: got %q, %v, want an empty file", text, err)
	}
	unlock()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("afterwards: got %v, want no file", err)
	}
	var log strings.Builder
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	d.config.Global.Reload.Lock = filepath.Join(path, "in", "no", "directory")
	d.lock()()
	if !strings.Contains(log.String(), "reload_file cannot be made") {
		t.Errorf("log: got %s", &log)
	}
}
