package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Image is a guest kernel on this machine's disk.
type Image struct {
	// Program is the kernel: an executable file.
	Program string
	// Modules is the directory that holds modules.dep; empty: everything is built in.
	Modules string
}

// ErrNoImage is returned by FindImage where no guest kernel is installed.
var ErrNoImage = errors.New("find guest kernel: User Mode Linux is not installed; " +
	"get it with `tandem doctor --install` (no root) or `apt-get install user-mode-linux`")

// imagePackage is Debian's package of the default guest kernel, and imagePath the kernel in it.
const (
	imagePackage = "user-mode-linux"
	imagePath    = "usr/bin/linux.uml"
	modulesPath  = "usr/lib/uml/modules"
)

// CacheDir is the directory of this user that holds what Tandem downloads and builds.
// It is $XDG_CACHE_HOME/tandem, else ~/.cache/tandem; it may not exist yet.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w (set XDG_CACHE_HOME or HOME)", err)
	}
	return filepath.Join(dir, "tandem"), nil
}

// FindImage returns the default guest kernel: the one on PATH, else the one in the user's cache.
// It returns ErrNoImage when there is neither.
func FindImage() (Image, error) {
	if program, err := exec.LookPath("linux.uml"); err == nil {
		root := filepath.Clean(filepath.Join(filepath.Dir(program), "..", ".."))
		if im, err := imageIn(root); err == nil {
			return im, nil
		}
	}
	cache, err := CacheDir()
	if err != nil {
		return Image{}, err
	}
	return imageIn(filepath.Join(cache, imagePackage))
}

// imageIn finds the kernel in an unpacked or installed package.
func imageIn(root string) (Image, error) {
	program := filepath.Join(root, imagePath)
	if _, err := os.Stat(program); err != nil {
		return Image{}, ErrNoImage
	}
	deps, err := filepath.Glob(filepath.Join(root, modulesPath, "*", "modules.dep"))
	if err != nil || len(deps) == 0 {
		return Image{}, fmt.Errorf("%w (%s has no modules beside it)", ErrNoImage, program)
	}
	return Image{Program: program, Modules: filepath.Dir(deps[len(deps)-1])}, nil
}

// InstallImage downloads Debian's user-mode-linux package into the user's cache and unpacks it
// there, without root: apt-get is given a state directory of its own. Where a kernel is found
// already it does nothing. A run that is cut off leaves nothing that a later one would trust.
//
// Equivalent to: `apt-get update; apt-get download user-mode-linux; dpkg-deb -x …`.
func InstallImage(ctx context.Context, progress io.Writer) (Image, error) {
	if im, err := FindImage(); err == nil {
		return im, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return Image{}, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Image{}, fmt.Errorf("install guest kernel: %w", err)
	}
	work, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return Image{}, fmt.Errorf("install guest kernel: %w", err)
	}
	defer os.RemoveAll(work)
	if err := fetchPackage(ctx, work, progress); err != nil {
		return Image{}, fmt.Errorf("install guest kernel: %w", err)
	}
	target := filepath.Join(cache, imagePackage)
	if err := os.RemoveAll(target); err != nil {
		return Image{}, fmt.Errorf("install guest kernel: %w", err)
	}
	if err := os.Rename(filepath.Join(work, "root"), target); err != nil {
		return Image{}, fmt.Errorf("install guest kernel: %w", err)
	}
	return imageIn(target)
}

// fetchPackage leaves the unpacked package in work/root.
func fetchPackage(ctx context.Context, work string, progress io.Writer) error {
	for _, dir := range []string{"lists/partial", "cache/archives/partial", "root"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return err
		}
	}
	state := []string{
		"-q", "-o", "Dir::State::Lists=" + filepath.Join(work, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
	}
	steps := []struct {
		say  string
		name string
		args []string
	}{
		{"reading Debian's package lists", "apt-get", append(state[:len(state):len(state)], "update")},
		{"downloading " + imagePackage, "apt-get",
			append(state[:len(state):len(state)], "download", imagePackage)},
	}
	for _, s := range steps {
		fmt.Fprintf(progress, "guest kernel: %s …\n", s.say)
		if err := runIn(ctx, work, s.name, s.args...); err != nil {
			return err
		}
	}
	debs, _ := filepath.Glob(filepath.Join(work, imagePackage+"_*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("download %s: %d packages arrived, want 1", imagePackage, len(debs))
	}
	fmt.Fprintf(progress, "guest kernel: unpacking %s …\n", filepath.Base(debs[0]))
	return runIn(ctx, work, "dpkg-deb", "-x", debs[0], filepath.Join(work, "root"))
}

// runIn runs a program in dir; what it printed goes into the error.
func runIn(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("run %s: not found; on a system without apt put Debian's %s package's "+
			"files under the cache directory by hand", name, imagePackage)
	}
	if err != nil {
		return fmt.Errorf("run %s %s: %w: %s", name, args[len(args)-1], err,
			lastLine(string(out)))
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// tail keeps the last bytes written to it: a guest's console, for the case that it does not come up.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > tailSize {
		t.buf = append([]byte(nil), t.buf[len(t.buf)-tailSize:]...)
	}
	return len(p), nil
}

// last returns the last n lines.
func (t *tail) last(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
