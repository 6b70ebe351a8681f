// Package build makes the kernel on which time is virtual, User Mode Linux with time travel, from
// Debian's kernel source, as any user, and keeps such kernels in a cache. It never boots one.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// Options say how to build. Cache is needed, the rest is not.
type Options struct {
	// Cache is the directory whose kernels/ holds the kernels. It may not exist yet.
	Cache string
	// Source is the Debian package of the source, as in "linux-source-6.1"; empty: the one that
	// linux-source depends on.
	Source string
	// Update asks for a build from the archive's newest source even where there is a kernel of an
	// older one.
	Update bool
	// Keep leaves the download, the source tree and the object tree in the cache.
	Keep bool
	// Jobs is the number of compilers at a time; 0: one for each CPU.
	Jobs int
	// Progress is told how far the build is; nil: nobody is.
	Progress io.Writer
}

// packages is the archive that a build takes the source from.
type packages interface {
	Show(ctx context.Context, name string) (debian.Package, error)
	Download(ctx context.Context, p debian.Package, dir string) (string, error)
}

// builder carries out one build. Its work directory looks like this, and is kept by a build that
// does not get to its end, so that the next one goes on from there:
//
//	.build/apt/                       the archive's lists
//	.build/linux-source-6.1_….deb     the download
//	.build/6.1.192-2-0123456789ab/    the tree of one version and recipe:
//	    package                       the name of the source's package
//	    unpacking/                    the source, until it is unpacked and patched
//	    source/                       the source after that
//	    objects/                      what make makes
//	    log                           what make says
type builder struct {
	Options
	recipe   recipe
	open     func(ctx context.Context, dir string) (packages, error)
	room     func(dir string, need int64) error // checkSpace
	progress *progress
	lock     *os.File // handed down to make, so that it is held until the last compiler ends
	pkg      debian.Package
	archive  packages // nil where the source is here already
}

// Build makes a kernel of this program's options and patches and returns it. Where the cache has
// one that will do, it returns that one and needs no network. A build that is cut off, by the end
// of the context or otherwise, goes on from where it was when it is called again; while another one
// is running in the same cache, it waits.
//
// Errors: a *MissingError where build tools are missing, before anything is downloaded.
func Build(ctx context.Context, o Options) (Kernel, error) {
	r, err := ownRecipe()
	if err != nil {
		return Kernel{}, err
	}
	open := func(ctx context.Context, dir string) (packages, error) {
		return debian.Open(ctx, dir)
	}
	return newBuilder(o, r, open).build(ctx)
}

func newBuilder(o Options, r recipe,
	open func(context.Context, string) (packages, error)) *builder {
	if o.Jobs == 0 {
		o.Jobs = runtime.GOMAXPROCS(0) // respects a container's share
	}
	return &builder{Options: o, recipe: r, open: open, room: checkSpace,
		progress: newProgress(o.Progress)}
}

func (b *builder) build(ctx context.Context) (Kernel, error) {
	if runtime.GOARCH != "amd64" {
		return Kernel{}, fmt.Errorf("build virtual-time kernel: User Mode Linux runs on amd64, "+
			"this machine is %s", runtime.GOARCH)
	}
	var err error
	if b.Cache, err = filepath.Abs(b.Cache); err != nil {
		return Kernel{}, fmt.Errorf("build virtual-time kernel: %w", err)
	}
	if k, ok := b.present(); ok {
		return k, nil
	}
	if err := missingTools(ctx); err != nil {
		return Kernel{}, err
	}
	if b.lock, err = lock(ctx, b.Cache, b.progress); err != nil {
		return Kernel{}, err
	}
	defer b.lock.Close()
	if k, ok := b.present(); ok { // the build that was waited for has made it
		return k, nil
	}
	k, err := b.run(ctx)
	b.progress.end()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w; `tandem kernel build` goes on from here", err)
	}
	return k, err
}

// present returns the kernel in the cache that makes this build needless.
func (b *builder) present() (Kernel, bool) {
	k, err := find(b.Cache, b.recipe)
	if err != nil || b.Update || b.Source != "" && b.Source != k.Manifest.Source {
		return Kernel{}, false
	}
	b.progress.step("%s %s is here already", k.Manifest.Source, k.Manifest.Version)
	return k, true
}

// run does the work, under the lock.
func (b *builder) run(ctx context.Context) (Kernel, error) {
	if err := b.choose(ctx); err != nil {
		return Kernel{}, err
	}
	if k, ok := b.made(); ok {
		b.progress.step("%s %s is here already", b.pkg.Name, b.pkg.Version)
		return k, os.RemoveAll(b.lists())
	}
	if err := b.clean(); err != nil {
		return Kernel{}, err
	}
	steps := []func(context.Context) error{b.fetch, b.configure, b.compile, b.install}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return Kernel{}, err
		}
	}
	k, ok := b.made()
	if !ok {
		return Kernel{}, errors.New("install kernel: it is not what was built; is the disk broken?")
	}
	if b.Keep {
		b.progress.step("kept %s", b.work())
		return k, nil
	}
	if err := os.RemoveAll(b.work()); err != nil {
		return Kernel{}, fmt.Errorf("remove build trees: %w", err)
	}
	return k, nil
}

// made returns the sound kernel of the chosen source and this recipe.
func (b *builder) made() (Kernel, bool) {
	kernels, err := list(b.Cache, b.recipe)
	if err != nil {
		return Kernel{}, false
	}
	i := slices.IndexFunc(kernels, func(k Kernel) bool {
		return k.State == Current && k.Manifest.Version == b.pkg.Version
	})
	if i < 0 {
		return Kernel{}, false
	}
	return kernels[i], true
}

func (b *builder) work() string { return filepath.Join(b.Cache, kernelsDir, ".build") }

func (b *builder) lists() string { return filepath.Join(b.work(), "apt") }

func (b *builder) key() string { return b.pkg.Version + "-" + b.recipe.hash(b.pkg.Version) }

func (b *builder) tree(parts ...string) string {
	return filepath.Join(append([]string{b.work(), b.key()}, parts...)...)
}

// choose decides on the source: the one of the build that was cut off, else the archive's.
func (b *builder) choose(ctx context.Context) error {
	if !b.Update && b.resume() {
		b.progress.step("going on with %s %s", b.pkg.Name, b.pkg.Version)
		return nil
	}
	if err := b.checkSpace(spaceDownload + spaceUnpack + spaceCompile); err != nil {
		return err
	}
	b.progress.step("reading Debian's package lists …")
	var err error
	if b.archive, err = b.open(ctx, b.lists()); err != nil {
		return err
	}
	name := b.Source
	if name == "" {
		if name, err = b.usualSource(ctx); err != nil {
			return err
		}
	}
	b.pkg, err = b.archive.Show(ctx, name)
	return err
}

// usualSource is the name of the package that holds the source of this Debian release's kernel.
func (b *builder) usualSource(ctx context.Context) (string, error) {
	meta, err := b.archive.Show(ctx, "linux-source")
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(meta.Depends, isSource)
	if i < 0 {
		return "", fmt.Errorf("choose kernel source: linux-source depends on %q, want a "+
			"linux-source-*", meta.Depends)
	}
	return meta.Depends[i], nil
}

func isSource(name string) bool { return strings.HasPrefix(name, "linux-source-") }

// resume takes up the tree of a build of this recipe that was cut off after its source was
// complete; it says whether there is one.
func (b *builder) resume() bool {
	trees, _ := filepath.Glob(filepath.Join(b.work(), "*", "package"))
	for _, file := range trees {
		dir := filepath.Dir(file)
		name, err := os.ReadFile(file)
		version, hash, ok := cutLast(filepath.Base(dir), "-")
		if err != nil || !ok || hash != b.recipe.hash(version) {
			continue
		}
		if b.Source != "" && b.Source != string(name) {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "source")); err != nil {
			continue
		}
		b.pkg = debian.Package{Name: string(name), Version: version}
		return true
	}
	return false
}

// cutLast cuts s around the last separator.
func cutLast(s, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// clean removes what other builds left: trees of other versions and recipes, kernels half removed
// or half installed.
func (b *builder) clean() error {
	trees, _ := filepath.Glob(filepath.Join(b.work(), "*-*", "package"))
	halves, _ := filepath.Glob(filepath.Join(b.Cache, kernelsDir, ".new-*"))
	gone, _ := filepath.Glob(filepath.Join(b.Cache, kernelsDir, ".old-*"))
	for _, file := range trees {
		if dir := filepath.Dir(file); dir != b.tree() {
			b.progress.step("removing the trees of another build …")
			halves = append(halves, dir)
		}
	}
	for _, dir := range append(halves, gone...) {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what a build left: %w", err)
		}
	}
	return nil
}

// Clean removes what builds that were cut off, or asked to, keep in a cache: downloads and trees.
// It returns ErrBusy (wrapped) while a build is running.
func Clean(cache string) error {
	if _, err := os.Stat(filepath.Join(cache, kernelsDir)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	f, err := tryLock(cache)
	if err != nil {
		return fmt.Errorf("remove build trees: %w", err)
	}
	defer f.Close()
	for _, pattern := range []string{".build", ".new-*", ".old-*"} {
		found, _ := filepath.Glob(filepath.Join(cache, kernelsDir, pattern))
		for _, dir := range found {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove build trees: %w", err)
			}
		}
	}
	return nil
}
