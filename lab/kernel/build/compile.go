package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usualObjects is the number of files that a build compiles, for the first one's percentages; later
// ones know it from the last.
const usualObjects = 848

// graceForMake is how long make may take to end its compilers and remove their half-written files.
const graceForMake = 10 * time.Second

// command prepares a program of a build: in a process group of its own, so that an interrupt at the
// terminal is ours to hand on; with an environment that makes equal kernels of equal sources,
// whoever builds; and with the cache's lock, which it holds as long as it lives.
func (b *builder) command(ctx context.Context, dir, stdin, name string,
	args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"TMPDIR=" + os.TempDir(), "LC_ALL=C", "LOCALVERSION=", "KBUILD_BUILD_USER=tandem",
		"KBUILD_BUILD_HOST=tandem", "KBUILD_BUILD_VERSION=1",
		"KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970"}
	if b.lock != nil {
		cmd.ExtraFiles = []*os.File{b.lock}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGTERM) }
	cmd.WaitDelay = graceForMake
	return cmd
}

// make runs make on the source, with each line that it prints handed to see, which may be nil.
func (b *builder) make(ctx context.Context, see func(line string), args ...string) error {
	log, err := os.OpenFile(b.tree("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log of make: %w", err)
	}
	defer log.Close()
	args = append([]string{"-C", b.tree("source"), "O=" + b.tree("objects"), "ARCH=um"}, args...)
	cmd := b.command(ctx, b.tree(), "", "make", args...)
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	var last []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(io.TeeReader(read, log))
		for lines.Scan() {
			last = append(last[max(0, len(last)-7):], lines.Text())
			if see != nil {
				see(lines.Text())
			}
		}
		_, _ = io.Copy(log, read) // a line that is too long to scan
	}()
	err = cmd.Run()
	write.Close()
	<-done
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("make %s: %w", args[len(args)-1], context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("make %s: %w\n%s\nall of it is in %s", args[len(args)-1], err,
			strings.Join(last, "\n"), log.Name())
	}
	return nil
}

// configure makes the kernel's configuration and sees that it has every option of the recipe.
func (b *builder) configure(ctx context.Context) error {
	b.progress.step("configuring …")
	if err := os.MkdirAll(b.tree("objects"), 0o755); err != nil {
		return fmt.Errorf("configure kernel: %w", err)
	}
	list := b.tree("options.config")
	options := b.recipe.options + b.recipe.optional
	if err := os.WriteFile(list, []byte(options), 0o644); err != nil {
		return fmt.Errorf("configure kernel: %w", err)
	}
	if err := b.make(ctx, nil, "KCONFIG_ALLCONFIG="+list, "allnoconfig"); err != nil {
		return fmt.Errorf("configure kernel: %w", err)
	}
	config, err := os.ReadFile(b.tree("objects", ".config"))
	if err != nil {
		return fmt.Errorf("configure kernel: %w", err)
	}
	if lost := b.recipe.dropped(string(config)); len(lost) > 0 {
		return fmt.Errorf("configure kernel: %s %s dropped %s", b.pkg.Name, b.pkg.Version,
			strings.Join(lost, ", "))
	}
	return nil
}

// compiled matches what the kernel's makefiles say when they begin to compile a file.
var compiled = regexp.MustCompile(`^ +(CC|AS) +\S+\.o$`)

// compile makes the kernel, objects/linux.
func (b *builder) compile(ctx context.Context) error {
	total, done := b.usualObjects(), b.objects()
	b.progress.step("compiling, %d at a time; two CPUs need about 8 minutes", b.Jobs)
	b.progress.count(done, total)
	see := func(line string) {
		if compiled.MatchString(line) {
			done++
			b.progress.count(done, total)
		}
	}
	if err := b.make(ctx, see, "-j"+strconv.Itoa(b.Jobs), programFile); err != nil {
		return fmt.Errorf("compile kernel: %w", err)
	}
	return nil
}

// usualObjects is the number of files that the newest kernel in the cache took.
func (b *builder) usualObjects() int {
	kernels, _ := list(b.Cache, b.recipe)
	i := slices.IndexFunc(kernels, func(k Kernel) bool { return k.Manifest.Objects > 0 })
	if i < 0 {
		return usualObjects
	}
	return kernels[i].Manifest.Objects
}

// objects is the number of object files in the tree.
func (b *builder) objects() int {
	n := 0
	_ = filepath.WalkDir(b.tree("objects"), func(path string, _ fs.DirEntry, _ error) error {
		if filepath.Ext(path) == ".o" {
			n++
		}
		return nil
	})
	return n
}

// install puts the kernel that was compiled into the cache.
func (b *builder) install(ctx context.Context) error {
	stage, err := newStage(b.Cache)
	if err != nil {
		return fmt.Errorf("install kernel: %w", err)
	}
	defer os.RemoveAll(stage)
	program := filepath.Join(stage, programFile)
	strip := b.command(ctx, stage, "", "strip", "-o", program, b.tree("objects", programFile))
	if err := strip.Run(); err != nil {
		return fmt.Errorf("strip kernel: %w", err)
	}
	config, err := os.ReadFile(b.tree("objects", ".config"))
	if err != nil {
		return fmt.Errorf("install kernel: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stage, configFile), config, 0o644); err != nil {
		return fmt.Errorf("install kernel: %w", err)
	}
	m, err := b.manifest(ctx, program)
	if err != nil {
		return fmt.Errorf("install kernel: %w", err)
	}
	_, err = install(b.Cache, stage, m)
	return err
}

// manifest describes the kernel that was built.
func (b *builder) manifest(ctx context.Context, program string) (Manifest, error) {
	m := Manifest{
		Source: b.pkg.Name, Version: b.pkg.Version, Hash: b.recipe.hash(b.pkg.Version),
		OptionsSum: checksum(b.recipe.options + b.recipe.optional),
		Objects:    b.objects(), Patches: []PatchSum{},
	}
	for _, p := range b.recipe.patches {
		m.Patches = append(m.Patches, PatchSum{Name: p.name, Sum: checksum(p.text)})
	}
	var err error
	if m.KernelSum, err = fileChecksum(program); err != nil {
		return Manifest{}, err
	}
	var out bytes.Buffer
	version := b.command(ctx, b.tree(), "", "gcc", "--version")
	version.Stdout = &out
	if err := version.Run(); err != nil {
		return Manifest{}, errors.Join(errors.New("ask the compiler for its version"), err)
	}
	m.Compiler, _, _ = strings.Cut(out.String(), "\n")
	return m, nil
}
