package script

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// UnsafeError says that a command which root runs can be changed by another.
type UnsafeError struct {
	// Program is the path of the command, Part the first part of that path, links followed, that
	// another can change.
	Program, Part string
}

// Error names both.
func (e *UnsafeError) Error() string {
	return fmt.Sprintf("check %s: others than root can change %s", e.Program, e.Part)
}

// Check returns an *UnsafeError if root would run the command and another than root, or one of the
// owners, owns or may write to a part of the program's path or of what links in it lead to. Entries
// of a directory with the sticky bit are safe from those who may write to it. A command that is not
// there is not unsafe: running it fails anyway. An unknown account counts as root.
//
// What happens between Check and the execution of the program is not seen; only one who can change
// a part of the path could do anything then.
func Check(c Command, owners ...uint32) error {
	if found, err := c.lookup(); err == nil && found.uid != 0 {
		return nil
	}
	path, _, err := c.program()
	if err != nil {
		return nil
	}
	w := walk{owners: append(owners, 0)}
	if part := w.weakPart(path); part != "" {
		return &UnsafeError{Program: path, Part: part}
	}
	return nil
}

// maxLinks is how many links the kernel follows in a path.
const maxLinks = 40

// walk goes through a path as the kernel does.
type walk struct {
	owners []uint32 // whose files are safe
	links  int
}

// weakPart returns the first weak part of an absolute path; empty if there is none, or if the path
// ends early.
func (w *walk) weakPart(path string) string {
	at, rest := "/", split(path)
	if info, err := os.Lstat(at); err != nil || w.weak(info) {
		return at
	}
	for len(rest) > 0 {
		part := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(part)
		if err != nil {
			return ""
		}
		if w.weak(info) {
			return part
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = part
			continue
		}
		to, err := os.Readlink(part)
		if w.links++; err != nil || w.links > maxLinks {
			return ""
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(split(to), rest...)
	}
	return ""
}

// weak says whether a file, or what is in a directory, can be changed by others.
func (w *walk) weak(info fs.FileInfo) bool {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known || !slices.Contains(w.owners, stat.Uid) {
		return true
	}
	sticky := info.IsDir() && info.Mode()&fs.ModeSticky != 0
	link := info.Mode()&fs.ModeSymlink != 0
	return info.Mode()&0o022 != 0 && !sticky && !link
}

// split returns the parts of a path; ".." stays one.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool {
		return part == "" || part == "."
	})
}
