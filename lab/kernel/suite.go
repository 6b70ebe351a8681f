package kernel

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where the guest of a test suite on virtual time has what is the host's: the same paths for all. A
// path is part of what processes hold in memory, copy and walk, which takes system calls, and these
// take virtual time.
const (
	// suiteProgram is the test binary's directory, suiteTree the source tree. Both may be changed:
	// `go test` has its profiles written beside the one, `-update` golden files in the other.
	suiteProgram = "/dev/shm/suite"
	suiteTree    = "/dev/shm/tree"
	// suiteGiven holds, by the names of variables, the directories that these point to; read-only.
	suiteGiven = "/dev/shm/given"
)

// SystemPath is the PATH of guests whose runs are to be the same wherever they are started: every
// directory that is searched in vain takes virtual time.
const SystemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// suiteVariables are what a test suite on virtual time gets of the host's environment, beside
// variables of this project's own (ownPrefix): what changes how Go's runtime works, which somebody
// who sets it wants changed. What else is in the environment of a shell or of a CI job does not come
// to the guest.
var suiteVariables = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"}

const ownPrefix = "TANDEM_"

// suiteLeft are variables of our own that say how to start a guest, and nothing inside it.
var suiteLeft = []string{modeVariable, timeVariable, guestVariable, specVariable}

// suiteEnv is the environment of a test suite on virtual time, made from the host's, in which the
// last of two values of a name is the one: PATH, HOME and TZ have fixed values; suiteVariables and
// those with ownPrefix but for suiteLeft are handed on, in the order of their names. Where one is the
// absolute path of a file or a directory, the guest has that below suiteGiven, by the directory of
// the host that seen names. TMPDIR is the guest's own in any case.
func suiteEnv(host []string) (env []string, seen map[string]string) {
	env = []string{"PATH=" + SystemPath, "HOME=" + guestTemp, "TZ=UTC"}
	values := map[string]string{}
	for _, v := range host {
		name, value, _ := strings.Cut(v, "=")
		own := strings.HasPrefix(name, ownPrefix) && !slices.Contains(suiteLeft, name)
		if own || slices.Contains(suiteVariables, name) {
			values[name] = value
		}
	}
	seen = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if info, err := os.Stat(value); filepath.IsAbs(value) && err == nil {
			at := suiteGiven + "/" + name
			if info.IsDir() {
				seen[at], value = value, at
			} else {
				seen[at], value = filepath.Dir(value), filepath.Join(at, filepath.Base(value))
			}
		}
		env = append(env, name+"="+value)
	}
	return env, seen
}

// testLogFlag names the file in which a test notes what it has read, by which `go test` tells whether
// it must run again. In a guest that is not the whole truth: the kernel and the director are missing.
const testLogFlag = "-test.testlogfile="

// suiteArgs are a test binary's arguments, without its name, as they are in the guest: paths on the
// host become those that the guest has, by mounts, whose keys are the guest's.
func suiteArgs(args []string, mounts map[string]string) []string {
	moved := []string{}
	for _, a := range args {
		if strings.HasPrefix(a, testLogFlag) {
			continue
		}
		flag, path, isFlag := strings.Cut(a, "=")
		if !isFlag || !strings.HasPrefix(a, "-") {
			moved = append(moved, moveInto(a, mounts))
			continue
		}
		moved = append(moved, flag+"="+moveInto(path, mounts))
	}
	return moved
}

// moveInto returns the path that the guest has for one of the host: by the mount that is nearest to
// it. One that no mount holds stays.
func moveInto(path string, mounts map[string]string) string {
	at, from := "", ""
	for target, source := range mounts {
		if within(path, source) && len(source) > len(from) {
			at, from = target, source
		}
	}
	return at + strings.TrimPrefix(path, from)
}

// within says that a path is a directory or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// runSuite runs this test binary in the guest that suite describes.
func (o Options) runSuite(ctx context.Context) (int, error) {
	g, err := o.suite()
	if err != nil {
		return 0, err
	}
	return g.Run(ctx)
}

// suite is a guest on virtual time in which this test binary runs as it would from anywhere: with a
// minimal environment and with fixed paths.
func (o Options) suite() (Guest, error) {
	program, err := os.Executable()
	if err != nil {
		return Guest{}, fmt.Errorf("boot guest: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return Guest{}, fmt.Errorf("boot guest: %w", err)
	}
	env, seen := suiteEnv(append(os.Environ(), o.Env...))
	mounts := map[string]string{suiteProgram: filepath.Dir(program), suiteTree: sourceTree(dir)}
	return Guest{
		Time: o.Time, Seed: o.Seed, Env: env, Writable: o.Writable, Mounts: mounts, Seen: seen,
		Program: filepath.Join(suiteProgram, filepath.Base(program)),
		Args:    suiteArgs(os.Args[1:], mounts),
		// By the tree alone: the program's directory may be this one, and nearer.
		Dir: moveInto(dir, map[string]string{suiteTree: sourceTree(dir)}),
	}, nil
}
