package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tandemlb/tandem/lab/kernel/debian"
)

// fetch leaves the source, unpacked and patched, in the tree. Where it is there it does nothing.
func (b *builder) fetch(ctx context.Context) error {
	if _, err := os.Stat(b.tree("source")); err == nil {
		return b.checkSpace(spaceCompile)
	}
	if err := os.MkdirAll(b.tree(), 0o755); err != nil {
		return fmt.Errorf("fetch kernel source: %w", err)
	}
	if err := os.WriteFile(b.tree("package"), []byte(b.pkg.Name), 0o644); err != nil {
		return fmt.Errorf("fetch kernel source: %w", err)
	}
	b.progress.step("downloading %s %s …", b.pkg.Name, b.pkg.Version)
	file, err := b.archive.Download(ctx, b.pkg, b.work())
	if err != nil {
		return err
	}
	b.progress.step("unpacking %s …", filepath.Base(file))
	root, err := b.unpack(ctx, file)
	if err != nil {
		return err
	}
	if err := b.patch(ctx, root); err != nil {
		return err
	}
	if err := os.Rename(root, b.tree("source")); err != nil {
		return fmt.Errorf("fetch kernel source: %w", err)
	}
	if err := os.RemoveAll(b.tree("unpacking")); err != nil {
		return fmt.Errorf("fetch kernel source: %w", err)
	}
	return nil
}

// unpack unpacks the package and the archive in it, anew, and returns the root of the source.
func (b *builder) unpack(ctx context.Context, file string) (string, error) {
	dir := b.tree("unpacking")
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("unpack kernel source: %w", err)
	}
	if err := debian.Unpack(ctx, file, filepath.Join(dir, "package")); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "package", "usr", "src", b.pkg.Name+".tar.xz")
	err := b.command(ctx, dir, "", "tar", "--no-same-owner", "-xf", archive).Run()
	if err != nil {
		return "", fmt.Errorf("unpack kernel source: tar %s: %w", filepath.Base(archive), err)
	}
	roots, _ := filepath.Glob(filepath.Join(dir, "*", "Makefile"))
	if len(roots) != 1 {
		return "", fmt.Errorf("unpack kernel source: %s has %d directories with a Makefile, want 1",
			filepath.Base(archive), len(roots))
	}
	return filepath.Dir(roots[0]), nil
}

// patch applies the recipe's patches to the source.
func (b *builder) patch(ctx context.Context, root string) error {
	for _, p := range b.recipe.patches {
		b.progress.step("applying %s", p.name)
		cmd := b.command(ctx, root, p.text, "patch", "-p1", "--forward", "--force")
		cmd.Stdout, cmd.Stderr = nil, nil
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apply %s to %s %s: %w: %s", p.name, b.pkg.Name, b.pkg.Version, err,
				patchFailure(string(out)))
		}
	}
	return nil
}

// patchFailure says in a line which files a patch did not fit, from what patch(1) printed:
//
//	patching file a.c
//	Hunk #1 FAILED at 7.
//	1 out of 1 hunk FAILED -- saving rejects to file a.c.rej
//	can't find file to patch at input line 3
//	|--- a/b.c
func patchFailure(out string) string {
	var failed []string
	file := ""
	for _, line := range strings.Split(out, "\n") {
		name, patching := strings.CutPrefix(line, "patching file ")
		missing, names := strings.CutPrefix(line, "|+++ ")
		switch {
		case patching:
			file = name
		case names:
			missing, _, _ = strings.Cut(missing, "\t")
			_, missing, _ = strings.Cut(missing, "/")
			failed = append(failed, missing+" (not in the source)")
		case strings.HasPrefix(line, "Hunk #") && strings.Contains(line, " FAILED "):
			failed = append(failed, file+" ("+strings.TrimSuffix(line, ".")+")")
		}
	}
	if failed == nil {
		return strings.TrimSpace(out)
	}
	return "does not fit " + strings.Join(failed, ", ")
}
