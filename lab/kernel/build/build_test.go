package build_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/tandemlb/tandem/lab/kernel/build"
	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// makefile plays the kernel's: it knows the options NET, IP_VS and BLOCK, compiles three files and
// waits at the second one as long as the file "hold" is beside the first.
const makefile = `
allnoconfig:
	@grep -E '^CONFIG_(NET|IP_VS|BLOCK)=' $(KCONFIG_ALLCONFIG) >$(O)/.config
linux: $(O)/a.o $(O)/b.o $(O)/c.o
	@gcc -o $(O)/linux $^
$(O)/b.o: $(O)/a.o
$(O)/c.o: $(O)/b.o
$(O)/%.o: %.c
	@echo "  CC      $*.o"
	@if [ $* = b ] && [ -p hold ]; then cat hold; fi
	@gcc -c -o $@ $<
`

// theRecipe goes with the fake source: its patch makes the kernel exit with 7 instead of 1.
func theRecipe() build.Recipe {
	return build.Recipe{
		Options: "CONFIG_NET=y\nCONFIG_IP_VS=y\n",
		Patches: [][2]string{{"0001-status.patch", "um: exit with 7\n\n--- a/a.c\n+++ b/a.c\n" +
			"@@ -1 +1 @@\n-int main(void) { return 1; }\n+int main(void) { return 7; }\n"}},
	}
}

// fakeArchive is an archive of one kernel source.
type fakeArchive struct {
	version   string
	file      string
	mu        sync.Mutex
	downloads int
}

func (a *fakeArchive) Show(_ context.Context, name string) (debian.Package, error) {
	if name == "linux-source" {
		return debian.Package{Name: name, Version: a.version, Depends: []string{"tar",
			"linux-source-9.9"}}, nil
	}
	return debian.Package{Name: name, Version: a.version}, nil
}

func (a *fakeArchive) Download(_ context.Context, p debian.Package, dir string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.downloads++
	b, err := os.ReadFile(a.file)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, p.Name+"_"+p.Version+"_all.deb")
	return file, os.WriteFile(file, b, 0o644)
}

// newArchive makes the package. It skips where the tools are missing that every build needs.
func newArchive(t *testing.T) *fakeArchive {
	t.Helper()
	if err := build.MissingTools(context.Background()); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("no dpkg-deb to make a package with")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"linux-source-9.9/Makefile": makefile,
		"linux-source-9.9/a.c":      "int main(void) { return 1; }\n",
		"linux-source-9.9/b.c":      "int b;\n",
		"linux-source-9.9/c.c":      "int c;\n",
		"deb/usr/src/empty":         "",
		"deb/DEBIAN/control": "Package: linux-source-9.9\nVersion: 9.9.1-1\nArchitecture: all\n" +
			"Maintainer: Nobody <nobody@example.org>\nDescription: a kernel of three files\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"tar", "-cJf", "deb/usr/src/linux-source-9.9.tar.xz", "linux-source-9.9"},
		{"dpkg-deb", "-b", "deb", "source.deb"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return &fakeArchive{version: "9.9.1-1", file: filepath.Join(dir, "source.deb")}
}

// names are the entries of the cache's kernels, in order.
func names(t *testing.T, cache string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, "kernels"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// exitStatus runs a kernel.
func exitStatus(t *testing.T, k build.Kernel) int {
	t.Helper()
	cmd := exec.Command(k.Program)
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode()
}

func TestBuild(t *testing.T) {
	archive, cache, r := newArchive(t), t.TempDir(), theRecipe()
	var said bytes.Buffer
	o := build.Options{Cache: cache, Jobs: 1, Progress: &said}
	k, err := r.Build(context.Background(), o, archive)
	if err != nil {
		t.Fatal(err)
	}
	if status := exitStatus(t, k); status != 7 {
		t.Errorf("the kernel exits with %d, want 7, as its patch has it", status)
	}
	want := `virtual-time kernel: reading Debian's package lists …
virtual-time kernel: downloading linux-source-9.9 9.9.1-1 …
virtual-time kernel: unpacking linux-source-9.9_9.9.1-1_all.deb …
virtual-time kernel: applying 0001-status.patch
virtual-time kernel: configuring …
virtual-time kernel: compiling, 1 at a time; two CPUs need about 8 minutes
virtual-time kernel: compiled 0 % (0 of about 848 files)
`
	if diff := cmp.Diff(want, said.String()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	hash := r.Hash("9.9.1-1")
	if diff := cmp.Diff([]string{".lock", "9.9.1-1-" + hash}, names(t, cache)); diff != "" {
		t.Errorf("left in the cache (-want +got):\n%s", diff)
	}
	if m := k.Manifest; m.Source != "linux-source-9.9" || m.Version != "9.9.1-1" || m.Hash != hash ||
		m.Objects != 3 || !strings.Contains(m.Compiler, "gcc") || len(m.Patches) != 1 {
		t.Errorf("manifest %+v", m)
	}
	again, err := r.Build(context.Background(), build.Options{Cache: cache}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(k, again); diff != "" {
		t.Errorf("second build without an archive (-first +second):\n%s", diff)
	}
}

func TestBuildUpdates(t *testing.T) {
	archive, cache, r := newArchive(t), t.TempDir(), theRecipe()
	ctx := context.Background()
	o := build.Options{Cache: cache, Update: true}
	for _, version := range []string{"9.9.9-1", "9.9.9-1", "9.9.10-1"} {
		archive.version = version
		k, err := r.Build(ctx, o, archive)
		if err != nil || k.Manifest.Version != version {
			t.Fatalf("built %q (%v), want %s", k.Manifest.Version, err, version)
		}
		if found, err := r.Find(cache); err != nil || found.Dir != k.Dir {
			t.Errorf("found %q (%v), want %s", found.Dir, err, k.Dir)
		}
	}
	if archive.downloads != 2 {
		t.Errorf("%d downloads, want one a version", archive.downloads)
	}
}

// trigger cancels a context when a text has been written to it.
type trigger struct {
	bytes.Buffer
	text   string
	action func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if w.text != "" && strings.Contains(w.String(), w.text) {
		w.text = ""
		w.action()
	}
	return n, err
}

func TestInterruptedBuildGoesOn(t *testing.T) {
	archive, cache, r := newArchive(t), t.TempDir(), theRecipe()
	tree := filepath.Join(cache, "kernels", ".build", "9.9.1-1-"+r.Hash("9.9.1-1"))
	hold := filepath.Join(tree, "source", "hold")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// When make starts the pipe stands, so that it stops at b.c until the pipe is opened here.
	said := &trigger{text: "configuring", action: func() {
		if err := unix.Mkfifo(hold, 0o600); err != nil {
			t.Error(err)
		}
		go func() {
			f, err := os.OpenFile(hold, os.O_WRONLY, 0) // until b.c's recipe reads
			if err != nil {
				t.Error(err)
			}
			cancel()
			<-t.Context().Done()
			f.Close()
		}()
	}}
	_, err := r.Build(ctx, build.Options{Cache: cache, Progress: said}, archive)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on from here") {
		t.Fatalf("interrupted build: %v", err)
	}
	if _, err := r.Find(cache); !errors.Is(err, build.ErrNone) {
		t.Errorf("find after an interrupted build: %v, want ErrNone", err)
	}
	first, err := os.Stat(filepath.Join(tree, "objects", "a.o"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	o := build.Options{Cache: cache, Keep: true}
	k, err := r.Build(context.Background(), o, nil) // all it needs is here: no archive, no network
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.Stat(filepath.Join(tree, "objects", "a.o"))
	if err != nil || !second.ModTime().Equal(first.ModTime()) {
		t.Errorf("a.o of %v was compiled again (%v)", first.ModTime(), err)
	}
	if status := exitStatus(t, k); status != 7 || archive.downloads != 1 {
		t.Errorf("status %d after %d downloads, want 7 after 1", status, archive.downloads)
	}
}

func TestBuildUnpacksAnewWhereItWasCutOff(t *testing.T) {
	archive, cache, r := newArchive(t), t.TempDir(), theRecipe()
	tree := filepath.Join(cache, "kernels", ".build", "9.9.1-1-"+r.Hash("9.9.1-1"))
	half := filepath.Join(tree, "unpacking", "linux-source-half")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(half, "Makefile"): "half", filepath.Join(tree, "package"): "linux-source-9.9",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k, err := r.Build(context.Background(), build.Options{Cache: cache}, archive)
	if err != nil {
		t.Fatal(err)
	}
	if status := exitStatus(t, k); status != 7 {
		t.Errorf("the kernel exits with %d, want 7", status)
	}
}

func TestSecondBuildWaitsForTheFirst(t *testing.T) {
	archive, cache, r := newArchive(t), t.TempDir(), theRecipe()
	var second build.Kernel
	var secondErr error
	var secondSaid *trigger
	done := make(chan struct{})
	first := &trigger{text: "configuring", action: func() {
		waits := make(chan struct{})
		secondSaid = &trigger{text: "waiting for its end", action: func() { close(waits) }}
		go func() {
			defer close(done)
			o := build.Options{Cache: cache, Progress: secondSaid}
			second, secondErr = r.Build(context.Background(), o, nil)
		}()
		<-waits
	}}
	k, err := r.Build(context.Background(), build.Options{Cache: cache, Progress: first}, archive)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if secondErr != nil || second.Dir != k.Dir {
		t.Errorf("second build: %q, %v; want the first one's %s", second.Dir, secondErr, k.Dir)
	}
}

func TestWaitForABuildCanBeInterrupted(t *testing.T) {
	archive, cache := newArchive(t), t.TempDir()
	held, err := build.TryLock(cache)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(context.Background())
	said := &trigger{text: "waiting for its end", action: cancel}
	o := build.Options{Cache: cache, Progress: said}
	if _, err := theRecipe().Build(ctx, o, archive); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted while waiting: %v", err)
	}
	if err := build.Clean(cache); !errors.Is(err, build.ErrBusy) {
		t.Errorf("clean beside a build: %v, want ErrBusy", err)
	}
}

func TestBuildErrors(t *testing.T) {
	archive := newArchive(t)
	tests := []struct {
		name   string
		recipe func(r build.Recipe) build.Recipe
		want   string
	}{
		{"an option disappears", func(r build.Recipe) build.Recipe {
			r.Options += "CONFIG_IP_VS_TWOS=y\n"
			return r
		}, "configure kernel: linux-source-9.9 9.9.1-1 dropped CONFIG_IP_VS_TWOS=y"},
		{"a patch does not fit", func(r build.Recipe) build.Recipe {
			r.Patches[0][1] = strings.ReplaceAll(r.Patches[0][1], "-int main", "-int other")
			return r
		}, "apply 0001-status.patch to linux-source-9.9 9.9.1-1: exit status 1: does not fit a.c"},
		{"a patch's file is gone", func(r build.Recipe) build.Recipe {
			r.Patches[0][1] = strings.ReplaceAll(r.Patches[0][1], "a.c", "gone.c")
			return r
		}, "does not fit gone.c (not in the source)"},
		{"it does not compile", func(r build.Recipe) build.Recipe {
			r.Patches[0][1] = strings.ReplaceAll(r.Patches[0][1], "return 7", "retrun 7")
			return r
		}, "compile kernel: make linux: exit status 2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cache, r := t.TempDir(), tt.recipe(theRecipe())
			_, err := r.Build(context.Background(), build.Options{Cache: cache}, archive)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("build: %v; want %q", err, tt.want)
			}
			if _, err := r.Find(cache); !errors.Is(err, build.ErrNone) {
				t.Errorf("find after a failed build: %v, want ErrNone", err)
			}
		})
	}
}

// onlyTools makes PATH hold the build's tools but those named.
func onlyTools(t *testing.T, without ...string) {
	t.Helper()
	dir := t.TempDir()
tools:
	for _, name := range strings.Fields("gcc as ld strip make flex bison bc xz patch") {
		for _, w := range without {
			if name == w {
				continue tools
			}
		}
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skip(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestMissingTools(t *testing.T) {
	tests := []struct {
		without []string
		want    string
	}{
		{[]string{"flex"}, "missing flex; install with `apt-get install flex`"},
		{[]string{"xz", "bc"}, "missing bc, xz; install with `apt-get install bc xz-utils`"},
		{[]string{"gcc"}, "missing gcc; install with `apt-get install gcc libc6-dev`"},
		{[]string{"ld", "strip"}, "missing ld, strip; install with `apt-get install binutils`"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.without), func(t *testing.T) {
			onlyTools(t, tt.without...)
			cache := t.TempDir()
			_, err := theRecipe().Build(context.Background(), build.Options{Cache: cache}, nil)
			var missing *build.MissingError
			if !errors.As(err, &missing) || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("build: %v; want %q", err, tt.want)
			}
			if entries, _ := os.ReadDir(cache); len(entries) > 0 {
				t.Errorf("%v left in the cache before the tools were there", entries)
			}
		})
	}
	onlyTools(t)
	if err := build.MissingTools(context.Background()); err != nil {
		t.Errorf("with every tool: %v", err)
	}
}

func TestSpace(t *testing.T) {
	if err := build.CheckSpace(t.TempDir(), 1); err != nil {
		t.Error(err)
	}
	err := build.CheckSpace(t.TempDir(), 1<<60)
	if err == nil || !strings.Contains(err.Error(), "MB are needed") {
		t.Errorf("space for 1 EB: %v", err)
	}
	if err := build.MissingTools(context.Background()); err != nil {
		t.Skip(err)
	}
	r := build.Recipe{Full: true}
	_, err = r.Build(context.Background(), build.Options{Cache: t.TempDir()}, nil)
	if err == nil || err.Error() != "full" {
		t.Errorf("build on a full disk: %v; want a word on it before anything is fetched", err)
	}
}
