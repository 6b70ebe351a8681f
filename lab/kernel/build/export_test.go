package build

import (
	"context"
	"errors"

	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// Archive is what a build takes the source from.
type Archive interface {
	Show(ctx context.Context, name string) (debian.Package, error)
	Download(ctx context.Context, p debian.Package, dir string) (string, error)
}

// Recipe is what makes a kernel of a source, for tests that bring their own. Patches are pairs of
// name and text.
type Recipe struct {
	Options, Optional string
	Patches           [][2]string
	// Full says that the disk is full; else it has all the room in the world.
	Full bool
}

func (r Recipe) recipe() recipe {
	made := recipe{options: r.Options, optional: r.Optional}
	for _, p := range r.Patches {
		made.patches = append(made.patches, patch{name: p[0], text: p[1]})
	}
	return made
}

// Dropped are the options that a configuration does not have.
func (r Recipe) Dropped(config string) []string { return r.recipe().dropped(config) }

// Hash is that of what this recipe makes of a version.
func (r Recipe) Hash(version string) string { return r.recipe().hash(version) }

// Build is the package's Build with another recipe and archive.
func (r Recipe) Build(ctx context.Context, o Options, a Archive) (Kernel, error) {
	open := func(context.Context, string) (packages, error) { return a, nil }
	b := newBuilder(o, r.recipe(), open)
	b.room = func(string, int64) error {
		if r.Full {
			return errors.New("full")
		}
		return nil
	}
	return b.build(ctx)
}

// Find and List are the package's with another recipe.
func (r Recipe) Find(cache string) (Kernel, error)   { return find(cache, r.recipe()) }
func (r Recipe) List(cache string) ([]Kernel, error) { return list(cache, r.recipe()) }

// OwnRecipe is the recipe that the program carries.
func OwnRecipe() (Recipe, error) {
	own, err := ownRecipe()
	r := Recipe{Options: own.options, Optional: own.optional}
	for _, p := range own.patches {
		r.Patches = append(r.Patches, [2]string{p.name, p.text})
	}
	return r, err
}

// What tests look into.
var (
	PatchFailure = patchFailure
	CheckSpace   = checkSpace
	MissingTools = missingTools
	NewProgress  = newProgress
	TryLock      = tryLock
)

// Count and Step are progress's.
func (p *progress) Count(done, total int)           { p.count(done, total) }
func (p *progress) Step(format string, args ...any) { p.step(format, args...) }

// OnTerminal makes progress believe that it writes to a terminal.
func (p *progress) OnTerminal() { p.terminal = true }
