package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// MissingError says which programs a build needs that are not here.
type MissingError struct {
	// Programs are what is missing, Packages the Debian packages that have it.
	Programs, Packages []string
}

// Error names what is missing and the command that installs it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("build virtual-time kernel: missing %s; install with `apt-get install %s`",
		strings.Join(e.Programs, ", "), strings.Join(e.Packages, " "))
}

// tools are the programs that a build runs, or that the kernel's own makefiles run, by the Debian
// package that has them. What every Debian system has is not listed.
var tools = []struct{ program, pkg string }{
	{"gcc", "gcc"},
	{"ld", "binutils"},
	{"strip", "binutils"},
	{"make", "make"},
	{"flex", "flex"},
	{"bison", "bison"},
	{"bc", "bc"},
	{"xz", "xz-utils"},
	{"patch", "patch"},
}

// probeProgram is a program that compiles and links only where the C library's headers are.
const probeProgram = "#include <stdio.h>\n#include <pty.h>\n" +
	"int main(void) { return puts(\"\") < 0; }\n"

// missingTools returns a *MissingError where a build cannot run.
func missingTools(ctx context.Context) error {
	e := &MissingError{}
	lack := func(program, pkg string) {
		e.Programs = append(e.Programs, program)
		if !slices.Contains(e.Packages, pkg) {
			e.Packages = append(e.Packages, pkg)
		}
	}
	for _, t := range tools {
		if _, err := exec.LookPath(t.program); err != nil {
			lack(t.program, t.pkg)
		}
	}
	if !slices.Contains(e.Programs, "gcc") {
		cmd := exec.CommandContext(ctx, "gcc", "-x", "c", "-", "-o", "/dev/null")
		cmd.Stdin = strings.NewReader(probeProgram)
		if cmd.Run() != nil && !slices.Contains(e.Programs, "ld") {
			lack("the C library's headers", "libc6-dev")
		}
	} else {
		e.Packages = append(e.Packages, "libc6-dev") // gcc alone does not bring the headers
	}
	if len(e.Programs) > 0 {
		return e
	}
	return nil
}

// What a build writes, in bytes, with a tenth to spare: measured with Linux 6.1 and 6.12.
const (
	spaceDownload = 160 << 20
	spaceUnpack   = 1900 << 20
	spaceCompile  = 250 << 20
)

// checkSpace returns an error where the file system of dir, which must exist, lacks space.
func checkSpace(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("check free space of %s: %w", dir, err)
	}
	free := int64(min(st.Bavail, 1<<42)) * st.Bsize
	if free < need {
		return fmt.Errorf("build virtual-time kernel: %s has %d MB free, %d MB are needed; "+
			"free some, or set XDG_CACHE_HOME", dir, free>>20, need>>20)
	}
	return nil
}

// checkSpace sees that the cache has room for what is still to be written.
func (b *builder) checkSpace(need int64) error {
	if err := os.MkdirAll(b.work(), 0o755); err != nil {
		return fmt.Errorf("check free space: %w", err)
	}
	return b.room(b.work(), need)
}
