package track_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/daemon/track"
)

// files is a set with one file f at a path.
func files(t *testing.T, f track.File) *set {
	f.Name = "f"
	s := start(t, track.New, track.Config{Files: []track.File{f}})
	t.Cleanup(s.stop)
	return s
}

// value waits for the next report, and expects its number and a part of its reason.
func (s *set) value(want int, reason string) {
	s.t.Helper()
	c := s.next()
	if c.State != track.Up || c.Value != want || !strings.Contains(c.Reason, reason) ||
		c.Reason != "" && reason == "" {
		s.t.Errorf("%s, number %d, %q; want up, %d, %q", c.State, c.Value, c.Reason, want, reason)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	s := files(t, track.File{Path: path})
	s.value(0, "")
	write(t, path, "5\n") // made
	s.value(5, "")
	write(t, path, "6\n") // emptied and written: 0 is not seen between
	s.value(6, "")
	write(t, path, "six\n")
	s.value(6, `"six" is not a whole number`)
	write(t, path+".new", "7\n")
	must(t, os.Rename(path+".new", path)) // replaced
	s.value(7, "")
	must(t, os.Rename(path, path+".old"))
	s.value(0, "")
	write(t, path, "8")
	s.value(8, "")
	must(t, os.Remove(path))
	s.value(0, "")
	must(t, os.Mkdir(path, 0o755))
	s.value(0, "not a regular file")
}

func TestFileWithoutDirectory(t *testing.T) {
	top := t.TempDir()
	s := files(t, track.File{Path: top + "/a/b/f"})
	s.value(0, "")
	must(t, os.MkdirAll(top+"/a/b", 0o755))
	write(t, top+"/a/b/f", "1")
	s.value(1, "")
	must(t, os.RemoveAll(top+"/a"))
	s.value(0, "")
	must(t, os.MkdirAll(top+"/c/b", 0o755))
	write(t, top+"/c/b/f", "2")
	must(t, os.Rename(top+"/c", top+"/a"))
	s.value(2, "")
	write(t, top+"/a/b/f", "3") // the directory that is new is the one that is watched
	s.value(3, "")
}

func TestFileThatIsALink(t *testing.T) {
	top := t.TempDir()
	for dir, text := range map[string]string{"one": "1", "two": "2"} {
		must(t, os.Mkdir(filepath.Join(top, dir), 0o755))
		write(t, filepath.Join(top, dir, "f"), text)
	}
	must(t, os.Symlink("one", top+"/now"))
	must(t, os.Symlink("now/f", top+"/f"))
	s := files(t, track.File{Path: top + "/f"})
	s.value(1, "")
	write(t, top+"/one/f", "3")
	s.value(3, "")
	must(t, os.Symlink("two", top+"/new"))
	must(t, os.Rename(top+"/new", top+"/now")) // as mounted configuration is replaced
	s.value(2, "")
	write(t, top+"/two/f", "4")
	s.value(4, "")
}

func TestInitFile(t *testing.T) {
	for _, tt := range []struct {
		name, text string // before; "-": no file
		file       track.File
		want       int
	}{
		{"no file, not wanted", "-", track.File{Value: 3}, 0},
		{"no file", "-", track.File{Init: true, Value: 3}, 3},
		{"file", "7", track.File{Init: true, Value: 3}, 7},
		{"file, overwritten", "7", track.File{Init: true, Overwrite: true, Value: -3}, -3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.file.Path = filepath.Join(t.TempDir(), "f")
			if tt.text != "-" {
				write(t, tt.file.Path, tt.text)
			}
			s := files(t, tt.file)
			s.value(tt.want, "")
			// A file that is configured again is not made again.
			write(t, tt.file.Path, "9")
			s.value(9, "")
			tt.file.Name = "f"
			other := track.File{Name: "g", Path: tt.file.Path + ".other"}
			s.configure(track.Config{Files: []track.File{tt.file, other}})
			if c := s.next(); c.Name != "g" {
				t.Errorf("report %+v", c)
			}
			if b, err := os.ReadFile(tt.file.Path); err != nil || string(b) != "9" {
				t.Errorf("file %q, %v", b, err)
			}
		})
	}
}

func TestInitFileFollowsNoLink(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/other", "7")
	must(t, os.Symlink("other", top+"/f"))
	s := files(t, track.File{Path: top + "/f", Init: true, Overwrite: true, Value: 3})
	s.value(7, "")
}

// TestInitFileDoesNotWaitForAReader overwrites what a program could be held up by.
func TestInitFileDoesNotWaitForAReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, unix.Mkfifo(path, 0o644))
	s := files(t, track.File{Path: path, Init: true, Overwrite: true})
	s.value(0, "not a regular file")
}

// TestFilesConfiguredAnew moves a tracker to another file, and ends it.
func TestFilesConfiguredAnew(t *testing.T) {
	top := t.TempDir()
	must(t, os.Mkdir(top+"/a", 0o755))
	write(t, top+"/a/f", "1")
	write(t, top+"/g", "2")
	s := files(t, track.File{Path: top + "/a/f"})
	s.value(1, "")
	s.configure(track.Config{Files: []track.File{{Name: "f", Path: top + "/g"}}})
	s.value(2, "")
	write(t, top+"/a/f", "9")
	write(t, top+"/g", "3")
	s.value(3, "")
	s.configure(track.Config{})
	s.configure(track.Config{Files: []track.File{{Name: "f", Path: top + "/a/f"}}})
	s.value(9, "")
}

// bubbled is a set with one file, in a bubble, and what tells of it.
func bubbled(t *testing.T, path string) (*set, chan fsnotify.Event, chan error) {
	events, errs := make(chan fsnotify.Event), make(chan error)
	s := start(t, func(report func(track.Change)) *track.Set {
		return track.WithNews(track.New(report), events, errs)
	}, track.Config{Files: []track.File{{Name: "f", Path: path}}})
	s.after(0)
	s.expect("file f up at 0s: ")
	return s, events, errs
}

// TestFileThatIsBeingWritten empties a file and writes it anew, with time between.
func TestFileThatIsBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "5")
	synctest.Test(t, func(t *testing.T) {
		s, events, _ := bubbled(t, path)
		defer s.stop()
		e := fsnotify.Event{Name: path, Op: fsnotify.Write}
		write(t, path, "")
		events <- e
		s.after(10 * time.Millisecond)
		write(t, path, "6")
		events <- e
		s.after(19 * time.Millisecond)
		s.expect()
		s.after(time.Millisecond)
		s.expect("file f up at 30ms: ")

		// One that is written to again and again is read all the same.
		for i := range 25 {
			write(t, path, strconv.Itoa(i))
			events <- e
			s.after(10 * time.Millisecond)
		}
		s.expect("file f up at 230ms: ")
	})
}

// TestNewsOfFiles checks which news lead to a look at the file before its turn.
func TestNewsOfFiles(t *testing.T) {
	for name, want := range map[string]bool{
		"/d/f": true, "/d": true, "/": true, "/d/other": false, "/d/ff": false, "lost": true,
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			must(t, os.Mkdir(top+"/d", 0o755))
			path := top + "/d/f"
			synctest.Test(t, func(t *testing.T) {
				s, events, errs := bubbled(t, path)
				defer s.stop()
				write(t, path, "5")
				if name == "lost" {
					errs <- fsnotify.ErrEventOverflow
				} else {
					events <- fsnotify.Event{Name: filepath.Clean(top + name), Op: fsnotify.Create}
				}
				s.after(time.Second)
				if want {
					s.expect("file f up at 20ms: ")
				} else {
					s.expect()
				}
			})
		})
	}
}

func TestFilesAreRereadNowAndThen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(report func(track.Change)) *track.Set {
			return track.WithoutNews(track.New(report))
		}, track.Config{Files: []track.File{{Name: "f", Path: path}}})
		defer s.stop()
		s.after(0)
		s.expect("file f up at 0s: ")
		write(t, path, "5")
		s.after(time.Second)
		s.expect("file f up at 1s: ")
	})
}

// TestFilesLeaveNothing counts descriptors before and after.
func TestFilesLeaveNothing(t *testing.T) {
	open := func() []string {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		var all []string
		for _, e := range entries {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name()) // that of the list is closed
			all = append(all, to)
		}
		return all
	}
	run := func() {
		s := track.New(func(track.Change) {})
		must(t, s.Configure(track.Config{Files: []track.File{{Name: "f", Path: t.TempDir() + "/f"}},
			Processes: []track.Process{{Name: "p", Command: []string{"x"}}}}))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		must(t, s.Run(ctx))
	}
	run()
	before := open()
	for range 3 {
		run()
	}
	if after := open(); len(after) != len(before) {
		diff := cmp.Diff(before, after)
		t.Errorf("descriptors (-before +after):\n%s", diff)
	}
}
