// Package debian fetches packages from the Debian archive that this machine's apt knows and unpacks
// them, as any user. It never installs a package and never changes the system's own package state.
package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoApt is wrapped by every error that comes from a machine without apt and dpkg.
var ErrNoApt = errors.New("packages are fetched with apt and dpkg, which are not here")

// Package is what the archive says of a package in the version that apt would take.
type Package struct {
	Name string
	// Version is a Debian version, as in "6.1.192-2"; see CompareVersions.
	Version string
	// Depends are the names of the packages that it depends on, of alternatives the first one.
	Depends []string
}

// Archive is the archive of this machine's apt sources, with lists in a directory of its own.
type Archive struct {
	dir string
}

// Open reads the archive's lists into dir, which is made if need be and may be removed when the
// archive is not needed any more. A second call brings the lists up to date.
//
// Equivalent to: `apt-get update`.
func Open(ctx context.Context, dir string) (*Archive, error) {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("open package archive: %w", err)
		}
	}
	a := &Archive{dir: dir}
	if _, err := a.run(ctx, dir, "apt-get", "update"); err != nil {
		return nil, fmt.Errorf("open package archive: %w", err)
	}
	return a, nil
}

// Show returns what the archive says of a package. An unknown name is an error.
//
// Equivalent to: `apt-cache show --no-all-versions NAME`.
func (a *Archive) Show(ctx context.Context, name string) (Package, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "show", "--no-all-versions", name)
	if err != nil {
		return Package{}, fmt.Errorf("show package %s: %w", name, err)
	}
	p := parseControl(out)
	if p.Name == "" || p.Version == "" {
		return Package{}, fmt.Errorf("show package %s: not in the archive", name)
	}
	return p, nil
}

// Download puts the file of a package into dir, which must exist, and returns its path. A file that
// is there already, whole and of this version, is taken as it is; older versions are removed.
//
// Equivalent to: `apt-get download NAME=VERSION`.
func (a *Archive) Download(ctx context.Context, p Package, dir string) (string, error) {
	old, err := files(dir, p.Name+"_*.deb")
	if err != nil {
		return "", fmt.Errorf("download %s: %w", p.Name, err)
	}
	for _, file := range old {
		if !strings.HasPrefix(filepath.Base(file), p.Name+"_"+fileVersion(p.Version)+"_") {
			if err := os.Remove(file); err != nil {
				return "", fmt.Errorf("download %s: %w", p.Name, err)
			}
		}
	}
	if _, err := a.run(ctx, dir, "apt-get", "download", p.Name+"="+p.Version); err != nil {
		return "", fmt.Errorf("download %s: %w", p.Name, err)
	}
	got, err := files(dir, p.Name+"_*.deb")
	if err != nil || len(got) != 1 {
		return "", fmt.Errorf("download %s: %d packages arrived, want 1", p.Name, len(got))
	}
	return got[0], nil
}

// run runs one of apt's programs on this archive's own state and returns what it printed.
func (a *Archive) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	state := []string{
		"-q", "-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
	}
	return run(ctx, dir, name, append(state, args...)...)
}

// Unpack unpacks a package's file into dir, which is made if need be. Files that are in dir already
// stay, or are replaced by the package's.
//
// Equivalent to: `dpkg-deb -x FILE DIR`.
func Unpack(ctx context.Context, file, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	if _, err := run(ctx, filepath.Dir(file), "dpkg-deb", "-x", file, dir); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	return nil
}

// run runs a program in dir and returns its standard output. An error carries the last line that it
// printed.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("run %s: %w", name, ErrNoApt)
	case err != nil && ctx.Err() != nil:
		return "", fmt.Errorf("run %s: %w", name, context.Cause(ctx))
	case err != nil:
		return "", fmt.Errorf("run %s %s: %w: %s", name, args[len(args)-1], err,
			lastLine(stdout.String()+"\n"+stderr.String()))
	}
	return stdout.String(), nil
}
