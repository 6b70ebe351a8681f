package track

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	// settle is how long a file must not be written to before it is read: one that was emptied to
	// be written anew must not count as a 0. settleLimit is when it is read at the latest.
	settle, settleLimit = 20 * time.Millisecond, 200 * time.Millisecond
	// recheck is how often files are read without news of them, and poll if there can be none.
	recheck, poll = 10 * time.Second, time.Second
	// fileSize is how much of a file is read, in bytes.
	fileSize = 128
	// armLimit bounds how often directories may come and go while they are looked for.
	armLimit = 10
	// minValue and maxValue bound a number.
	minValue, maxValue = -1 << 31, 1<<31 - 1
)

// fileWatch is one file.
type fileWatch struct {
	File
	status *Status
	dirs   []string // that are to be watched for it
	linked bool     // its last part is a link: any news of dirs may concern it
	dirty  bool
}

// directoryNews tells what happens in directories, by fsnotify or, in tests, by hand.
type directoryNews struct {
	events      <-chan fsnotify.Event
	errors      <-chan error // of which each means that news were lost
	add, remove func(dir string) error
	close       func() error
}

func newDirectoryNews() (*directoryNews, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &directoryNews{
		events: w.Events, errors: w.Errors, add: w.Add, remove: w.Remove, close: w.Close,
	}, nil
}

// fileSet is all files, in the goroutine of runFiles.
type fileSet struct {
	set     *Set
	files   map[string]*fileWatch
	watcher *directoryNews // nil before it is needed, and if there can be none
	watched map[string]bool
	polling bool
}

// runFiles follows all files until ctx ends.
func (s *Set) runFiles(ctx context.Context) {
	f := fileSet{set: s, files: make(map[string]*fileWatch), watched: make(map[string]bool)}
	defer func() {
		if f.watcher != nil {
			_ = f.watcher.close() // nothing is expected of it any more
		}
	}()
	tick := time.NewTimer(recheck)
	defer tick.Stop()
	quiet := time.NewTimer(0)
	defer quiet.Stop()
	var since time.Time // of the first news that were not looked at; zero: there are none
	for {
		var events <-chan fsnotify.Event
		var errs <-chan error
		if f.watcher != nil {
			events, errs = f.watcher.events, f.watcher.errors
		}
		concerned := false
		select {
		case <-ctx.Done():
			return
		case <-s.filesSet:
			f.configure()
			tick.Reset(f.interval())
		case e := <-events:
			concerned = f.note(e)
		case <-errs:
			f.allDirty() // news were lost
			concerned = true
		case <-tick.C:
			clear(f.watched)
			f.allDirty()
			f.readDirty()
			tick.Reset(f.interval())
		case <-quiet.C:
			since = time.Time{}
			f.readDirty()
		}
		if concerned {
			if since.IsZero() {
				since = time.Now()
			}
			quiet.Reset(min(settle, time.Until(since.Add(settleLimit))))
		}
	}
}

// interval is from one look without news to the next.
func (f *fileSet) interval() time.Duration {
	if f.polling {
		return poll
	}
	return recheck
}

// configure makes the files those of the Set.
func (f *fileSet) configure() {
	f.set.mu.Lock()
	files := f.set.files
	statuses := make([]*Status, len(files))
	for i := range files {
		statuses[i] = f.set.status[Key{FileKind, files[i].Name}]
	}
	f.set.mu.Unlock()
	if f.watcher == nil && len(files) > 0 && !f.polling {
		var err error
		if f.watcher, err = f.set.newWatcher(); err != nil {
			f.poll(err)
		}
	}
	old := f.files
	f.files = make(map[string]*fileWatch, len(files))
	for i, file := range files {
		w := old[file.Name]
		if w == nil || w.status != statuses[i] {
			w = &fileWatch{status: statuses[i]}
			if err := file.init(); err != nil {
				f.set.log().Warn("cannot make file", "tracker", file.Name, "err", err)
			}
		}
		w.File, w.dirty = file, true
		f.files[file.Name] = w
	}
	f.readDirty()
	f.unwatch()
}

// poll notes, once, that news cannot be had.
func (f *fileSet) poll(err error) {
	if !f.polling {
		f.set.log().Warn("cannot watch files; reading them every second", "err", err)
	}
	f.polling = true
}

// unwatch gives up the watches that no file needs.
func (f *fileSet) unwatch() {
	needed := make(map[string]bool)
	for _, w := range f.files {
		for _, dir := range w.dirs {
			needed[dir] = true
		}
	}
	for dir := range f.watched {
		if !needed[dir] {
			delete(f.watched, dir)
			_ = f.watcher.remove(dir) // it may be gone already
		}
	}
}

func (f *fileSet) allDirty() {
	for _, w := range f.files {
		w.dirty = true
	}
}

// note marks the files that an event may be about, and says whether there are any.
func (f *fileSet) note(e fsnotify.Event) bool {
	if e.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
		delete(f.watched, e.Name) // if it was a directory, its watch went with it
	}
	some := false
	for _, w := range f.files {
		if w.concerns(e.Name) {
			w.dirty, some = true, true
		}
	}
	return some
}

// concerns says whether news of a path may be about the file.
func (w *fileWatch) concerns(path string) bool {
	if path == w.Path || strings.HasPrefix(w.Path, strings.TrimSuffix(path, "/")+"/") {
		return true
	}
	if !w.linked {
		return false
	}
	for _, dir := range w.dirs {
		if path == dir || filepath.Dir(path) == dir {
			return true
		}
	}
	return false
}

// readDirty reads the files that there may be news of.
func (f *fileSet) readDirty() {
	for _, w := range f.files {
		if !w.dirty {
			continue
		}
		w.dirty = false
		f.arm(w) // first: a change while it is read is news
		value, err := readNumber(w.Path)
		f.set.mu.Lock()
		last := w.status.Change
		f.set.mu.Unlock()
		reason := ""
		if err != nil {
			value, reason = last.Value, err.Error()
		}
		if last.State != Up || last.Value != value || last.Reason != reason {
			f.set.change(Key{FileKind, w.Name}, w.status, Up, value, reason)
		}
	}
}

// arm watches the directory of the file or, while that is not there, the nearest one above; and
// that of what the file is a link to.
func (f *fileSet) arm(w *fileWatch) {
	if f.watcher == nil {
		return
	}
	for range armLimit {
		dirs := []string{existing(filepath.Dir(w.Path))}
		w.linked = false
		if to, err := filepath.EvalSymlinks(w.Path); err == nil {
			dir, err := filepath.EvalSymlinks(dirs[0])
			if w.linked = err != nil || filepath.Join(dir, filepath.Base(w.Path)) != to; w.linked {
				dirs = append(dirs, filepath.Dir(to))
			}
		}
		w.dirs = dirs
		settled := true
		for _, dir := range dirs {
			if f.watched[dir] {
				continue
			}
			err := f.watcher.add(dir)
			switch {
			case err == nil:
				f.watched[dir], settled = true, false
			case errors.Is(err, fs.ErrNotExist):
				settled = false
			default:
				f.poll(err)
			}
		}
		if settled {
			return
		}
	}
}

// existing returns the nearest directory that is there, of dir and those above it.
func existing(dir string) string {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
	}
	return dir
}

// init makes the file if that is wanted.
func (f *File) init() error {
	if !f.Init {
		return nil
	}
	info, err := os.Lstat(f.Path)
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC | unix.O_NOFOLLOW
	switch {
	case errors.Is(err, fs.ErrNotExist):
		flags |= os.O_EXCL
	case err != nil:
		return fmt.Errorf("make file: %w", err)
	case !f.Overwrite:
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("overwrite %s: not a regular file", f.Path)
	}
	file, err := os.OpenFile(f.Path, flags, 0o644)
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	_, err = fmt.Fprintln(file, f.Value)
	return errors.Join(err, file.Close())
}

// readNumber returns the whole number that a file starts with, decimal or with 0x or 0 in front.
// That of a file which is not there or empty is 0; numbers beyond 32 bits count as the last of
// those.
func readNumber(path string) (int, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read number: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, fmt.Errorf("read number: %s: not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, fileSize))
	if err != nil {
		return 0, fmt.Errorf("read number: %w", err)
	}
	return parseNumber(path, string(text))
}

func parseNumber(path, text string) (int, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(words[0], 0, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("read number: %s: %q is not a whole number", path, words[0])
	}
	return int(min(max(n, minValue), maxValue)), nil
}
