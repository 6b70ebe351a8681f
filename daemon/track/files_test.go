package track_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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
			s.configure(track.Config{Files: []track.File{tt.file},
				Interfaces: []string{"eth0"}})
			s.SetInterface("eth0", true)
			if c := s.next(); c.Kind != track.InterfaceKind {
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

// TestFileInTheBubble looks at a file without news of it.
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
