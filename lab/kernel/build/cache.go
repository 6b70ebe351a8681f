package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// A cache looks like this; what begins with a dot is never taken for a kernel:
//
//	kernels/6.1.192-2-0123456789ab/   linux, config, manifest.json: put here whole, by rename
//	kernels/.build/                   what a build that is not done keeps; see build.go
//	kernels/.lock                     held by the build that is running
const (
	kernelsDir   = "kernels"
	programFile  = "linux"
	configFile   = "config"
	manifestFile = "manifest.json"
)

// ErrNone is returned by Find where the cache has no kernel of this program's recipe.
var ErrNone = errors.New("find virtual-time kernel: none is built; " +
	"make one with `tandem kernel build` (no root)")

// State says what a kernel in the cache is good for.
type State int

// The states of a kernel in the cache.
const (
	// Current is a kernel of this program's options and patches.
	Current State = iota + 1
	// Stale is a kernel of other options or patches; this program does not use it.
	Stale
	// Damaged is a kernel whose file is not what its manifest says.
	Damaged
)

// String returns the state as lists show it.
func (s State) String() string {
	switch s {
	case Current:
		return "current"
	case Stale:
		return "stale"
	case Damaged:
		return "damaged"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Manifest says what a kernel was made of. Sums are sha256 in hexadecimal.
type Manifest struct {
	// Source is the Debian package of the source, Version its version.
	Source  string `json:"source"`
	Version string `json:"version"`
	// Hash stands for version, options and patches: the first 12 digits of a sha256.
	Hash       string     `json:"hash"`
	OptionsSum string     `json:"options_sha256"`
	Patches    []PatchSum `json:"patches"`
	KernelSum  string     `json:"kernel_sha256"`
	// Compiler is the first line of the compiler's own account of its version.
	Compiler string `json:"compiler"`
	// Objects is the number of files that were compiled.
	Objects int `json:"objects"`
}

// PatchSum is a patch by its name and sum.
type PatchSum struct {
	Name string `json:"name"`
	Sum  string `json:"sha256"`
}

// Kernel is a virtual-time kernel in the cache.
type Kernel struct {
	Manifest Manifest `json:"manifest"`
	// Dir is the kernel's directory, Program the kernel itself: an executable file.
	Dir     string `json:"dir"`
	Program string `json:"program"`
	// Size is that of the program in bytes.
	Size  int64 `json:"size"`
	State State `json:"state"`
	// Damage says why the state is Damaged; else it is empty.
	Damage string `json:"damage,omitempty"`
}

// Find returns the kernel of the newest source among those in a cache that were made of this
// program's options and patches. It reads the whole file to see that it is what the manifest says.
// It returns ErrNone where there is none, and another error, with the path, where the newest one is
// damaged.
func Find(cache string) (Kernel, error) {
	r, err := ownRecipe()
	if err != nil {
		return Kernel{}, err
	}
	return find(cache, r)
}

func find(cache string, r recipe) (Kernel, error) {
	kernels, err := list(cache, r)
	if err != nil {
		return Kernel{}, err
	}
	for _, k := range kernels { // the newest first
		switch {
		case k.State == Current:
			return k, nil
		case k.State == Damaged && k.Manifest.Hash == r.hash(k.Manifest.Version):
			return Kernel{}, fmt.Errorf("use virtual-time kernel %s: %s; remove it with "+
				"`tandem kernel remove %s` and build it anew", k.Program, k.Damage, k.Manifest.Hash)
		}
	}
	return Kernel{}, ErrNone
}

// List returns the kernels in a cache, those of the newest source first, and reads each file whole.
// A cache that does not exist is empty. Directories without a manifest are no kernels.
func List(cache string) ([]Kernel, error) {
	r, err := ownRecipe()
	if err != nil {
		return nil, err
	}
	return list(cache, r)
}

func list(cache string, r recipe) ([]Kernel, error) {
	entries, err := os.ReadDir(filepath.Join(cache, kernelsDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list kernels: %w", err)
	}
	var kernels []Kernel
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if k, ok := read(filepath.Join(cache, kernelsDir, e.Name()), r); ok {
			kernels = append(kernels, k)
		}
	}
	slices.SortStableFunc(kernels, func(a, b Kernel) int {
		return cmp.Or(debian.CompareVersions(b.Manifest.Version, a.Manifest.Version),
			cmp.Compare(a.State, b.State), cmp.Compare(a.Manifest.Hash, b.Manifest.Hash))
	})
	return kernels, nil
}

// read reads a kernel's directory; one without a manifest is none.
func read(dir string, r recipe) (Kernel, bool) {
	k := Kernel{Dir: dir, Program: filepath.Join(dir, programFile)}
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil || json.Unmarshal(b, &k.Manifest) != nil || k.Manifest.Hash == "" {
		return Kernel{}, false
	}
	k.State = Stale
	if k.Manifest.Hash == r.hash(k.Manifest.Version) {
		k.State = Current
	}
	info, err := os.Stat(k.Program)
	if err != nil {
		k.State, k.Damage = Damaged, "the file is missing"
		return k, true
	}
	k.Size = info.Size()
	sum, err := fileChecksum(k.Program)
	switch {
	case err != nil:
		k.State, k.Damage = Damaged, err.Error()
	case sum != k.Manifest.KernelSum:
		k.State, k.Damage = Damaged, "its sha256 is not the one of its manifest"
	case info.Mode()&0o100 == 0:
		k.State, k.Damage = Damaged, "the file may not be executed"
	}
	return k, true
}

func fileChecksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// newStage makes a directory in which a kernel is put together.
func newStage(cache string) (string, error) {
	stage, err := os.MkdirTemp(filepath.Join(cache, kernelsDir), ".new-")
	if err != nil {
		return "", err
	}
	return stage, os.Chmod(stage, 0o755)
}

// install makes a stage that holds a kernel and its configuration a kernel of the cache, whole or
// not at all, and returns its directory. What stood under the same name is replaced.
func install(cache, stage string, m Manifest) (string, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return "", fmt.Errorf("install kernel: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stage, manifestFile), append(b, '\n'), 0o644); err != nil {
		return "", fmt.Errorf("install kernel: %w", err)
	}
	dir := filepath.Join(cache, kernelsDir, m.Version+"-"+m.Hash)
	if err := discard(dir); err != nil {
		return "", fmt.Errorf("install kernel: %w", err)
	}
	if err := os.Rename(stage, dir); err != nil {
		return "", fmt.Errorf("install kernel: %w", err)
	}
	return dir, nil
}

// Remove removes a kernel from its cache. One that is gone already is no error. Guests that run it
// go on.
func Remove(k Kernel) error {
	if err := discard(k.Dir); err != nil {
		return fmt.Errorf("remove kernel %s: %w", k.Manifest.Hash, err)
	}
	return nil
}

// discard removes a kernel's directory. It takes the name first, so that a removal that is cut off
// leaves nothing that looks like a kernel.
func discard(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), ".old-"+filepath.Base(dir))
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(gone)
}
