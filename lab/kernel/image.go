package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tandemlb/tandem/lab/kernel/build"
	"github.com/tandemlb/tandem/lab/kernel/debian"
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
// there, without root. Where a kernel is found already it does nothing. A run that is cut off leaves
// nothing that a later one would trust.
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
	say := func(what string) { fmt.Fprintf(progress, "guest kernel: %s …\n", what) }
	say("reading Debian's package lists")
	archive, err := debian.Open(ctx, filepath.Join(work, "apt"))
	if errors.Is(err, debian.ErrNoApt) {
		return fmt.Errorf("%w; put the files of Debian's %s package under the cache directory by hand",
			err, imagePackage)
	}
	if err != nil {
		return err
	}
	p, err := archive.Show(ctx, imagePackage)
	if err != nil {
		return err
	}
	say("downloading " + imagePackage)
	file, err := archive.Download(ctx, p, work)
	if err != nil {
		return err
	}
	say("unpacking " + filepath.Base(file))
	return debian.Unpack(ctx, file, filepath.Join(work, "root"))
}

// FindVirtualImage returns the guest kernel with a virtual clock from the user's cache. Its errors are
// those of build.Find.
func FindVirtualImage() (Image, error) {
	cache, err := CacheDir()
	if err != nil {
		return Image{}, err
	}
	k, err := build.Find(cache)
	if err != nil {
		return Image{}, err
	}
	return Image{Program: k.Program}, nil
}
