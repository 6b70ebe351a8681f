package build_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandemlb/tandem/lab/kernel/build"
)

// putKernel puts a kernel into a cache without building one.
func putKernel(t *testing.T, cache, version, hash, text string) string {
	t.Helper()
	dir := filepath.Join(cache, "kernels", version+"-"+hash)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "linux"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	// sha256 of "good"
	const sum = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"
	b, err := json.Marshal(build.Manifest{Version: version, Hash: hash, KernelSum: sum})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// findTests fill a cache; want is the version found, or a part of the error.
var findTests = []struct {
	name string
	fill func(t *testing.T, cache string, hash func(version string) string)
	want string
}{
	{"no cache", func(*testing.T, string, func(string) string) {}, build.ErrNone.Error()},
	{"the newest", func(t *testing.T, cache string, hash func(string) string) {
		putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		putKernel(t, cache, "6.1.10-1", hash("6.1.10-1"), "good")
	}, "6.1.10-1"},
	{"a newer one of another recipe", func(t *testing.T, cache string, hash func(string) string) {
		putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		putKernel(t, cache, "6.1.10-1", "0123456789ab", "good")
	}, "6.1.9-1"},
	{"only stale ones", func(t *testing.T, cache string, _ func(string) string) {
		putKernel(t, cache, "6.1.9-1", "0123456789ab", "good")
	}, build.ErrNone.Error()},
	{"a damaged one of another recipe", func(t *testing.T, cache string, hash func(string) string) {
		putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		putKernel(t, cache, "6.1.10-1", "0123456789ab", "bad")
	}, "6.1.9-1"},
	{"a damaged one", func(t *testing.T, cache string, hash func(string) string) {
		putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		putKernel(t, cache, "6.1.10-1", hash("6.1.10-1"), "bad")
	}, "/linux: its sha256 is not the one of its manifest"},
	{"a missing file", func(t *testing.T, cache string, hash func(string) string) {
		dir := putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		if err := os.Remove(filepath.Join(dir, "linux")); err != nil {
			t.Fatal(err)
		}
	}, "the file is missing"},
	{"a file that may not run", func(t *testing.T, cache string, hash func(string) string) {
		dir := putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		if err := os.Chmod(filepath.Join(dir, "linux"), 0o644); err != nil {
			t.Fatal(err)
		}
	}, "may not be executed"},
	{"half a manifest", func(t *testing.T, cache string, hash func(string) string) {
		dir := putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		if err := os.Truncate(filepath.Join(dir, "manifest.json"), 20); err != nil {
			t.Fatal(err)
		}
	}, build.ErrNone.Error()},
	{"one that is being installed", func(t *testing.T, cache string, hash func(string) string) {
		dir := putKernel(t, cache, "6.1.9-1", hash("6.1.9-1"), "good")
		if err := os.Rename(dir, filepath.Join(cache, "kernels", ".new-1")); err != nil {
			t.Fatal(err)
		}
	}, build.ErrNone.Error()},
}

func TestFind(t *testing.T) {
	r := theRecipe()
	for _, tt := range findTests {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			tt.fill(t, cache, r.Hash)
			k, err := r.Find(cache)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("find: %v; want %q", err, tt.want)
				}
				return
			}
			if k.Manifest.Version != tt.want || k.State != build.Current {
				t.Errorf("found %s, %s; want %s", k.Manifest.Version, k.State, tt.want)
			}
		})
	}
}

func TestListAndRemove(t *testing.T) {
	r, cache := theRecipe(), t.TempDir()
	putKernel(t, cache, "6.1.9-1", r.Hash("6.1.9-1"), "good")
	putKernel(t, cache, "6.1.9-1", "0123456789ab", "good")
	putKernel(t, cache, "6.12.1-1", "0123456789ab", "bad")
	type row struct {
		Version string
		State   build.State
		Size    int64
	}
	kernels, err := r.List(cache)
	if err != nil {
		t.Fatal(err)
	}
	var got []row
	for _, k := range kernels {
		got = append(got, row{k.Manifest.Version, k.State, k.Size})
	}
	want := []row{
		{"6.12.1-1", build.Damaged, 3}, {"6.1.9-1", build.Current, 4}, {"6.1.9-1", build.Stale, 4},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	for range 2 { // the second removal finds nothing to do
		if err := build.Remove(kernels[1]); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Find(cache); !errors.Is(err, build.ErrNone) {
		t.Errorf("find after the removal: %v, want ErrNone", err)
	}
	if left := names(t, cache); len(left) != 2 {
		t.Errorf("left in the cache: %q, want the two others", left)
	}
}

// TestCopiedKernelWorks copies a kernel to the cache of another machine as people do.
func TestCopiedKernelWorks(t *testing.T) {
	archive, here, there := newArchive(t), t.TempDir(), t.TempDir()
	k, err := theRecipe().Build(context.Background(), build.Options{Cache: here}, archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(there, "kernels"), 0o755); err != nil {
		t.Fatal(err)
	}
	cp := exec.Command("cp", "-r", k.Dir, filepath.Join(there, "kernels"))
	if out, err := cp.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found, err := theRecipe().Find(there)
	if err != nil {
		t.Fatal(err)
	}
	if found.Manifest.KernelSum != k.Manifest.KernelSum || exitStatus(t, found) != 7 {
		t.Errorf("the copy is %+v, want %+v", found.Manifest, k.Manifest)
	}
}

func TestCleanRemovesWhatBuildsLeft(t *testing.T) {
	cache := t.TempDir()
	if err := build.Clean(cache); err != nil {
		t.Errorf("clean a cache that does not exist: %v", err)
	}
	if left, _ := os.ReadDir(cache); len(left) != 0 {
		t.Errorf("clean made %v", left)
	}
	putKernel(t, cache, "6.1.9-1", "0123456789ab", "good")
	for _, name := range []string{".build/apt", ".new-1", ".old-1"} {
		if err := os.MkdirAll(filepath.Join(cache, "kernels", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := build.Clean(cache); err != nil {
		t.Fatal(err)
	}
	want := []string{".lock", "6.1.9-1-0123456789ab"}
	if diff := cmp.Diff(want, names(t, cache)); diff != "" {
		t.Errorf("left in the cache (-want +got):\n%s", diff)
	}
}
