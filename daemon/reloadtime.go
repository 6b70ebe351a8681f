package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/tandemlb/tandem/daemon/config"
)

const (
	// timeRhythm is the time between two looks at reload_time_file.
	timeRhythm = time.Second
	// maxTime bounds the first line of it.
	maxTime = 100
	// defaultLock is reload_file without a path.
	defaultLock = "/run/keepalived.reload"
)

// appointment is a time at which the configuration is to be read again. Its zero value is none.
type appointment struct {
	at time.Time
	// dated is that the file has a date: it is over after that.
	dated bool
}

// timeForms are those of reload_time_file (keepalived.conf(5)), in that order.
var timeForms = []struct {
	form  string
	dated bool
}{{"2006-01-02 15:04:05", true}, {"06-01-02 15:04:05", true}, {"15:04:05", false}}

// parseAppointment reads a line of reload_time_file: a time, perhaps after a date, and perhaps with
// a Z behind it for UTC. What was before now is none, but a time without a date is then that of
// tomorrow.
func parseAppointment(line string, now time.Time) (appointment, error) {
	words, zone := line, now.Location()
	if cut, utc := strings.CutSuffix(line, "Z"); utc {
		words, zone = cut, time.UTC
	}
	for _, f := range timeForms {
		at, err := time.ParseInLocation(f.form, words, zone)
		switch {
		case err != nil || at.Format(f.form) != words:
			continue
		case !f.dated:
			at = next(at, now.In(zone))
		case !at.After(now):
			return appointment{}, nil
		}
		return appointment{at, f.dated}, nil
	}
	return appointment{}, fmt.Errorf("%q: expected HH:MM:SS, perhaps after YYYY-MM-DD or YY-MM-DD "+
		"and a space, and perhaps with Z behind it", line)
}

// next returns the time of day of clock that comes after now.
func next(clock, now time.Time) time.Time {
	on := func(days int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+days, clock.Hour(), clock.Minute(),
			clock.Second(), 0, now.Location())
	}
	if today := on(0); today.After(now) {
		return today
	}
	return on(1)
}

// timer reloads at the times that reload_time_file says.
type timer struct {
	d *director
	// path is that of the file, line what was in it, next what that means.
	path, line string
	next       appointment
}

// keepTime has the director reload at the times of reload_time_file until ctx ends. Each is a
// question like those of the control socket.
func (d *director) keepTime(ctx context.Context) error {
	t := timer{d: d}
	timer := time.NewTimer(untilNext(time.Now(), timeRhythm))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(untilNext(time.Now(), timeRhythm))
		var r config.Reload
		if runs := d.public.runs.Load(); runs != nil {
			r = runs.config.Global.Reload
		}
		t.look(r.TimeFile, time.Now())
		if now := time.Now(); !t.next.at.IsZero() && !now.Before(t.next.at) {
			t.reload(ctx, r.Repeat)
		}
	}
}

// look reads the file, if there is one, and keeps what it means when it is new.
func (t *timer) look(path string, now time.Time) {
	line, err := firstLine(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && t.path != path {
		t.d.log.Warn("reload_time_file cannot be read", "err", err)
	}
	if line == t.line && path == t.path {
		return
	}
	t.line, t.path = line, path
	before := t.next
	t.next = appointment{}
	if line != "" {
		if t.next, err = parseAppointment(line, now); err != nil {
			t.d.log.Warn("reload_time_file has no time", "file", path, "err", err)
		}
	}
	switch {
	case !t.next.at.IsZero():
		t.d.log.Info("reload appointed", "at", t.next.at, "file", path)
	case !before.at.IsZero():
		t.d.log.Info("reload is not appointed any more", "at", before.at, "file", path)
	}
}

// firstLine returns the first line of a file, empty if there is no file.
func firstLine(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxTime)).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSuffix(line, "\n"), err
}

// reload has the director reload now. The file goes, unless it is to be kept: then a time without a
// date is that of the next day.
func (t *timer) reload(ctx context.Context, repeat bool) {
	q := question{Question: Question{Ask: DoReload}, answer: make(chan Outcome, 1)}
	t.d.log.Info("reload appointed: now", "at", t.next.at, "file", t.path)
	dated := t.next.dated
	t.next = appointment{}
	if repeat && !dated {
		t.line = "" // it is read again, as of tomorrow
	} else if !repeat {
		if err := os.Remove(t.path); err != nil {
			t.d.log.Warn("reload_time_file stays", "err", err)
		}
	}
	select {
	case t.d.questions <- q:
		<-q.answer
	case <-ctx.Done():
	}
}

// lock makes the file of reload_file, empty, for the time that a reload reads the configuration.
// What it returns removes it.
func (d *director) lock() (unlock func()) {
	r := &d.config.Global.Reload
	path := r.Lock
	switch {
	case r.LockDefault:
		path = defaultLock
	case path == "":
		return func() {}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		d.log.Warn("reload_file cannot be made", "err", err)
		return func() {}
	}
	_ = f.Close() // nothing was written
	return func() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("reload_file stays", "err", err)
		}
	}
}
